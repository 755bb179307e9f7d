/** Sums and products that every part of a backward pass needs, over flat arrays. */
import { kernels, transposed } from "../../kernels/index.ts";
import type { FloatArray, MatrixView } from "../../kernels/index.ts";

/** `to += from`. */
export function addInto(to: FloatArray, from: FloatArray): void {
  for (let i = 0; i < to.length; i++) to[i] = (to[i] as number) + (from[i] as number);
}

/** The sum of each column of rows `[rows, width]`, in float64: a bias's gradient. */
export function sumRows(from: FloatArray, width: number, out: FloatArray): void {
  const sums = new Float64Array(width);
  for (let start = 0; start < from.length; start += width) {
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
