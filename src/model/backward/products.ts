/** Sums and products that every part of a backward pass needs, over flat arrays. */
import { gradientKernels, kernels, matrix, transposed } from "../../kernels/index.ts";
import type { FloatArray, LinearGradientArgs, MatrixView } from "../../kernels/index.ts";
import type { Take } from "./hooks.ts";

/** `to += from`. */
export function addInto(to: FloatArray, from: FloatArray): void {
  kernels().add({ period: to.length, a: to, b: from, out: to });
}

/** The sum of each column of rows `[rows, width]`, in float64: a bias's gradient. */
export function sumRows(from: FloatArray, width: number, out: FloatArray): void {
  const sums = new Float64Array(width);
  let start = 0;
  // Four rows at a time, added in their order: a sum is read and written once for them.
  for (; start + 4 * width <= from.length; start += 4 * width) {
    const [second, third, fourth] = [start + width, start + 2 * width, start + 3 * width];
    for (let j = 0; j < width; j++) {
      const two = (sums[j] as number) + (from[start + j] as number) + (from[second + j] as number);
      sums[j] = two + (from[third + j] as number) + (from[fourth + j] as number);
    }
  }
  for (; start < from.length; start += width) {
    for (let j = 0; j < width; j++) sums[j] = (sums[j] as number) + (from[start + j] as number);
  }
  out.set(sums);
}

/** Sizes of a product `x W` with `x` `[rows, inner]` and `W` `[inner, outer]`, as many as `batch`. */
interface Sizes {
  readonly batch?: number;
  readonly rows: number;
  readonly inner: number;
  readonly outer: number;
}

/** Numbers of a matrix whose gradient is summed in parts, each a matrix of its own, at most. */
const MOST_IN_PARTS = 32_768;

/**
 * Computes all gradients of `x W + b` in one pass over rows, where there is a kernel that does, for matrices that are
 * not large. With those of attention and losses it takes the step of `bench --only train` from 234 to 139 ms.
 */
export function linearKernel(inner: number, outer: number): ((args: LinearGradientArgs) => void) | undefined {
  const found = inner * outer <= MOST_IN_PARTS ? gradientKernels() : undefined;
  return found && ((args) => found.linear(args));
}

/** The gradients of `x W + b` with contiguous `x` and `W`, by those that are asked for. */
export function linearGradients(args: LinearGradientArgs & { readonly x: Whole; readonly gradient: Whole }): void {
  const { rows, inner, outer, x, W, gradient, byW, byB, byX, accumulate } = args;
  const whole = linearKernel(inner, outer);
  if (whole !== undefined) {
    whole(args);
    return;
  }
  const sizes = { rows, inner, outer };
  const g = matrix(gradient.data, outer);
  if (byB !== undefined) sumRows(gradient.data, outer, byB);
  if (byW !== undefined) weightGradient(sizes, matrix(x.data, inner), g, matrix(byW, outer));
  if (byX !== undefined) inputGradient(sizes, g, matrix(W, outer), matrix(byX.data, inner), accumulate);
}

/** Rows that are all of an array. */
interface Whole {
  readonly data: FloatArray;
}

/** The gradient by `W` of `x W`: $x^\top g$. */
export function weightGradient(
  { batch = 1, rows, inner, outer }: Sizes,
  x: MatrixView,
  gradient: MatrixView,
  out: MatrixView,
): void {
  kernels().matmul({ batch, m: inner, n: outer, k: rows, a: transposed(x), b: gradient, out });
}

/** The gradient by `x` of `x W`: $g W^\top$. */
export function inputGradient(
  { batch = 1, rows, inner, outer }: Sizes,
  gradient: MatrixView,
  W: MatrixView,
  out: MatrixView,
  accumulate = false,
): void {
  kernels().matmul({ batch, m: rows, n: inner, k: outer, a: gradient, b: transposed(W), out, accumulate });
}

/**
 * {@link weightGradient} of one `x` by a matrix much wider than high, or by several: `x` is transposed once, not for
 * each block of columns.
 */
export function wideWeightGradient(
  sizes: Sizes,
  x: MatrixView,
  gradient: MatrixView,
  out: MatrixView,
  take: Take,
): void {
  const { batch = 1, rows, inner, outer } = sizes;
  const columns = transposedCopy(x, rows, inner, take(rows * inner));
  kernels().matmul({ batch, m: inner, n: outer, k: rows, a: columns, b: gradient, out });
}

/**
 * {@link inputGradient} of a matrix much wider than high, the same to the bit: as $(W g^\top)^\top$ it reads rows as
 * they lie, where $W^\top$ as a right operand would be packed whole.
 */
export function wideInputGradient(
  sizes: Sizes,
  gradient: MatrixView,
  W: MatrixView,
  out: FloatArray,
  take: Take,
): void {
  const { rows, inner, outer } = sizes;
  const columns = matrix(take(rows * inner), rows);
  kernels().matmul({ batch: 1, m: inner, n: rows, k: outer, a: W, b: transposed(gradient), out: columns });
  transposedCopy(columns, inner, rows, out);
}

/** The transpose of a matrix `[rows, cols]`, written row by row. */
function transposedCopy(
  { data, offset, rowStride, colStride }: MatrixView,
  rows: number,
  cols: number,
  out: FloatArray,
): MatrixView {
  for (let i = 0; i < rows; i++) {
    const from = offset + i * rowStride;
    for (let j = 0; j < cols; j++) out[j * rows + i] = data[from + j * colStride] as number;
  }
  return matrix(out, rows);
}
