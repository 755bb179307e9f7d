/**
 * Norms of products of all pairs of maps where there is no kernel of their own: symmetric matrices a band of rows at a
 * time, by matrix products.
 */
import { checkPairNorms } from "../checks.ts";
import type { FloatArray } from "../interface.ts";
import type { Multiplies } from "./parts.ts";
import { matrix, transposed } from "../view.ts";
import type { PairNormsArgs } from "../weights-interface.ts";

/** Rows of the symmetric matrices in a band. */
const BAND = 48;
/** Maps of the one list that share a product with the other. */
const TOGETHER = 48;

/** {@link WeightKernels.pairNorms}, in memory of a band of all matrices. */
export function pairNormsByBands(parts: Multiplies, args: PairNormsArgs): void {
  checkPairNorms(args);
  const { countA, countB, k, d, a, b, onRows } = args;
  if (countA * countB * k * d === 0) return;
  const isSingle = a instanceof Float32Array && b instanceof Float32Array;
  const numbers = (length: number): FloatArray => (isSingle ? new Float32Array(length) : new Float64Array(length));
  const band = Math.min(BAND, d);
  const S = numbers(countA * band * d);
  const T = numbers(countB * band * d);
  const products = numbers(Math.min(TOGETHER, countA) * countB);
  for (let start = 0; start < d; start += band) {
    const rows = Math.min(band, d - start);
    // On the diagonal, and right of it, where an entry stands for what mirrors it too.
    for (const [first, width, weight] of [
      [start, rows, 1],
      [start + rows, d - start - rows, 2],
    ] as const) {
      fillBand(parts, S, a, countA, k, d, start, rows, first, width);
      fillBand(parts, T, b, countB, k, d, start, rows, first, width);
      addProducts(parts, args, S, T, rows * width, weight, products);
    }
    onRows?.(start + rows);
  }
}

/**
 * Rows `start` to `start + rows` and `width` columns from `first` on of `mᵀ m`, for every map, `[map, rows, width]`.
 */
function fillBand(
  parts: Multiplies,
  into: FloatArray,
  data: FloatArray,
  count: number,
  k: number,
  d: number,
  start: number,
  rows: number,
  first: number,
  width: number,
): void {
  parts.matmul({
    batch: count,
    m: rows,
    n: width,
    k,
    a: transposed(matrix(data, d, k * d, start)),
    b: matrix(data, d, k * d, first),
    out: matrix(into, width, rows * width),
  });
}

/** Adds `weight` times the inner products of rows of `S` and `T`, `size` numbers each. */
function addProducts(
  parts: Multiplies,
  { countA, countB, first, out }: PairNormsArgs,
  S: FloatArray,
  T: FloatArray,
  size: number,
  weight: number,
  products: FloatArray,
): void {
  for (let from = 0; from < countA; from += TOGETHER) {
    const m = Math.min(TOGETHER, countA - from);
    const partner = first[from]!;
    const n = countB - partner;
    parts.matmul({
      batch: 1,
      m,
      n,
      k: size,
      a: matrix(S, size, 0, from * size),
      b: transposed(matrix(T, size, 0, partner * size)),
      out: matrix(products, n),
    });
    for (let i = 0; i < m; i++) {
      const into = (from + i) * countB + partner;
      for (let j = 0; j < n; j++) out[into + j] = out[into + j]! + weight * products[i * n + j]!;
    }
  }
}
