/**
 * In-context Markov chains: each prompt is drawn from a chain of its own, which the model has to learn from the prompt.
 *
 * The rows of the transition matrix are drawn from the Dirichlet distribution whose parameters are all $\alpha$, and
 * the first symbol evenly, so that the ideal predictor is known exactly. With $n_{ij}$ the transitions seen so far,
 * $$p(x_{t+1} = j \mid x_{\le t} ) = \frac{n_{x_t j} + \alpha}{\sum_k n_{x_t k} + V \alpha},$$
 * the mean of the posterior. Source: Edelman et al., "The Evolution of Statistical Induction Heads: In-Context Learning
 * Markov Chains", NeurIPS 2024, whose models learn uniform, unigram and bigram predictions in this order. (Their first
 * symbol comes from the chain's stationary distribution.)
 */
import { requireObject } from "../../errors.ts";
import { requireFinite } from "../../model/internal.ts";
import { Tensor } from "../../tensor/index.ts";
import type { Random } from "../../tensor/index.ts";
import { randomAt, refusal, requireCounts, rowTensor } from "./at-step.ts";
import type { KnownData } from "./training-data.ts";

const OPERATION = "markovChainData";

/**
 * What {@link markovChainData} draws.
 * @category Training
 */
export interface MarkovChainOptions {
  /** The number of symbols; 3 by default. */
  readonly d_vocab?: number | undefined;
  /** The number of symbols in a prompt; 100 by default. */
  readonly n_ctx?: number | undefined;
  /** Prompts in a batch, each with a chain of its own; 64 by default. */
  readonly batch?: number | undefined;
  /** The parameter of the Dirichlet distribution of each row; 1 by default, which draws rows evenly. */
  readonly alpha?: number | undefined;
  /** The seed; 0 by default. */
  readonly seed?: number | undefined;
}

/**
 * The predictors that a model of Markov chains goes through: `uniform`, all symbols equally; `unigram`, by how often
 * each came in the prompt; `bigram`, by what followed the present symbol, which is the optimum.
 * @category Training
 */
export type MarkovPredictor = "uniform" | "unigram" | "bigram";

/**
 * What {@link markovChainData} gives.
 * @category Training
 */
export interface MarkovChainData extends KnownData {
  /** The parameter of the Dirichlet distribution. */
  readonly alpha: number;
  /** The probabilities that each predictor gives on the batch of a step, at every position: `[batch, pos, d_vocab]`. */
  predictions(step: number): Readonly<Record<MarkovPredictor, Tensor<"batch pos d_vocab">>>;
  /** The losses of each predictor on the batch of a step, in nats: `[batch, pos]`, as {@link KnownData.optimum}. */
  references(step: number): Readonly<Record<MarkovPredictor, Tensor<"batch pos">>>;
}

/**
 * Prompts of Markov chains, each with transition probabilities of its own, drawn evenly unless `alpha` says otherwise
 * (Edelman et al. 2024).
 *
 * To do well a model must count in the prompt what followed the present symbol: a statistical induction head.
 *
 * @throws {@link InputError} when a number is not usable.
 * @category Training
 * @example
 * ```ts
 * import { markovChainData } from "transformer-circuits/train";
 * import { meanAll } from "transformer-circuits/tensor";
 *
 * const data = markovChainData({ d_vocab: 3, n_ctx: 100, batch: 64, seed: 1 });
 * console.log(String(data.batch(0).tokens));
 * // Tensor[batch=64 pos=100] int32
 * const { uniform, unigram, bigram } = data.references(0);
 * console.log(meanAll(uniform).toFixed(3), meanAll(unigram) > meanAll(bigram));
 * // 1.099 true
 * ```
 */
export function markovChainData(options: MarkovChainOptions = {}): MarkovChainData {
  requireObject(options, "options", OPERATION, "d_vocab n_ctx batch alpha seed");
  const { d_vocab = 3, n_ctx = 100, batch = 64, alpha = 1, seed = 0 } = options;
  requireCounts(OPERATION, seed, { d_vocab, n_ctx, batch });
  requireFinite(alpha, "alpha", OPERATION);
  if (alpha <= 0) throw refusal(OPERATION, "alpha", alpha, `alpha is ${alpha}; give a number above 0.`);
  const rows = (step: number): Int32Array[] => {
    const random = randomAt(seed, step, OPERATION);
    return Array.from({ length: batch }, () => drawChain(random, d_vocab, n_ctx, alpha));
  };
  const predictions = (step: number): Record<MarkovPredictor, Tensor<"batch pos d_vocab">> => {
    const prompts = rows(step);
    const of = (predictor: MarkovPredictor): Tensor<"batch pos d_vocab"> => {
      const out = new Float64Array(batch * n_ctx * d_vocab);
      for (const [b, ids] of prompts.entries()) {
        out.set(markovPredictions(ids, predictor, d_vocab, alpha), b * n_ctx * d_vocab);
      }
      return Tensor.from("batch pos d_vocab", [batch, n_ctx, d_vocab], out);
    };
    return { uniform: of("uniform"), unigram: of("unigram"), bigram: of("bigram") };
  };
  const losses = (step: number, predictor: MarkovPredictor): Tensor<"batch pos"> =>
    rowTensor(
      rows(step).map((ids) => {
        const p = markovPredictions(ids, predictor, d_vocab, alpha);
        return Float64Array.from({ length: n_ctx - 1 }, (_, t) => -Math.log(p[t * d_vocab + (ids[t + 1] ?? 0)] ?? 0));
      }),
      "float64",
    );
  return {
    name: "in-context Markov chains",
    d_vocab,
    n_ctx,
    alpha,
    optimumIs: "exact",
    batch: (step) => ({ tokens: rowTensor(rows(step), "int32") }),
    optimum: (step) => losses(step, "bigram"),
    predictions,
    references: (step) => ({
      uniform: losses(step, "uniform"),
      unigram: losses(step, "unigram"),
      bigram: losses(step, "bigram"),
    }),
  };
}

/** The probabilities of the next symbol after each symbol of a prompt, `[pos, d_vocab]`. */
export function markovPredictions(
  ids: ArrayLike<number>,
  predictor: MarkovPredictor,
  d_vocab: number,
  alpha: number,
): Float64Array {
  const out = new Float64Array(ids.length * d_vocab);
  if (predictor === "uniform") return out.fill(1 / d_vocab);
  // One row of counts for each context: the present symbol, or none.
  const counts = new Float64Array(predictor === "bigram" ? d_vocab * d_vocab : d_vocab).fill(alpha);
  const rowOf = (symbol: number): number => (predictor === "bigram" ? symbol * d_vocab : 0);
  for (let t = 0; t < ids.length; t++) {
    const symbol = ids[t] as number;
    const seen = predictor === "unigram" ? symbol : t > 0 ? rowOf(ids[t - 1] as number) + symbol : undefined;
    if (seen !== undefined) counts[seen] = (counts[seen] as number) + 1;
    const row = counts.subarray(rowOf(symbol), rowOf(symbol) + d_vocab);
    const total = row.reduce((sum, count) => sum + count, 0);
    for (let j = 0; j < d_vocab; j++) out[t * d_vocab + j] = (row[j] as number) / total;
  }
  return out;
}

/** A prompt of a chain that is drawn first. */
function drawChain(random: Random, d_vocab: number, n_ctx: number, alpha: number): Int32Array {
  const rows = Array.from({ length: d_vocab }, () => drawDirichlet(random, d_vocab, alpha));
  const ids = new Int32Array(n_ctx);
  ids[0] = random.int(d_vocab);
  for (let t = 1; t < n_ctx; t++) ids[t] = drawFrom(random, rows[ids[t - 1] as number] as Float64Array);
  return ids;
}

/** An index, by its probability. */
function drawFrom(random: Random, probabilities: Float64Array): number {
  let left = random.uniform();
  for (let j = 0; j < probabilities.length - 1; j++) {
    left -= probabilities[j] as number;
    if (left < 0) return j;
  }
  return probabilities.length - 1;
}

/** Probabilities of a symmetric Dirichlet distribution: Gamma variables over their sum, by their logarithms. */
function drawDirichlet(random: Random, size: number, alpha: number): Float64Array {
  const logs = Float64Array.from({ length: size }, () => drawLogGamma(random, alpha));
  const most = Math.max(...logs);
  const weights = logs.map((log) => Math.exp(log - most));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/**
 * The logarithm of a Gamma variable: Marsaglia and Tsang, "A simple method for generating gamma variables" (2000), of
 * shape + 1, times $u^{1 / shape}$ for shapes below 1.
 */
function drawLogGamma(random: Random, shape: number): number {
  if (shape < 1) return drawLogGamma(random, shape + 1) + Math.log(1 - random.uniform()) / shape;
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random.uniform()) < 0.5 * x * x + d * (1 - v + Math.log(v))) return Math.log(d * v);
  }
}
