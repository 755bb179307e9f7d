/** Figure: the loss of each token on random tokens and their repetition. */
import { runLosses } from "../../model/internal.ts";
import { rawData } from "../../tensor/internal.ts";
import { formatNumber, lineChart } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { repeatsOf } from "../prompts.ts";

/**
 * Losses on random tokens that are repeated once.
 * @category Figures
 */
export interface LossOnRepeats {
  /** The length of what repeats. */
  readonly period: number;
  /** 1 where prompts begin with BOS, 0 where they do not. */
  readonly first: 0 | 1;
  readonly prompts: number;
  /**
   * The mean loss of predicting each token but the first of a prompt, in nats; entry i is that of token i + 1, counted
   * from 0.
   */
  readonly mean: Float64Array;
  /** Standard deviation over prompts; NaN for one prompt. */
  readonly std: Float64Array;
  /** The loss of a uniform guess, $\ln V$. */
  readonly uniform: number;
}

const NEEDS: readonly FigureNeed[] = ["causal", "next token"];

/**
 * The loss of each token on $[\text{BOS}, r, r]$, $r$ random: high on the first copy, where nothing can be known, low
 * on the second if there are induction heads (ARENA 1.2, "Finding induction heads"). Eight prompts of two times 50
 * tokens, or what the model has room for.
 *
 * @param options - `prompts`, how many; `seed` of the tokens; `signal`, `onProgress` (in prompts).
 * @throws {@link ConfigError} when the model sees later tokens or its output tokens are not its input tokens.
 * @category Figures
 * @example
 * ```ts
 * import { lossOnRepeats } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { mean, period } = lossOnRepeats(await openBundledModel());
 * const average = (values: Float64Array) => values.reduce((a, b) => a + b, 0) / values.length;
 * // Token period + 1 is the first of the second copy, which nothing announces.
 * console.log(average(mean.slice(0, period)) > 6, average(mean.slice(period + 1)) < 2);
 * // true true
 * ```
 */
export function lossOnRepeats(
  input: FigureInput,
  options: FigureOptions & { readonly prompts?: number } = {},
): LossOnRepeats {
  requireNeeds(NEEDS, input, "lossOnRepeats", options, "prompts");
  const { model } = input;
  const { prompts: batch = 8, seed } = options;
  const { prompts, period, first } = repeatsOf(input, { period: 50, batch, seed }, "lossOnRepeats");
  const losses = prompts.map((prompt, i) => {
    options.signal?.throwIfAborted();
    const loss = Float64Array.from(rawData(runLosses(model, prompt)));
    options.onProgress?.(i + 1, prompts.length);
    return loss;
  });
  const count = (losses[0] as Float64Array).length;
  const mean = new Float64Array(count);
  const std = new Float64Array(count);
  for (let t = 0; t < count; t++) {
    const values = losses.map((loss) => loss[t] as number);
    const center = values.reduce((a, b) => a + b, 0) / values.length;
    mean[t] = center;
    std[t] = Math.sqrt(values.reduce((s, x) => s + (x - center) ** 2, 0) / (values.length - 1));
  }
  return { period, first, prompts: prompts.length, mean, std, uniform: Math.log(model.config.d_vocab_out) };
}

/**
 * Draws the loss on repeated random tokens, both copies shaded.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawLossOnRepeats, lossOnRepeats } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawLossOnRepeats(lossOnRepeats(await openBundledModel()));
 * console.log(figure.kind, figure.svg.includes("second copy"));
 * // lineChart true
 * ```
 */
export function drawLossOnRepeats(data: LossOnRepeats, captions: Captions = {}): Figure {
  requireData(data, "period first prompts mean std uniform", "lossOnRepeats", "drawLossOnRepeats", captions);
  const { mean, std, period, first, prompts, uniform } = data;
  const x = Float64Array.from(mean, (_, i) => i + 1);
  const average = (from: number, to: number): string =>
    formatNumber(mean.slice(from, to).reduce((a, b) => a + b, 0) / Math.max(1, Math.min(to, mean.length) - from), {
      decimals: 2,
    });
  // Entry t is the loss of token t + 1; copies begin at token `first` and `first + period`.
  const second = first + period;
  const band = { lower: mean.map((m, i) => m - (std[i] as number)), upper: mean.map((m, i) => m + (std[i] as number)) };
  return lineChart({
    title: ENTRY_TITLE,
    subtitle: `Mean of ${prompts} prompts of ${period} random tokens and the same again, with the standard deviation over prompts. First copy ${average(0, second - 1)} nats; second copy but its first token ${average(second, mean.length)} nats.`,
    series: [{ name: "loss", x, y: mean, ...(prompts > 1 && { band }) }],
    regions: [
      { from: first, to: second - 0.5, label: "first copy" },
      { from: second - 0.5, to: mean.length, label: "second copy" },
    ],
    references: [{ value: uniform, label: "uniform guess, ln V" }],
    xLabel: "token predicted",
    yLabel: "loss (nats)",
    ...captions,
  });
}

const ENTRY_TITLE = "Loss on random tokens and their repetition";

/** The list's entry. */
export const lossOnRepeatsEntry: FigureEntry<LossOnRepeats> = {
  name: "loss-on-repeats",
  number: 23,
  title: ENTRY_TITLE,
  source: 'ARENA 1.2, "Finding induction heads"',
  needs: NEEDS,
  output: "svg",
  make: lossOnRepeats,
  draw: drawLossOnRepeats,
};
