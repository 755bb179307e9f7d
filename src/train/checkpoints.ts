/** At which steps a run of training shows itself. */
import { InputError, nameOf } from "../errors.ts";
import type { Transformer } from "../model/index.ts";
import { requireCount } from "../model/internal.ts";
import type { TrainingState } from "./training-state.ts";

/**
 * A run of training at one step, a value that stays as it is.
 * @category Training
 */
export interface TrainingCheckpoint {
  /** How many updates were made. */
  readonly step: number;
  /** The loss of the last step before, in nats; undefined before the first step of a call. */
  readonly loss: number | undefined;
  /** The model after them. */
  readonly model: Transformer;
  /** What a run goes on from. */
  readonly state: TrainingState;
}

/**
 * When {@link train} gives checkpoints: every so many steps, with the first model and the last; after the updates
 * listed, 0 before the first; or where a function of the step says so.
 * @category Training
 */
export type CheckpointSteps = number | readonly number[] | ((step: number) => boolean);

/** Whether there is a checkpoint after so many updates. */
export function checkpointsAt(given: CheckpointSteps | undefined, last: number): (step: number) => boolean {
  if (given === undefined) return () => false;
  if (typeof given === "function") return given;
  if (typeof given === "number") {
    requireCount(given, "checkpoints", "train");
    return (step) => step % given === 0 || step === last;
  }
  const list: unknown = given;
  if (Array.isArray(list) && list.every((step) => Number.isSafeInteger(step) && (step as number) >= 0)) {
    const steps = new Set(given);
    return (step) => steps.has(step);
  }
  throw new InputError(
    `checkpoints is ${nameOf(list)}. Give a number of steps, a list of steps from 0, or a function of the step.`,
    { operation: "train", argument: "checkpoints", expected: "steps", actual: given },
  );
}
