/**
 * Copies operands outside the memory into it one chunk at a time, and results out of it. Chunks divide the batch, the
 * rows and the columns of the result, never a sum.
 */
import type { FloatArray, MatmulArgs, MatrixView } from "../interface.ts";
import { isInHeap } from "./memory.ts";
import type { Heap } from "./memory.ts";

/** Bytes of an operand outside the memory that are copied at once. */
export const CHUNK_BYTES = 16 * 2 ** 20;

const shifted = (view: MatrixView, by: number): MatrixView => ({ ...view, offset: view.offset + by });

/** Halves what is too large to be copied at once, by batch, rows or columns, until it is not. */
export function eachChunk(heap: Heap, args: MatmulArgs, run: (args: MatmulArgs) => void): void {
  const { batch, m, n, k, a, b, out } = args;
  const copies = (view: MatrixView, rows: number, cols: number): number =>
    isInHeap(heap, view.data) ? 0 : view.data.BYTES_PER_ELEMENT * (view.batchStride === 0 ? 1 : batch) * rows * cols;
  const [ofA, ofB, ofC] = [copies(a, m, k), copies(b, k, n), copies(out, m, n)];
  if (Math.max(ofA, ofB, ofC) <= CHUNK_BYTES) {
    run(args);
  } else if (batch > 1) {
    const half = batch >> 1;
    eachChunk(heap, { ...args, batch: half }, run);
    const rest = (view: MatrixView): MatrixView => shifted(view, half * view.batchStride);
    eachChunk(heap, { ...args, batch: batch - half, a: rest(a), b: rest(b), out: rest(out) }, run);
  } else if (ofB > CHUNK_BYTES && n > 8) {
    const half = 8 * Math.ceil(n / 16);
    eachChunk(heap, { ...args, n: half }, run);
    const rest = (view: MatrixView): MatrixView => shifted(view, half * view.colStride);
    eachChunk(heap, { ...args, n: n - half, b: rest(b), out: rest(out) }, run);
  } else if (m > 1) {
    const half = m >> 1;
    eachChunk(heap, { ...args, m: half }, run);
    const rest = (view: MatrixView): MatrixView => shifted(view, half * view.rowStride);
    eachChunk(heap, { ...args, m: m - half, a: rest(a), out: rest(out) }, run);
  } else run(args);
}

/** Copies a result, row after row from `from` on, to where it belongs. */
export function copyOut(
  numbers: FloatArray,
  from: number,
  { batch, m, n, out, accumulate }: Omit<MatmulArgs, "a" | "b" | "k">,
): void {
  const { data, colStride, rowStride, batchStride } = out;
  const isDense = colStride === 1 && accumulate !== true;
  if (isDense && rowStride === n && (batch === 1 || batchStride === m * n)) {
    data.set(numbers.subarray(from, from + batch * m * n), out.offset);
    return;
  }
  for (let t = 0; t < batch; t++) {
    for (let i = 0; i < m; i++, from += n) {
      const to = out.offset + t * batchStride + i * rowStride;
      if (isDense) data.set(numbers.subarray(from, from + n), to);
      else {
        for (let j = 0; j < n; j++) {
          const x = numbers[from + j]!;
          const at = to + j * colStride;
          data[at] = accumulate === true ? data[at]! + x : x;
        }
      }
    }
  }
}
