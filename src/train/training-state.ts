/** Where a run of training is: all that it goes on from. */
import type { Kind } from "../errors.ts";
import type { Transformer, Weights } from "../model/index.ts";
import type { ClipLike } from "./clip.ts";
import type { Optimizer } from "./optimizers.ts";
import type { Schedule } from "./schedules.ts";

/**
 * Where a run of training is, a value that stays as it is: {@link train} goes on from it as if it had never stopped.
 * @category Training
 */
export interface TrainingState {
  /** How many updates were made; the next batch is that of this step. */
  readonly step: number;
  /** The model after them. */
  readonly model: Transformer;
  readonly optimizer: Optimizer;
  /** What the optimizer keeps for each weight, by torch's names: `exp_avg`, `exp_avg_sq`, `momentum_buffer`. */
  readonly moments: ReadonlyMap<string, Weights>;
  /** The schedule of the rate; `"function"` where it was one, which has to be given again. */
  readonly schedule: Schedule | "function";
  readonly clip: ClipLike | undefined;
  /** Whether the run was edited: edits have to be given again. */
  readonly isEdited: boolean;
  /** What the data are called, where they have a name. */
  readonly data: string | undefined;
}

/**
 * What training came to.
 * @category Training
 */
export interface Training {
  readonly model: Transformer;
  /** What a run goes on from. */
  readonly state: TrainingState;
  /** The losses of the steps of this call, in nats, each before its update. */
  readonly losses: Float64Array;
  /** The norms of all gradients at these steps, before they were clipped. */
  readonly gradientNorms: Float64Array;
}

export const TRAINING_STATE: Kind = {
  member: "moments",
  what: "a TrainingState",
  remedy: "Take it from what train gave, or read one with trainingStateFromSafetensors",
};
