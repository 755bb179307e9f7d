/** Figure: the induction score of every head. */
import { headScores } from "../../heads/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import { headGrid, smallMultiples } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
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
  /** `[layer, head]`: ARENA's score, the mean over the whole diagonal, whose first two entries see no repeat yet. */
  readonly arena?: Tensor<"layer head">;
  readonly period: number;
  readonly prompts: number;
}

const NEEDS: readonly FigureNeed[] = ["layer", "causal"];

/**
 * The induction score of every head on random tokens that repeat (ARENA 1.2, "Finding induction heads"), its strict
 * form, which leaves out the stripe's first two entries, and ARENA's. Ten prompts of two times 50 tokens, or what the
 * model has room for.
 *
 * @param options - `seed` of the tokens; `signal`, `onProgress` (in prompts).
 * @throws {@link ConfigError} when the model has no heads or sees later tokens.
 * @category Figures
 * @example
 * ```ts
 * import { inductionStripes } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { scores, arena } = inductionStripes(await openBundledModel());
 * console.log([scores, arena].map((one) => [...(one?.data ?? [])].filter((score) => score > 0.4).length));
 * // [ 5, 5 ]
 * ```
 */
export function inductionStripes(input: FigureInput, options: FigureOptions = {}): InductionStripes {
  requireNeeds(NEEDS, input, "inductionStripes", options);
  const made = repeatsOf(input, { period: 50, batch: 10, seed: options.seed }, "inductionStripes");
  const { induction, inductionStrict } = headScores(input.model, {
    tokens: made.prompts,
    period: made.period,
    signal: options.signal,
    onProgress: options.onProgress,
    ...(made.first === 0 && { bos: null }),
  });
  return { scores: inductionStrict, arena: induction, period: made.period, prompts: made.prompts.length };
}

/**
 * Draws the induction score of every head as a grid, and a second one of ARENA's scores.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawInductionStripes, inductionStripes } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const figure = drawInductionStripes(inductionStripes(await openBundledModel()));
 * console.log(figure.kind, figure.svg.includes("5 of 16 heads score above 0.4"));
 * // smallMultiples true
 * ```
 */
export function drawInductionStripes(data: InductionStripes, captions: Captions = {}): Figure {
  requireData(data, "scores period prompts", "inductionStripes", "drawInductionStripes", captions);
  const { scores, arena, period, prompts } = data;
  const grid = (values: Tensor<"layer head">, said: Captions): Figure =>
    headGrid({ values, scale: "sequential", limit: 1, legendLabel: "attention", ...said });
  const said = {
    title: ENTRY_TITLE,
    subtitle: `Mean attention from a token to the one after its earlier copy, ${prompts} prompts of ${period} random tokens and the same again. ${aboveIn(scores)}`,
    ...captions,
  };
  if (arena === undefined) return grid(scores, said);
  const figures = [
    grid(scores, { title: "Strict: the queries that see a repeat" }),
    grid(arena, { title: "ARENA: the whole diagonal", subtitle: aboveIn(arena) }),
  ];
  return smallMultiples({ ...said, figures, columns: 1 });
}

/** How many heads lie above ARENA's threshold. */
function aboveIn(scores: Tensor): string {
  const high = Array.from(rawData(scores)).filter((score) => score > 0.4).length;
  return `${high} of ${scores.size} heads score above 0.4.`;
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
