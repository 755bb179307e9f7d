/**
 * The kernels as plain loops, written to be read: every other implementation is checked against this one.
 *
 * Accumulation is float64 on purpose, whatever the storage: this file is the truth, so its only error is the rounding
 * of the stored result. Nothing here is fast, and nothing should be made fast.
 */
import { ACTIVATION } from "./activations.ts";
import {
  checkActivate,
  checkAdd,
  checkAttention,
  checkCausal,
  checkCrossEntropy,
  checkMatmul,
  checkNorm,
  checkProductCrossEntropy,
  checkRows,
} from "./checks.ts";
import type {
  ActivateArgs,
  AddArgs,
  AttentionArgs,
  CausalSoftmaxArgs,
  CrossEntropyArgs,
  FloatArray,
  Kernels,
  MatmulArgs,
  NormArgs,
  ProductCrossEntropyArgs,
  SoftmaxArgs,
} from "./interface.ts";

/** `out[i, j] = Σ_p a[i, p] b[p, j]`, for every matrix of the batch. */
function matmul(args: MatmulArgs): void {
  checkMatmul(args);
  const { batch, m, n, k, a, b, out } = args;
  for (let t = 0; t < batch; t++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let p = 0; p < k; p++) {
          const left = a.data[a.offset + t * a.batchStride + i * a.rowStride + p * a.colStride]!;
          const right = b.data[b.offset + t * b.batchStride + p * b.rowStride + j * b.colStride]!;
          sum += left * right;
        }
        const at = out.offset + t * out.batchStride + i * out.rowStride + j * out.colStride;
        out.data[at] = args.accumulate === true ? out.data[at]! + sum : sum;
      }
    }
  }
}

/** Largest entry, and the sum of `exp(x - largest)`. NaN anywhere makes the sum NaN. */
function maxAndSum(data: FloatArray, start: number, count: number): { max: number; sum: number } {
  let max = -Infinity;
  for (let j = 0; j < count; j++) max = Math.max(max, data[start + j]!);
  if (max === -Infinity) return { max, sum: 0 };
  let sum = 0;
  for (let j = 0; j < count; j++) sum += Math.exp(data[start + j]! - max);
  return { max, sum };
}

/** Softmax of the first `visible` entries of a row; the rest becomes 0 without being read. */
function softmaxRow(
  input: FloatArray,
  inputStart: number,
  output: FloatArray,
  outputStart: number,
  visible: number,
  cols: number,
): void {
  const { max, sum } = maxAndSum(input, inputStart, visible);
  for (let j = 0; j < visible; j++) {
    output[outputStart + j] = max === -Infinity ? 0 : Math.exp(input[inputStart + j]! - max) / sum;
  }
  for (let j = visible; j < cols; j++) output[outputStart + j] = 0;
}

function softmax(args: SoftmaxArgs): void {
  checkRows("softmax", args);
  const { rows, cols, input, inputOffset, output, outputOffset } = args;
  for (let row = 0; row < rows; row++) {
    softmaxRow(input, inputOffset + row * cols, output, outputOffset + row * cols, cols, cols);
  }
}

function causalSoftmax(args: CausalSoftmaxArgs): void {
  checkCausal(args);
  const { batch, queries, keys, scores, scoresOffset, output, outputOffset, queryOffset } = args;
  for (let t = 0; t < batch; t++) {
    for (let i = 0; i < queries; i++) {
      const at = (t * queries + i) * keys;
      const visible = Math.min(keys, i + queryOffset + 1);
      softmaxRow(scores, scoresOffset + at, output, outputOffset + at, visible, keys);
    }
  }
}

function logSoftmax(args: SoftmaxArgs): void {
  checkRows("logSoftmax", args);
  const { rows, cols, input, inputOffset, output, outputOffset } = args;
  for (let row = 0; row < rows; row++) {
    const from = inputOffset + row * cols;
    const to = outputOffset + row * cols;
    const { max, sum } = maxAndSum(input, from, cols);
    for (let j = 0; j < cols; j++) {
      output[to + j] = max === -Infinity ? -Infinity : input[from + j]! - max - Math.log(sum);
    }
  }
}

function crossEntropy(args: CrossEntropyArgs): void {
  checkCrossEntropy(args);
  const { rows, cols, logits, logitsOffset, targets, output } = args;
  for (let row = 0; row < rows; row++) {
    const from = logitsOffset + row * cols;
    const { max, sum } = maxAndSum(logits, from, cols);
    output[row] = max === -Infinity ? Infinity : Math.log(sum) - (logits[from + targets[row]!]! - max);
  }
}

/** The logits of a row after another. */
function productCrossEntropy(args: ProductCrossEntropyArgs): void {
  checkProductCrossEntropy(args);
  const { rows, cols, k, a, b, bias, targets, output } = args;
  const logits = new Float64Array(cols);
  const place = { rows: 1, cols, logits, logitsOffset: 0 };
  for (let row = 0; row < rows; row++) {
    for (let j = 0; j < cols; j++) {
      let sum = 0;
      for (let p = 0; p < k; p++) {
        const left = a.data[a.offset + row * a.rowStride + p * a.colStride]!;
        sum += left * b.data[b.offset + p * b.rowStride + j * b.colStride]!;
      }
      logits[j] = sum + (bias?.[j] ?? 0);
    }
    crossEntropy({ ...place, targets: targets.subarray(row), output: output.subarray(row) });
  }
}

/** Two passes: the mean first, then the mean square of what is left, so that a large mean does not cancel. */
function normalize(args: NormArgs): void {
  checkNorm(args);
  const { rows, cols, input, inputOffset, eps, center, output, outputOffset, scale, scaleOffset } = args;
  for (let row = 0; row < rows; row++) {
    const from = inputOffset + row * cols;
    const to = outputOffset + row * cols;
    let mean = 0;
    if (center) {
      for (let j = 0; j < cols; j++) mean += input[from + j]! / cols;
    }
    let meanSquare = 0;
    for (let j = 0; j < cols; j++) meanSquare += (input[from + j]! - mean) ** 2 / cols;
    const divisor = Math.sqrt(meanSquare + eps);
    for (let j = 0; j < cols; j++) output[to + j] = (input[from + j]! - mean) / divisor;
    scale[scaleOffset + row] = divisor;
  }
}

/** One addition a sum, so that no implementation differs from this in a bit. */
export function add(args: AddArgs): void {
  checkAdd(args);
  const { period, a, b, out } = args;
  for (let start = 0; start < out.length; start += period) {
    for (let j = 0; j < period; j++) out[start + j] = a[start + j]! + b[j]!;
  }
}

/** Each number by itself, in float64; what is stored is rounded once. */
export function activate(args: ActivateArgs): void {
  checkActivate(args);
  const { kind, input, output } = args;
  const f = ACTIVATION[kind];
  for (let i = 0; i < output.length; i++) output[i] = f(input[i]!);
}

function attention(args: AttentionArgs): void {
  checkAttention(args);
  const { batch, heads, queries, keys, width, valueWidth, q, k, v, out } = args;
  const scores = new Float64Array(keys);
  for (let t = 0; t < batch * heads; t++) {
    const b = Math.floor(t / heads);
    const h = t % heads;
    const at = (view: typeof q, row: number): number =>
      view.offset + b * view.batchStride + h * view.headStride + row * view.rowStride;
    for (let i = 0; i < queries; i++) {
      const visible = args.isCausal ? Math.min(keys, i + args.queryOffset + 1) : keys;
      for (let j = 0; j < visible; j++) {
        let score = 0;
        for (let p = 0; p < width; p++) score += q.data[at(q, i) + p]! * k.data[at(k, j) + p]!;
        scores[j] = score / args.scale;
      }
      softmaxRow(scores, 0, scores, 0, visible, keys);
      for (let p = 0; p < valueWidth; p++) {
        let sum = 0;
        for (let j = 0; j < visible; j++) sum += scores[j]! * v.data[at(v, j) + p]!;
        out.data[at(out, i) + p] = sum;
      }
    }
  }
}

/** Plain loops with float64 sums: the truth that the other implementations are measured against. */
export const referenceKernels: Kernels = {
  name: "reference",
  matmul,
  softmax,
  causalSoftmax,
  logSoftmax,
  crossEntropy,
  productCrossEntropy,
  normalize,
  add,
  activate,
  attention,
};
