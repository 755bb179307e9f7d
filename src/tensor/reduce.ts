/** Reductions along one axis. Sums run in float64, whatever the storage. */
import type { AxisOf, Without } from "../axes.ts";
import { InputError, nameOf, ShapeError, requireKind } from "../errors.ts";
import { rawData } from "./raw.ts";
import { describeTensor, noSuchAxis, Tensor } from "./tensor.ts";
import { allocateData } from "./storage.ts";
import type { DType } from "./storage.ts";

interface Blocks {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
}

/** Row-major data seen as [outer, length, inner] with the axis in the middle. */
function blocksOf(t: Tensor, axis: string, operation: string): Blocks {
  const a = t.names.indexOf(axis);
  if (a < 0) throw noSuchAxis(t, axis, operation);
  const product = (sizes: readonly number[]): number => sizes.reduce((p, n) => p * n, 1);
  return { outer: product(t.shape.slice(0, a)), length: t.shape[a] ?? 0, inner: product(t.shape.slice(a + 1)) };
}

function reduceAxis<A extends string, N extends string>(
  t: Tensor<A>,
  axis: N,
  operation: string,
  dtype: DType,
  f: (data: ArrayLike<number>, start: number, step: number, length: number) => number,
): Tensor<Without<A, N>> {
  const { outer, length, inner } = blocksOf(t, axis, operation);
  const data = rawData(t);
  const out = allocateData(dtype, outer * inner);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) out[o * inner + i] = f(data, o * length * inner + i, inner, length);
  }
  const keep = t.names.map((name) => name !== axis);
  return Tensor.from(
    t.names.filter((_, a) => keep[a]).join(" ") as Without<A, N>,
    t.shape.filter((_, a) => keep[a]),
    out,
  );
}

const floatType = (t: Tensor): DType => (t.dtype === "float64" ? "float64" : "float32");

function total(data: ArrayLike<number>, start: number, step: number, length: number): number {
  let s = 0;
  for (let i = 0; i < length; i++) s += data[start + i * step] as number;
  return s;
}

/**
 * The sum along an axis, accumulated in float64.
 *
 * @returns the tensor without that axis; 0 where the axis is empty.
 * @throws {@link AxisError} when there is no such axis.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, sum } from "transformer-circuits";
 *
 * const pattern = Tensor.fromNested("query_pos key_pos", [[1, 0], [0.25, 0.75]]);
 * console.log(sum(pattern, "key_pos").toNested(), sum(pattern, "query_pos").toNested());
 * // [ 1, 1 ] [ 1.25, 0.75 ]
 * ```
 */
export function sum<A extends string, const N extends AxisOf<A>>(t: Tensor<A>, axis: N): Tensor<Without<A, N>> {
  requireKind("tensor", t, "t", "sum");
  return reduceAxis(t, axis, "sum", floatType(t), total);
}

/**
 * The mean along an axis, accumulated in float64.
 *
 * @throws {@link AxisError} when there is no such axis; {@link ShapeError} when it is empty.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, mean } from "transformer-circuits";
 *
 * const pattern = Tensor.fromNested("query_pos key_pos", [[1, 0], [0.25, 0.75]]);
 * console.log(mean(pattern, "query_pos").toNested());
 * // [ 0.625, 0.375 ]
 * ```
 */
export function mean<A extends string, const N extends AxisOf<A>>(t: Tensor<A>, axis: N): Tensor<Without<A, N>> {
  requireKind("tensor", t, "t", "mean");
  requireElements(t, axis, "mean");
  return reduceAxis(t, axis, "mean", floatType(t), (d, start, step, n) => total(d, start, step, n) / n);
}

/**
 * The largest element along an axis; NaN where one of them is NaN.
 *
 * @throws {@link AxisError} when there is no such axis; {@link ShapeError} when it is empty.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, max } from "transformer-circuits";
 *
 * const logits = Tensor.fromNested("pos d_vocab", [[1, 5, 2], [7, 0, 7]]);
 * console.log(max(logits, "d_vocab").toNested());
 * // [ 5, 7 ]
 * ```
 */
export function max<A extends string, const N extends AxisOf<A>>(t: Tensor<A>, axis: N): Tensor<Without<A, N>> {
  requireKind("tensor", t, "t", "max");
  requireElements(t, axis, "max");
  return reduceAxis(t, axis, "max", floatType(t), (d, start, step, n) => {
    let best = d[start] as number;
    for (let i = 1; i < n; i++) best = Math.max(best, d[start + i * step] as number);
    return best;
  });
}

/**
 * The smallest element along an axis; NaN where one of them is NaN.
 *
 * @throws {@link AxisError} when there is no such axis; {@link ShapeError} when it is empty.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { min } from "transformer-circuits/tensor";
 *
 * const losses = Tensor.fromNested("batch pos", [[1, 5, 2], [7, 0.5, 7]]);
 * console.log(min(losses, "pos").toNested());
 * // [ 1, 0.5 ]
 * ```
 */
export function min<A extends string, const N extends AxisOf<A>>(t: Tensor<A>, axis: N): Tensor<Without<A, N>> {
  requireKind("tensor", t, "t", "min");
  requireElements(t, axis, "min");
  return reduceAxis(t, axis, "min", floatType(t), (d, start, step, n) => {
    let best = d[start] as number;
    for (let i = 1; i < n; i++) best = Math.min(best, d[start + i * step] as number);
    return best;
  });
}

/**
 * The standard deviation along an axis, computed in float64 around the mean.
 *
 * @param options - `correction`: what is taken from the number of elements in the denominator. 0, the default, is of
 * the elements themselves, as in NumPy; 1 estimates that of a population they are drawn from, as in PyTorch.
 * @throws {@link AxisError} when there is no such axis; {@link ShapeError} when there are no more elements than the
 * correction; {@link InputError} when the correction is negative.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { std } from "transformer-circuits/tensor";
 *
 * const norms = Tensor.fromNested("pos", [1, 3, 5, 7]);
 * console.log(std(norms, "pos").item().toFixed(4), std(norms, "pos", { correction: 1 }).item().toFixed(4));
 * // 2.2361 2.5820
 * ```
 */
export function std<A extends string, const N extends AxisOf<A>>(
  t: Tensor<A>,
  axis: N,
  options: { readonly correction?: number } = {},
): Tensor<Without<A, N>> {
  requireKind("tensor", t, "t", "std", options, "correction");
  requireElements(t, axis, "std");
  const { correction = 0 } = options;
  if (!(correction >= 0)) {
    throw new InputError(`correction is ${nameOf(correction)}; give 0 or 1.`, {
      operation: "std",
      argument: "correction",
      expected: "a number of at least 0",
      actual: correction,
    });
  }
  const length = t.shape[t.names.indexOf(axis)] ?? 0;
  if (length <= correction) {
    throw new ShapeError(`axis "${axis}" of ${describeTensor(t)} has too few elements for correction ${correction}.`, {
      operation: "std",
      argument: "axis",
      expected: correction + 1,
      actual: length,
    });
  }
  return reduceAxis(t, axis, "std", floatType(t), (d, start, step, n) => {
    const mean = total(d, start, step, n) / n;
    let squares = 0;
    for (let i = 0; i < n; i++) squares += ((d[start + i * step] as number) - mean) ** 2;
    return Math.sqrt(squares / (n - correction));
  });
}

/**
 * The largest elements along an axis.
 * @category Tensors
 */
export interface TopElements<A extends string> {
  /** The elements, the largest first; the axis is as long as there are. */
  readonly values: Tensor<A>;
  /** Where along the axis each lies, as int32. */
  readonly indices: Tensor<A>;
}

/**
 * The `k` largest elements along an axis, the largest first; the lower index first where they are equal, and NaN before
 * all numbers, as in {@link argmax}.
 *
 * @throws {@link AxisError} when there is no such axis; {@link InputError} when `k` is not from 1 to its size.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { topK } from "transformer-circuits/tensor";
 *
 * const logits = Tensor.fromNested("pos d_vocab", [[1, 5, 2], [7, 0, 7]]);
 * const { values, indices } = topK(logits, "d_vocab", 2);
 * console.log(values.toNested(), indices.toNested());
 * // [ [ 5, 2 ], [ 7, 7 ] ] [ [ 1, 2 ], [ 0, 2 ] ]
 * ```
 */
export function topK<A extends string>(t: Tensor<A>, axis: AxisOf<A>, k: number): TopElements<A> {
  requireKind("tensor", t, "t", "topK");
  const { outer, length, inner } = blocksOf(t, axis, "topK");
  if (!Number.isSafeInteger(k) || k < 1 || k > length) {
    throw new InputError(`k is ${nameOf(k)}, but ${describeTensor(t)} has ${length} along ${axis}.`, {
      operation: "topK",
      argument: "k",
      expected: [1, length],
      actual: k,
    });
  }
  const data = rawData(t);
  const values = allocateData(t.dtype, outer * k * inner);
  const indices = new Int32Array(outer * k * inner);
  const best = new Int32Array(k);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const at = (index: number): number => data[(o * length + index) * inner + i] as number;
      let found = 0;
      for (let index = 0; index < length; index++) {
        const x = at(index);
        // Insertion from behind: an element enters only where it beats the last, so equal ones keep their order.
        let place = found;
        while (place > 0 && beats(x, at(best[place - 1] as number))) place--;
        if (place === k) continue;
        found = Math.min(k, found + 1);
        best.copyWithin(place + 1, place, found - 1);
        best[place] = index;
      }
      for (let rank = 0; rank < k; rank++) {
        const to = (o * k + rank) * inner + i;
        indices[to] = best[rank] as number;
        values[to] = at(best[rank] as number);
      }
    }
  }
  const shape = t.shape.map((n, a) => (t.names[a] === axis ? k : n));
  return { values: Tensor.from(t.axes, shape, values), indices: Tensor.from(t.axes, shape, indices) };
}

/** Whether an element comes before another that has the lower index. */
const beats = (x: number, y: number): boolean => x > y || (Number.isNaN(x) && !Number.isNaN(y));

/**
 * The index of the largest element along an axis, as int32; the lower index wins a tie, and the first NaN over all
 * numbers.
 *
 * @throws {@link AxisError} when there is no such axis; {@link ShapeError} when it is empty.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, argmax } from "transformer-circuits";
 *
 * const logits = Tensor.fromNested("pos d_vocab", [[1, 5, 2], [7, 0, 7]]);
 * console.log(argmax(logits, "d_vocab").toNested());
 * // [ 1, 0 ]
 * ```
 */
export function argmax<A extends string, const N extends AxisOf<A>>(t: Tensor<A>, axis: N): Tensor<Without<A, N>> {
  requireKind("tensor", t, "t", "argmax");
  requireElements(t, axis, "argmax");
  return reduceAxis(t, axis, "argmax", "int32", (d, start, step, n) => {
    let best = 0;
    for (let i = 0; i < n; i++) {
      const x = d[start + i * step] as number;
      if (Number.isNaN(x)) return i;
      if (x > (d[start + best * step] as number)) best = i;
    }
    return best;
  });
}

/**
 * The sum of all elements, accumulated in float64.
 *
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { sumAll } from "transformer-circuits/tensor";
 *
 * console.log(sumAll(Tensor.fromNested("query_pos key_pos", [[1, 0], [0.25, 0.75]])));
 * // 2
 * ```
 */
export function sumAll(t: Tensor): number {
  requireKind("tensor", t, "t", "sumAll");
  return total(rawData(t), 0, 1, t.size);
}

/**
 * The mean of all elements, accumulated in float64; NaN for an empty tensor.
 *
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { meanAll } from "transformer-circuits/tensor";
 *
 * console.log(meanAll(Tensor.fromNested("batch pos", [[1, 2], [3, 6]])));
 * // 3
 * ```
 */
export function meanAll(t: Tensor): number {
  requireKind("tensor", t, "t", "meanAll");
  return sumAll(t) / t.size;
}

function requireElements(t: Tensor, axis: string, operation: string): void {
  const a = t.names.indexOf(axis);
  if (a < 0) throw noSuchAxis(t, axis, operation);
  if (t.shape[a] === 0) {
    throw new ShapeError(`axis "${axis}" of ${describeTensor(t)} is empty.`, {
      operation,
      argument: "axis",
      actual: 0,
    });
  }
}
