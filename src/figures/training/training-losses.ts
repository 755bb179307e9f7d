/** The losses of checkpoints on one text, which the figures of in-context learning are drawn from. */
import { inContextLearningScore } from "../../heads/index.ts";
import { lossPerToken } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { checkpointsOf, eachCheckpoint, placesOf, stepName } from "./checkpoints.ts";
import type { CheckpointPlace } from "./checkpoints.ts";
import { requireNeeds, windowsOf } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";

/**
 * Per-token losses of one or several checkpoints on the same windows of a text.
 * @category Figures
 */
export interface TrainingLosses {
  readonly checkpoints: readonly CheckpointPlace[];
  /** What checkpoints are placed by: `training step` or `checkpoint`. */
  readonly stepName: string;
  readonly windows: number;
  /** Tokens in a window. */
  readonly length: number;
  /** `[checkpoint, pos]`: the mean loss over windows of predicting each token but the first, in nats. */
  readonly byIndex: Tensor<"checkpoint pos">;
  /** The loss of a uniform guess, $\ln V$. */
  readonly uniform: number;
  /** `[snapshot, token]`: the loss of every token of the windows. */
  readonly losses: Tensor<"snapshot token">;
}

export const LOSS_NEEDS: readonly FigureNeed[] = ["text", "causal", "next token"];

/** Multiply-adds of the unembedding that the runs of one checkpoint may take. */
const WORK = 2e11;
const LENGTH = 512;
const MOST_WINDOWS = 32;

/**
 * The loss of every token on the windows of a text, for each checkpoint of a training run, or for the model alone
 * (*In-context Learning and Induction Heads*).
 *
 * Windows have 512 tokens or what the context holds; up to 32 of them, fewer of a large model.
 *
 * @param options - `signal`, `onProgress` (in checkpoints).
 * @throws {@link ConfigError} when the model sees later tokens, its output tokens are not its input tokens, or a
 * checkpoint is of another model; {@link InputError} when there is no text.
 * @category Figures
 * @example
 * ```ts
 * import { trainingLosses } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\n".repeat(40);
 * const { byIndex, windows } = await trainingLosses({ ...(await openBundledModel()), text });
 * console.log(windows, byIndex.shape, byIndex.at(0, 126) < byIndex.at(0, 0));
 * // 4 [ 1, 127 ] true
 * ```
 */
export async function trainingLosses(input: FigureInput, options: FigureOptions = {}): Promise<TrainingLosses> {
  const operation = "trainingLosses";
  requireNeeds(LOSS_NEEDS, input, operation, options);
  const windows = equalWindows(input, LENGTH, MOST_WINDOWS, WORK, operation);
  const length = windows[0]?.length ?? 0;
  const rows = await eachCheckpoint(input, options, operation, (model) => {
    const losses = new Float64Array(windows.length * (length - 1));
    for (const [i, window] of windows.entries()) {
      options.signal?.throwIfAborted();
      const { logits, tokens } = model.run(window, { cache: [] });
      losses.set(rawData(lossPerToken(logits, tokens)), i * (length - 1));
    }
    return losses;
  });
  const checkpoints = checkpointsOf(input);
  const flat = new Float64Array(rows.length * windows.length * (length - 1));
  const means = new Float64Array(rows.length * (length - 1));
  for (const [c, losses] of rows.entries()) {
    flat.set(losses, c * losses.length);
    for (let t = 0; t < losses.length; t++) {
      const at = c * (length - 1) + (t % (length - 1));
      means[at] = (means[at] as number) + (losses[t] as number) / windows.length;
    }
  }
  return {
    checkpoints: placesOf(checkpoints),
    stepName: stepName(checkpoints),
    windows: windows.length,
    length,
    uniform: Math.log(input.model.config.d_vocab_out),
    byIndex: Tensor.from("checkpoint pos", [rows.length, length - 1], means),
    losses: Tensor.from("snapshot token", [rows.length, windows.length * (length - 1)], flat),
  };
}

/** Windows of a text of one length, as many as some work allows. */
export function equalWindows(
  input: FigureInput,
  length: number,
  most: number,
  work: number,
  operation: string,
): number[][] {
  const { d_model, d_vocab, n_ctx } = input.model.config;
  const size = Math.min(length, n_ctx);
  const count = Math.max(1, Math.min(most, Math.floor(work / (size * d_model * d_vocab))));
  const windows = windowsOf(input, { length: size, count }, operation);
  return windows.filter((window) => window.length === windows[0]?.length);
}

/**
 * The tokens that an in-context learning score compares: the 50th and the 500th, or in shorter windows the last and the
 * one a tenth as far.
 */
export function comparedTokens(length: number): { readonly early: number; readonly late: number } {
  return length >= 500 ? { early: 50, late: 500 } : { early: Math.max(2, Math.round(length / 10)), late: length };
}

/** The in-context learning score of each checkpoint. */
export function contextScores(data: TrainingLosses): Float64Array {
  const { byIndex, length } = data;
  const count = byIndex.sizeOf("pos");
  const values = rawData(byIndex);
  return Float64Array.from(data.checkpoints, (_, c) => {
    const row = values.slice(c * count, (c + 1) * count);
    return inContextLearningScore(Tensor.from("batch pos", [1, count], row), comparedTokens(length));
  });
}
