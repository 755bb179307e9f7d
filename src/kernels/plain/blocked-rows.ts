/**
 * Softmax, log-softmax, cross entropy and norms over contiguous rows: as `reference.ts`, except that the exponential is
 * {@link exponentials} and a row is divided by multiplying with one reciprocal.
 */
import { checkCausal, checkCrossEntropy, checkNorm, checkRows } from "../checks.ts";
import { exponentials } from "./exponential.ts";
import type { CausalSoftmaxArgs, CrossEntropyArgs, FloatArray, NormArgs, SoftmaxArgs } from "../interface.ts";

let rowSpace: Float64Array | undefined;

/** Working space for one row in float64, grown as needed and kept, so that a probability is rounded to storage once. */
function rowBuffer(cols: number): Float64Array {
  if (rowSpace === undefined || rowSpace.length < cols) rowSpace = new Float64Array(cols);
  return rowSpace;
}

/** Largest entry of a row; NaN only where no entry is above `-Infinity` and one is NaN. */
function rowMax(data: FloatArray, start: number, count: number): number {
  let max = -Infinity;
  for (let j = start; j < start + count; j++) {
    const x = data[j]!;
    if (x > max) max = x;
  }
  if (max === -Infinity) {
    for (let j = start; j < start + count; j++) if (Number.isNaN(data[j]!)) return NaN;
  }
  return max;
}

function softmaxRow(
  input: FloatArray,
  from: number,
  output: FloatArray,
  to: number,
  visible: number,
  cols: number,
): void {
  const max = rowMax(input, from, visible);
  if (max === -Infinity) {
    output.fill(0, to, to + cols);
    return;
  }
  const row = rowBuffer(visible);
  const factor = 1 / exponentials(input, from, max, visible, row);
  for (let j = 0; j < visible; j++) output[to + j] = row[j]! * factor;
  if (visible < cols) output.fill(0, to + visible, to + cols);
}

export function softmax(args: SoftmaxArgs): void {
  checkRows("softmax", args);
  const { rows, cols, input, inputOffset, output, outputOffset } = args;
  for (let row = 0; row < rows; row++) {
    softmaxRow(input, inputOffset + row * cols, output, outputOffset + row * cols, cols, cols);
  }
}

export function causalSoftmax(args: CausalSoftmaxArgs): void {
  checkCausal(args);
  const { batch, queries, keys, scores, scoresOffset, output, outputOffset, queryOffset } = args;
  for (let row = 0; row < batch * queries; row++) {
    const visible = Math.min(keys, (row % queries) + queryOffset + 1);
    softmaxRow(scores, scoresOffset + row * keys, output, outputOffset + row * keys, visible, keys);
  }
}

export function logSoftmax(args: SoftmaxArgs): void {
  checkRows("logSoftmax", args);
  const { rows, cols, input, inputOffset, output, outputOffset } = args;
  for (let row = 0; row < rows; row++) {
    const from = inputOffset + row * cols;
    const to = outputOffset + row * cols;
    const max = rowMax(input, from, cols);
    if (max === -Infinity) {
      output.fill(-Infinity, to, to + cols);
      continue;
    }
    const logSum = Math.log(exponentials(input, from, max, cols, rowBuffer(cols)));
    // max and logSum are subtracted one after the other: their sum would lose logSum beside a large maximum.
    for (let j = 0; j < cols; j++) output[to + j] = input[from + j]! - max - logSum;
  }
}

export function crossEntropy(args: CrossEntropyArgs): void {
  checkCrossEntropy(args);
  const { rows, cols, logits, logitsOffset, targets, output } = args;
  for (let row = 0; row < rows; row++) {
    const from = logitsOffset + row * cols;
    const max = rowMax(logits, from, cols);
    if (max === -Infinity) {
      output[row] = Infinity;
      continue;
    }
    const logSum = Math.log(exponentials(logits, from, max, cols, rowBuffer(cols)));
    output[row] = logSum - (logits[from + targets[row]!]! - max);
  }
}

export function normalize(args: NormArgs): void {
  checkNorm(args);
  const { rows, cols, input, inputOffset, eps, center, output, outputOffset, scale, scaleOffset } = args;
  for (let row = 0; row < rows; row++) {
    const from = inputOffset + row * cols;
    const to = outputOffset + row * cols;
    let sum = 0;
    if (center) for (let j = from; j < from + cols; j++) sum += input[j]!;
    const mean = cols === 0 ? 0 : sum / cols;
    let squares = 0;
    for (let j = from; j < from + cols; j++) {
      const x = input[j]! - mean;
      squares += x * x;
    }
    const divisor = Math.sqrt((cols === 0 ? 0 : squares / cols) + eps);
    for (let j = 0; j < cols; j++) output[to + j] = (input[from + j]! - mean) / divisor;
    scale[scaleOffset + row] = divisor;
  }
}
