/**
 * What one step of training reads: $L = \sum_i w_i \cdot -\ln p(t_i) / \sum_i w_i$, over the predictions of a batch.
 */
import { InputError, nameOf, requireObject, ShapeError } from "../errors.ts";
import { paddingMask, predictionLoss } from "../model/internal.ts";
import { toTokenTensor } from "../model/index.ts";
import type { AttentionMask, Metric, ModelConfig, TokensLike } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { describeTensor, rawData } from "../tensor/internal.ts";

/**
 * Numbers for the positions of a batch: a list for each prompt, or a tensor.
 * @inline
 */
type PerPosition = readonly ArrayLike<number>[] | Tensor<"batch pos">;

/**
 * The prompts of one step of training, and what they are to teach.
 * @category Training
 */
export interface TrainingBatch {
  /** `[batch, pos]`: the prompts. */
  readonly tokens: TokensLike;
  /**
   * `[batch, pos]`: the token to predict at each position; unless given the next one, and none at the last position.
   */
  readonly targets?: readonly ArrayLike<number>[] | Tensor<"batch pos"> | undefined;
  /**
   * `[batch, pos]`: what the prediction made at each position counts in the mean of the batch, at least 0. All that
   * have a target count 1 unless given; where one counts 0 its target may be anything.
   */
  readonly lossMask?: readonly ArrayLike<number>[] | Tensor<"batch pos"> | undefined;
  /**
   * Which positions are text (1) and which padding (0), as a run takes it; predictions of padding or from it count 0.
   */
  readonly attentionMask?: AttentionMask | undefined;
}

/** A batch as a step takes it. */
export interface PreparedBatch {
  readonly tokens: Tensor<"batch pos">;
  readonly attentionMask: AttentionMask | undefined;
  /** Its mean over prompts is the loss: the mean over all that counts. */
  readonly metric: Metric;
}

/** A batch whose numbers fit its tokens and the model. */
export interface CheckedBatch {
  readonly tokens: Tensor<"batch pos">;
  readonly attentionMask: AttentionMask | undefined;
  /** `[batch, pos]`, flat: the ids to predict where they are given. */
  readonly targets: ArrayLike<number> | undefined;
  /** `[batch, pos]`, flat: what each prediction counts, 0 for padding and where there is no next token. */
  readonly weights: Float64Array;
}

/** Who asks, and of what: `step 3`. */
interface Asked {
  readonly operation: string;
  readonly of: string;
}

/** Checks a batch and makes the metric of it that a step goes down on. */
export function prepareBatch(config: ModelConfig, given: TrainingBatch, step: number): PreparedBatch {
  const asked = { operation: "train", of: `step ${step}` };
  const { tokens, attentionMask, targets, weights } = checkBatch(config, given, asked);
  const [batch = 0, pos = 0] = tokens.shape;
  const isNext = targets === undefined;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (!(total > 0 && total < Infinity)) throw nothingCounts(total, asked, pos, isNext);
  // The mean over prompts, which a gradient is of, divides by their number.
  for (let i = 0; i < weights.length; i++) weights[i] = ((weights[i] as number) / total) * batch;
  const own = targets ?? nextTokens(rawData(tokens));
  return { tokens, attentionMask, metric: predictionLoss({ batch, pos, targets: own, weights, isNext }) };
}

/** Checks a batch. */
export function checkBatch(config: ModelConfig, given: TrainingBatch, asked: Asked): CheckedBatch {
  const { operation, of } = asked;
  requireObject(given, `the batch of ${of}`, operation, "tokens targets lossMask attentionMask");
  const { attentionMask } = given;
  const tokens = toTokenTensor(config, given.tokens, `${operation}, ${of}`);
  const [batch = 0, pos = 0] = tokens.shape;
  const ids = rawData(tokens);
  const isNext = given.targets === undefined;
  const targets = given.targets === undefined ? undefined : numbersOf(given.targets, "targets", tokens, asked);
  const mask = given.lossMask === undefined ? undefined : numbersOf(given.lossMask, "lossMask", tokens, asked);
  const visible = paddingMask(attentionMask, tokens, operation)?.visible;
  const weights = new Float64Array(batch * pos);
  for (let i = 0; i < weights.length; i++) {
    const isPadding = visible !== undefined && (visible[i] === 0 || (isNext && visible[i + 1] === 0));
    if (isPadding || (isNext && i % pos === pos - 1)) continue;
    const weight = mask?.[i] ?? 1;
    if (!(weight >= 0 && weight < Infinity)) throw notAWeight(weight, i, pos, asked);
    const target = isNext ? (ids[i + 1] as number) : (targets?.[i] as number);
    if (weight > 0) requireTarget(target, config, i, pos, asked);
    weights[i] = weight;
  }
  return { tokens, attentionMask, targets, weights };
}

/** At each position the id of the one after it. */
function nextTokens(ids: ArrayLike<number>): Int32Array {
  const next = new Int32Array(ids.length);
  for (let i = 1; i < ids.length; i++) next[i - 1] = ids[i] as number;
  return next;
}

/** Numbers for each position of a batch, flat. */
function numbersOf(given: PerPosition, name: string, tokens: Tensor<"batch pos">, asked: Asked): ArrayLike<number> {
  const [batch = 0, pos = 0] = tokens.shape;
  if (given instanceof Tensor) {
    const isLike = given.rank === 2 && given.names[0] !== "pos" && given.shape.every((n, a) => n === tokens.shape[a]);
    if (isLike) return rawData(given);
    throw wrongShape(name, describeTensor(given), given.shape, tokens, asked);
  }
  const rows: unknown = given;
  const isList = Array.isArray(rows) && rows.every((row) => typeof row === "object" && row !== null && "length" in row);
  if (!isList) {
    throw new InputError(
      `${name} of ${asked.of} is ${nameOf(Array.isArray(rows) ? rows[0] : rows)}. Give a list for each prompt, or a tensor [batch, pos].`,
      { operation: asked.operation, argument: name, expected: "a list for each prompt", actual: given },
    );
  }
  const lists = rows as readonly ArrayLike<number>[];
  if (lists.length !== batch || lists.some(({ length }) => length !== pos)) {
    const lengths = lists.map(({ length }) => length);
    throw wrongShape(name, `lists of ${lengths.join(", ")} numbers`, lengths, tokens, asked);
  }
  const out = new Float64Array(batch * pos);
  for (const [b, list] of lists.entries()) {
    for (let p = 0; p < pos; p++) out[b * pos + p] = typeof list[p] === "number" ? (list[p] as number) : NaN;
  }
  return out;
}

function wrongShape(
  name: string,
  shown: string,
  actual: readonly number[],
  tokens: Tensor<"batch pos">,
  { operation, of }: Asked,
): ShapeError {
  const mend = "There is one for each position, the last included.";
  return new ShapeError(`${name} of ${of} is ${shown}, but the tokens are ${describeTensor(tokens)}. ${mend}`, {
    operation,
    argument: name,
    expected: tokens.shape,
    actual,
  });
}

function notAWeight(weight: number, at: number, pos: number, { operation, of }: Asked): InputError {
  return new InputError(
    `lossMask of ${of} is ${weight} at position ${at % pos} of prompt ${Math.floor(at / pos)}. Give numbers of at least 0.`,
    { operation, argument: "lossMask", expected: "at least 0", actual: weight },
  );
}

function requireTarget(
  target: number,
  { d_vocab_out }: ModelConfig,
  at: number,
  pos: number,
  { operation, of }: Asked,
): void {
  if (Number.isInteger(target) && target >= 0 && target < d_vocab_out) return;
  throw new InputError(
    `the target of ${of} at position ${at % pos} of prompt ${Math.floor(at / pos)} is ${target}; the model has ${d_vocab_out} output tokens, ids 0 to ${d_vocab_out - 1}. Where there is nothing to predict let lossMask be 0.`,
    { operation, argument: "targets", expected: [0, d_vocab_out - 1], actual: target },
  );
}

function nothingCounts(total: number, { operation, of }: Asked, pos: number, isNext: boolean): InputError {
  const why = isNext && pos < 2 ? "Prompts of one token have no next one: give targets." : "Let some prediction count.";
  return new InputError(`what the predictions of ${of} count sums to ${total}, and there is no mean. ${why}`, {
    operation,
    argument: "lossMask",
    expected: "a sum above 0",
    actual: total,
  });
}
