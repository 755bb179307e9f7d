/** Products summed in float64, of operands in float32 or float64, and Gram matrices of either kind. */
import { foldBatch, gram as gramOfMatmul, matmul } from "../plain/blocked-matmul.ts";
import { checkGram, checkMatmul } from "../checks.ts";
import type { MatmulArgs, MatrixView } from "../interface.ts";
import type { GramArgs } from "../weights-interface.ts";
import { CHUNK_BYTES, copyOut, eachChunk } from "./chunks.ts";
import type { Engine } from "./engine.ts";
import { isInHeap } from "./memory.ts";
import type { Heap } from "./memory.ts";
import { borrow, place, withBlocks } from "./place.ts";
import type { Borrowed, Placed } from "./place.ts";
import { runGram, runProduct } from "./split.ts";
import type { WeightEngine } from "./weights-engine.ts";

const sizeOf = (view: MatrixView): number => view.data.BYTES_PER_ELEMENT;

/** {@link Kernels.matmul} where a number is float64. */
export function multiplyDoubles(engine: Engine, given: MatmulArgs): void {
  checkMatmul(given);
  if (given.batch * given.m * given.n === 0) return;
  if (given.k === 0) matmul(given);
  else eachChunk(engine.heap, foldBatch(given), (args) => multiplyChunk(engine, args));
}

/** Runs a chunk, in TypeScript where memory is at its end; nothing of it has been written by then. */
function multiplyChunk(engine: Engine, args: MatmulArgs): void {
  const { heap } = engine;
  const { batch, m, n, k } = args;
  const sizes = [sizeOf(args.a), sizeOf(args.b)] as const;
  const isDone = withBlocks(heap, (borrowed) => {
    const a = place(heap, args.a, batch, m, k, borrowed);
    const b = place(heap, args.b, batch, k, n, borrowed);
    const product = { batch, m, n, k, a, b, sizes };
    writeTo(heap, { ...args, size: 8 }, borrowed, (c, accumulate) => runProduct(engine, { ...product, c, accumulate }));
  });
  if (!isDone) matmul(args);
}

interface Result {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly out: MatrixView;
  readonly accumulate?: boolean;
  /** The bytes of a sum. */
  readonly size: number;
}

/** Has a result written to where it belongs, or into a block and copied there. */
function writeTo(
  heap: Heap,
  { size, ...result }: Result,
  borrowed: Borrowed[],
  run: (c: Omit<Placed, "column">, accumulate: boolean) => void,
): void {
  const { batch, m, n, out, accumulate = false } = result;
  if (sizeOf(out) === size && out.colStride === 1 && isInHeap(heap, out.data)) {
    const address = out.data.byteOffset + size * out.offset;
    run({ address, batch: size * out.batchStride, row: size * out.rowStride }, accumulate);
    return;
  }
  const count = batch * m * n;
  const address = borrow(heap, size * count, borrowed);
  run({ address, batch: size * m * n, row: size * n }, false);
  const { buffer } = heap.memory;
  copyOut(size === 8 ? new Float64Array(buffer, address, count) : new Float32Array(buffer, address, count), 0, result);
}

/** {@link WeightKernels.gram}. */
export function gram(engine: WeightEngine, given: GramArgs): void {
  checkGram(given);
  const { batch, m, k, a, out } = given;
  if (batch * m === 0) return;
  const perChunk = k === 0 ? batch : Math.max(1, Math.floor(CHUNK_BYTES / (m * Math.max(k, m) * sizeOf(a))));
  for (let first = 0; first < batch; first += perChunk) {
    const part = (view: MatrixView): MatrixView => ({ ...view, offset: view.offset + first * view.batchStride });
    gramChunk(engine, { batch: Math.min(perChunk, batch - first), m, k, a: part(a), out: part(out) });
  }
}

function gramChunk(engine: WeightEngine, args: GramArgs): void {
  const { heap } = engine;
  const { batch, m, k, out } = args;
  const size = Math.max(sizeOf(args.a), sizeOf(out));
  const isDone =
    k > 0 &&
    withBlocks(heap, (borrowed) => {
      const a = place(heap, args.a, batch, m, k, borrowed);
      writeTo(heap, { batch, m, n: m, out, size }, borrowed, (c) =>
        runGram(engine, { batch, m, k, a, c, sizes: [sizeOf(args.a), size] }),
      );
    });
  if (!isDone) gramOfMatmul(args);
}
