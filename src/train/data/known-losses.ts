/** What known predictors reach on prompts that no step trains on. */
import type { Tensor } from "../../tensor/index.ts";
import type { TrainingData } from "../batches.ts";

/** A step that no training reaches: its batch is held out. */
export const HELD_OUT_STEP = 2 ** 31 - 2;
/** How many of the prompts of that batch are measured, unless told otherwise. */
export const HELD_OUT_PROMPTS = 16;

/** Data that may tell the losses of known predictors on the batch of a step. */
export interface LossesTold extends Pick<TrainingData, "batch"> {
  references?(step: number): Readonly<Record<string, Tensor<"batch pos">>>;
  optimum?(step: number): Tensor<"batch pos">;
}

/**
 * The mean losses that the data tell of the held-out batch, in nats, over its first prompts and the predictions that
 * count; undefined where they tell none.
 *
 * @param weights - `[batch, pos]`, of `pos` positions: what each prediction counts; 1 where there are none.
 */
export function knownLosses(
  data: LossesTold,
  { prompts, pos, weights }: { prompts: number; pos: number; weights: ArrayLike<number> | undefined },
): Readonly<Record<string, number>> | undefined {
  const known = data.references?.(HELD_OUT_STEP) ?? (data.optimum && { optimum: data.optimum(HELD_OUT_STEP) });
  if (known === undefined) return undefined;
  const mean = (losses: Tensor<"batch pos">): number => {
    const count = losses.sizeOf("pos");
    let [sum, total] = [0, 0];
    for (let b = 0; b < prompts; b++) {
      for (let p = 0; p < count; p++) {
        const weight = weights?.[b * pos + p] ?? 1;
        sum += weight === 0 ? 0 : weight * losses.at(b, p);
        total += weight;
      }
    }
    return sum / total;
  };
  return Object.fromEntries(Object.entries(known).map(([name, losses]) => [name, mean(losses)]));
}
