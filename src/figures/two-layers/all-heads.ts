/** Figure: the patterns of all heads on one text, side by side. */
import { valueWeightedPattern } from "../../heads/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { map } from "../../tensor/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { heatmap, smallMultiples } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds, windowsOf } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { chosenHeads } from "../labels.ts";
import type { FigureToken } from "../labels.ts";
import { columnsFor } from "../one-layer/ov-eigenvalues.ts";
import { numbersOf, tokensOf } from "../prompts.ts";

/**
 * A head with its value-weighted pattern on the prompt.
 * @category Figures
 */
export interface HeadPattern extends HeadId {
  /** `[query_pos, key_pos]`: $A_{ij} \|v_j\|$ over the largest such number of the head that is shown. */
  readonly weighted: Tensor<"query_pos key_pos">;
}

/**
 * The patterns of all heads on one prompt.
 * @category Figures
 */
export interface AllHeads {
  readonly n_layers: number;
  readonly n_heads: number;
  readonly tokens: readonly FigureToken[];
  readonly heads: readonly HeadPattern[];
  /** Whether attention to the first token, on which heads rest, is left out; it is not unless this is `true`. */
  readonly skipFirst?: boolean;
}

/**
 * What {@link allHeadPatterns} may be told.
 * @category Figures
 */
export interface AllHeadsOptions extends FigureOptions {
  /** Whether attention to the first token is left out, so that the others' has all of the colours. */
  readonly skipFirst?: boolean;
}

const NEEDS: readonly FigureNeed[] = ["layer", "text"];
const LENGTH = 48;

/**
 * The value-weighted pattern of every head, or of those asked for, on the first 48 tokens of a text (*A Mathematical
 * Framework for Transformer Circuits*, the page of all heads beside "Analyzing a two-layer model").
 *
 * @param options - `heads`, `skipFirst`, `signal`.
 * @throws {@link ConfigError} when the model has no heads; {@link InputError} when there is no text, or no such head.
 * @category Figures
 * @example
 * ```ts
 * import { allHeadPatterns } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { heads, tokens } = allHeadPatterns({
 *   ...(await openBundledModel()),
 *   text: "interface Array<T> { readonly length: number; }",
 * });
 * console.log(heads.length, tokens.length, Math.max(...(heads[0]?.weighted.data ?? [])));
 * // 16 14 1
 * ```
 */
export function allHeadPatterns(input: FigureInput, options: AllHeadsOptions = {}): AllHeads {
  requireNeeds(NEEDS, input, "allHeadPatterns", options, "skipFirst");
  const { model } = input;
  const [ids = []] = windowsOf(input, { length: LENGTH }, "allHeadPatterns");
  const shown = chosenHeads(model, options.heads);
  const run = model.run(ids, {
    cache: (name) => /attn\.hook_(pattern|v)$/.test(name),
    unembed: "none",
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const byLayer = new Map(
    [...new Set(shown.map(({ layer }) => layer))].map((layer) => [layer, valueWeightedPattern(model, run, layer)]),
  );
  const skipFirst = options.skipFirst === true && ids.length > 1;
  const heads = shown.map(({ layer, head }) => {
    const pattern = (byLayer.get(layer) as ReturnType<typeof valueWeightedPattern>)
      .select("batch", 0)
      .select("head", head);
    const isShown = (at: number): boolean => !skipFirst || at % ids.length > 0;
    const largest = numbersOf(pattern).reduce((a, b, at) => (isShown(at) ? Math.max(a, b) : a), 0);
    return { layer, head, weighted: map(pattern, (x) => (largest === 0 ? 0 : x / largest)) };
  });
  const { n_layers, n_heads } = model.config;
  return { n_layers, n_heads, tokens: tokensOf(input, ids), heads, ...(skipFirst && { skipFirst }) };
}

/**
 * Draws the patterns of all heads, a layer in a row, queries downward: a stripe beside the diagonal is a previous-token
 * head, a stripe far from it one that looks at repeats, a column at the left a head that rests.
 *
 * @throws ShapeError if there are no heads.
 * @category Figures
 * @example
 * ```ts
 * import { allHeadPatterns, drawAllHeadPatterns } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const input = { ...(await openBundledModel()), text: "interface Array<T> { readonly length: number; }" };
 * console.log(drawAllHeadPatterns(allHeadPatterns(input)).svg.match(/L\dH\d/g)?.length);
 * // 16
 * ```
 */
export function drawAllHeadPatterns(data: AllHeads, captions: Captions = {}): Figure {
  requireData(data, "n_layers n_heads tokens heads", "allHeadPatterns", "drawAllHeadPatterns", captions);
  const { heads, n_heads, n_layers, tokens, skipFirst = false } = data;
  const whole = heads.length === n_layers * n_heads;
  const many = heads.length > 64;
  const columns = whole ? columnsFor(n_heads, many ? 12 : 8) : Math.min(heads.length, 4);
  const cell = Math.max(1, Math.round((many ? 76 : 110) / tokens.length));
  const figures = heads.map((head) =>
    heatmap({
      values: head.weighted,
      title: headLabel(head),
      scale: "sequential",
      limit: 1,
      cell,
      skipFirst,
      legend: false,
      rowLabels: tokens.map(() => ""),
      columnLabels: tokens.map(() => ""),
    }),
  );
  return smallMultiples({
    title: ENTRY_TITLE,
    subtitle: `Attention times the size of the values, over each head's largest; queries downward, keys to the right, ${tokens.length} tokens${skipFirst ? ", the first left out" : ""}.`,
    ...captions,
    figures,
    columns,
  });
}

const ENTRY_TITLE = "Value-weighted attention of all heads on a text";

/** The list's entry. */
export const allHeadPatternsEntry: FigureEntry<AllHeads> = {
  name: "all-heads",
  number: 13,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Analyzing a two-layer model"',
  needs: NEEDS,
  output: "svg",
  make: allHeadPatterns,
  draw: drawAllHeadPatterns,
};
