/**
 * Heads' maps collapsed for composition: $W_{OV} = W_V W_O$ enters a score only through lengths, so that $W_V$ may be replaced
 * by any $R$, d_head x d_head, with $R^\top R = W_V^\top W_V$: then $\|W_V W_O X\| = \|R W_O X\|$ for every $X$. The other outer factors likewise.
 */
import { kernels } from "../kernels/index.ts";
import type { AttentionLayer } from "../model/index.ts";
import type { Tensor } from "../tensor/index.ts";

/** Matrices of one kind of all heads of a layer, each scaled to norm 1 (or zero). */
export interface UnitMaps {
  readonly count: number;
  /** `[head, d_head, d_model]` */
  readonly data: Float64Array;
  readonly isZero: readonly boolean[];
}

export interface CollapsedLayer {
  /** $R W_O$ with $R^\top R = W_V^\top W_V$: what the head writes. */
  readonly writers: UnitMaps;
  /** $R W_Q^\top$ with $R^\top R = W_K^\top W_K$: what queries read. */
  readonly Q: UnitMaps;
  /** $R W_K^\top$ with $R^\top R = W_Q^\top W_Q$: what keys read. */
  readonly K: UnitMaps;
  /** $R W_V^\top$ with $R^\top R = W_O W_O^\top$: what values read. */
  readonly V: UnitMaps;
}

/** A weight of all heads with d_head before d_model, and the triangles of its Gram matrices. */
interface Side {
  /** `[head, d_head, d_model]` */
  readonly weights: Float64Array;
  /** `[head, d_head, d_head]` */
  readonly triangles: Float64Array;
}

interface Sizes {
  readonly count: number;
  readonly k: number;
  readonly d: number;
}

/** The four maps of every head of a layer that composition scores are read from. */
export function collapseLayer(layer: AttentionLayer): CollapsedLayer {
  const [count = 0, k = 0, d = 0] = layer.W_O.shape;
  const sizes = { count, k, d };
  const [Q, K, V] = [layer.W_Q, layer.W_K, layer.W_V].map((W) => sideOf(W.permute("head d_head d_model"), sizes)) as [
    Side,
    Side,
    Side,
  ];
  const O = sideOf(layer.W_O, sizes);
  return {
    writers: unitMaps(V, O, sizes),
    Q: unitMaps(K, Q, sizes),
    K: unitMaps(Q, K, sizes),
    V: unitMaps(O, V, sizes),
  };
}

function sideOf(weight: Tensor<"head d_head d_model">, sizes: Sizes): Side {
  const weights = Float64Array.from(weight.data);
  const each = sizes.k * sizes.d;
  for (let h = 0; h < sizes.count; h++) scaleTo1(weights.subarray(h * each, (h + 1) * each));
  return { weights, triangles: gramTriangles(weights, sizes) };
}

/** Divides by the largest entry, so that no square overflows or vanishes. A head's scale does not enter its scores. */
function scaleTo1(numbers: Float64Array): void {
  let largest = 0;
  for (const x of numbers) largest = Math.max(largest, Math.abs(x));
  if (largest > 0) for (let t = 0; t < numbers.length; t++) numbers[t] = (numbers[t] as number) / largest;
}

/** Upper triangles $R$ with $R^\top R = W W^\top$, `[head, d_head, d_head]`. */
function gramTriangles(weights: Float64Array, { count, k, d }: Sizes): Float64Array {
  const grams = new Float64Array(count * k * k);
  kernels().matmul({
    batch: count,
    m: k,
    n: k,
    k: d,
    a: { data: weights, offset: 0, rowStride: d, colStride: 1, batchStride: k * d },
    b: { data: weights, offset: 0, rowStride: 1, colStride: d, batchStride: k * d },
    out: { data: grams, offset: 0, rowStride: k, colStride: 1, batchStride: k * k },
  });
  for (let h = 0; h < count; h++) cholesky(grams.subarray(h * k * k, (h + 1) * k * k), k);
  return grams;
}

/**
 * Cholesky's factorisation $G = R^\top R$ in place, row by row, zeros below the diagonal. $R^\top R$ differs from $G$ by roundings of $G$ whatever
 * its rank; where a dependent row leaves nothing, or less than nothing by rounding, the row of $R$ is zero.
 */
function cholesky(g: Float64Array, n: number): void {
  for (let i = 0; i < n; i++) {
    const pivot = g[i * n + i] as number;
    const root = pivot > 0 ? Math.sqrt(pivot) : 0;
    for (let j = 0; j < n; j++) {
      g[i * n + j] = j < i || root === 0 ? 0 : (g[i * n + j] as number) / root;
    }
    if (root === 0) continue;
    for (let row = i + 1; row < n; row++) {
      const factor = g[i * n + row] as number;
      if (factor === 0) continue;
      for (let j = row; j < n; j++) g[row * n + j] = (g[row * n + j] as number) - factor * (g[i * n + j] as number);
    }
  }
}

/** $R B / \|R B\|$ for each head, $R$ the triangle of one side and $B$ the weights of the other. */
function unitMaps(outer: Side, inner: Side, { count, k, d }: Sizes): UnitMaps {
  const data = new Float64Array(count * k * d);
  kernels().matmul({
    batch: count,
    m: k,
    n: d,
    k,
    a: { data: outer.triangles, offset: 0, rowStride: k, colStride: 1, batchStride: k * k },
    b: { data: inner.weights, offset: 0, rowStride: d, colStride: 1, batchStride: k * d },
    out: { data, offset: 0, rowStride: d, colStride: 1, batchStride: k * d },
  });
  const isZero = Array.from({ length: count }, (_, h) => {
    const map = data.subarray(h * k * d, (h + 1) * k * d);
    let squares = 0;
    for (const x of map) squares += x * x;
    const norm = Math.sqrt(squares);
    if (norm > 0) for (let t = 0; t < map.length; t++) map[t] = (map[t] as number) / norm;
    return norm === 0;
  });
  return { count, data, isZero };
}
