/** What is subtracted from QK scores so that different query tokens can be compared. */
import { InputError, requireKind } from "../../errors.ts";
import { applyMap, compose, linear, rowsOf, toDense, transpose } from "../../linear/index.ts";
import { multiplyStacks, stackOf, transposedStack } from "../../linear/internal.ts";
import type { AttentionHead, Transformer } from "../../model/index.ts";
import { lossesOfRows } from "../../model/internal.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";

/**
 * What is subtracted from a QK score before it is compared across query tokens; softmax ignores a constant per query.
 * `raw`: nothing. `mean`: the query's mean over all keys. `start`: its score on the start token, where heads rest that
 * find nothing. `logMeanExp`: $\ln \mathrm{mean}_k e^{S_{qk}}$; then $e$ to the result is how many times more attention
 * the key gets than a random one. Means weigh tokens alike, or by their frequencies.
 * @category Circuits
 */
export type ScoreReference = "raw" | "mean" | "start" | "logMeanExp";

/** The names of {@link ScoreReference}. */
export const SCORE_REFERENCES: readonly ScoreReference[] = ["raw", "mean", "start", "logMeanExp"];

/** The inputs of a reference. */
export interface ReferenceOptions {
  readonly start?: number | undefined;
  /** `[d_vocab]`: how often each token occurs, in any unit. */
  readonly frequencies?: ArrayLike<number> | undefined;
}

/**
 * `[d_vocab]`: what each query token's scores, not divided by the attention scale, are compared with; undefined for
 * nothing.
 */
export function referenceOf(
  model: Transformer,
  head: AttentionHead,
  reference: ScoreReference,
  options: ReferenceOptions,
): Float64Array | undefined {
  if (reference === "logMeanExp") return logMeanExp(model, head, sharesOf(options.frequencies, model.config.d_vocab));
  const vector = referenceVector(model, head, reference, options);
  if (vector === undefined) return undefined;
  const column = Tensor.from("d_model one", [vector.length, 1], vector);
  return toDense(compose<string, string, string>(model.W_E, linear("d_model", "one", column))).data as Float64Array;
}

/**
 * `[d_model]`: the vector whose product with a query token's embedding its scores are compared with, $W_Q W_K^\top e$
 * of the start token or of the mean one; undefined where there is no such vector.
 */
export function referenceVector(
  model: Transformer,
  { W_K, W_Q }: AttentionHead,
  reference: ScoreReference,
  { start, frequencies }: ReferenceOptions,
): Float64Array | undefined {
  if (reference === "start" && start !== undefined)
    return rowsOf(compose(model.W_E, W_K, transpose(W_Q)), [start]).data as Float64Array;
  if (reference !== "mean") return undefined;
  return applyMap(meanToken(model, frequencies), compose(W_K, transpose(W_Q))).data as Float64Array;
}

type TokenVector = Tensor<"row d_model">;

const meanTokens = new WeakMap<object, TokenVector>();

/** The mean embedding by frequency; where tokens count alike it is kept as long as the embedding is. */
function meanToken(model: Transformer, frequencies: ArrayLike<number> | undefined): TokenVector {
  const { W_E, config } = model;
  const embedding = rawData(model.weight("embed.W_E"));
  const known = frequencies === undefined ? meanTokens.get(embedding) : undefined;
  if (known !== undefined) return known;
  const shares = Tensor.from("row d_vocab", [1, config.d_vocab], sharesOf(frequencies, config.d_vocab));
  const mean = applyMap(shares, W_E);
  if (frequencies === undefined) meanTokens.set(embedding, mean);
  return mean;
}

/** Rejects frequencies that are no frequencies. */
export function checkFrequencies(frequencies: ArrayLike<number> | undefined, d_vocab: number, operation: string): void {
  if (frequencies === undefined) return;
  requireKind("list", frequencies, "frequencies", operation);
  let total = 0;
  for (let token = 0; token < frequencies.length; token++) {
    const frequency = frequencies[token] as number;
    total += typeof frequency === "number" && frequency >= 0 ? frequency : Number.NaN;
  }
  if (frequencies.length === d_vocab && total > 0 && total < Infinity) return;
  throw new InputError(
    `frequencies must be ${d_vocab} numbers, none below 0 and not all 0; these are ${frequencies.length} with the sum ${total}.`,
    { operation, argument: "frequencies", expected: d_vocab, actual: frequencies.length },
  );
}

function sharesOf(frequencies: ArrayLike<number> | undefined, d_vocab: number): Float64Array {
  if (frequencies === undefined) return new Float64Array(d_vocab).fill(1 / d_vocab);
  const shares = Float64Array.from(frequencies);
  const total = shares.reduce((sum, x) => sum + x, 0);
  return shares.map((x) => x / total);
}

/** Scores held at once: 8 MiB of float32. */
const BAND_SCORES = 2 ** 21;

/**
 * $\log \sum_a p_a \exp S_{b,a}$ of every query token, times the attention scale. Scores and exponentials are float32,
 * a band of queries at a time: the frequencies are one more coordinate, $\log p_a$, of the keys.
 */
function logMeanExp(model: Transformer, head: AttentionHead, shares: Float64Array): Float64Array {
  const { d_vocab } = model.config;
  const scale = model.layer(head.layer).attnScale;
  const queries = toDense(compose(model.W_E, head.W_Q));
  const keys = toDense(compose(model.W_E, head.W_K));
  const width = queries.shape[1] ?? 0;
  const common = shares.indexOf(shares.reduce((most, share) => Math.max(most, share), 0));
  const a = withColumn(queries.data as Float64Array, d_vocab, width, 1 / scale, () => 1);
  const b = withColumn(keys.data as Float64Array, d_vocab, width, 1, (token) =>
    Math.max(-1e30, Math.log(shares[token] as number)),
  );
  const out = new Float64Array(d_vocab);
  const height = Math.max(1, Math.floor(BAND_SCORES / d_vocab));
  const scores = new Float32Array(height * d_vocab);
  const losses = new Float32Array(height);
  const targets = new Int32Array(height).fill(common);
  for (let first = 0; first < d_vocab; first += height) {
    const rows = Math.min(height, d_vocab - first);
    const some = stackOf(a, [1, rows, width + 1], { offset: first * (width + 1) });
    multiplyStacks(some, transposedStack(stackOf(b, [1, d_vocab, width + 1])), stackOf(scores, [1, rows, d_vocab]));
    lossesOfRows({ rows, cols: d_vocab, logits: scores, targets, output: losses });
    // The loss of a target is the logarithm sought less the target's own score.
    for (let i = 0; i < rows; i++) {
      out[first + i] = scale * ((losses[i] as number) + (scores[i * d_vocab + common] as number));
    }
  }
  return out;
}

function withColumn(
  numbers: Float64Array,
  rows: number,
  width: number,
  factor: number,
  last: (row: number) => number,
): Float32Array {
  const out = new Float32Array(rows * (width + 1));
  for (let i = 0; i < rows; i++) {
    for (let p = 0; p < width; p++) out[i * (width + 1) + p] = factor * (numbers[i * width + p] as number);
    out[i * (width + 1) + width] = last(i);
  }
  return out;
}
