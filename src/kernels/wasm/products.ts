/**
 * Matrix products in WebAssembly: those of float32; products with a float64 operand are those of doubles.ts.
 */
import { foldBatch, matmul } from "../plain/blocked-matmul.ts";
import { checkMatmul } from "../checks.ts";
import type { MatmulArgs, MatrixView } from "../interface.ts";
import { copyOut, eachChunk } from "./chunks.ts";
import { multiplyDoubles } from "./doubles.ts";
import type { Engine } from "./engine.ts";
import { isInHeap } from "./memory.ts";
import { borrow, inPlace, place, withBlocks } from "./place.ts";
import { packedInPlace } from "./packed.ts";
import { runProduct } from "./split.ts";
import { runStaged } from "./staged.ts";

const isFloat32 = (view: MatrixView): boolean => view.data instanceof Float32Array;

/** {@link Kernels.matmul}. */
export function multiply(engine: Engine, given: MatmulArgs): void {
  // Whatever the size: the numbers of a prompt must not depend on how many others are computed with it.
  if (!(isFloat32(given.a) && isFloat32(given.b) && isFloat32(given.out))) {
    multiplyDoubles(engine, given);
    return;
  }
  checkMatmul(given);
  if (given.batch * given.m * given.n === 0) return;
  const args = foldBatch(given);
  if (runInPlace(engine, args) || runStaged(engine, args)) return;
  eachChunk(engine.heap, args, (chunk) => multiplyChunk(engine, chunk));
}

/** Runs a product all of which lives in memory; false where something does not. */
function runInPlace(engine: Engine, { batch, m, n, k, a, b, packed, out, accumulate }: MatmulArgs): boolean {
  const { heap } = engine;
  if (!(out.colStride === 1 && isInHeap(heap, a.data) && isInHeap(heap, b.data) && isInHeap(heap, out.data))) {
    return false;
  }
  const right = packed === undefined ? inPlace(b) : packedInPlace(packed, k);
  const operands = { a: inPlace(a), b: right, c: inPlace(out) };
  runProduct(engine, { batch, m, n, k, ...operands, accumulate: accumulate === true, isPacked: packed !== undefined });
  return true;
}

/** Runs a chunk, in TypeScript where memory is at its end; nothing of it has been written by then. */
function multiplyChunk(engine: Engine, args: MatmulArgs): void {
  const { heap } = engine;
  const { batch, m, n, k, out } = args;
  const isDone = withBlocks(heap, (borrowed) => {
    const a = place(heap, args.a, batch, m, k, borrowed);
    const b = place(heap, args.b, batch, k, n, borrowed);
    if (out.colStride === 1 && isInHeap(heap, out.data)) {
      runProduct(engine, { batch, m, n, k, a, b, c: inPlace(out), accumulate: args.accumulate === true });
      return;
    }
    const address = borrow(heap, 4 * batch * m * n, borrowed);
    const c = { address, batch: 4 * m * n, row: 4 * n };
    runProduct(engine, { batch, m, n, k, a, b, c, accumulate: false });
    copyOut(heap.floats, address / 4, args);
  });
  if (!isDone) matmul(args);
}
