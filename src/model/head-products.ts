/**
 * The products of all heads of a layer at once: projections, scores, weighted values, and what each head writes. They
 * know no hooks.
 */
import { kernels, matrix, transposed } from "../kernels/index.ts";
import type { FloatArray, MatrixView } from "../kernels/index.ts";
import { matmul, multiply, Tensor } from "../tensor/index.ts";
import { dataForResult, rawData, reshaped, rightOperand, viewOf } from "../tensor/internal.ts";
import { withBias } from "./bias.ts";
import type { AttentionLayer } from "./attention.ts";
import type { Norm } from "./norm.ts";

/** The residual stream. */
export type Stream = Tensor<"batch pos d_model">;
/** The inputs or outputs of single heads. */
export type HeadStream = Tensor<"batch pos head d_model">;
/** Queries, keys, values, or values weighted. */
export type HeadVectors = Tensor<"batch pos head d_head">;
/** Scores or patterns. */
export type Scores = Tensor<"batch head query_pos key_pos">;

/** The stream seen once for each head, as a view. */
export function overHeads(x: Stream, heads: number): HeadStream {
  const [batch = 0, pos = 0, d = 0] = x.shape;
  const [sb = 0, sp = 0, sd = 0] = x.strides;
  return viewOf(x, "batch pos head d_model", {
    shape: [batch, pos, heads, d],
    strides: [sb, sp, 0, sd],
    offset: x.offset,
  });
}

/** Each head's own copy of the stream through a norm. */
export function normalizePerHead(norm: Norm | undefined, x: HeadStream): HeadStream {
  if (norm === undefined) return x;
  const [batch = 0, pos = 0, heads = 0, d = 0] = x.shape;
  const rows = reshaped(x, "batch pos d_model", [batch, pos * heads, d]);
  const normalized = norm.apply(rows);
  return reshaped(normalized, "batch pos head d_model", x.shape);
}

const asFloats = (t: Tensor): FloatArray => rawData(t) as FloatArray;

/** Views of `[batch, pos, head, width]` data as one matrix `[pos, width]` per head, for one element of the batch. */
export function perHead(t: HeadVectors | HeadStream, b: number): MatrixView {
  const [, pos = 0, heads = 0, width = 0] = t.shape;
  return matrix(asFloats(t), heads * width, width, b * pos * heads * width);
}

/** Numbers `[a, b, width]` as `[b, a, width]`: matrices of heads side by side, or such a one as those of heads. */
export function swapped(from: ArrayLike<number>, a: number, b: number, width: number, out: FloatArray): FloatArray {
  for (let i = 0, at = 0; i < a; i++) {
    for (let j = 0; j < b; j++) {
      const to = (j * a + i) * width;
      for (let t = 0; t < width; t++) out[to + t] = from[at++] as number;
    }
  }
  return out;
}

/** Rows from which on it pays to put matrices of heads side by side. */
const MANY_ROWS = 512;

/** $x W + b$ for every head. */
export function project(
  x: Stream | HeadStream,
  W: Tensor<"head d_model d_head">,
  b: Tensor<"head d_head">,
): HeadVectors {
  const [heads = 0, d_model = 0, d_head = 0] = W.shape;
  const [batch = 0, pos = 0] = x.shape;
  const rows = batch * pos;
  const out = dataForResult("float32", rows * heads * d_head) as FloatArray;
  const isPerHead = x.rank === 4;
  if (!isPerHead && d_head % 8 !== 0 && rows >= MANY_ROWS) {
    // The heads' matrices side by side as one: columns of a head alone would not fill the tiles of the product.
    const all = { data: swapped(rawData(W), heads, d_model, d_head, new Float32Array(W.size)), n: heads * d_head };
    const product = { a: matrix(asFloats(x), d_model), b: matrix(all.data, all.n), out: matrix(out, all.n) };
    kernels().matmul({ batch: 1, m: rows, n: all.n, k: d_model, ...product });
    return withBias(Tensor.from("batch pos head d_head", [batch, pos, heads, d_head], out), b);
  }
  const a = isPerHead ? matrix(asFloats(x), heads * d_model, d_model) : matrix(asFloats(x), d_model);
  const view = matrix(out, heads * d_head, d_head);
  kernels().matmul({ batch: heads, m: rows, n: d_head, k: d_model, a, ...rightOperand(W, rows), out: view });
  return withBias(Tensor.from("batch pos head d_head", [batch, pos, heads, d_head], out), b);
}

/**
 * $q k^\top / \text{scale}$. There may be fewer queries than keys: they are then those of the last positions. Where
 * attention is causal, scores of keys after their query are −Infinity, and so are those of keys before its window.
 */
export function attentionScores(
  q: HeadVectors,
  k: HeadVectors,
  scale: number,
  isCausal: boolean,
  window = Infinity,
): Scores {
  const [batch = 0, queries = 0, heads = 0] = q.shape;
  const keys = k.sizeOf("pos");
  const out = scaledProducts(q, k, scale, isCausal);
  for (let row = 0; row < batch * heads * queries; row++) {
    const seen = isCausal ? (row % queries) + 1 + keys - queries : keys;
    const start = row * keys;
    out.fill(-Infinity, start + seen, start + keys);
    if (seen > window) out.fill(-Infinity, start, start + seen - window);
  }
  return Tensor.from("batch head query_pos key_pos", [batch, heads, queries, keys], out);
}

/** The pattern of causal {@link attentionScores}, which are never there: the same, to the bit. */
export function causalPattern(q: HeadVectors, k: HeadVectors, scale: number): Scores {
  const [batch = 0, queries = 0, heads = 0] = q.shape;
  const keys = k.sizeOf("pos");
  const out = scaledProducts(q, k, scale, true);
  const place = { scores: out, scoresOffset: 0, output: out, outputOffset: 0, queryOffset: keys - queries };
  kernels().causalSoftmax({ batch: batch * heads, queries, keys, ...place });
  return Tensor.from("batch head query_pos key_pos", [batch, heads, queries, keys], out);
}

/** $q k^\top / \text{scale}$; where attention is causal, entries of keys after their query may be anything. */
function scaledProducts(q: HeadVectors, k: HeadVectors, scale: number, isCausal: boolean): FloatArray {
  const [batch = 0, queries = 0, heads = 0, d_head = 0] = q.shape;
  const keys = k.sizeOf("pos");
  const out = dataForResult("float32", batch * heads * queries * keys) as FloatArray;
  const divisor = Math.fround(scale);
  // By a power of two, as that of 4, 16 or 64 entries, queries may be divided before: the products are the same.
  const isPower = 2 ** Math.round(Math.log2(divisor)) === divisor;
  const asking = isPower && q.dtype === "float32" ? multiply(q, 1 / divisor) : q;
  for (let b = 0; b < batch; b++) {
    const view = matrix(out, keys, queries * keys, b * heads * queries * keys);
    const products = { a: perHead(asking, b), b: transposed(perHead(k, b)), out: view };
    kernels().matmul({ batch: heads, m: queries, n: keys, k: d_head, ...products });
  }
  if (asking !== q) return out;
  for (let row = 0; row < batch * heads * queries; row++) {
    const start = row * keys;
    const end = start + (isCausal ? (row % queries) + 1 + keys - queries : keys);
    for (let j = start; j < end; j++) out[j] = (out[j] as number) / divisor;
  }
  return out;
}

/** The values of all keys, weighted by each query's pattern. */
export function weightValues(pattern: Scores, v: HeadVectors): HeadVectors {
  const [batch = 0, keys = 0, heads = 0, d_head = 0] = v.shape;
  const queries = pattern.sizeOf("query_pos");
  const width = heads * d_head;
  const out = dataForResult("float32", batch * queries * width) as FloatArray;
  for (let b = 0; b < batch; b++) {
    const a = matrix(asFloats(pattern), keys, queries * keys, b * heads * queries * keys);
    const view = matrix(out, width, d_head, b * queries * width);
    kernels().matmul({ batch: heads, m: queries, n: d_head, k: keys, a, b: perHead(v, b), out: view });
  }
  return Tensor.from("batch pos head d_head", [batch, queries, heads, d_head], out);
}

/** $z_h W_O^h$ for every head, without $b_O$. */
export function headResults(layer: AttentionLayer, z: HeadVectors): HeadStream {
  const [batch = 0, pos = 0, heads = 0, d_head = 0] = z.shape;
  const d_model = layer.W_O.sizeOf("d_model");
  const rows = batch * pos;
  const out = dataForResult("float32", rows * heads * d_model) as FloatArray;
  const a = matrix(asFloats(z), heads * d_head, d_head);
  const view = matrix(out, heads * d_model, d_model);
  kernels().matmul({ batch: heads, m: rows, n: d_model, k: d_head, a, ...rightOperand(layer.W_O, rows), out: view });
  return Tensor.from("batch pos head d_model", [batch, pos, heads, d_model], out);
}

/** The output of a layer's heads as one product: $\sum_h z_h W_O^h + b_O$. */
export function writeHeads(layer: AttentionLayer, z: HeadVectors): Stream {
  const [batch = 0, pos = 0, heads = 0, d_head = 0] = z.shape;
  const concatenated = reshaped(z, "batch pos head_and_d_head", [batch, pos, heads * d_head]);
  const W_O = reshaped(layer.W_O, "head_and_d_head d_model", [heads * d_head, layer.W_O.sizeOf("d_model")]);
  return withBias(matmul(concatenated, W_O), layer.b_O);
}
