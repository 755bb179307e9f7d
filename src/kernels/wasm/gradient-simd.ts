/**
 * The kernels of backward passes in WebAssembly SIMD. Arrays outside the memory pass through it; each falls back to the
 * reference for float64, and where memory is at its end.
 */
import {
  checkAddRowsAt,
  checkAttentionGradient,
  checkLinearGradient,
  checkLossGradient,
  checkNormGradient,
} from "../gradient-checks.ts";
import { PART_ROWS } from "../gradient-interface.ts";
import type {
  AddRowsAtArgs,
  AttentionGradientArgs,
  GradientKernels,
  LinearGradientArgs,
  LossGradientArgs,
  NormGradientArgs,
  Rows,
} from "../gradient-interface.ts";
import { referenceGradientKernels } from "../gradient-reference.ts";
import type { FloatArray } from "../interface.ts";
import { copyHeadsOut, floatBits, headsFrom, placeHeads, promptsAndHeads } from "./attention.ts";
import type { PlacedHeads } from "./attention.ts";
import { gradientEngine } from "./gradient-engine.ts";
import type { GradientEngine } from "./gradient-engine.ts";
import { runJob } from "./jobs.ts";
import type { Job } from "./jobs.ts";
import { isInHeap, SPACE_BYTES } from "./memory.ts";
import { borrow, withBlocks } from "./place.ts";
import type { Borrowed } from "./place.ts";
import { runRanges } from "./split.ts";

/** Multiplications that a pass over numbers counts as, where it is asked whether sharing it pays. */
const A_NUMBER = 16;

/** Runs a call in WebAssembly, or by the reference where that cannot be. */
function run<A>(
  args: A,
  arrays: readonly (FloatArray | undefined)[],
  inWasm: (engine: GradientEngine, args: A, borrowed: Borrowed[]) => void,
  otherwise: (args: A) => void,
): void {
  const engine = arrays.every((data) => data === undefined || data instanceof Float32Array)
    ? gradientEngine()
    : undefined;
  if (engine === undefined) otherwise(args);
  else if (!withBlocks(engine.heap, (borrowed) => inWasm(engine, args, borrowed))) otherwise(args);
}

/** The address of numbers in memory, copied there if they do not lie in it. */
function placed(
  engine: GradientEngine,
  data: FloatArray,
  offset: number,
  length: number,
  borrowed: Borrowed[],
): number {
  const { heap } = engine;
  if (isInHeap(heap, data)) return data.byteOffset + 4 * offset;
  const address = borrow(heap, 4 * length, borrowed);
  heap.floats.set(data.subarray(offset, offset + length), address / 4);
  return address;
}

const lengthOf = ({ stride }: Rows, rows: number, width: number): number => (rows - 1) * (stride ?? width) + width;

function placedRows(engine: GradientEngine, x: Rows, rows: number, width: number, borrowed: Borrowed[]): Job {
  const address = placed(engine, x.data, x.offset ?? 0, lengthOf(x, rows, width), borrowed);
  return [address, 4 * (x.stride ?? width)];
}

/** Copies what was written at an address to where it belongs, if that is outside the memory. */
function copyBack({ heap }: GradientEngine, address: number, data: FloatArray, offset: number, length: number): void {
  if (isInHeap(heap, data)) return;
  data.set(heap.floats.subarray(address / 4, address / 4 + length), offset);
}

/** Float64 sums of `parts` lists of `size` numbers each, in their order. */
function sumOfParts(parts: number, size: number, numbers: FloatArray, from: number, out: FloatArray): void {
  const sums = new Float64Array(size);
  for (let part = 0, at = from; part < parts; part++) {
    for (let i = 0; i < size; i++, at++) sums[i] = sums[i]! + numbers[at]!;
  }
  out.set(sums);
}

function attention(engine: GradientEngine, args: AttentionGradientArgs, borrowed: Borrowed[]): void {
  const { heap, kernels } = engine;
  const { batch, heads, positions, width } = args;
  const place = (view: AttentionGradientArgs["q"]): PlacedHeads =>
    placeHeads(engine, view, args, positions, width, borrowed);
  const results = [args.byQ, args.byK, args.byV];
  const places = [args.q, args.k, args.v, args.gradient, ...results].map(place);
  const isCausal = args.isCausal ? 1 : 0;
  const job = (first: number, count: number): Job => [
    ...[...promptsAndHeads(batch, heads, count), positions, width, floatBits(heap, 1 / args.scale), isCausal],
    ...places.flatMap((p) => headsFrom(p, heads, first)),
  ];
  const bytes = kernels.attentionGradientBytes(positions, width);
  if (bytes > SPACE_BYTES) runJob(engine, "attentionGradients", job(0, batch * heads), borrow(heap, bytes, borrowed));
  else {
    const work = 4 * batch * heads * positions * positions * width;
    runRanges(engine, "attentionGradients", batch * heads, batch === 1 ? 1 : heads, work, job);
  }
  for (const [i, view] of results.entries()) {
    const from = places[4 + i]!.address / 4;
    if (!isInHeap(heap, view.data)) copyHeadsOut(heap.floats, from, view, args, positions, width);
  }
}

function linear(engine: GradientEngine, args: LinearGradientArgs, borrowed: Borrowed[]): void {
  const { heap } = engine;
  const { rows, inner, outer, byW, byB, byX } = args;
  const parts = Math.ceil(rows / PART_ROWS);
  const size = inner * outer;
  const wParts = byW === undefined ? 0 : borrow(heap, 4 * parts * size, borrowed);
  const bParts = byB === undefined ? 0 : borrow(heap, 8 * parts * outer, borrowed);
  const [x = 0, xRow = 0] = placedRows(engine, args.x, rows, inner, borrowed);
  const [g = 0, gRow = 0] = placedRows(engine, args.gradient, rows, outer, borrowed);
  const W = placed(engine, args.W, 0, size, borrowed);
  const [to = 0, toRow = 0] = byX === undefined ? [] : placedRows(engine, byX, rows, inner, borrowed);
  const after = (address: number, bytes: number): number => (address === 0 ? 0 : address + bytes);
  const work = rows * size * ((byW === undefined ? 0 : 1) + (byX === undefined ? 0 : 1));
  runRanges(engine, "linearGradients", parts, 1, work, (part, count) => {
    const first = part * PART_ROWS;
    return [
      ...[Math.min(rows - first, count * PART_ROWS), PART_ROWS, inner, outer, x + first * xRow, xRow],
      ...[g + first * gRow, gRow, W, 4 * outer, after(wParts, 4 * part * size), after(bParts, 8 * part * outer)],
      ...[after(to, first * toRow), toRow, args.accumulate === true ? 1 : 0],
    ];
  });
  if (byW !== undefined) {
    const sums = borrow(heap, 8 * size, borrowed);
    const all = new Float64Array(heap.memory.buffer, sums, size).fill(0);
    engine.kernels.addColumns(sums, wParts, 4 * size, parts, size);
    byW.set(all);
  }
  if (byB !== undefined) {
    sumOfParts(parts, outer, new Float64Array(heap.memory.buffer, bParts, parts * outer), 0, byB);
  }
  if (byX !== undefined) copyBack(engine, to, byX.data, byX.offset ?? 0, lengthOf(byX, rows, inner));
}

function loss(engine: GradientEngine, args: LossGradientArgs, borrowed: Borrowed[]): void {
  const { heap } = engine;
  const { rows, cols, logits, targets, weights, losses } = args;
  const pairs = borrow(heap, 16 * rows, borrowed);
  const wanted = borrow(heap, 4 * rows, borrowed);
  const weighing = borrow(heap, 4 * rows, borrowed);
  const at = placed(engine, logits, 0, rows * cols, borrowed);
  heap.ints.set(targets.subarray(0, rows), wanted / 4);
  heap.floats.set(weights.subarray(0, rows), weighing / 4);
  runRanges(engine, "lossGradients", rows, 16, A_NUMBER * rows * cols, (first, count) => [
    ...[count, cols, at + 4 * first * cols, wanted + 4 * first, weighing + 4 * first, pairs + 16 * first],
  ]);
  const found = new Float64Array(heap.memory.buffer, pairs, 2 * rows);
  for (let row = 0; row < rows; row++) losses[row] = Math.log(found[2 * row]!) - found[2 * row + 1]!;
  copyBack(engine, at, logits, 0, rows * cols);
}

function norm(engine: GradientEngine, args: NormGradientArgs, borrowed: Borrowed[]): void {
  const { heap } = engine;
  const { rows, cols, byW, byB, out } = args;
  const parts = Math.ceil(rows / PART_ROWS);
  const wParts = byW === undefined ? 0 : borrow(heap, 8 * parts * cols, borrowed);
  const bParts = byB === undefined ? 0 : borrow(heap, 8 * parts * cols, borrowed);
  const place = (data: FloatArray, length: number): number => placed(engine, data, 0, length, borrowed);
  const all = [args.gradient, args.normalized, out].map((data) => place(data, rows * cols)) as [number, number, number];
  const scale = place(args.scale, rows);
  const w = args.w === undefined ? 0 : place(args.w, cols);
  const after = (address: number, bytes: number): number => (address === 0 ? 0 : address + bytes);
  runRanges(engine, "normGradients", parts, 1, A_NUMBER * rows * cols, (part, count) => {
    const first = part * PART_ROWS;
    const [g, n, to] = all.map((address) => address + 4 * first * cols);
    const sums = [wParts, bParts].map((address) => after(address, 8 * part * cols));
    return [
      ...[Math.min(rows - first, count * PART_ROWS), PART_ROWS, cols, args.center ? 1 : 0],
      ...[g!, n!, scale + 4 * first, w, to!, args.accumulate ? 1 : 0, ...sums],
    ];
  });
  for (const [address, by] of [[wParts, byW] as const, [bParts, byB] as const]) {
    if (by === undefined) continue;
    sumOfParts(parts, cols, new Float64Array(heap.memory.buffer, address, parts * cols), 0, by);
  }
  copyBack(engine, all[2], out, 0, rows * cols);
}

function rowsAt(engine: GradientEngine, args: AddRowsAtArgs, borrowed: Borrowed[]): void {
  const { heap } = engine;
  const { rows, cols, from, places, out } = args;
  const wanted = borrow(heap, 4 * rows, borrowed);
  const address = placed(engine, from, 0, rows * cols, borrowed);
  heap.ints.set(places, wanted / 4);
  engine.kernels.addRowsAt(out.byteOffset, address, wanted, rows, cols);
}

/** The kernels of backward passes in WebAssembly SIMD. */
export const simdGradientKernels: GradientKernels = {
  name: "simd",
  attention(args) {
    checkAttentionGradient(args);
    if (args.batch * args.heads * args.positions * args.width === 0) return;
    const arrays = [args.q, args.k, args.v, args.gradient, args.byQ, args.byK, args.byV].map(({ data }) => data);
    run(args, arrays, attention, referenceGradientKernels.attention);
  },
  linear(args) {
    checkLinearGradient(args);
    const { x, W, gradient, byX } = args;
    if (args.rows * args.inner * args.outer === 0) referenceGradientKernels.linear(args);
    else run(args, [x.data, W, gradient.data, byX?.data], linear, referenceGradientKernels.linear);
  },
  loss(args) {
    checkLossGradient(args);
    if (args.rows > 0) run(args, [args.logits], loss, referenceGradientKernels.loss);
  },
  addRowsAt(args) {
    checkAddRowsAt(args);
    // Of an embedding outside the memory few rows are written: it is not worth a copy.
    const heap = args.rows * args.cols > 0 ? gradientEngine()?.heap : undefined;
    if (heap === undefined || !isInHeap(heap, args.out)) referenceGradientKernels.addRowsAt(args);
    else run(args, [args.from, args.out], rowsAt, referenceGradientKernels.addRowsAt);
  },
  norm(args) {
    checkNormGradient(args);
    const { gradient, normalized, scale, w, out } = args;
    if (args.rows * args.cols === 0) referenceGradientKernels.norm(args);
    else run(args, [gradient, normalized, scale, w, out], norm, referenceGradientKernels.norm);
  },
};
