/**
 * Softmax, log-softmax, cross entropy and norms in WebAssembly: float32 rows; float64 goes to the TypeScript loops.
 * Rows outside the memory pass through it some at a time.
 */
import * as blocked from "../plain/blocked-rows.ts";
import { checkCausal, checkCrossEntropy, checkNorm, checkRows } from "../checks.ts";
import type { CausalSoftmaxArgs, CrossEntropyArgs, FloatArray, NormArgs, SoftmaxArgs } from "../interface.ts";
import type { Engine } from "./engine.ts";
import { isInHeap } from "./memory.ts";
import { borrow, withBlocks } from "./place.ts";
import type { Borrowed } from "./place.ts";

/** Bytes of rows outside the memory that pass through it at once: they stay in the second-level cache. */
const PASSING_BYTES = 128 * 1024;

const areFloat32 = (...arrays: FloatArray[]): boolean => arrays.every((data) => data instanceof Float32Array);

/**
 * Calls `run` with addresses of input and output for some rows after others: all at once where both live in memory.
 * `output` undefined: nothing is written back.
 */
function eachRows(
  engine: Engine,
  rows: number,
  cols: number,
  input: FloatArray,
  inputOffset: number,
  output: FloatArray | undefined,
  outputOffset: number,
  borrowed: Borrowed[],
  run: (from: number, to: number, first: number, count: number) => void,
): void {
  const { heap } = engine;
  const inputIsThere = isInHeap(heap, input);
  const outputIsThere = output === undefined || isInHeap(heap, output);
  const from = input.byteOffset + 4 * inputOffset;
  const to = output === undefined ? 0 : output.byteOffset + 4 * outputOffset;
  if (inputIsThere && outputIsThere) {
    run(from, to, 0, rows);
    return;
  }
  const some = Math.max(1, Math.min(rows, Math.floor(PASSING_BYTES / (4 * cols))));
  const space = borrow(heap, 4 * some * cols, borrowed);
  for (let first = 0; first < rows; first += some) {
    const count = Math.min(some, rows - first);
    const at = first * cols;
    if (!inputIsThere) {
      heap.floats.set(input.subarray(inputOffset + at, inputOffset + at + count * cols), space / 4);
    }
    run(inputIsThere ? from + 4 * at : space, outputIsThere ? to + 4 * at : space, first, count);
    if (!outputIsThere) {
      output.set(heap.floats.subarray(space / 4, space / 4 + count * cols), outputOffset + at);
    }
  }
}

/** {@link Kernels.softmax}. */
export function softmax(engine: Engine, args: SoftmaxArgs): void {
  checkRows("softmax", args);
  const { rows, cols, input, inputOffset, output, outputOffset } = args;
  const isDone =
    rows * cols > 0 &&
    areFloat32(input, output) &&
    withBlocks(engine.heap, (borrowed) => {
      eachRows(engine, rows, cols, input, inputOffset, output, outputOffset, borrowed, (from, to, _, count) =>
        engine.kernels.softmax(from, to, count, cols),
      );
    });
  if (!isDone) blocked.softmax(args);
}

/** {@link Kernels.causalSoftmax}. */
export function causalSoftmax(engine: Engine, args: CausalSoftmaxArgs): void {
  checkCausal(args);
  const { batch, queries, keys, scores, scoresOffset, output, outputOffset, queryOffset } = args;
  const rows = batch * queries;
  const isDone =
    rows * keys > 0 &&
    areFloat32(scores, output) &&
    withBlocks(engine.heap, (borrowed) => {
      eachRows(engine, rows, keys, scores, scoresOffset, output, outputOffset, borrowed, (from, to, first, count) =>
        engine.kernels.causalSoftmax(from, to, first, count, queries, keys, queryOffset),
      );
    });
  if (!isDone) blocked.causalSoftmax(args);
}

/** Largest entry and logarithm of `Σ e^(x - largest)` of each of some rows, at `pairs`, two float64s a row. */
function maxAndLogSum(engine: Engine, from: number, count: number, cols: number, pairs: number): Float64Array {
  engine.kernels.maxAndSum(from, count, cols, pairs);
  const found = new Float64Array(engine.heap.memory.buffer, pairs, 2 * count);
  for (let i = 1; i < found.length; i += 2) found[i] = Math.log(found[i]!);
  return found;
}

/** {@link Kernels.logSoftmax}. */
export function logSoftmax(engine: Engine, args: SoftmaxArgs): void {
  checkRows("logSoftmax", args);
  const { rows, cols, input, inputOffset, output, outputOffset } = args;
  const isDone =
    rows * cols > 0 &&
    areFloat32(input, output) &&
    withBlocks(engine.heap, (borrowed) => {
      const pairs = borrow(engine.heap, 16 * rows, borrowed);
      eachRows(engine, rows, cols, input, inputOffset, output, outputOffset, borrowed, (from, to, _, count) => {
        const found = maxAndLogSum(engine, from, count, cols, pairs);
        // A row of nothing but -Infinity stays so: nothing is subtracted.
        for (let i = 0; i < count; i++) if (found[2 * i] === -Infinity) found.fill(0, 2 * i, 2 * i + 2);
        engine.kernels.subtractPairs(from, to, count, cols, pairs);
      });
    });
  if (!isDone) blocked.logSoftmax(args);
}

/** {@link Kernels.crossEntropy}. */
export function crossEntropy(engine: Engine, args: CrossEntropyArgs): void {
  checkCrossEntropy(args);
  const { rows, cols, logits, logitsOffset, targets, output } = args;
  const isDone =
    rows * cols > 0 &&
    areFloat32(logits) &&
    withBlocks(engine.heap, (borrowed) => {
      const pairs = borrow(engine.heap, 16 * rows, borrowed);
      eachRows(engine, rows, cols, logits, logitsOffset, undefined, 0, borrowed, (from, _, first, count) => {
        const found = maxAndLogSum(engine, from, count, cols, pairs);
        for (let i = 0; i < count; i++) {
          const max = found[2 * i]!;
          const target = logits[logitsOffset + (first + i) * cols + targets[first + i]!]!;
          output[first + i] = max === -Infinity ? Infinity : found[2 * i + 1]! - (target - max);
        }
      });
    });
  if (!isDone) blocked.crossEntropy(args);
}

/** {@link Kernels.normalize}. */
export function normalize(engine: Engine, args: NormArgs): void {
  checkNorm(args);
  const { rows, cols, input, inputOffset, eps, center, output, outputOffset, scale, scaleOffset } = args;
  const isDone =
    rows * cols > 0 &&
    areFloat32(input, output, scale) &&
    withBlocks(engine.heap, (borrowed) => {
      const scales = borrow(engine.heap, 4 * rows, borrowed);
      eachRows(engine, rows, cols, input, inputOffset, output, outputOffset, borrowed, (from, to, first, count) =>
        engine.kernels.normalize(from, to, count, cols, eps, center ? 1 : 0, scales + 4 * first),
      );
      scale.set(engine.heap.floats.subarray(scales / 4, scales / 4 + rows), scaleOffset);
    });
  if (!isDone) blocked.normalize(args);
}
