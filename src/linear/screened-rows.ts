/** What searches through screened rows share: entries in float64, rows computed whole, bands, and progress. */
import type { Halves } from "./collapse.ts";
import { gatherRows } from "./slices.ts";
import { streamHalves, type StreamOptions } from "./stream.ts";

/** Below these sizes all entries are computed sooner than anything is made ready. */
const LEAST_ROWS = 256;
const LEAST_COLUMNS = 256;

/** Whether a product is large enough for bounds to be worth it. */
export function isWorthScreening({ left, right }: Halves): boolean {
  return left.rows >= LEAST_ROWS && right.cols >= LEAST_COLUMNS;
}

/** Terms that a kernel sums before it adds them to the rest. */
const DEPTH = 256;

/** One entry, in float64: the same sum, in the same order, as that of a band of the product. */
export function entryOfHalves({ left, right, rank }: Halves, row: number, column: number): number {
  let a = left.offset + row * left.rowStride;
  let b = right.offset + column * right.colStride;
  let total = 0;
  for (let start = 0; start < rank; start += DEPTH) {
    const end = Math.min(rank, start + DEPTH);
    let sum = 0;
    for (let p = start; p < end; p++, a += left.colStride, b += right.rowStride) {
      sum += (left.data[a] as number) * (right.data[b] as number);
    }
    total += sum;
  }
  return total;
}

/** Fewer rows than this take another path through the kernels, which sums in another order. */
const LEAST_TOGETHER = 4;

/** Computes some rows whole, in float64, and shows each. */
export function forEachWholeRow(
  halves: Halves,
  rows: readonly number[],
  signal: AbortSignal | undefined,
  visit: (numbers: Float64Array, at: number) => void,
): void {
  if (rows.length === 0) return;
  const padded = [...rows];
  while (padded.length % LEAST_TOGETHER !== 0) padded.push(rows[0] as number);
  const height = Math.max(LEAST_TOGETHER, Math.floor(BAND_ENTRIES / Math.max(1, halves.right.cols)) & ~3);
  for (let first = 0; first < padded.length; first += height) {
    const some = padded.slice(first, first + height);
    const part = { ...halves, left: gatherRows(halves.left, some) };
    streamHalves(part, { signal }, ({ numbers, cols, start, count }) => {
      for (let i = 0; i < count; i++) {
        const at = first + start + i;
        if (at < rows.length) visit(numbers.subarray(i * cols, (i + 1) * cols), at);
      }
    });
  }
}

/** 8 MiB of float64. */
const BAND_ENTRIES = 2 ** 20;

/** Counts rows that are settled, reports them, and stops the work when asked to. */
export class Settled {
  readonly #options: StreamOptions;
  readonly #total: number;
  #done = 0;

  constructor(options: StreamOptions, total: number) {
    this.#options = options;
    this.#total = total;
  }

  /** So many more rows are settled. */
  add(count: number): void {
    this.#done += count;
    if (count > 0) this.#options.onProgress?.(this.#done, this.#total);
    this.#options.signal?.throwIfAborted();
  }
}
