/** Figure: heads that look by position, as a pattern and as a profile over offsets. */
import { attentionByOffset, meanRotaryPattern, positionalPattern } from "../../circuits/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { arrange, heatmap, lineChart } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { chosenHeads } from "../labels.ts";

/**
 * The data of the figure of positional heads.
 * @category Figures
 */
export interface PositionalHeads {
  /**
   * How positions enter: of positional embeddings, the pattern that they give alone; of rotary ones that of mean
   * queries and keys.
   */
  readonly positions: "embedding" | "rotary";
  /** `[layer, head, offset]`: mean attention at each of the first offsets. */
  readonly profiles: Tensor<"layer head offset">;
  /** The heads shown, with their patterns. */
  readonly shown: readonly (HeadId & { readonly pattern: Tensor<"query_pos key_pos"> })[];
}

/**
 * Options of {@link positionalHeads}.
 * @category Figures
 */
export interface PositionalHeadsOptions extends FigureOptions {
  /** How many positions; 200 or the model's n_ctx unless given. */
  readonly positions?: number | undefined;
  /** How many offsets the profiles have; 16 unless given. */
  readonly offsets?: number | undefined;
}

const NEEDS: readonly FigureNeed[] = ["layer", "causal", "positions"];

/**
 * What every head does by position alone: its mean attention to the token at each offset before it, and the whole
 * pattern of the head that is most bound to one offset (*A Mathematical Framework for Transformer Circuits*, "Primarily
 * positional attention heads").
 *
 * @param options - `heads` whose patterns are shown (the one of the highest profile unless given), `positions`,
 * `offsets`; `signal`, `onProgress` (in heads).
 * @throws {@link ConfigError} when the model has no heads, no positions, or heads that see later tokens;
 * {@link InputError} when there is no such head or there are not so many positions.
 * @category Figures
 * @example
 * ```ts
 * import { positionalHeads } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { shown, profiles } = positionalHeads(await openBundledModel());
 * const { layer, head } = shown[0] ?? { layer: 0, head: 0 };
 * console.log(`L${layer}H${head}`, profiles.at(layer, head, 1) > 0.9);
 * // L0H5 true
 * ```
 */
export function positionalHeads(input: FigureInput, options: PositionalHeadsOptions = {}): PositionalHeads {
  requireNeeds(NEEDS, input, "positionalHeads", options, "positions offsets");
  const { model } = input;
  const { n_layers, n_heads, n_ctx } = model.config;
  const n = options.positions ?? Math.min(200, n_ctx);
  const offsets = Math.min(options.offsets ?? 16, n);
  const asked = options.heads && chosenHeads(model, options.heads);
  const profiles = new Float64Array(n_layers * n_heads * offsets);
  const every = chosenHeads(model, undefined);
  for (const [i, head] of every.entries()) {
    options.signal?.throwIfAborted();
    const profile = rawData(attentionByOffset(patternByPosition(model, head, n)));
    profiles.set(profile.subarray(0, offsets), i * offsets);
    options.onProgress?.(i + 1, every.length);
  }
  const peak = (i: number): number => Math.max(...profiles.subarray(i * offsets, (i + 1) * offsets));
  const highest = every.reduce((best, _, i) => (peak(i) > peak(best) ? i : best), 0);
  return {
    positions: model.config.positional_embedding_type === "rotary" ? "rotary" : "embedding",
    profiles: Tensor.from("layer head offset", [n_layers, n_heads, offsets], profiles),
    shown: (asked ?? every.slice(highest, highest + 1)).map((head) => ({
      ...head,
      pattern: patternByPosition(model, head, n),
    })),
  };
}

function patternByPosition(model: Transformer, head: HeadId, n: number): Tensor<"query_pos key_pos"> {
  const isRotary = model.config.positional_embedding_type === "rotary";
  return isRotary ? meanRotaryPattern(model, head, n) : positionalPattern(model, head, n);
}

/**
 * Draws positional heads: pattern and profile of each head shown, then the profiles of all heads as rows.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawPositionalHeads, positionalHeads } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawPositionalHeads(positionalHeads(await openBundledModel()));
 * console.log(figure.kind, figure.label);
 * // arrange Heads that look by position: L0H5
 * ```
 */
export function drawPositionalHeads(data: PositionalHeads, captions: Captions = {}): Figure {
  requireData(data, "positions profiles shown", "positionalHeads", "drawPositionalHeads", captions);
  const { shown, profiles, positions } = data;
  const [layers = 0, heads = 0, offsets = 0] = profiles.shape;
  const how =
    positions === "rotary"
      ? "Patterns of the mean query and key of the vocabulary, turned by rotary positions."
      : "Patterns that the positional embedding gives alone.";
  const pairs = shown.map(({ pattern, ...head }) => [
    heatmap({
      values: pattern,
      title: `${headLabel(head)}, pattern`,
      xLabel: "key position",
      yLabel: "query position",
      mask: (query, key) => key > query,
      scale: "sequential",
      limit: 1,
      legendLabel: "attention",
      ...(pattern.shape[0] !== undefined &&
        pattern.shape[0] > 60 && { cell: Math.max(1, Math.floor(400 / pattern.shape[0])) }),
    }),
    lineChart({
      series: [
        {
          name: headLabel(head),
          y: rawData(profiles)
            .subarray((head.layer * heads + head.head) * offsets)
            .subarray(0, offsets),
        },
      ],
      title: `${headLabel(head)}, mean attention by offset`,
      xLabel: "offset: query position − key position",
      yLabel: "attention",
      yDomain: [0, 1],
      width: 420,
      height: 240,
    }),
  ]);
  const labels = Array.from({ length: layers * heads }, (_, i) =>
    headLabel({ layer: Math.floor(i / heads), head: i % heads }),
  );
  const all = heatmap({
    values: { rows: layers * heads, cols: offsets, data: rawData(profiles) },
    rowLabels: labels,
    title: "All heads, mean attention by offset",
    xLabel: "offset",
    scale: "sequential",
    limit: 1,
    legendLabel: "attention",
    cell: layers * heads > 48 ? 12 : 18,
  });
  const named = shown.length <= 4 ? `: ${shown.map(headLabel).join(", ")}` : "";
  return arrange({ title: `${ENTRY_TITLE}${named}`, subtitle: how, rows: beside(pairs, all), ...captions });
}

/** The map of all heads stands under the profile of the one shown, where there is room for it. */
function beside(pairs: readonly (readonly Figure[])[], all: Figure): (readonly Figure[])[] {
  const [pattern, profile] = pairs[0] ?? [];
  if (pairs.length !== 1 || pattern === undefined || profile === undefined || all.height > 420)
    return [...pairs, [all]];
  return [[pattern, arrange({ rows: [[profile], [all]] })]];
}

const ENTRY_TITLE = "Heads that look by position";

/** The list's entry. */
export const positionalHeadsEntry: FigureEntry<PositionalHeads> = {
  name: "positional-heads",
  number: 5,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Primarily positional attention heads"',
  needs: NEEDS,
  output: "svg",
  make: positionalHeads,
  draw: drawPositionalHeads,
};
