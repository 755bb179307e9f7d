/**
 * Attention as functions of tensors: the causal softmax of scores, and scores, softmax and weighted values in one pass.
 */
import { InputError, ShapeError, requireKind } from "../errors.ts";
import { kernels } from "../kernels/index.ts";
import type { FloatArray, HeadVectorsView } from "../kernels/index.ts";
import { kernelData, kernelStorage, rawData, tensorOf } from "./raw.ts";
import { describeTensor } from "./tensor.ts";
import type { Tensor } from "./tensor.ts";
import { dataForResult } from "./storage.ts";
import { astype } from "./elementwise.ts";

/**
 * The softmax of attention scores over the keys that each query may see, $A = \mathrm{softmax}^*(S)$: the last two axes
 * are queries and keys, and query $i$ of $n$ sees keys up to $i + m - n$ where there are $m$ keys, so the last query
 * sees all of them. What it does not see gets probability 0 and is not read.
 *
 * *A Mathematical Framework for Transformer Circuits*, "Attention Heads are Independent and Additive".
 *
 * @param scores - `[..., query_pos, key_pos]`.
 * @returns probabilities, of the same axes.
 * @throws {@link ShapeError} when there are fewer than two axes, or more queries than keys.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { causalSoftmax } from "transformer-circuits/tensor";
 *
 * const scores = Tensor.fromNested("query_pos key_pos", [[3, 9], [1, 1]]);
 * console.log(causalSoftmax(scores).toNested());
 * // [ [ 1, 0 ], [ 0.5, 0.5 ] ]
 * ```
 */
export function causalSoftmax<A extends string>(scores: Tensor<A>): Tensor<A> {
  requireKind("tensor", scores, "scores", "causalSoftmax");
  const [queries, keys] = [scores.shape[scores.rank - 2], scores.shape[scores.rank - 1]];
  if (queries === undefined || keys === undefined || queries > keys) {
    throw new ShapeError(
      `takes scores [..., query_pos, key_pos] with no more queries than keys: scores is ${describeTensor(scores)}.`,
      { operation: "causalSoftmax", argument: "scores", expected: "queries <= keys", actual: scores.shape },
    );
  }
  const floats = scores.dtype === "int32" ? astype(scores, "float32") : scores;
  const output = dataForResult(floats.dtype, scores.size) as FloatArray;
  kernels().causalSoftmax({
    batch: queries * keys === 0 ? 0 : scores.size / (queries * keys),
    queries,
    keys,
    scores: kernelData(floats) as FloatArray,
    scoresOffset: 0,
    output,
    outputOffset: 0,
    queryOffset: keys - queries,
  });
  return tensorOf(scores.axes, [...scores.shape], output);
}

/**
 * Vectors of every head at every position.
 * @inline
 */
type HeadVectors = Tensor<"batch pos head d_head">;

/**
 * What {@link causalAttention} takes.
 * @category Tensors
 */
export interface AttentionOptions {
  /** What scores are divided by; $\sqrt{d_\text{head}}$ unless given. */
  readonly scale?: number;
}

/**
 * Causal attention of all heads in one pass, $z = \mathrm{softmax}^*(q k^\top / \text{scale})\, v$, without keeping
 * scores or patterns: memory grows with the number of positions, not its square.
 *
 * *A Mathematical Framework for Transformer Circuits*, "Attention Heads are Independent and Additive".
 *
 * @param q - queries, `[batch, pos, head, d_head]`.
 * @param k - keys, of the same sizes.
 * @param v - values, of the same sizes.
 * @returns weighted values, `[batch, pos, head, d_head]`.
 * @throws {@link ShapeError} when sizes differ; {@link InputError} when the scale is not above 0.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { causalAttention } from "transformer-circuits/tensor";
 *
 * const q = Tensor.fromNested("batch pos head d_head", [[[[1]], [[0]]]]);
 * const v = Tensor.fromNested("batch pos head d_head", [[[[2]], [[6]]]]);
 * console.log(Array.from(causalAttention(q, q, v).data));
 * // [ 2, 4 ]
 * ```
 */
export function causalAttention(
  q: HeadVectors,
  k: HeadVectors,
  v: HeadVectors,
  options: AttentionOptions = {},
): HeadVectors {
  requireKind("tensor", q, "q", "causalAttention", options);
  requireKind("tensor", k, "k", "causalAttention");
  requireKind("tensor", v, "v", "causalAttention");
  const operation = "causalAttention";
  const [batch = 0, pos = 0, heads = 0, width = 0] = q.shape;
  for (const [name, t] of [
    ["k", k],
    ["v", v],
  ] as const) {
    const isHeads = [q, t].every(({ axes }: Tensor) => axes === "batch pos head d_head");
    if (!isHeads || t.shape.join() !== q.shape.join()) {
      throw new ShapeError(
        `takes q, k and v [batch, pos, head, d_head] of the same sizes: q is ${describeTensor(q)}, ${name} is ${describeTensor(t)}.`,
        { operation, argument: name, expected: q.shape, actual: t.shape },
      );
    }
  }
  const scale = options.scale ?? Math.sqrt(width);
  if (!(scale > 0)) {
    throw new InputError(`a scale of ${scale} is not above 0.`, { operation, argument: "scale", actual: scale });
  }
  const isDouble = [q, k, v].some(({ dtype }) => dtype === "float64");
  const out = dataForResult(isDouble ? "float64" : "float32", q.size) as FloatArray;
  const strides = { batchStride: pos * heads * width, headStride: width, rowStride: heads * width };
  kernels().attention({
    ...{ batch, heads, queries: pos, keys: pos, width, valueWidth: width },
    q: headsView(q),
    k: headsView(k),
    v: headsView(v),
    out: { data: out, offset: 0, ...strides },
    scale: Math.fround(scale),
    isCausal: true,
    queryOffset: 0,
  });
  return tensorOf("batch pos head d_head", [...q.shape], out);
}

/** Vectors of heads as the kernels take them: as they lie where a vector's entries lie side by side. */
function headsView(t: HeadVectors): HeadVectorsView {
  const floats = t.dtype === "int32" ? astype(t, "float32") : t;
  const [batchStride = 0, rowStride = 0, headStride = 0, step = 1] = floats.strides;
  if (step === 1) {
    return { data: kernelStorage(floats) as FloatArray, offset: floats.offset, batchStride, headStride, rowStride };
  }
  const [, pos = 0, heads = 0, width = 0] = t.shape;
  return {
    data: rawData(floats) as FloatArray,
    offset: 0,
    batchStride: pos * heads * width,
    headStride: width,
    rowStride: heads * width,
  };
}
