/** What guesses reach on data whose optimum is known. */
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { DrawnBatch, DrawnData, KnownData, MarkovChainData } from "../data/index.ts";

/** The losses that are known of the batch of a step, in nats, by the name of the guess. */
export function knownLosses(data: DrawnData, step: number, prompts: number): Readonly<Record<string, number>> {
  const uniform = Math.log(data.d_vocab);
  if (!("optimum" in data)) return { uniform };
  const batch = data.batch(step);
  const mean = (losses: Tensor<"batch pos">): number => meanOf(losses, batch, prompts);
  if ("references" in data) {
    const guesses = Object.entries((data as MarkovChainData).references(step));
    return Object.fromEntries(guesses.map(([name, losses]) => [name, mean(losses)]));
  }
  return { uniform, optimum: mean((data as KnownData).optimum(step)) };
}

/** The mean over the predictions of the first prompts, each with what it counts: nothing where the loss is 0 too. */
function meanOf(losses: Tensor<"batch pos">, { lossMask }: DrawnBatch, prompts: number): number {
  const [batch = 0, pos = 0] = losses.shape;
  const width = lossMask?.shape[1] ?? pos;
  const weights = lossMask && rawData(lossMask);
  const values = rawData(losses);
  let [sum, total] = [0, 0];
  for (let b = 0; b < Math.min(batch, prompts); b++) {
    for (let i = 0; i < pos; i++) {
      sum += values[b * pos + i] as number;
      total += weights === undefined ? 1 : (weights[b * width + i] as number);
    }
  }
  return sum / total;
}
