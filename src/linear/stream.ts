/** Goes through the rows of a map in bounded memory: bands of whole rows are computed, shown and forgotten. */
import { InputError } from "../errors.ts";
import type { ProgressOptions } from "../progress.ts";
import { multiplyInto } from "./chain.ts";
import { cheapest, halvesOf } from "./collapse.ts";
import type { Halves } from "./collapse.ts";
import type { MatrixFactor, Product } from "./factor.ts";
import type { Linear } from "./linear.ts";
import { checkIds, rowsOfProduct } from "./slices.ts";

/**
 * Options of the functions that go through a map row by row.
 * @category Linear maps
 */
export interface StreamOptions extends ProgressOptions {
  /** The rows to go through, in this order; all of them when left out. */
  readonly rows?: ArrayLike<number> | undefined;
}

/** Consecutive whole rows: row `i` of the band is entries `i * cols` to `(i + 1) * cols - 1` of `numbers`. */
export interface Band {
  readonly numbers: Float64Array;
  readonly cols: number;
  /** The place of the band's first row among the rows asked for. */
  readonly start: number;
  readonly count: number;
}

/** 8 MiB of float64, whatever the sizes of the map. */
const BAND_ENTRIES = 2 ** 20;

/**
 * Computes the rows asked for, a band at a time, from the left and right factor of the map. Memory: the factors,
 * `r (rows + cols)` numbers, and one band of 2^20 numbers or one row, whichever is more.
 */
export function streamRows(f: Linear, options: StreamOptions, operation: string, visit: (band: Band) => void): void {
  const { rows: ids, signal } = options;
  if (ids !== undefined) checkIds(f, ids, "row", operation);
  signal?.throwIfAborted();
  streamHalves(halvesOf(askedProduct(f, options)), options, visit);
}

/** The product of the rows asked for. */
export function askedProduct(f: Linear, { rows }: StreamOptions): Product {
  return rows === undefined ? f : rowsOfProduct(cheapest(f), rows);
}

/** {@link streamRows} of a left and a right factor. */
export function streamHalves(
  { left, right }: Halves,
  { signal, onProgress }: Omit<StreamOptions, "rows">,
  visit: (band: Band) => void,
): void {
  const { rows: total } = left;
  const { cols } = right;
  const height = Math.max(1, Math.min(total, Math.floor(BAND_ENTRIES / Math.max(1, cols))));
  const storage = new Float64Array(height * cols);
  // A product with the identity would make NaN of infinities, which have their order: 0 · ∞.
  const single = isIdentity(right) ? left : isIdentity(left) ? right : undefined;
  for (let start = 0; start < total; start += height) {
    const count = Math.min(height, total - start);
    const numbers = storage.subarray(0, count * cols);
    if (single === undefined) {
      const block: MatrixFactor = { ...left, rows: count, offset: left.offset + start * left.rowStride };
      multiplyInto(numbers, block, right, false);
    } else copyRows(numbers, single, start);
    visit({ numbers, cols, start, count });
    onProgress?.(start + count, total);
    signal?.throwIfAborted();
  }
}

function isIdentity({ rows, cols, data, offset, rowStride, colStride }: MatrixFactor): boolean {
  if (rows !== cols) return false;
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) {
      if (data[offset + i * rowStride + j * colStride] !== (i === j ? 1 : 0)) return false;
    }
  }
  return true;
}

/** Rows of a matrix from one on, as many as there is room for. */
function copyRows(to: Float64Array, { cols, data, offset, rowStride, colStride }: MatrixFactor, start: number): void {
  for (let t = 0, i = start; t < to.length; i++) {
    for (let j = 0; j < cols; j++) to[t++] = data[offset + i * rowStride + j * colStride] as number;
  }
}

/** How many rows {@link streamRows} goes through. */
export function countOf(f: Linear, options: StreamOptions): number {
  return options.rows === undefined ? f.rows : options.rows.length;
}

/** Rejects a `k` that is not a positive integer. */
export function checkK(k: number, operation: string): void {
  if (!Number.isSafeInteger(k) || k < 1) {
    throw new InputError(`k is ${k}; ask for a positive whole number of entries.`, {
      operation,
      argument: "k",
      expected: "a positive integer",
      actual: k,
    });
  }
}
