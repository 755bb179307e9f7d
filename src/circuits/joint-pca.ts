/**
 * Principal components of the embedding and the unembedding together (*A Mathematical Framework for Transformer
 * Circuits*, "Residual stream bandwidth", footnote on how many dimensions tokens take up).
 *
 * Components are eigenvectors of covariance matrices, `[d_model, d_model]`, summed over bands of tokens: no singular
 * values of matrices of the vocabulary's size, and nothing of that size held twice.
 */
import { requireKind } from "../errors.ts";
import { singularValues, svd } from "../linalg/index.ts";
import { multiplyStacks, stackOf, transposedStack } from "../linear/internal.ts";
import type { Transformer } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { addTo, rawData } from "../tensor/internal.ts";
import type { FloatArray } from "../tensor/internal.ts";
import { requireChoice } from "../model/internal.ts";

/**
 * Options of {@link jointPCA}.
 * @category Circuits
 */
export interface JointPCAOptions {
  /**
   * What makes the two matrices comparable: `"matrix"` (the default) gives both the same variance in all; `"rows"`
   * first makes the vectors of all tokens equally long; `"none"` lets the matrix whose tokens are further from their
   * mean weigh more.
   */
  readonly scale?: "matrix" | "rows" | "none" | undefined;
}

/**
 * Principal components of embedding and unembedding. Variances are shares of the whole, float64, descending.
 * @category Circuits
 */
export interface JointPCA {
  /** `[component]`: the share of the variance of both together that a joint component explains. */
  readonly variance: Tensor<"component">;
  /** `[component, d_model]`: the joint components, orthonormal; the entry of largest modulus is positive. */
  readonly components: Tensor<"component d_model">;
  /**
   * `[component]`: how much of a joint component's variance is the embedding's, 0 to 1; the rest is the unembedding's.
   * NaN where there is none.
   */
  readonly embedShare: Tensor<"component">;
  /** `[component]`: the spectrum of $W_E$ alone. */
  readonly embed: Tensor<"component">;
  /** `[component]`: the spectrum of $W_U$ alone. */
  readonly unembed: Tensor<"component">;
}

/**
 * Principal components of the token vectors of $W_E$ and $W_U$, each by itself and of both put together, every matrix
 * centred on its own mean and its variance a mean over its own tokens, however many they are: how many dimensions of
 * the residual stream tokens take up, and which of them reading and writing share. In large models the paper finds that
 * the spectrum falls fast, that some joint dimensions are mixed and that some are used by one matrix only.
 *
 * Norms are not folded in; do that first where it matters.
 *
 * @throws {@link InputError} for an unknown `scale`.
 * @category Circuits
 * @example
 * ```ts
 * import { jointPCA } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { variance, embedShare } = jointPCA(model);
 * const half = [...variance.data].findIndex((_, i, all) => all.slice(0, i + 1).reduce((a, b) => a + b, 0) > 0.5);
 * console.log(variance.size, half + 1, embedShare.at(0).toFixed(2));
 * // 128 33 0.52
 * ```
 */
export function jointPCA(model: Transformer, options: JointPCAOptions = {}): JointPCA {
  requireKind("model", model, "model", "jointPCA", options, "scale");
  const { scale = "matrix" } = options;
  requireChoice(scale, ["matrix", "rows", "none"], "scale", "jointPCA");
  const d = model.config.d_model;
  const rows = rawData(model.weight("embed.W_E"));
  const columns = rawData(model.weight("unembed.W_U"));
  const toUnit = scale === "rows";
  const E = covariance(d, model.config.d_vocab, rows, { token: d, feature: 1 }, toUnit);
  const U = covariance(d, model.config.d_vocab_out, columns, { token: 1, feature: model.config.d_vocab_out }, toUnit);
  const [embedTotal, unembedTotal] = [traceOf(E, d), traceOf(U, d)];
  const even = scale !== "none";
  const [e, u] = [even ? inverse(embedTotal) : 1, even ? inverse(unembedTotal) : 1];
  const joint = E.map((x, i) => e * x + u * (U[i] as number));
  const { values, vectors } = principal(joint, d);
  const ofEmbed = Float64Array.from(values, (value, c) =>
    value > 0 ? Math.min(1, (e * along(E, vectors, c, d)) / value) : NaN,
  );
  return {
    variance: shares(values),
    components: Tensor.from("component d_model", [d, d], vectors),
    embedShare: Tensor.from("component", [d], ofEmbed),
    embed: shares(singularValues({ rows: d, cols: d, data: E })),
    unembed: shares(singularValues({ rows: d, cols: d, data: U })),
  };
}

/** How far apart the vectors of two tokens and two entries of one lie; one of them is 1. */
interface Strides {
  readonly token: number;
  readonly feature: number;
}

/** Tokens that are centred and multiplied at once. */
const BAND = 4096;

/**
 * The covariance of token vectors, a float64 sum over bands of tokens. Centred vectors and their products are float32
 * where the weights are: entries err by some 1e-7 of the largest.
 */
export function covariance(
  d: number,
  count: number,
  W: ArrayLike<number>,
  strides: Strides,
  toUnit: boolean,
): Float64Array {
  const mean = new Float64Array(d);
  const isSingle = W instanceof Float32Array;
  const band = isSingle ? new Float32Array(Math.min(BAND, count) * d) : new Float64Array(Math.min(BAND, count) * d);
  const part = isSingle ? new Float32Array(d * d) : new Float64Array(d * d);
  const eachBand = (visit: (size: number) => void): void => {
    for (let from = 0; from < count; from += BAND) {
      const size = Math.min(BAND, count - from);
      loadBand(band, W, { from, size, d }, strides);
      if (toUnit) normalizeRows(band.subarray(0, size * d), d);
      visit(size);
    }
  };
  let squares = 0;
  eachBand((size) => {
    for (let t = 0; t < size * d; t++) {
      const x = band[t] as number;
      mean[t % d] = (mean[t % d] as number) + x / count;
      squares += x * x;
    }
  });
  const sum = new Float64Array(d * d);
  eachBand((size) => {
    for (let t = 0; t < size * d; t++) band[t] = (band[t] as number) - (mean[t % d] as number);
    const vectors = stackOf(band, [1, size, d]);
    multiplyStacks(transposedStack(vectors), vectors, stackOf(part, [1, d, d]));
    addTo(sum, part);
  });
  const power = squares / count;
  const spread = traceOf(sum, d) / count;
  // Equal vectors less their mean leave roundings of the mean; what float32 can tell apart spreads more, be it one of
  // 50,000 tokens.
  return sum.map((x) => (spread <= 1e-20 * power ? 0 : x / count));
}

/** Vectors of `size` tokens from one on, one a row; the inner loop runs along what lies side by side. */
function loadBand(
  into: FloatArray,
  W: ArrayLike<number>,
  { from, size, d }: { readonly from: number; readonly size: number; readonly d: number },
  strides: Strides,
): void {
  if (strides.feature === 1) {
    for (let t = 0; t < size * d; t++) into[t] = W[from * d + t] as number;
    return;
  }
  for (let i = 0; i < d; i++)
    for (let t = 0; t < size; t++) into[t * d + i] = W[i * strides.feature + from + t] as number;
}

/** Makes every row of length 1, but zero rows. */
function normalizeRows(rows: FloatArray, d: number): void {
  for (let at = 0; at < rows.length; at += d) {
    let square = 0;
    for (let i = at; i < at + d; i++) square += (rows[i] as number) ** 2;
    if (square === 0) continue;
    const length = Math.sqrt(square);
    for (let i = at; i < at + d; i++) rows[i] = (rows[i] as number) / length;
  }
}

/**
 * Eigenvalues of a covariance, descending, and eigenvectors, one a row. The singular values of a positive matrix are
 * its eigenvalues.
 */
export function principal(matrix: Float64Array, d: number): { values: Float64Array; vectors: Float64Array } {
  const { S, U } = svd({ rows: d, cols: d, data: matrix });
  const vectors = new Float64Array(d * d);
  for (let c = 0; c < d; c++) for (let i = 0; i < d; i++) vectors[c * d + i] = U.data[i * d + c] as number;
  return { values: S, vectors };
}

/** $v M v^\top$ for component c. */
function along(M: Float64Array, vectors: Float64Array, c: number, d: number): number {
  let sum = 0;
  for (let i = 0; i < d; i++) {
    let row = 0;
    for (let j = 0; j < d; j++) row += (M[i * d + j] as number) * (vectors[c * d + j] as number);
    sum += row * (vectors[c * d + i] as number);
  }
  return sum;
}

function traceOf(M: Float64Array, d: number): number {
  let trace = 0;
  for (let i = 0; i < d; i++) trace += M[i * (d + 1)] as number;
  return trace;
}

const inverse = (x: number): number => (x > 0 ? 1 / x : 0);

function shares(values: Float64Array): Tensor<"component"> {
  const total = values.reduce((a, b) => a + b, 0);
  return Tensor.from(
    "component",
    [values.length],
    values.map((x) => (total > 0 ? x / total : 0)),
  );
}
