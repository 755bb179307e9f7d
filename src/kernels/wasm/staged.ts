/** Small products of operands outside the memory, which are over in a microsecond or two: copied without taking blocks and giving them back. */
import type { MatmulArgs, MatrixView } from "../interface.ts";
import { copyOut } from "./chunks.ts";
import type { Engine } from "./engine.ts";
import { isInHeap, SPACE, SPACE_BYTES } from "./memory.ts";
import type { Heap } from "./memory.ts";
import { inPlace } from "./place.ts";
import type { Placed } from "./place.ts";
import { runProduct } from "./split.ts";

/** Numbers of both operands and the result at most: the end of the working space, which products leave free (`PRODUCT_BYTES` of assembly/matmul.ts). */
const STAGED = 131_072;
const STAGE = SPACE + SPACE_BYTES - 4 * STAGED;

/** Runs a product whose numbers are few; false where they are not. */
export function runStaged(engine: Engine, args: MatmulArgs): boolean {
  const { batch, m, n, k, out } = args;
  if (batch * (m * k + k * n + m * n) > STAGED) return false;
  const { heap } = engine;
  const a = stage(heap, args.a, STAGE, batch, m, k);
  const b = stage(heap, args.b, STAGE + 4 * batch * m * k, batch, k, n);
  if (out.colStride === 1 && isInHeap(heap, out.data)) {
    runProduct(engine, { batch, m, n, k, a, b, c: inPlace(out), accumulate: args.accumulate === true });
    return true;
  }
  const address = STAGE + 4 * batch * (m * k + k * n);
  const c = { address, batch: 4 * m * n, row: 4 * n };
  runProduct(engine, { batch, m, n, k, a, b, c, accumulate: false });
  copyOut(heap.floats, address / 4, args);
  return true;
}

/** Where an operand lies; copied to `address` if it does not lie in memory. */
function stage(heap: Heap, view: MatrixView, address: number, batch: number, rows: number, cols: number): Placed {
  const { data, offset, batchStride, rowStride, colStride } = view;
  if (isInHeap(heap, data)) return inPlace(view);
  const matrices = batchStride === 0 ? 1 : batch;
  const size = rows * cols;
  // Copied in the order in which it lies, so that a column-major operand stays one.
  const isByColumns = Math.abs(rowStride) < Math.abs(colStride);
  const lines = isByColumns ? cols : rows;
  const length = isByColumns ? rows : cols;
  const lineStride = isByColumns ? colStride : rowStride;
  const step = isByColumns ? rowStride : colStride;
  const { floats } = heap;
  let to = address / 4;
  if (step === 1 && lineStride === length && (matrices === 1 || batchStride === size)) {
    const whole = matrices * size;
    floats.set(offset === 0 && data.length === whole ? data : data.subarray(offset, offset + whole), to);
  } else {
    for (let t = 0; t < matrices; t++) {
      for (let line = 0; line < lines; line++) {
        let from = offset + t * batchStride + line * lineStride;
        for (let i = 0; i < length; i++, from += step) floats[to++] = data[from]!;
      }
    }
  }
  const apart = batchStride === 0 ? 0 : 4 * size;
  return isByColumns
    ? { address, batch: apart, row: 4, column: 4 * rows }
    : { address, batch: apart, row: 4 * cols, column: 4 };
}
