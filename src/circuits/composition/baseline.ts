/**
 * The composition scores of random weights. *A Mathematical Framework for Transformer Circuits* subtracts the
 * expectation for random matrices of the same shapes before it draws composition.
 */
import { InputError, requireOptions, requireObject } from "../../errors.ts";
import { frobenius, matmulDense, qrTriangle } from "../../linalg/index.ts";
import type { DenseMatrix } from "../../linalg/index.ts";
import type { HeadId } from "../../model/index.ts";
import { map, Random } from "../../tensor/index.ts";
import { checkSamples, requireChoice } from "../../model/internal.ts";
import type { CompositionBaseline, PairScores } from "./pair-scores.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { sampledScore } from "../eigenvalues/null.ts";
import type { SampledScore } from "../eigenvalues/null.ts";

/**
 * The widths that a composition baseline depends on.
 * @category Circuits
 */
export interface HeadSizes {
  readonly d_model: number;
  readonly d_head: number;
}

/**
 * The composition score to expect of random weights: mean $1/\sqrt{d_{model}}$, spread about
 * $1/(d_{head}\sqrt{2\,d_{model}})$.
 *
 * If the directions that one head writes are randomly oriented to those that the other reads, the mean of the *squared*
 * score is $1/d_{model}$ exactly, whatever the ranks and the spectra; the mean score lies a little below its root. The
 * spread is that of even spectra; uneven ones widen it, by some 10 % for d_model of 8 to 12 d_head and twofold for
 * d_model = d_head. {@link sampleCompositionBaseline} measures both.
 *
 * @throws {@link InputError} when a size is not a positive integer.
 * @category Circuits
 * @example
 * ```ts
 * import { compositionBaseline } from "transformer-circuits/circuits";
 *
 * const { mean, std } = compositionBaseline({ d_model: 768, d_head: 64 });
 * console.log(mean.toFixed(4), std.toFixed(4));
 * // 0.0361 0.0004
 * ```
 */
export function compositionBaseline(sizes: HeadSizes): CompositionBaseline {
  requireObject(sizes, "sizes", "compositionBaseline");
  const { d_model, d_head } = checkSizes(sizes, "compositionBaseline");
  return { mean: 1 / Math.sqrt(d_model), std: 1 / (d_head * Math.sqrt(2 * d_model)) };
}

/**
 * Options of {@link sampleCompositionBaseline}.
 * @category Circuits
 */
export interface CompositionSampleOptions extends ProgressOptions {
  /**
   * How weights are drawn: `normal` (the default), or `kaiming-uniform`, uniform around 0 as PyTorch's linear layers
   * and ARENA's baseline have it. A score does not depend on the scale.
   */
  readonly init?: "normal" | "kaiming-uniform" | undefined;
  /** How many pairs of heads to draw; 200 by default. */
  readonly samples?: number | undefined;
  /** The seed of the draws; 0 by default. */
  readonly seed?: number | undefined;
}

/**
 * The composition scores of pairs of random heads, drawn: mean, standard deviation and quantiles. Q-, K- and
 * V-composition have the same distribution, a product of four random factors.
 *
 * @param sizes - `d_model` and `d_head` of both heads.
 * @param options - distribution of the weights, number of draws, seed, `signal`, `onProgress` (in draws).
 * @throws {@link InputError} when a size, `samples` or `seed` is unusable; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { sampleCompositionBaseline } from "transformer-circuits/circuits";
 *
 * const { mean, std } = sampleCompositionBaseline({ d_model: 64, d_head: 8 }, { samples: 400, seed: 1 });
 * console.log(Math.abs(mean - 0.124) < 0.003, Math.abs(std - 0.012) < 0.003);
 * // true true
 * ```
 */
export function sampleCompositionBaseline(sizes: HeadSizes, options: CompositionSampleOptions = {}): SampledScore {
  requireOptions(options, "sampleCompositionBaseline", "init samples seed signal onProgress");
  requireObject(sizes, "sizes", "sampleCompositionBaseline");
  const operation = "sampleCompositionBaseline";
  const { d_model, d_head } = checkSizes(sizes, operation);
  const { init = "normal", samples = 200, seed = 0 } = options;
  requireChoice(init, ["normal", "kaiming-uniform"], "init", operation);
  const scores = new Float64Array(checkSamples(samples, operation));
  const random = new Random(seed);
  const steps = new Steps(options, scores.length);
  const number = init === "normal" ? () => random.normal() : () => 2 * random.uniform() - 1;
  const draw = (): DenseMatrix => ({
    rows: d_model,
    cols: d_head,
    data: Float64Array.from({ length: d_model * d_head }, number),
  });
  for (let i = 0; i < scores.length; i++) {
    const writer = collapsed(draw(), draw());
    const reader = collapsed(draw(), draw());
    scores[i] = frobenius(matmulDense(writer, reader, { transposeB: true })) / (frobenius(writer) * frobenius(reader));
    steps.advance();
  }
  return sampledScore(scores);
}

/** $R B^\top$ for $A = Q R$: its norm with any factor on the right is that of $A B^\top$. */
function collapsed(a: DenseMatrix, b: DenseMatrix): DenseMatrix {
  return matmulDense(qrTriangle(a), b, { transposeB: true });
}

/** Rejects a baseline whose mean or spread is unusable. */
export function checkBaseline(baseline: CompositionBaseline, operation: string): CompositionBaseline {
  requireObject(baseline, "baseline", operation);
  const { mean, std } = baseline;
  const fault = (text: string, expected: string, actual: number): InputError =>
    new InputError(text, { operation, argument: "baseline", expected, actual });
  if (!Number.isFinite(mean)) {
    const fix = "it is taken off the scores. Give { mean: 0.1, std: 0.01 }.";
    throw fault(`the baseline's mean is ${String(mean)}; ${fix}`, "a number", mean);
  }
  if (!(Number.isFinite(std) && std > 0)) {
    const fix = "scores are divided by it. Draw more than one sample.";
    throw fault(`the baseline's std is ${String(std)}; ${fix}`, "a positive number", std);
  }
  return { mean, std };
}

/** Scores of pairs that compose, each transformed; the others stay 0. */
export function overPairs(
  scores: PairScores,
  zero: { readonly writers: readonly HeadId[]; readonly readers: readonly HeadId[] },
  f: (score: number) => number,
): PairScores {
  const [, heads = 0] = scores.shape;
  const count = (scores.shape[0] ?? 0) * heads;
  const placesOf = (ids: readonly HeadId[]): Set<number> => new Set(ids.map((id) => id.layer * heads + id.head));
  const [zeroWriters, zeroReaders] = [placesOf(zero.writers), placesOf(zero.readers)];
  let at = 0;
  return map(scores, (score) => {
    const [writer, reader] = [Math.floor(at / count), at % count];
    at++;
    const isPair = Math.floor(writer / heads) < Math.floor(reader / heads);
    return isPair && !zeroWriters.has(writer) && !zeroReaders.has(reader) ? f(score) : 0;
  });
}

function checkSizes(sizes: HeadSizes, operation: string): HeadSizes {
  for (const name of ["d_model", "d_head"] as const) {
    const size = sizes[name];
    if (Number.isSafeInteger(size) && size > 0) continue;
    throw new InputError(`${name} is ${size}; it is a positive whole number.`, {
      operation,
      argument: name,
      expected: "a positive integer",
      actual: size,
    });
  }
  return sizes;
}
