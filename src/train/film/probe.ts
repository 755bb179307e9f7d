/** What every checkpoint of a film is measured on: the same few prompts each time. */
import { InputError, isPromise, requireObject, requireOptions } from "../../errors.ts";
import { repeatedTokens } from "../../heads/index.ts";
import { toTokenTensor } from "../../model/index.ts";
import type { ModelConfig } from "../../model/index.ts";
import { paddingMask, requireCount } from "../../model/internal.ts";
import { Tensor } from "../../tensor/index.ts";
import { checkBatch } from "../batch.ts";
import type { TrainingBatch } from "../batch.ts";
import type { TrainingData } from "../batches.ts";
import { HELD_OUT_PROMPTS, HELD_OUT_STEP, knownLosses } from "../data/known-losses.ts";

/**
 * Training data as a film takes prompts of them; the generators of this entry tell known losses too.
 * @category Training
 */
export interface FilmData extends Pick<TrainingData, "batch"> {
  /** The losses of known predictors on the batch of a step, `[batch, pos]`, as {@link MarkovChainData} has them. */
  references?(step: number): Readonly<Record<string, Tensor<"batch pos">>>;
  /** Those of the best one, as {@link KnownData} has them. */
  optimum?(step: number): Tensor<"batch pos">;
}

/**
 * Options of {@link filmProbe}.
 * @category Training
 */
export interface FilmProbeOptions {
  /**
   * What losses are measured on: prompts that are not trained on, or training data, whose batch of the last possible
   * step is taken. Repeated random tokens unless given.
   */
  readonly data?: TrainingBatch | FilmData | undefined;
  /** How many of these prompts; 16, or as many as there are, unless given. */
  readonly prompts?: number | undefined;
  /** The length of what repeats in the prompts that heads are scored on; up to 24 tokens unless given. */
  readonly period?: number | undefined;
  /** The seed of the random tokens; 0 unless given. */
  readonly seed?: number | undefined;
}

/**
 * The prompts of a film: made once, run through every checkpoint.
 * @category Training
 */
export interface FilmProbe {
  /** What losses are measured on. */
  readonly tokens: Tensor<"batch pos">;
  /** The ids to predict, where they are not the next tokens. */
  readonly targets?: Tensor<"batch pos">;
  /**
   * `[batch, pos]`: what each prediction counts in the mean loss, 0 for padding and where there is no next token; all
   * that have one alike where there is none.
   */
  readonly weights?: Float64Array;
  /** `[batch, pos]`: 1 where there is text, 0 where there is padding; all text where there is none. */
  readonly attentionMask?: Tensor<"batch pos">;
  /** The losses of known predictors on these prompts, in nats, where the data tell them. */
  readonly floors?: Readonly<Record<string, number>>;
  /** Random tokens that come twice, on which heads are scored; none where the context is too short. */
  readonly repeated?: { readonly tokens: Tensor<"batch pos">; readonly period: number; readonly bos: number | null };
}

const SCORED = 8;
/** From this period on heads that look back a fixed number of places are told from those that match tokens. */
const PERIOD = 24;

/**
 * Makes the prompts that a film's checkpoints are measured on: some of the training's own kind for losses, and random
 * tokens given twice for head scores.
 *
 * @param config - of the model that is trained.
 * @throws {@link InputError} when a number is unusable, or the tokens, targets or mask do not fit the model or each
 * other.
 * @category Training
 * @example
 * ```ts
 * import { parseConfig } from "transformer-circuits";
 * import { filmProbe } from "transformer-circuits/train";
 *
 * const sizes = { n_layers: 2, n_heads: 1, d_model: 16, d_head: 16, d_vocab: 40, n_ctx: 32 };
 * const config = parseConfig({ ...sizes, attn_only: true });
 * const { tokens, repeated } = filmProbe(config);
 * console.log(String(tokens), repeated?.period);
 * // Tensor[batch=16 pos=32] int32 16
 * ```
 */
export function filmProbe(config: ModelConfig, options: FilmProbeOptions = {}): FilmProbe {
  const operation = "filmProbe";
  requireOptions(options, operation, "data prompts period seed");
  requireObject(config, "config", operation);
  const { data, prompts = HELD_OUT_PROMPTS, seed = 0 } = options;
  requireCount(prompts, "prompts", operation);
  const repeated = repeatedProbe(config, options, operation);
  if (data === undefined) {
    const bos = config.bos_token_id ?? null;
    const length = Math.max(1, Math.floor((config.n_ctx - (bos === null ? 0 : 1)) / 2));
    const drawn = repeatedTokens(config, { bos, length, batch: prompts, seed: seed + 1 });
    return { tokens: toTokenTensor(config, drawn, operation), ...repeated };
  }
  const given = "batch" in data ? data.batch(HELD_OUT_STEP) : data;
  if (isPromise(given)) {
    throw new InputError("the data give batches later. Give one of them: { data: await data.batch(step) }.", {
      operation,
      argument: "data",
      expected: "a batch",
      actual: given,
    });
  }
  // where next tokens are of another vocabulary, there are no losses
  const predicts = given.targets !== undefined || config.d_vocab === config.d_vocab_out;
  const checked = checkBatch(predicts ? config : { ...config, d_vocab_out: config.d_vocab }, given, {
    operation,
    of: "the film",
  });
  const [batch = 0, pos = 0] = checked.tokens.shape;
  const count = Math.min(batch, prompts);
  const some = (numbers: ArrayLike<number>): Tensor<"batch pos"> =>
    Tensor.from("batch pos", [count, pos], Int32Array.from(numbers).subarray(0, count * pos));
  const visible = paddingMask(checked.attentionMask, checked.tokens, operation)?.visible;
  const weights = checked.weights.slice(0, count * pos);
  const floors = "batch" in data ? knownLosses(data, { prompts: count, pos, weights }) : undefined;
  return {
    tokens: checked.tokens.slice("batch", 0, count),
    weights,
    ...(floors && { floors }),
    // where a prediction counts nothing its target may be anything
    ...(checked.targets && {
      targets: some(Array.from(checked.targets, (id, i) => (checked.weights[i] === 0 ? 0 : id))),
    }),
    ...(visible && { attentionMask: some(visible) }),
    ...repeated,
  };
}

/** Random tokens given twice, where there is room for two of them and there are two ids to draw. */
function repeatedProbe(
  config: ModelConfig,
  { period, seed = 0 }: FilmProbeOptions,
  operation: string,
): Pick<FilmProbe, "repeated"> {
  const bos = config.bos_token_id ?? null;
  const first = bos === null ? 0 : 1;
  const room = Math.floor((config.n_ctx - first) / 2);
  const choices = config.d_vocab - first;
  if (period === undefined && (room < 2 || choices < 2)) return {};
  const length = period ?? Math.min(PERIOD, room);
  const drawn = repeatedTokens(config, { bos, length, batch: SCORED, seed, distinct: choices >= length });
  return { repeated: { tokens: toTokenTensor(config, drawn, operation), period: length, bos } };
}
