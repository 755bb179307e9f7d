/** Figure: copying scores of all heads as a histogram. */
import { stepOptions } from "../../progress.ts";
import { copyingScores, scoreNull } from "../../circuits/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import { formatNumber, histogram } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";

/**
 * The data of the histogram of copying scores.
 * @category Figures
 */
export interface CopyingHistogram {
  /** `[layer, head]`: $\sum \lambda / \sum |\lambda|$ of the full OV circuit, from −1 to 1. */
  readonly scores: Tensor<"layer head">;
  /** What heads of normal random weights score between the same embedding and unembedding. */
  readonly chance: { readonly mean: number; readonly std: number; readonly samples: number };
}

const NEEDS: readonly FigureNeed[] = ["layer", "next token"];
const SAMPLES = 200;
/** A head stands out from this many standard deviations above chance on. */
const CLEARLY = 3;

/**
 * The copying score of every head, and what heads of random weights score (*A Mathematical Framework for Transformer
 * Circuits*, "Detecting copying behavior").
 *
 * @param options - `seed` of the random heads; `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model has no heads or its output tokens are not its input tokens.
 * @category Figures
 * @example
 * ```ts
 * import { copyingHistogram } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { scores, chance } = copyingHistogram(await openBundledModel());
 * console.log(scores.at(1, 4).toFixed(2), Math.abs(chance.mean) < 0.05, chance.std < 0.2);
 * // 0.99 true true
 * ```
 */
export function copyingHistogram(input: FigureInput, options: FigureOptions = {}): CopyingHistogram {
  requireNeeds(NEEDS, input, "copyingHistogram", options);
  const { model } = input;
  const scores = copyingScores(model, stepOptions(options, 0, 2));
  const { mean, std } = scoreNull(model, {
    samples: SAMPLES,
    seed: options.seed ?? 0,
    ...stepOptions(options, 1, 2),
  });
  return { scores, chance: { mean, std, samples: SAMPLES } };
}

/**
 * Draws the histogram of copying scores, with the mean of random heads and three standard deviations above it marked.
 *
 * @category Figures
 * @example
 * ```ts
 * import { copyingHistogram, drawCopyingHistogram } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawCopyingHistogram(copyingHistogram(await openBundledModel()));
 * console.log(figure.kind, /\d+ of 16 heads/.exec(figure.svg)?.[0]);
 * // histogram 11 of 16 heads
 * ```
 */
export function drawCopyingHistogram(data: CopyingHistogram, captions: Captions = {}): Figure {
  requireData(data, "scores chance", "copyingHistogram", "drawCopyingHistogram", captions);
  const { chance } = data;
  const values = rawData(data.scores);
  const line = chance.mean + CLEARLY * chance.std;
  const above = Array.from(values).filter((value) => value > line).length;
  return histogram({
    title: ENTRY_TITLE,
    subtitle: `Sum of the eigenvalues of the OV circuit over the sum of their moduli. ${above} of ${values.length} heads stand more than ${CLEARLY} standard deviations above heads of random weights (${formatNumber(chance.mean, { decimals: 2 })} ± ${formatNumber(chance.std, { decimals: 2 })}, ${chance.samples} draws).`,
    values,
    bins: 20,
    xLabel: "copying score",
    yLabel: "heads",
    references: [{ value: line, label: `random heads + ${CLEARLY} std` }],
    width: 620,
    ...captions,
  });
}

const ENTRY_TITLE = "Copying scores of all heads, against heads of random weights";

/** The list's entry. */
export const copyingHistogramEntry: FigureEntry<CopyingHistogram> = {
  name: "copying-histogram",
  number: 8,
  title: ENTRY_TITLE,
  source: 'A Mathematical Framework for Transformer Circuits, "Detecting copying behavior"',
  needs: NEEDS,
  output: "svg",
  make: copyingHistogram,
  draw: drawCopyingHistogram,
};
