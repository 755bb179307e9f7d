/**
 * Operands in the kernels' memory. Those that live there are used in place; others are copied into a block for the time
 * of a call.
 */
import type { FloatArray, MatrixView } from "../interface.ts";
import { giveBack, isInHeap, takeBlock } from "./memory.ts";
import type { Heap } from "./memory.ts";

/** An address and steps, in bytes. */
export interface Placed {
  readonly address: number;
  readonly batch: number;
  readonly row: number;
  readonly column: number;
}

/** A block for the time of a call. */
export interface Borrowed {
  readonly address: number;
  readonly bytes: number;
}

/** Says that memory is at its end; the call is then computed in TypeScript. */
class HeapFull extends Error {}

/** A block for the time of a call. @throws HeapFull */
export function borrow(heap: Heap, bytes: number, borrowed: Borrowed[]): number {
  const address = takeBlock(heap, bytes);
  if (address === undefined) throw new HeapFull();
  borrowed.push({ address, bytes });
  return address;
}

/** Runs a call on borrowed blocks, which are given back; false where memory is at its end. */
export function withBlocks(heap: Heap, run: (borrowed: Borrowed[]) => void): boolean {
  const borrowed: Borrowed[] = [];
  try {
    run(borrowed);
    return true;
  } catch (error) {
    if (!(error instanceof HeapFull)) throw error;
    return false;
  } finally {
    for (const { address, bytes } of borrowed) giveBack(heap, address, bytes);
  }
}

/** Where a float32 view that lies in the heap does. */
export const inPlace = ({ data, offset, batchStride, rowStride, colStride }: MatrixView): Placed => ({
  address: data.byteOffset + 4 * offset,
  batch: 4 * batchStride,
  row: 4 * rowStride,
  column: 4 * colStride,
});

/** Where a matrix view lies in the heap, copied there if it does not. @throws HeapFull */
export function place(
  heap: Heap,
  view: MatrixView,
  batch: number,
  rows: number,
  cols: number,
  borrowed: Borrowed[],
): Placed {
  const { data, offset, batchStride, rowStride, colStride } = view;
  const bytes = data.BYTES_PER_ELEMENT;
  const inPlace = { batch: bytes * batchStride, row: bytes * rowStride, column: bytes * colStride };
  if (isInHeap(heap, data)) return { address: data.byteOffset + bytes * offset, ...inPlace };
  const matrices = batchStride === 0 ? 1 : batch;
  const reaches = (n: number, stride: number): number => (n - 1) * stride;
  const byBatch = reaches(matrices, batchStride);
  const byRow = reaches(rows, rowStride);
  const byColumn = reaches(cols, colStride);
  const first = offset + Math.min(0, byBatch) + Math.min(0, byRow) + Math.min(0, byColumn);
  const last = offset + Math.max(0, byBatch) + Math.max(0, byRow) + Math.max(0, byColumn);
  const size = matrices * rows * cols;
  if (last - first + 1 <= 1.25 * size) {
    const address = borrow(heap, bytes * (last - first + 1), borrowed);
    numbersOf(heap, bytes).set(data.subarray(first, last + 1), address / bytes);
    return { address: address + bytes * (offset - first), ...inPlace };
  }
  // Borrowed first: memory may grow, and then its numbers are another array.
  const address = borrow(heap, bytes * size, borrowed);
  return copyTo(numbersOf(heap, bytes), address, view, batch, rows, cols);
}

/**
 * Copies a view to an address, in the order in which it lies, so that a column-major operand stays one; `numbers` are
 * all of memory.
 */
export function copyTo(
  numbers: FloatArray,
  address: number,
  { data, offset, batchStride, rowStride, colStride }: MatrixView,
  batch: number,
  rows: number,
  cols: number,
): Placed {
  const bytes = data.BYTES_PER_ELEMENT;
  const matrices = batchStride === 0 ? 1 : batch;
  const size = rows * cols;
  const isByColumns = Math.abs(rowStride) < Math.abs(colStride);
  const lines = isByColumns ? cols : rows;
  const length = isByColumns ? rows : cols;
  const lineStride = isByColumns ? colStride : rowStride;
  const step = isByColumns ? rowStride : colStride;
  let to = address / bytes;
  if (step === 1 && lineStride === length && (matrices === 1 || batchStride === size)) {
    const whole = matrices * size;
    numbers.set(offset === 0 && data.length === whole ? data : data.subarray(offset, offset + whole), to);
  } else {
    for (let t = 0; t < matrices; t++) {
      for (let line = 0; line < lines; line++) {
        copyLine(numbers, to, data, offset + t * batchStride + line * lineStride, step, length);
        to += length;
      }
    }
  }
  const apart = batchStride === 0 ? 0 : bytes * size;
  return isByColumns
    ? { address, batch: apart, row: bytes, column: bytes * rows }
    : { address, batch: apart, row: bytes * cols, column: bytes };
}

/** All of memory, as numbers of 4 or 8 bytes. */
function numbersOf(heap: Heap, bytes: number): FloatArray {
  return bytes === 4 ? heap.floats : new Float64Array(heap.memory.buffer, 0, Math.floor(heap.end / 8));
}

function copyLine(target: FloatArray, to: number, data: FloatArray, from: number, step: number, length: number): void {
  if (step === 1 && length > 16) target.set(data.subarray(from, from + length), to);
  else for (let i = 0; i < length; i++) target[to + i] = data[from + i * step]!;
}
