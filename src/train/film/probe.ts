/** What every checkpoint of a film is measured on: the same few prompts each time. */
import { InputError, isPromise, nameOf, requireObject, requireOptions } from "../../errors.ts";
import { repeatedTokens } from "../../heads/index.ts";
import { toTokenTensor } from "../../model/index.ts";
import type { ModelConfig } from "../../model/index.ts";
import { paddingMask, requireCount } from "../../model/internal.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
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
  /** `[batch, pos]`: what each prediction counts in the mean loss; all alike where there is none. */
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
  const all = toTokenTensor(config, given.tokens, operation);
  const [batch = 0, pos = 0] = all.shape;
  const some = (tensor: Tensor<"batch pos">): Tensor<"batch pos"> => tensor.slice("batch", 0, Math.min(batch, prompts));
  const { lossMask, attentionMask } = given;
  const padding = paddingMask(attentionMask, all, operation);
  const mask = padding && Tensor.from("batch pos", [batch, pos], Int32Array.from(padding.visible));
  const weights = lossMask === undefined ? undefined : weightsOf(lossMask, [batch, pos]);
  const targets = given.targets === undefined ? undefined : targetsOf(config, given.targets, [batch, pos], weights);
  const floors = "batch" in data ? knownLosses(data, { prompts: Math.min(batch, prompts), pos, weights }) : undefined;
  return {
    tokens: some(all),
    ...(floors && { floors }),
    ...(targets && { targets: some(targets) }),
    ...(mask && { attentionMask: some(mask) }),
    ...(weights && { weights: weights.slice(0, Math.min(batch, prompts) * pos) }),
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

/** The ids to predict; where a prediction counts nothing it may be anything, and is 0. */
function targetsOf(
  { d_vocab_out }: ModelConfig,
  given: TrainingBatch["targets"],
  [batch, pos]: readonly [number, number],
  weights: Float64Array | undefined,
): Tensor<"batch pos"> {
  const rows = numbersOf(given);
  requireShape([rows.length, rows[0]?.length ?? 0], [batch, pos], "targets");
  const ids = new Int32Array(batch * pos);
  for (const [b, row] of rows.entries()) {
    for (let p = 0; p < pos; p++) {
      if (weights?.[b * pos + p] === 0) continue;
      const id = row[p] as number;
      if (!(Number.isInteger(id) && id >= 0 && id < d_vocab_out)) {
        throw new InputError(
          `the target of prompt ${b} at position ${p} is ${nameOf(id)}; the model predicts ids 0 to ${d_vocab_out - 1}.`,
          { operation: "filmProbe", argument: "targets", expected: [0, d_vocab_out - 1], actual: id },
        );
      }
      ids[b * pos + p] = id;
    }
  }
  return Tensor.from("batch pos", [batch, pos], ids);
}

/** A list of numbers for each prompt. */
function numbersOf(given: unknown): readonly ArrayLike<number>[] {
  if (!(given instanceof Tensor)) return given as readonly ArrayLike<number>[];
  const [rows = 0, cols = 0] = given.shape;
  const data = rawData(given as Tensor);
  return Array.from({ length: rows }, (_, row) => data.subarray(row * cols, (row + 1) * cols));
}

function weightsOf(given: TrainingBatch["lossMask"], shape: readonly [number, number]): Float64Array {
  const rows = numbersOf(given);
  for (const row of rows) requireShape([rows.length, row.length], shape, "lossMask");
  const weights = Float64Array.from(rows.flatMap((row) => Array.from(row)));
  if (weights.length === shape[0] * shape[1] && weights.every((x) => Number.isFinite(x) && x >= 0)) return weights;
  throw new InputError("lossMask has a number that is no weight. Give 0 or more for each prediction.", {
    operation: "filmProbe",
    argument: "lossMask",
    expected: ">= 0",
    actual: weights.find((x) => !(x >= 0)),
  });
}

function requireShape(actual: readonly number[], expected: readonly [number, number], argument: string): void {
  if (actual.length === 2 && actual[0] === expected[0] && actual[1] === expected[1]) return;
  throw new InputError(
    `${argument} are [${actual.join(", ")}], but the tokens are [${expected.join(", ")}]. Give one for each token.`,
    { operation: "filmProbe", argument, expected, actual },
  );
}
