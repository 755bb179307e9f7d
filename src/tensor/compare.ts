/** Norms and differences, in float64. */
import { AxisError, ShapeError, requireKind } from "../errors.ts";
import { rawData } from "./raw.ts";
import { describeTensor } from "./tensor.ts";
import type { Tensor } from "./tensor.ts";

/**
 * The square root of the sum of squares of all elements, accumulated in float64.
 *
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { frobeniusNorm } from "transformer-circuits/tensor";
 *
 * console.log(frobeniusNorm(Tensor.fromNested("d_model d_head", [[1, 2], [2, 4]])));
 * // 5
 * ```
 */
export function frobeniusNorm(t: Tensor): number {
  requireKind("tensor", t, "t", "frobeniusNorm");
  let s = 0;
  for (const x of rawData(t)) s += x * x;
  return Math.sqrt(s);
}

/**
 * The largest absolute difference between elements; two infinities of one sign differ by 0, and NaN anywhere gives NaN.
 *
 * @throws {@link AxisError} when axes differ; {@link ShapeError} when sizes differ.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, maxAbsDifference } from "transformer-circuits";
 *
 * const a = Tensor.fromNested("pos", [1, 2]);
 * console.log(maxAbsDifference(a, Tensor.fromNested("pos", [1, 2.5])));
 * // 0.5
 * ```
 */
export function maxAbsDifference<A extends string>(a: Tensor<A>, b: Tensor<NoInfer<A>>): number {
  requireKind("tensor", a, "a", "maxAbsDifference");
  requireKind("tensor", b, "b", "maxAbsDifference");
  const operation = "maxAbsDifference";
  if (a.axes !== (b.axes as string)) {
    throw new AxisError(`axes differ: a is ${describeTensor(a)}, b is ${describeTensor(b)}.`, {
      operation,
      argument: "b",
      expected: a.axes,
      actual: b.axes,
    });
  }
  if (a.shape.some((n, i) => n !== b.shape[i])) {
    throw new ShapeError(`sizes differ: a is ${describeTensor(a)}, b is ${describeTensor(b)}.`, {
      operation,
      argument: "b",
      expected: a.shape,
      actual: b.shape,
    });
  }
  const x = rawData(a);
  const y = rawData(b);
  let worst = 0;
  for (let i = 0; i < x.length; i++) {
    const p = x[i] as number;
    const q = y[i] as number;
    if (p === q) continue;
    worst = Math.max(worst, Math.abs(p - q));
  }
  return worst;
}
