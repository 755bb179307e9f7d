/** Single entries of a product, in float64: the same sums, in the same order, as those of bands of its halves. */
import { halvesOf } from "./collapse.ts";
import type { Halves, LateHalves } from "./collapse.ts";
import { matrixFactor } from "./factor.ts";
import type { MatrixFactor, Product } from "./factor.ts";

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

/** One entry from the halves. */
export function entryOfHalves({ left, right }: Halves, row: number, column: number): number {
  return entryOfProduct(left, right, row, column);
}

/** So many vectors are made one at a time before all of them are made at once, which is then sooner. */
const MOST_VECTORS = 4096;

/** Entries from halves that are not multiplied out: rows and columns are made as they are asked for, or all where they are many. */
export function lateEntries(
  { left, right, rank }: LateHalves,
  product: Product,
): (row: number, column: number) => number {
  const rows = new Map<number, Float64Array>();
  const columns = new Map<number, Float64Array>();
  const made = (from: Map<number, Float64Array>, at: number, make: (c: number) => number): Float64Array => {
    let vector = from.get(at);
    if (vector === undefined) from.set(at, (vector = Float64Array.from({ length: rank }, (_, c) => make(c))));
    return vector;
  };
  return (row, column) => {
    if (rows.size + columns.size >= MOST_VECTORS) return entryOfHalves(halvesOf(product), row, column);
    const a = made(rows, row, (c) => entryOfProduct(left.long, left.small, row, c));
    const b = made(columns, column, (c) => entryOfProduct(right.small, right.long, c, column));
    return entryOfProduct(matrixFactor(1, rank, a), matrixFactor(rank, 1, b), 0, 0);
  };
}
