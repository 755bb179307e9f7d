/** Going through the checkpoints of a training run, one model at a time. */
import { ConfigError } from "../../errors.ts";
import type { Transformer } from "../../model/index.ts";
import type { FigureCheckpoint, FigureInput, FigureOptions } from "../input.ts";

/**
 * A checkpoint in a figure's data.
 * @category Figures
 */
export interface CheckpointPlace {
  readonly label: string;
  /** Its training step, or its place among the checkpoints where some have none. */
  readonly step: number;
}

/** The checkpoints given, or the model alone. */
export function checkpointsOf(input: FigureInput): readonly FigureCheckpoint[] {
  return input.checkpoints ?? [{ label: "model", load: () => input.model }];
}

/** Where the checkpoints stand. */
export function placesOf(checkpoints: readonly FigureCheckpoint[]): CheckpointPlace[] {
  const all = checkpoints.every(({ step }) => step !== undefined);
  return checkpoints.map(({ label, step }, i) => ({ label, step: all ? (step as number) : i }));
}

/** Loads each checkpoint in turn and works with it; refuses one that is of another model. */
export async function eachCheckpoint<T>(
  input: FigureInput,
  options: FigureOptions,
  operation: string,
  work: (model: Transformer, index: number) => T,
): Promise<T[]> {
  const checkpoints = checkpointsOf(input);
  const results: T[] = [];
  for (const [index, checkpoint] of checkpoints.entries()) {
    options.signal?.throwIfAborted();
    const model = await checkpoint.load();
    for (const field of ["n_layers", "n_heads", "d_vocab", "d_vocab_out", "n_ctx", "attention_dir"] as const) {
      if (model.config[field] === input.model.config[field]) continue;
      throw new ConfigError(
        `checkpoint ${checkpoint.label} has ${field}=${model.config[field]}, but the model has ${field}=${input.model.config[field]}. Give checkpoints of one model.`,
        { operation, argument: "checkpoints", expected: input.model.config[field], actual: model.config[field] },
      );
    }
    results.push(work(model, index));
    options.onProgress?.(index + 1, checkpoints.length);
  }
  return results;
}

/** The name of an axis along which checkpoints stand. */
export function stepName(input: readonly FigureCheckpoint[]): string {
  return input.every(({ step }) => step !== undefined) ? "training step" : "checkpoint";
}
