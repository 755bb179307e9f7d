/**
 * Products that are over in a microsecond or two, of operands outside the memory: copied in without borrowing blocks.
 */
import type { MatmulArgs, MatrixView } from "../interface.ts";
import { copyOut } from "./chunks.ts";
import type { Engine } from "./engine.ts";
import { isInHeap, SPACE, SPACE_BYTES } from "./memory.ts";
import type { Heap } from "./memory.ts";
import { packedInPlace } from "./packed.ts";
import { copyTo, inPlace } from "./place.ts";
import type { Placed } from "./place.ts";
import { runProduct } from "./split.ts";

/**
 * Numbers of both operands and the result at most: the end of the working space, which products leave free
 * (`PRODUCT_BYTES` of assembly/matmul.ts).
 */
const STAGED = 131_072;
const STAGE = SPACE + SPACE_BYTES - 4 * STAGED;

/** Runs a product whose numbers are few; false where they are not. */
export function runStaged(engine: Engine, args: MatmulArgs): boolean {
  const { batch, m, n, k, packed, out } = args;
  if (batch * (m * k + k * n + m * n) > STAGED) return false;
  const { heap } = engine;
  const a = stage(heap, args.a, STAGE, batch, m, k);
  const b =
    packed === undefined ? stage(heap, args.b, STAGE + 4 * batch * m * k, batch, k, n) : packedInPlace(packed, k);
  const isPacked = packed !== undefined;
  if (out.colStride === 1 && isInHeap(heap, out.data)) {
    runProduct(engine, { batch, m, n, k, a, b, c: inPlace(out), accumulate: args.accumulate === true, isPacked });
    return true;
  }
  const address = STAGE + 4 * batch * (m * k + k * n);
  const c = { address, batch: 4 * m * n, row: 4 * n };
  runProduct(engine, { batch, m, n, k, a, b, c, accumulate: false, isPacked });
  copyOut(heap.floats, address / 4, args);
  return true;
}

/** Where an operand lies; copied to `address` if it does not lie in memory. */
function stage(heap: Heap, view: MatrixView, address: number, batch: number, rows: number, cols: number): Placed {
  return isInHeap(heap, view.data) ? inPlace(view) : copyTo(heap.floats, address, view, batch, rows, cols);
}
