/** Data for training: batches by step, and what is known of their optimum. */
import type { Tensor } from "../../tensor/index.ts";
import type { TrainingBatch } from "../batch.ts";
import type { TrainingData } from "../batches.ts";

/**
 * A batch that a generator drew.
 * @category Training
 */
export interface DrawnBatch extends TrainingBatch {
  /** `[batch, pos]`, int32. */
  readonly tokens: Tensor<"batch pos">;
  /** `[batch, pos]`: the token to predict at each position; the next one unless given. */
  readonly targets?: Tensor<"batch pos">;
  /** `[batch, pos]`: what the loss of each prediction counts; 1 unless given. */
  readonly lossMask?: Tensor<"batch pos">;
}

/**
 * Training data of a generator: the batch of a step is the same at each call, whatever was drawn before.
 * @category Training
 */
export interface DrawnData extends TrainingData {
  batch(step: number): DrawnBatch;
}

/**
 * Training data of a made-up language, of which the least loss that any predictor can have is known.
 * @category Training
 */
export interface KnownData extends DrawnData {
  /**
   * What {@link KnownData.optimum} is: the loss of the best predictor there is (`exact`), or that of one which knows
   * more than the tokens tell, so that no predictor has less (`lower bound`).
   */
  readonly optimumIs: "exact" | "lower bound";
  /**
   * The losses in nats of the ideal predictor on the batch of a step, on average over what the language draws: no model
   * does better but by chance. It knows the language and the tokens so far.
   *
   * @returns `[batch, pos]` in float64: entry i is the loss of predicting token i + 1, with one position fewer than the
   * tokens, as `lossPerToken` has it; for data that bring targets of their own, an entry for each position. Where the
   * batch has the weight 0, the entry is 0.
   */
  optimum(step: number): Tensor<"batch pos">;
}
