/**
 * Heads' maps collapsed for composition: $W_{OV} = W_V W_O$ enters a score only through lengths, so that $W_V$ may be replaced
 * by any $R$, d_head x d_head, with $R^\top R = W_V^\top W_V$: then $\|W_V W_O X\| = \|R W_O X\|$ for every $X$. The other outer factors likewise.
 *
 * Numbers are float32 where the weights are, sums of squares float64.
 */
import { kernels } from "../kernels/index.ts";
import type { FloatArray, MatrixView } from "../kernels/index.ts";
import type { AttentionLayer } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { foldedReader } from "./norm-folding.ts";
import type { ReaderName } from "./norm-folding.ts";

/** Matrices of one kind of all heads of a layer, each scaled to norm 1 (or zero). */
export interface UnitMaps {
  readonly count: number;
  /** `[head, d_head, d_model]` */
  readonly data: FloatArray;
  readonly isZero: readonly boolean[];
}

/** What later heads read. */
export interface Readers {
  /** $R W_Q^\top$ with $R^\top R = W_K^\top W_K$: what queries read. */
  readonly Q: UnitMaps;
  /** $R W_K^\top$ with $R^\top R = W_Q^\top W_Q$: what keys read. */
  readonly K: UnitMaps;
  /** $R W_V^\top$ with $R^\top R = W_O W_O^\top$: what values read. */
  readonly V: UnitMaps;
}

/** A scaled weight of all heads, seen as `[head, d_head, d_model]`. */
type Side = MatrixView;

interface Sizes {
  readonly count: number;
  readonly k: number;
  readonly d: number;
}

/**
 * How norms enter: not at all, or folded into the weights that read through them and taken out of those that write.
 * @inline
 */
export type NormsInScores = "raw" | "folded";

/** $R W_O$ with $R^\top R = W_V^\top W_V$ for every head of a layer: what it writes. */
export function writersOf(layer: AttentionLayer, norms: NormsInScores): UnitMaps {
  const sizes = sizesOf(layer);
  const V = sideOf(readerOf(layer, "W_V", norms), sizes);
  return unitMaps(rootsOf(V, sizes), sideOf(writtenOf(layer, norms), sizes), sizes);
}

/** What the queries, keys and values of every head of a layer read. */
export function readersOf(layer: AttentionLayer, norms: NormsInScores): Readers {
  const sizes = sizesOf(layer);
  const side = (name: ReaderName): Side => sideOf(readerOf(layer, name, norms), sizes);
  const [Q, K] = [side("W_Q"), side("W_K")];
  const O = sideOf(writtenOf(layer, norms), sizes);
  return {
    Q: unitMaps(rootsOf(K, sizes), Q, sizes),
    K: unitMaps(rootsOf(Q, sizes), K, sizes),
    V: unitMaps(rootsOf(O, sizes), side("W_V"), sizes),
  };
}

function sizesOf({ W_O }: AttentionLayer): Sizes {
  const [count = 0, k = 0, d = 0] = W_O.shape;
  return { count, k, d };
}

function readerOf(layer: AttentionLayer, name: ReaderName, norms: NormsInScores): Tensor<"head d_model d_head"> {
  return norms === "folded" ? foldedReader(layer, name) : layer[name];
}

/** The heads of a layer whose $W_{OV}$ (or $W_{QK}$) is zero, by one row of each product where that settles it. */
export function zeroHeadsOf(layer: AttentionLayer, circuit: "W_OV" | "W_QK", norms: NormsInScores): readonly number[] {
  const isQK = circuit === "W_QK";
  const left = readerOf(layer, isQK ? "W_Q" : "W_V", norms);
  const right = isQK ? readerOf(layer, "W_K", norms) : writtenOf(layer, norms);
  const [, d = 0, k = 0] = left.shape;
  const [A, B] = [left.data, right.data];
  const isTurned = right.names[1] === "d_head";
  const isSettled = layer.heads.every(({ head }) => {
    // One row of the product, which is nothing but zeros for hardly any head that is not zero.
    const row = (head * d + (d >> 1)) * k;
    for (let j = 0; j < d; j++) {
      let sum = 0;
      for (let e = 0; e < k; e++) {
        sum += (A[row + e] as number) * (B[head * d * k + (isTurned ? e * d + j : j * k + e)] as number);
      }
      if (sum !== 0 && Number.isFinite(sum)) return true;
    }
    return false;
  });
  if (isSettled) return [];
  const maps = isQK ? readersOf(layer, norms).Q : writersOf(layer, norms);
  return maps.isZero.flatMap((zero, head) => (zero ? [head] : []));
}

/** $W_O$, its rows centred where the layer's norm takes the mean out: no head reads it. */
function writtenOf({ W_O, ln1 }: AttentionLayer, norms: NormsInScores): Tensor<"head d_head d_model"> {
  if (norms === "raw" || ln1?.centers !== true) return W_O;
  const d = W_O.sizeOf("d_model");
  const data = W_O.data.slice() as FloatArray;
  for (let start = 0; start < data.length; start += d) {
    const row = data.subarray(start, start + d);
    let mean = 0;
    for (const x of row) mean += x / d;
    for (let i = 0; i < d; i++) row[i] = (row[i] as number) - mean;
  }
  return Tensor.from(W_O.axes, W_O.shape, data);
}

function like(data: FloatArray, size: number): FloatArray {
  return data instanceof Float64Array ? new Float64Array(size) : new Float32Array(size);
}

/** A weight whose squares neither overflow nor vanish: a copy with its heads scaled where they would. A scale does not enter a score. */
function sideOf(weight: Tensor<"head d_model d_head"> | Tensor<"head d_head d_model">, { count, k, d }: Sizes): Side {
  let data = weight.data as FloatArray;
  const each = k * d;
  const sizes = Array.from({ length: count }, (_, h) => largestOf(data, h * each, (h + 1) * each));
  if (sizes.some((size) => size !== 0 && !(size > 1e-6 && size < 1e6))) {
    data = data.slice();
    for (const [h, size] of sizes.entries()) {
      for (let t = h * each; size > 0 && t < (h + 1) * each; t++) data[t] = (data[t] as number) / size;
    }
  }
  const [rowStride, colStride] = weight.names[1] === "d_model" ? [1, k] : [d, 1];
  return { data, offset: 0, rowStride, colStride, batchStride: k * d };
}

function largestOf(numbers: FloatArray, start: number, end: number): number {
  let largest = 0;
  for (let t = start; t < end; t++) {
    const size = Math.abs(numbers[t] as number);
    if (size > largest) largest = size;
  }
  return largest;
}

/** Roots of the Gram matrices of a weight, `[head, d_head, d_head]`. */
function rootsOf(side: Side, { count, k, d }: Sizes): FloatArray {
  const grams = like(side.data, count * k * k);
  kernels().matmul({
    batch: count,
    m: k,
    n: k,
    k: d,
    a: side,
    b: { ...side, rowStride: side.colStride, colStride: side.rowStride },
    out: { data: grams, offset: 0, rowStride: k, colStride: 1, batchStride: k * k },
  });
  for (let h = 0; h < count; h++) rootOf(grams.subarray(h * k * k, (h + 1) * k * k), k);
  return grams;
}

/**
 * A root $R$ of a Gram matrix, $R^\top R = G$ up to roundings of $G$, in its place: Cholesky's factorisation, the largest pivot left taken
 * each time and columns where they are, until what is left is rounding of the largest. Pivots of rounding alone would be divided by.
 */
function rootOf(gram: FloatArray, n: number): void {
  const g = Float64Array.from(gram);
  gram.fill(0);
  const unit = gram instanceof Float64Array ? 2 ** -53 : 2 ** -24;
  const row = new Float64Array(n);
  const left = Array.from({ length: n }, (_, i) => i);
  let least = 0;
  for (let step = 0; step < n; step++) {
    let place = 0;
    for (const [p, i] of left.entries()) {
      if ((g[i * n + i] as number) > (g[(left[place] as number) * (n + 1)] as number)) place = p;
    }
    const at = left[place] as number;
    const pivot = g[at * n + at] as number;
    if (step === 0) least = 8 * unit * pivot;
    if (!(pivot > least)) return;
    const inverse = 1 / Math.sqrt(pivot);
    row.fill(0);
    // The upper half is kept up to date, the row read through it.
    for (const j of left) row[j] = inverse * (g[j < at ? j * n + at : at * n + j] as number);
    left.splice(place, 1);
    for (const i of left) {
      const factor = row[i] as number;
      const start = i * n;
      for (let j = i; j < n; j++) g[start + j] = (g[start + j] as number) - factor * (row[j] as number);
    }
    gram.set(row, step * n);
  }
}

/** $R B / \|R B\|$ for each head, $R$ the root of one side and $B$ the weights of the other. */
function unitMaps(roots: FloatArray, inner: Side, { count, k, d }: Sizes): UnitMaps {
  const data = like(roots instanceof Float64Array ? roots : inner.data, count * k * d);
  kernels().matmul({
    batch: count,
    m: k,
    n: d,
    k,
    a: { data: roots, offset: 0, rowStride: k, colStride: 1, batchStride: k * k },
    b: inner,
    out: { data, offset: 0, rowStride: d, colStride: 1, batchStride: k * d },
  });
  const isZero = Array.from({ length: count }, (_, h) => {
    const map = data.subarray(h * k * d, (h + 1) * k * d);
    let squares = 0;
    for (let t = 0; t < map.length; t++) squares += (map[t] as number) * (map[t] as number);
    const norm = Math.sqrt(squares);
    const inverse = 1 / norm;
    if (norm > 0) for (let t = 0; t < map.length; t++) map[t] = (map[t] as number) * inverse;
    return norm === 0;
  });
  return { count, data, isZero };
}
