/**
 * Norms of products of all pairs of float32 maps, roots of Gram matrices and sums of squares, in WebAssembly; see
 * assembly/pairs.ts and assembly/roots.ts.
 */
import { checkBlockSquares, checkPairNorms, checkRoots } from "../checks.ts";
import { matrix } from "../view.ts";
import type { BlockSquaresArgs, PairNormsArgs, RootsArgs } from "../weights-interface.ts";
import { pairNormsByBands } from "../plain/pair-norms.ts";
import type { Multiplies } from "../plain/parts.ts";
import { blockSquares as squaresInTypeScript, triangularRoots as rootsInTypeScript } from "../weights-reference.ts";
import { runJob, runJobs, threadCount } from "./jobs.ts";
import type { Job } from "./jobs.ts";
import { isInHeap, MOST_JOBS, SPACE, SPACE_BYTES } from "./memory.ts";
import { borrow, place, withBlocks } from "./place.ts";
import { isShared } from "./split.ts";
import type { WeightEngine } from "./weights-engine.ts";

/** The edge of a tile: smaller ones read more often what lies in main memory, larger ones leave the cache. */
const EDGE = 48;
/** Bands of tiles that threads share at a time, at most, and the bytes of their tiles. */
const TOGETHER = 16;
const TOGETHER_BYTES = 48 * 2 ** 20;

/** {@link WeightKernels.pairNorms}. */
export function pairNorms(engine: WeightEngine, parts: Multiplies, args: PairNormsArgs): void {
  checkPairNorms(args);
  const { k, d, a, b } = args;
  const isSingle = a instanceof Float32Array && b instanceof Float32Array;
  const isDone = isSingle && k * d > 0 && withBlocks(engine.heap, (borrowed) => run(engine, args, borrowed));
  if (!isDone) pairNormsByBands(parts, args);
}

function run(
  engine: WeightEngine,
  { countA, countB, k, d, a, b, first, out, onRows }: PairNormsArgs,
  borrowed: { address: number; bytes: number }[],
): void {
  const { heap } = engine;
  const count = countA + countB;
  const padded = 8 * Math.ceil(d / 8);
  const edge = Math.min(EDGE, padded);
  const bands = Math.ceil(d / edge);
  const tileBytes = 4 * edge * edge * count;
  const isDivided = isShared((count * k * d * d) / 2);
  const room = Math.max(threadCount(), Math.floor(TOGETHER_BYTES / tileBytes));
  const together = isDivided ? Math.min(TOGETHER, bands, room) : 1;
  const size = countA * countB;
  const rows = borrow(heap, 4 * count * d * k, borrowed);
  const panels = borrow(heap, 4 * count * padded * k, borrowed);
  const partners = borrow(heap, 4 * countA, borrowed);
  const sums = borrow(heap, 8 * size * together, borrowed);
  const tiles = borrow(heap, tileBytes * together, borrowed);
  pack(engine, { maps: a, count: countA, k, d }, rows, panels, isDivided, borrowed);
  pack(
    engine,
    { maps: b, count: countB, k, d },
    rows + 4 * countA * d * k,
    panels + 4 * countA * padded * k,
    isDivided,
    borrowed,
  );
  heap.ints.set(first.subarray(0, countA), partners / 4);
  const band = (index: number, place: number): Job => [
    ...[countA, countB, k, d, edge, edge * index],
    ...[rows, panels, partners, sums + 8 * size * place, tiles + tileBytes * place],
  ];
  for (let from = 0; from < bands; from += together) {
    const taken = Math.min(together, bands - from);
    const jobs = Array.from({ length: taken }, (_, t) => band(from + t, t));
    runEach(engine, "pairNorms", jobs, isDivided);
    // Band after band, so that the sums are the same however the bands were shared.
    for (let t = 0; t < taken; t++) addTo(out, new Float64Array(heap.memory.buffer, sums + 8 * size * t, size));
    onRows?.(Math.min(d, (from + taken) * edge));
  }
}

interface Maps {
  readonly maps: Float32Array | Float64Array;
  readonly count: number;
  readonly k: number;
  readonly d: number;
}

function pack(
  engine: WeightEngine,
  { maps, count, k, d }: Maps,
  rows: number,
  panels: number,
  isDivided: boolean,
  borrowed: { address: number; bytes: number }[],
): void {
  if (count === 0) return;
  const view = matrix(maps, k * d);
  const { address } = place(engine.heap, view, 1, count, k * d, borrowed);
  const each = 4 * k * d;
  const eachPanels = 32 * k * Math.ceil(d / 8);
  const parts = isDivided ? Math.min(count, 4 * threadCount(), MOST_JOBS) : 1;
  const bound = (t: number): number => Math.floor((t * count) / parts);
  const jobs = Array.from({ length: parts }, (_, t): Job => {
    const at = bound(t);
    return [bound(t + 1) - at, k, d, address + at * each, rows + at * each, panels + at * eachPanels];
  });
  runEach(engine, "packMaps", jobs, isDivided);
}

/** Runs jobs on all threads, or one after the other here. */
function runEach(engine: WeightEngine, name: "pairNorms" | "packMaps", jobs: readonly Job[], isDivided: boolean): void {
  if (isDivided) runJobs(engine, name, jobs);
  else for (const job of jobs) runJob(engine, name, job);
}

function addTo(sums: Float64Array, terms: Float64Array): void {
  for (let t = 0; t < terms.length; t++) sums[t] = sums[t]! + terms[t]!;
}

/** {@link WeightKernels.triangularRoots}. */
export function triangularRoots({ heap, kernels }: WeightEngine, args: RootsArgs): void {
  checkRoots(args);
  const { count, n, matrices, least, isDone } = args;
  if (4 * count > SPACE_BYTES || !isInHeap(heap, matrices)) {
    rootsInTypeScript(args);
    return;
  }
  kernels.triangularRoots(count, n, matrices.byteOffset, least, SPACE);
  isDone.set(heap.ints.subarray(SPACE / 4, SPACE / 4 + count));
}

/** {@link WeightKernels.blockSquares}. */
export function blockSquares({ heap, kernels }: WeightEngine, args: BlockSquaresArgs): void {
  checkBlockSquares(args);
  const { rows, cols, blockRows, blockCols, data, out } = args;
  const count = (rows / blockRows) * (cols / blockCols);
  if (8 * count > SPACE_BYTES || !(data instanceof Float32Array) || !isInHeap(heap, data)) {
    squaresInTypeScript(args);
    return;
  }
  kernels.blockSquares(data.byteOffset, rows, cols, blockRows, blockCols, SPACE);
  out.set(new Float64Array(heap.floats.buffer, SPACE, count));
}
