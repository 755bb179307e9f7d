/** Shared by the searches: whether bounds are worth it, and rows computed whole. */
import type { Halves } from "../collapse.ts";
import type { Product } from "../factor.ts";
import { gatherRows } from "../slices.ts";
import { streamHalves } from "../stream.ts";

/** Below these sizes it is faster to compute all entries. */
const LEAST_ROWS = 256;
const LEAST_COLUMNS = 256;

/** Whether a product is large enough for bounds to be worth it. */
export function isWorthScreening({ rows, cols }: Product): boolean {
  return rows >= LEAST_ROWS && cols >= LEAST_COLUMNS;
}

/** Kernels sum fewer rows than this in another order. */
const LEAST_TOGETHER = 4;

/** Computes some rows whole, in float64, and hands each to `visit`. */
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
