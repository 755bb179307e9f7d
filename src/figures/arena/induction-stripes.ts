/** Figure: the induction score of every head. */
import { headScores } from "../../heads/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import { headGrid } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { repeatsOf } from "../prompts.ts";

/**
 * Induction scores of all heads.
 * @category Figures
 */
export interface InductionStripes {
  /** `[layer, head]`: mean attention from a token of the second copy to the one after its first copy, 0 to 1. */
  readonly scores: Tensor<"layer head">;
  readonly period: number;
  readonly prompts: number;
}

const NEEDS: readonly FigureNeed[] = ["layer", "causal"];

/**
 * The induction score of every head on random tokens that repeat (ARENA 1.2, "Finding induction heads"), its strict form, which leaves out the stripe's first two
 * entries. Ten prompts of two times 50 tokens, or what the model has room for.
 *
 * @param options - `seed` of the tokens; `signal`, `onProgress` (in prompts).
 * @throws {@link ConfigError} when the model has no heads or sees later tokens.
 * @category Figures
 * @example
 * ```ts
 * import { inductionStripes } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { scores } = inductionStripes(await openBundledModel());
 * console.log([...scores.data].filter((score) => score > 0.4).length);
 * // 5
 * ```
 */
export function inductionStripes(input: FigureInput, options: FigureOptions = {}): InductionStripes {
  requireNeeds(NEEDS, input, "inductionStripes");
  const made = repeatsOf(input, { period: 50, batch: 10, seed: options.seed }, "inductionStripes");
  const { inductionStrict } = headScores(input.model, {
    tokens: made.prompts,
    period: made.period,
    signal: options.signal,
    onProgress: options.onProgress,
    ...(made.first === 0 && { bos: null }),
  });
  return { scores: inductionStrict, period: made.period, prompts: made.prompts.length };
}

/**
 * Draws the induction score of every head as a grid.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawInductionStripes, inductionStripes } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawInductionStripes(inductionStripes(await openBundledModel()));
 * console.log(figure.kind, figure.svg?.includes("5 of 16 heads score above 0.4"));
 * // headGrid true
 * ```
 */
export function drawInductionStripes(data: InductionStripes, captions: Captions = {}): Figure {
  const { scores, period, prompts } = data;
  const high = Array.from(rawData(scores)).filter((score) => score > 0.4).length;
  return headGrid({
    title: ENTRY_TITLE,
    subtitle: `Mean attention from a token to the one after its earlier copy, ${prompts} prompts of ${period} random tokens and the same again. ${high} of ${scores.size} heads score above 0.4.`,
    values: scores,
    scale: "sequential",
    limit: 1,
    legendLabel: "attention",
    ...captions,
  });
}

const ENTRY_TITLE = "Induction score of every head";

/** The list's entry. */
export const inductionStripesEntry: FigureEntry<InductionStripes> = {
  name: "induction-scores",
  number: 23,
  title: ENTRY_TITLE,
  source: 'ARENA 1.2, "Finding induction heads"',
  needs: NEEDS,
  output: "svg",
  make: inductionStripes,
  draw: drawInductionStripes,
};
