/**
 * Matrix products in WebAssembly: those of float32; products with a float64 operand are those of doubles.ts.
 */
import { foldBatch, matmul } from "../plain/blocked-matmul.ts";
import { checkMatmul, checkRowRank, checkRowTop } from "../checks.ts";
import type { MatmulArgs, MatrixView } from "../interface.ts";
import { rowRankByParts, rowTopByParts } from "../plain/parts.ts";
import type { Multiplies } from "../plain/parts.ts";
import type { RowRankArgs, RowScreenArgs, RowTopArgs } from "../weights-interface.ts";
import { copyOut, eachChunk } from "./chunks.ts";
import { multiplyDoubles } from "./doubles.ts";
import type { Engine } from "./engine.ts";
import { isInHeap } from "./memory.ts";
import { borrow, inPlace, place, withBlocks } from "./place.ts";
import type { Borrowed } from "./place.ts";
import { packedInPlace } from "./packed.ts";
import { runProduct, runRanges } from "./split.ts";
import { runStaged } from "./staged.ts";
import type { WeightEngine } from "./weights-engine.ts";

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

/** Addresses of what a question to rows of a product is about, and of its answers. */
interface RowQuestion {
  readonly top: number;
  readonly values: number;
  readonly indices: number;
  readonly bars: number;
  readonly targets: number;
  readonly counts: number;
}

/** `a` with its entries side by side, as the tiles read it. */
export function rowMajor(view: MatrixView, m: number, k: number): MatrixView {
  if (view.colStride === 1) return view;
  const data = new Float32Array(m * k);
  for (let i = 0; i < m; i++) {
    for (let p = 0; p < k; p++) data[i * k + p] = view.data[view.offset + i * view.rowStride + p * view.colStride]!;
  }
  return { data, offset: 0, rowStride: k, colStride: 1, batchStride: 0 };
}

function askRows(
  engine: WeightEngine,
  args: RowTopArgs | RowRankArgs,
  question: RowQuestion,
  borrowed: Borrowed[],
): void {
  const { m, n, k } = args;
  const a = place(engine.heap, rowMajor(args.a, m, k), 1, m, k, borrowed);
  const b = place(engine.heap, args.b, 1, k, n, borrowed);
  const { top, values, indices, bars, targets, counts } = question;
  runRanges(engine, "rankedProduct", m, 24, m * n * k, (i, count) => [
    ...[count, n, k, a.address + i * a.row, a.row, b.address, b.row, b.column],
    ...[top, values + 4 * i * top, indices + 4 * i * top, bars + 4 * i, targets + 4 * i, counts + 4 * i],
  ]);
}

/** The deepest product of which 8 columns fit packed into a thread's working space; see `B_BYTES` of assembly/matmul.ts. */
const DEEPEST = 65_536;

/** Whether a question to rows of this size is one for the WebAssembly kernels. */
export const isForRows = (args: RowTopArgs | RowRankArgs | RowScreenArgs): boolean =>
  args.m * args.n * args.k > 0 && args.k <= DEEPEST && isFloat32(args.a) && isFloat32(args.b);

/** {@link WeightKernels.rowTop}. */
export function rowTop(engine: WeightEngine, parts: Multiplies, args: RowTopArgs): void {
  checkRowTop(args);
  const { heap } = engine;
  const { m, top } = args;
  const isDone =
    isForRows(args) &&
    withBlocks(heap, (borrowed) => {
      const values = borrow(heap, 4 * m * top, borrowed);
      const indices = borrow(heap, 4 * m * top, borrowed);
      heap.floats.fill(-Infinity, values / 4, values / 4 + m * top);
      heap.ints.fill(-1, indices / 4, indices / 4 + m * top);
      askRows(engine, args, { top, values, indices, bars: 0, targets: 0, counts: 0 }, borrowed);
      args.values.set(heap.floats.subarray(values / 4, values / 4 + m * top));
      args.indices.set(heap.ints.subarray(indices / 4, indices / 4 + m * top));
    });
  if (!isDone) rowTopByParts(parts, args);
}

/** {@link WeightKernels.rowRank}. */
export function rowRank(engine: WeightEngine, parts: Multiplies, args: RowRankArgs): void {
  checkRowRank(args);
  const { heap } = engine;
  const { m } = args;
  const isDone =
    isForRows(args) &&
    withBlocks(heap, (borrowed) => {
      const [bars, targets, counts] = [0, 1, 2].map(() => borrow(heap, 4 * m, borrowed)) as [number, number, number];
      heap.ints.set(args.targets.subarray(0, m), targets / 4);
      heap.ints.fill(0, counts / 4, counts / 4 + m);
      askRows(engine, args, { top: 0, values: 0, indices: 0, bars, targets, counts }, borrowed);
      args.ranks.set(heap.ints.subarray(counts / 4, counts / 4 + m));
    });
  if (!isDone) rowRankByParts(parts, args);
}
