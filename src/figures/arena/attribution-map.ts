/** Figure: what each component adds to the logits of the right next tokens. */
import { logitAttribution } from "../../paths/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import { heatmap } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { bosOf, requireNeeds, windowsOf } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import type { FigureToken } from "../labels.ts";
import { readable, repeatsOf, tokensOf } from "../prompts.ts";

/**
 * Logit attribution on a text, or on random tokens that repeat.
 * @category Figures
 */
export interface AttributionMap {
  readonly tokens: readonly FigureToken[];
  /** The length of what repeats; none in a text. */
  readonly period?: number;
  /** 1 where the tokens begin with BOS, 0 where they do not. */
  readonly first: 0 | 1;
  /** The components: embedding, heads, MLPs and biases. */
  readonly labels: readonly string[];
  /** `[component, pos]`: what each adds at a position to the logit of the token that comes next. */
  readonly attribution: Tensor<"component pos">;
}

/** Tokens of a text that are shown, BOS included. */
const SHOWN = 64;

const NEEDS: readonly FigureNeed[] = ["causal", "next token"];

/**
 * What embedding, heads, MLPs and biases add to the logit of the right next token at each position of the text's first
 * 64 tokens, or, without a text, of $[\text{BOS}, r, r]$ (ARENA 1.2, "Logit attribution"). Components add up to the
 * logit.
 *
 * @param options - `seed` of the tokens; `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model sees later tokens or its output tokens are not its input tokens.
 * @category Figures
 * @example
 * ```ts
 * import { attributionMap } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { labels, attribution } = attributionMap(await openBundledModel());
 * console.log(labels.slice(0, 3).join(" "), attribution.shape);
 * // embed L0H0 L0H1 [ 18, 100 ]
 * ```
 */
export function attributionMap(input: FigureInput, options: FigureOptions = {}): AttributionMap {
  requireNeeds(NEEDS, input, "attributionMap", options);
  const { ids, ...kind } = promptOf(input, options);
  const { labels, attribution } = logitAttribution(input.model, ids, {
    signal: options.signal,
    onProgress: options.onProgress,
  });
  return { tokens: tokensOf(input, ids), ...kind, labels, attribution: attribution.select("batch", 0) };
}

function promptOf(
  input: FigureInput,
  { seed }: FigureOptions,
): { readonly ids: readonly number[] } & Pick<AttributionMap, "period" | "first"> {
  const operation = "attributionMap";
  if (input.text === undefined) {
    const { prompts, period, first } = repeatsOf(input, { period: 50, seed }, operation);
    return { ids: prompts[0] ?? [], period, first };
  }
  const [ids = []] = windowsOf(input, { length: SHOWN }, operation);
  return { ids, first: bosOf(input, operation) === undefined ? 0 : 1 };
}

/**
 * Draws a logit attribution: components downward, positions to the right.
 *
 * @category Figures
 * @example
 * ```ts
 * import { attributionMap, drawAttributionMap } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * console.log(drawAttributionMap(attributionMap(await openBundledModel())).label);
 * // Logit attribution on random tokens and their repetition
 * ```
 */
export function drawAttributionMap(data: AttributionMap, captions: Captions = {}): Figure {
  requireData(data, "tokens first labels attribution", "attributionMap", "drawAttributionMap", captions);
  const { labels, attribution, tokens, period, first } = data;
  const [rows = 0, columns = 0] = attribution.shape;
  const cell = Math.max(4, Math.min(11, Math.floor(1100 / Math.max(columns, rows))));
  const repeats =
    period === undefined
      ? ""
      : ` The second copy begins at position ${first + period}, counted from 0; induction heads act from there on.`;
  return heatmap({
    title: period === undefined ? TEXT_TITLE : ENTRY_TITLE,
    subtitle: `What each component adds at a position to the logit of the token that comes next.${repeats}`,
    values: { rows, cols: columns, data: rawData(attribution) },
    rowLabels: labels,
    columnLabels: readable(tokens.slice(0, columns)),
    xLabel: "token at the position",
    yLabel: "component",
    legendLabel: "logits",
    cell,
    ...captions,
  });
}

const TEXT_TITLE = "Logit attribution on a text";
const ENTRY_TITLE = "Logit attribution on random tokens and their repetition";

/** The list's entry. */
export const attributionMapEntry: FigureEntry<AttributionMap> = {
  name: "logit-attribution",
  number: 23,
  title: ENTRY_TITLE,
  source: 'ARENA 1.2, "Logit attribution"',
  needs: NEEDS,
  takesText: true,
  output: "svg",
  make: attributionMap,
  draw: drawAttributionMap,
};
