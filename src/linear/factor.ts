/**
 * What a linear map is made of: matrices seen through strides, and sums of products of them.
 *
 * A {@link Product} is `coefficient · F1 F2 … Fn` in the order in which row vectors meet the factors,
 * `y = x F1 F2 …`; a product of no factors is the identity. A {@link SumFactor} stands inside a product as one
 * factor, so that `W_E (W_OV + W_OV') W_U` is never expanded and never multiplied out by being written down.
 */
import type { FloatArray, MatrixView } from "../kernels/index.ts";

/**
 * A matrix as a strided view: entry `(i, j)` lies at `offset + i · rowStride + j · colStride` of `data`, so transposing
 * it swaps two numbers.
 * @category Linear maps
 */
export interface MatrixFactor {
  readonly kind: "matrix";
  readonly rows: number;
  readonly cols: number;
  readonly data: FloatArray;
  readonly offset: number;
  readonly rowStride: number;
  readonly colStride: number;
}

/**
 * A sum of products of equal sizes, standing as one factor of a product.
 * @category Linear maps
 */
export interface SumFactor {
  readonly kind: "sum";
  readonly rows: number;
  readonly cols: number;
  readonly terms: readonly Product[];
}

/**
 * One factor of a linear map.
 * @category Linear maps
 */
export type Factor = MatrixFactor | SumFactor;

/**
 * A product of factors times a number; no factors at all are the identity.
 * @category Linear maps
 */
export interface Product {
  readonly rows: number;
  readonly cols: number;
  readonly coefficient: number;
  readonly factors: readonly Factor[];
}

/** A contiguous row-major matrix over the data given. */
export function matrixFactor(rows: number, cols: number, data: FloatArray): MatrixFactor {
  return { kind: "matrix", rows, cols, data, offset: 0, rowStride: cols, colStride: 1 };
}

/**
 * Rows `start, start + step, …` of the n x n identity in O(n) numbers: a single 1 among zeros, read with the column
 * stride 1 and a row stride that steps back, so that entry `(i, j)` reads place `n - 1 + j - (start + i · step)`.
 */
export function identityRows(n: number, count: number, start = 0, step = 1): MatrixFactor {
  const data = new Float64Array(Math.max(0, 2 * n - 1));
  if (n > 0) data[n - 1] = 1;
  return { kind: "matrix", rows: count, cols: n, data, offset: n - 1 - start, rowStride: -step, colStride: 1 };
}

/** The factor seen from its other side. */
export function transposeFactor(factor: Factor): Factor {
  if (factor.kind === "sum") {
    return { kind: "sum", rows: factor.cols, cols: factor.rows, terms: factor.terms.map(transposeProduct) };
  }
  const { rows, cols, rowStride, colStride } = factor;
  return { ...factor, rows: cols, cols: rows, rowStride: colStride, colStride: rowStride };
}

/** $(F_1 F_2 \cdots)^T = \cdots F_2^T F_1^T$. */
export function transposeProduct(product: Product): Product {
  const { rows, cols, coefficient, factors } = product;
  return { rows: cols, cols: rows, coefficient, factors: factors.map(transposeFactor).reverse() };
}

/** Whether two factors are views of the same numbers. */
export function sameFactor(a: Factor, b: Factor): boolean {
  if (a === b) return true;
  if (a.kind === "sum" || b.kind === "sum") return false;
  return (
    a.data === b.data &&
    a.offset === b.offset &&
    a.rows === b.rows &&
    a.cols === b.cols &&
    a.rowStride === b.rowStride &&
    a.colStride === b.colStride
  );
}

/** The narrowest place of a product: no smaller than its rank, and the size of everything computed from it. */
export function widthOf(product: Product): number {
  let width = Math.min(product.rows, product.cols);
  for (const factor of product.factors) {
    width = Math.min(width, factor.rows, factor.cols);
    if (factor.kind === "sum") width = Math.min(width, sumWidth(factor.terms));
  }
  return width;
}

/** The inner size of a sum whose terms stand side by side: the sum of their inner sizes. */
export function sumWidth(terms: readonly Product[]): number {
  return terms.reduce((total, term) => total + widthOf(term), 0);
}

/** A factor as the kernels take it. */
export function viewOf(matrix: MatrixFactor): MatrixView {
  const { data, offset, rowStride, colStride } = matrix;
  return { data, offset, rowStride, colStride, batchStride: 0 };
}

/** The entries of a matrix in row-major order, in float64, times a number; shares the storage where it can. */
export function toFloat64(matrix: MatrixFactor, coefficient = 1): Float64Array {
  const { rows, cols, data, offset, rowStride, colStride } = matrix;
  const size = rows * cols;
  const isRowMajor = rowStride === cols && colStride === 1;
  if (isRowMajor && coefficient === 1 && data instanceof Float64Array) return data.subarray(offset, offset + size);
  const out = new Float64Array(size);
  for (let i = 0, at = 0; i < rows; i++) {
    let from = offset + i * rowStride;
    for (let j = 0; j < cols; j++, from += colStride) out[at++] = coefficient * (data[from] as number);
  }
  return out;
}
