/**
 * Single entries of a product in float64. Sums and their order are those of the streamed rows, so that results agree to
 * the bit.
 */
import { halvesOf } from "../collapse.ts";
import type { Halves, LateHalves } from "../collapse.ts";
import { matrixFactor, toFloat64, transposeFactor } from "../factor.ts";
import type { MatrixFactor, Product } from "../factor.ts";

/** Terms that a kernel sums before it adds them to the rest. */
const DEPTH = 256;

/** Row `i` of one matrix times column `j` of another. */
function entryOfProduct(a: MatrixFactor, b: MatrixFactor, i: number, j: number): number {
  let at = a.offset + i * a.rowStride;
  let from = b.offset + j * b.colStride;
  let total = 0;
  for (let start = 0; start < a.cols; start += DEPTH) {
    const end = Math.min(a.cols, start + DEPTH);
    let sum = 0;
    for (let p = start; p < end; p++, at += a.colStride, from += b.rowStride) {
      sum += (a.data[at] as number) * (b.data[from] as number);
    }
    total += sum;
  }
  return total;
}

/** One entry of the product of a left and a right factor. */
export function entryOfHalves({ left, right }: Halves, row: number, column: number): number {
  return entryOfProduct(left, right, row, column);
}

/** Beyond this number of vectors it is faster to multiply out both factors. */
const MOST_VECTORS = 8192;

/**
 * Entries of a product whose left and right factor are not multiplied out yet. The rows and columns needed are computed
 * one by one; when they become many, all are.
 */
export function lateEntries(
  { left, right, rank }: LateHalves,
  product: Product,
): (row: number, column: number) => number {
  const rows = vectorsOf(left.long, left.small);
  const columns = vectorsOf(transposeFactor(right.long) as MatrixFactor, transposeFactor(right.small) as MatrixFactor);
  return (row, column) => {
    if (rows.count() + columns.count() >= MOST_VECTORS) return entryOfHalves(halvesOf(product), row, column);
    const [a, b] = [matrixFactor(1, rank, rows.at(row)), matrixFactor(rank, 1, columns.at(column))];
    return entryOfProduct(a, b, 0, 0);
  };
}

/** Rows of the product of a long and a small matrix, each computed once. */
interface RowVectors {
  readonly at: (row: number) => Float64Array;
  readonly count: () => number;
}

function vectorsOf(long: MatrixFactor, small: MatrixFactor): RowVectors {
  const made = new Map<number, Float64Array>();
  const row = new Float64Array(long.cols);
  let factor: Float64Array | undefined;
  return {
    at(i) {
      let vector = made.get(i);
      if (vector === undefined) {
        for (let p = 0, at = long.offset + i * long.rowStride; p < row.length; p++, at += long.colStride) {
          row[p] = long.data[at] as number;
        }
        made.set(i, (vector = rowTimes(row, (factor ??= toFloat64(small)), small.cols)));
      }
      return vector;
    },
    count: () => made.size,
  };
}

/** A row times a row-major matrix: each sum in the order of {@link entryOfProduct}, all of them side by side. */
function rowTimes(row: Float64Array, matrix: Float64Array, cols: number): Float64Array {
  const totals = new Float64Array(cols);
  const sums = new Float64Array(cols);
  for (let start = 0; start < row.length; start += DEPTH) {
    const end = Math.min(row.length, start + DEPTH);
    sums.fill(0);
    for (let p = start, at = start * cols; p < end; p++) {
      const x = row[p] as number;
      for (let c = 0; c < cols; c++, at++) sums[c] = (sums[c] as number) + x * (matrix[at] as number);
    }
    for (let c = 0; c < cols; c++) totals[c] = (totals[c] as number) + (sums[c] as number);
  }
  return totals;
}
