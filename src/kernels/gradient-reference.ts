/** The kernels of backward passes as plain loops that sum in float64, to be read: the truth of the faster ones. */
import {
  checkAddRowsAt,
  checkAttentionGradient,
  checkLinearGradient,
  checkLossGradient,
  checkNormGradient,
} from "./gradient-checks.ts";
import type {
  AddRowsAtArgs,
  AttentionGradientArgs,
  GradientKernels,
  LinearGradientArgs,
  LossGradientArgs,
  NormGradientArgs,
} from "./gradient-interface.ts";
import type { HeadVectorsView } from "./interface.ts";
import { referenceKernels } from "./reference.ts";

/**
 * With pattern $A = \mathrm{softmax}(S)$, $S = q k^\top / c$, and a bar for the gradient by what stands under it:
 * $\bar A = \bar z v^\top$, $\bar v = A^\top \bar z$, $\bar S = A \odot (\bar A - \sum_j A_j \bar A_j)$,
 * $\bar q = \bar S k / c$ and $\bar k = \bar S^\top q / c$.
 */
function attention(args: AttentionGradientArgs): void {
  checkAttentionGradient(args);
  const { batch, heads, positions, width, q, k, v, gradient, byQ, byK, byV, scale, isCausal } = args;
  const pattern = new Float64Array(positions);
  const byPattern = new Float64Array(positions);
  for (let t = 0; t < batch * heads; t++) {
    const [b, h] = [Math.floor(t / heads), t % heads];
    const at = ({ offset, batchStride, headStride, rowStride }: HeadVectorsView, row: number): number =>
      offset + b * batchStride + h * headStride + row * rowStride;
    const dot = (x: HeadVectorsView, i: number, y: HeadVectorsView, j: number): number => {
      let sum = 0;
      for (let p = 0; p < width; p++) sum += x.data[at(x, i) + p]! * y.data[at(y, j) + p]!;
      return sum;
    };
    const sums = [byQ, byK, byV].map(() => new Float64Array(positions * width)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    const addTo = (to: Float64Array, i: number, from: HeadVectorsView, j: number, factor: number): void => {
      for (let p = 0; p < width; p++) to[i * width + p]! += factor * from.data[at(from, j) + p]!;
    };
    for (let i = 0; i < positions; i++) {
      const seen = isCausal ? i + 1 : positions;
      for (let j = 0; j < seen; j++) pattern[j] = dot(q, i, k, j) / scale;
      const row = { rows: 1, cols: seen, input: pattern, inputOffset: 0, output: pattern, outputOffset: 0 };
      referenceKernels.softmax(row);
      let mean = 0;
      for (let j = 0; j < seen; j++) {
        byPattern[j] = dot(gradient, i, v, j);
        mean += pattern[j]! * byPattern[j]!;
      }
      for (let j = 0; j < seen; j++) {
        const byProduct = (pattern[j]! * (byPattern[j]! - mean)) / scale;
        addTo(sums[0], i, k, j, byProduct);
        addTo(sums[1], j, q, i, byProduct);
        addTo(sums[2], j, gradient, i, pattern[j]!);
      }
    }
    for (const [s, view] of [byQ, byK, byV].entries()) {
      for (let i = 0; i < positions; i++) view.data.set(sums[s]!.subarray(i * width, (i + 1) * width), at(view, i));
    }
  }
}

/** $\bar W = x^\top g$, $\bar b = \sum_i g_i$, $\bar x = g W^\top$. */
function linear(args: LinearGradientArgs): void {
  checkLinearGradient(args);
  const { rows, inner, outer, x, W, gradient, byW, byB, byX, accumulate = false } = args;
  const xAt = (i: number, p: number): number => x.data[(x.offset ?? 0) + i * (x.stride ?? inner) + p]!;
  const gAt = (i: number, j: number): number =>
    gradient.data[(gradient.offset ?? 0) + i * (gradient.stride ?? outer) + j]!;
  for (let p = 0; byW !== undefined && p < inner; p++) {
    for (let j = 0; j < outer; j++) {
      let sum = 0;
      for (let i = 0; i < rows; i++) sum += xAt(i, p) * gAt(i, j);
      byW[p * outer + j] = sum;
    }
  }
  for (let j = 0; byB !== undefined && j < outer; j++) {
    let sum = 0;
    for (let i = 0; i < rows; i++) sum += gAt(i, j);
    byB[j] = sum;
  }
  for (let i = 0; byX !== undefined && i < rows; i++) {
    for (let p = 0; p < inner; p++) {
      let sum = 0;
      for (let j = 0; j < outer; j++) sum += gAt(i, j) * W[p * outer + j]!;
      const at = (byX.offset ?? 0) + i * (byX.stride ?? inner) + p;
      byX.data[at] = accumulate ? byX.data[at]! + sum : sum;
    }
  }
}

/** With $p = \mathrm{softmax}(x)$ and target $t$ the loss is $-\ln p_t$, and its gradient $p_j - [j = t]$. */
function loss(args: LossGradientArgs): void {
  checkLossGradient(args);
  const { rows, cols, logits, targets, weights, losses } = args;
  referenceKernels.crossEntropy({ rows, cols, logits, logitsOffset: 0, targets, output: losses });
  referenceKernels.softmax({ rows, cols, input: logits, inputOffset: 0, output: logits, outputOffset: 0 });
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) {
      logits[i * cols + j] = weights[i]! * (logits[i * cols + j]! - (targets[i] === j ? 1 : 0));
    }
  }
}

/**
 * With $c = g \odot w$ and $n = (x - \bar x) / s$ the gradient by `x` is
 * $(c - n\, \mathrm{mean}(c \odot n) - \mathrm{mean}(c)) / s$; a norm that takes no mean away lacks the last.
 */
function norm(args: NormGradientArgs): void {
  checkNormGradient(args);
  const { rows, cols, center, gradient, normalized, scale, w, out, accumulate, byW, byB } = args;
  for (let j = 0; j < cols; j++) {
    let [dot, sum] = [0, 0];
    for (let at = j; at < rows * cols; at += cols) {
      dot += gradient[at]! * normalized[at]!;
      sum += gradient[at]!;
    }
    if (byW !== undefined) byW[j] = dot;
    if (byB !== undefined) byB[j] = sum;
  }
  for (let i = 0; i < rows; i++) {
    let [mean, share] = [0, 0];
    const c = (j: number): number => gradient[i * cols + j]! * (w?.[j] ?? 1);
    for (let j = 0; j < cols; j++) {
      if (center) mean += c(j) / cols;
      share += (c(j) * normalized[i * cols + j]!) / cols;
    }
    for (let j = 0; j < cols; j++) {
      const at = i * cols + j;
      const byX = (c(j) - normalized[at]! * share - mean) / scale[i]!;
      out[at] = accumulate ? out[at]! + byX : byX;
    }
  }
}

/** {@link GradientKernels.addRowsAt}. */
export function addRowsAt(args: AddRowsAtArgs): void {
  checkAddRowsAt(args);
  const { rows, cols, from, places, out } = args;
  for (let i = 0, at = 0; i < rows; i++) {
    const start = places[i]! * cols;
    for (let to = start; to < start + cols; to++) out[to] = out[to]! + from[at++]!;
  }
}

/** The kernels of backward passes in plain loops. */
export const referenceGradientKernels: GradientKernels = {
  name: "reference",
  attention,
  linear,
  loss,
  norm,
  addRowsAt,
};
