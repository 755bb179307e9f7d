/** Olsson's evaluators of heads, of checkpoints: what their figures are drawn from. */
import { copyingEvaluator, headScores } from "../../heads/index.ts";
import { copyingScores, inductionPositivity } from "../../circuits/index.ts";
import type { Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { checkpointsOf, eachCheckpoint, placesOf, stepName } from "./checkpoints.ts";
import type { CheckpointPlace } from "./checkpoints.ts";
import { bosOf, requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import { repeatsOf } from "../prompts.ts";

/**
 * Evaluations of one or several checkpoints, each `[checkpoint, layer, head]`.
 * @category Figures
 */
export interface Evaluations {
  readonly checkpoints: readonly CheckpointPlace[];
  readonly stepName: string;
  /** Prefix matching on random tokens that are repeated four times. */
  readonly prefixMatching: Tensor<"checkpoint layer head">;
  /** Previous-token score on the same tokens. */
  readonly previous: Tensor<"checkpoint layer head">;
  /** The copying evaluator on random tokens. */
  readonly copying: Tensor<"checkpoint layer head">;
  /** Positivity of the eigenvalues of the full OV circuit. */
  readonly eigenvalues: Tensor<"checkpoint layer head">;
  /**
   * The trace of the QK circuit through earlier heads, weighted with their previous-token scores; 0 in the first layer.
   */
  readonly trace: Tensor<"checkpoint layer head">;
}

/** What the evaluators cannot do without. */
export const EVALUATOR_NEEDS: readonly FigureNeed[] = ["layer", "causal", "next token"];
const SAMPLES = 10;

/**
 * Evaluates every head of each checkpoint of a training run, or of the model alone: prefix matching on 25 random tokens
 * repeated four times, the copying evaluator, and what the eigenvalues say of both (*In-context Learning and Induction
 * Heads*, "Head activation evaluators").
 *
 * @param options - `seed` of the tokens; `signal`, `onProgress` (in checkpoints).
 * @throws {@link ConfigError} when the model has no heads, sees later tokens, its output tokens are not its input
 * tokens, or a checkpoint is of another model.
 * @category Figures
 * @example
 * ```ts
 * import { evaluations } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { prefixMatching, trace } = await evaluations(await openBundledModel());
 * console.log(String(prefixMatching), prefixMatching.at(0, 1, 4) > 0.4, trace.at(0, 0, 0));
 * // Tensor[checkpoint=1 layer=2 head=8] float64 true 0
 * ```
 */
export async function evaluations(input: FigureInput, options: FigureOptions = {}): Promise<Evaluations> {
  const operation = "evaluations";
  requireNeeds(EVALUATOR_NEEDS, input, operation, options);
  const bos = bosOf(input, operation) ?? null;
  const made = repeatsOf(input, { period: 25, batch: SAMPLES, repeats: 4, seed: options.seed }, operation);
  const { signal } = options;
  const evaluate = (model: Transformer): Record<Evaluated, Tensor<"layer head">> => {
    const scores = headScores(model, {
      tokens: made.prompts,
      period: made.period,
      signal,
      ...(bos === null && { bos }),
    });
    const positivity = inductionPositivity(model, { previous: scores.previous, signal });
    return {
      prefixMatching: scores.prefixMatching,
      previous: scores.previous,
      copying: copyingEvaluator(model, { samples: SAMPLES, seed: options.seed, bos, signal }),
      eigenvalues: copyingScores(model, { signal }),
      trace: positivity.QK.trace,
    };
  };
  const all = await eachCheckpoint(input, options, operation, evaluate);
  const stacked = (name: Evaluated): Tensor<"checkpoint layer head"> => {
    const [layers = 0, heads = 0] = all[0]?.[name].shape ?? [];
    const data = new Float64Array(all.length * layers * heads);
    for (const [c, one] of all.entries()) data.set(rawData(one[name]), c * layers * heads);
    return Tensor.from("checkpoint layer head", [all.length, layers, heads], data);
  };
  const checkpoints = checkpointsOf(input);
  return {
    checkpoints: placesOf(checkpoints),
    stepName: stepName(checkpoints),
    prefixMatching: stacked("prefixMatching"),
    previous: stacked("previous"),
    copying: stacked("copying"),
    eigenvalues: stacked("eigenvalues"),
    trace: stacked("trace"),
  };
}

/** The names of the evaluations. */
export type Evaluated = "prefixMatching" | "previous" | "copying" | "eigenvalues" | "trace";
