/** Figures: composition between all pairs of heads as maps, and what random heads score. */
import { compositionScores, sampleCompositionBaseline } from "../../circuits/index.ts";
import type { CompositionScores } from "../../circuits/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { formatNumber, heatmap, histogram, smallMultiples } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { numbersOf } from "../prompts.ts";

/**
 * Composition scores as maps of writing heads by reading heads.
 * @category Figures
 */
export interface CompositionMapsFigure {
  readonly n_layers: number;
  readonly n_heads: number;
  readonly Q: CompositionScores["Q"];
  readonly K: CompositionScores["K"];
  readonly V: CompositionScores["V"];
  /** What heads of random weights score. */
  readonly baseline: number;
}

const NEEDS: readonly FigureNeed[] = ["two layers"];
/** Of more heads only the layers are named. */
const MOST_LABELS = 40;

/**
 * Q-, K- and V-composition between all pairs of heads, with the score of random weights (ARENA 1.2, "Composition
 * scores").
 *
 * @param options - `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model has fewer than two layers.
 * @category Figures
 * @example
 * ```ts
 * import { compositionMaps } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { K, baseline } = compositionMaps(await openBundledModel());
 * console.log(K.at(0, 5, 1, 4) > 2 * baseline, baseline.toFixed(4));
 * // true 0.0884
 * ```
 */
export function compositionMaps(input: FigureInput, options: FigureOptions = {}): CompositionMapsFigure {
  requireNeeds(NEEDS, input, "compositionMaps", options);
  const { n_layers, n_heads } = input.model.config;
  const { Q, K, V, baseline } = compositionScores(input.model, {
    signal: options.signal,
    onProgress: options.onProgress,
  });
  return { n_layers, n_heads, Q, K, V, baseline: baseline.mean };
}

/**
 * Draws the three maps of composition, as they are and less the score of random weights: writing heads downward,
 * reading heads to the right.
 *
 * @category Figures
 * @example
 * ```ts
 * import { compositionMaps, drawCompositionMaps } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawCompositionMaps(compositionMaps(await openBundledModel()));
 * console.log(figure.svg.match(/[QKV]-composition/g)?.length);
 * // 6
 * ```
 */
export function drawCompositionMaps(data: CompositionMapsFigure, captions: Captions = {}): Figure {
  requireData(data, "n_layers n_heads Q K V baseline", "compositionMaps", "drawCompositionMaps", captions);
  const { n_layers, n_heads, baseline } = data;
  const side = (n_layers - 1) * n_heads;
  const values = { Q: valuesOf(data.Q, data), K: valuesOf(data.K, data), V: valuesOf(data.V, data) };
  const all = Object.values(values).flatMap((map) => Array.from(map));
  const largest = all.reduce((a, b) => Math.max(a, b), 0);
  const labels = (first: number): string[] =>
    Array.from({ length: side }, (_, i) => {
      const [layer, head] = [first + Math.floor(i / n_heads), i % n_heads];
      if (side <= MOST_LABELS) return `L${layer}H${head}`;
      return head === Math.floor(n_heads / 2) ? `L${layer}` : "";
    });
  const cell = Math.max(2, Math.min(26, Math.floor(260 / side)));
  const map = (kind: "Q" | "K" | "V", excess: boolean): Figure =>
    heatmap({
      title: `${kind}-composition${excess ? " above random" : ""}`,
      values: { rows: side, cols: side, data: excess ? values[kind].map((x) => x - baseline) : values[kind] },
      mask: (row, column) => Math.floor(row / n_heads) >= Math.floor(column / n_heads) + 1,
      rowLabels: labels(0),
      columnLabels: labels(1),
      scale: excess ? "diverging" : "sequential",
      limit: largest === 0 ? 1 : largest,
      cell,
    });
  return smallMultiples({
    title: MAPS_TITLE,
    subtitle: `Heads that write downward, heads that read to the right. Heads of random weights score ${formatNumber(baseline)}, which is subtracted below.`,
    ...captions,
    figures: [false, true].flatMap((excess) => (["Q", "K", "V"] as const).map((kind) => map(kind, excess))),
    columns: 3,
  });
}

/** Writers of all layers but the last by readers of all but the first, row by row. */
function valuesOf(scores: CompositionScores["Q"], { n_layers, n_heads }: CompositionMapsFigure): Float64Array {
  const side = (n_layers - 1) * n_heads;
  const data = rawData(scores);
  return Float64Array.from(
    { length: side * side },
    (_, at) => data[Math.floor(at / side) * n_layers * n_heads + n_heads + (at % side)] as number,
  );
}

/**
 * What random heads score, and the model's own heads at most.
 * @category Figures
 */
export interface CompositionChance {
  /** Scores of pairs of random heads, ascending. */
  readonly samples: Float64Array;
  readonly mean: number;
  readonly std: number;
  /** $1/\sqrt{d_{model}}$. */
  readonly expected: number;
  /** The largest score of each kind among the model's heads. */
  readonly largest: { readonly Q: number; readonly K: number; readonly V: number };
}

const SAMPLES = 300;

/**
 * Composition scores of 300 pairs of heads of random weights, of the model's sizes, drawn as PyTorch initialises them
 * (ARENA 1.2, "Composition scores"), with the largest scores of the model.
 *
 * @param options - `seed` of the draws; `signal`, `onProgress` (in draws).
 * @throws {@link ConfigError} when the model has fewer than two layers.
 * @category Figures
 * @example
 * ```ts
 * import { compositionChance } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { mean, expected, largest } = compositionChance(await openBundledModel());
 * console.log(Math.abs(mean - expected) < 0.002, largest.K > 2 * mean);
 * // true true
 * ```
 */
export function compositionChance(input: FigureInput, options: FigureOptions = {}): CompositionChance {
  requireNeeds(NEEDS, input, "compositionChance", options);
  const { signal, onProgress, seed = 0 } = options;
  const { mean, std, samples } = sampleCompositionBaseline(input.model.config, {
    init: "kaiming-uniform",
    samples: SAMPLES,
    seed,
    signal,
    onProgress,
  });
  const { Q, K, V, baseline } = compositionScores(input.model, { signal });
  const most = (scores: CompositionScores["Q"]): number => numbersOf(scores).reduce((a, b) => Math.max(a, b), 0);
  return {
    samples: numbersOf(samples),
    mean,
    std,
    expected: baseline.mean,
    largest: { Q: most(Q), K: most(K), V: most(V) },
  };
}

/**
 * Draws the histogram of random heads' composition scores, with the model's largest marked.
 *
 * @category Figures
 * @example
 * ```ts
 * import { compositionChance, drawCompositionChance } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawCompositionChance(compositionChance(await openBundledModel()));
 * console.log(figure.kind, figure.svg.includes("largest K"));
 * // histogram true
 * ```
 */
export function drawCompositionChance(data: CompositionChance, captions: Captions = {}): Figure {
  requireData(data, "samples mean std expected largest", "compositionChance", "drawCompositionChance", captions);
  const { samples, mean, std, expected, largest } = data;
  return histogram({
    title: CHANCE_TITLE,
    subtitle: `${samples.length} pairs of random heads: ${formatNumber(mean)} ± ${formatNumber(std, { significant: 2 })}; 1/√d_model is ${formatNumber(expected)}. Marked is the largest score of each kind among the model’s heads.`,
    values: samples,
    bins: 30,
    xLabel: "composition score",
    yLabel: "pairs",
    references: (["Q", "K", "V"] as const).map((kind) => ({ value: largest[kind], label: `largest ${kind}` })),
    width: 640,
    ...captions,
  });
}

const MAPS_TITLE = "Composition between all heads";
const CHANCE_TITLE = "Composition scores of random heads";
const SOURCE = 'ARENA 1.2, "Composition scores"';

/** The list's entry. */
export const compositionMapsEntry: FigureEntry<CompositionMapsFigure> = {
  name: "composition-maps",
  number: 24,
  title: MAPS_TITLE,
  source: SOURCE,
  needs: NEEDS,
  output: "svg",
  make: compositionMaps,
  draw: drawCompositionMaps,
};

/** The list's entry. */
export const compositionChanceEntry: FigureEntry<CompositionChance> = {
  name: "composition-baseline",
  number: 24,
  title: CHANCE_TITLE,
  source: SOURCE,
  needs: NEEDS,
  output: "svg",
  make: compositionChance,
  draw: drawCompositionChance,
};
