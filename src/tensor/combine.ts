/** Putting tensors together and picking them apart by index. */
import type { AxisOf, IsUnion, Join } from "../axes.ts";
import { AxisError, InputError, ShapeError, requireKind, requireKinds } from "../errors.ts";
import { rawData } from "./raw.ts";
import { describeTensor, noSuchAxis, Tensor } from "./tensor.ts";
import { allocateData, rowMajorStrides } from "./storage.ts";
import type { DType } from "./storage.ts";

/** Nothing has it: it stands in the compiler's complaint. */
interface SameAxes {
  readonly "these tensors have different axes": never;
}

/**
 * Tensors of the axes `A`. Where they have several, which the compiler would otherwise take for one axis string of
 * several forms, nothing is such a list.
 * @inline
 */
type Alike<A extends string> = readonly Tensor<A>[] & (true extends IsUnion<A> ? SameAxes : unknown);

/**
 * Tensors of equal axes and sizes, one after the other along a new first axis.
 *
 * @throws {@link ShapeError} when the list is empty or sizes differ; {@link AxisError} when axes differ.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, stack } from "transformer-circuits";
 *
 * const rows = [Tensor.fromNested("pos", [1, 2]), Tensor.fromNested("pos", [3, 4])];
 * console.log(stack("head", rows).toNested());
 * // [ [ 1, 2 ], [ 3, 4 ] ]
 * ```
 */
export function stack<N extends string, A extends string>(axis: N, tensors: Alike<A>): Tensor<Join<N, A>> {
  const first = requireAlike("stack", tensors, undefined);
  const out = allocateData(commonType(tensors), tensors.length * first.size);
  for (const [i, t] of tensors.entries()) out.set(rawData(t), i * first.size);
  const axes = (first.axes === "" ? axis : `${axis} ${first.axes}`) as Join<N, A>;
  return Tensor.from(axes, [tensors.length, ...first.shape], out);
}

/**
 * Tensors joined end to end along an axis that they have.
 *
 * @throws {@link ShapeError} when the list is empty or other sizes differ; {@link AxisError} when axes differ, or when
 * there is no such axis.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { concat } from "transformer-circuits/tensor";
 *
 * const bos = Tensor.fromNested("pos d_model", [[0, 0]]);
 * const text = Tensor.fromNested("pos d_model", [[1, 2], [3, 4]]);
 * console.log(concat("pos", [bos, text]).toNested());
 * // [ [ 0, 0 ], [ 1, 2 ], [ 3, 4 ] ]
 * ```
 */
export function concat<A extends string>(axis: AxisOf<A>, tensors: Alike<A>): Tensor<A> {
  const first = requireAlike("concat", tensors, axis);
  const a = first.names.indexOf(axis);
  if (a < 0) throw noSuchAxis(first, axis, "concat");
  const lengths = tensors.map((t) => t.shape[a] ?? 0);
  const length = lengths.reduce((s, n) => s + n, 0);
  const outer = first.shape.slice(0, a).reduce((p, n) => p * n, 1);
  const inner = first.shape.slice(a + 1).reduce((p, n) => p * n, 1);
  const out = allocateData(commonType(tensors), outer * length * inner);
  let start = 0;
  for (const [i, t] of tensors.entries()) {
    const width = (lengths[i] ?? 0) * inner;
    const data = rawData(t);
    for (let o = 0; o < outer; o++) out.set(data.subarray(o * width, (o + 1) * width), o * length * inner + start);
    start += width;
  }
  return Tensor.from(
    first.axes,
    first.shape.map((n, i) => (i === a ? length : n)),
    out,
  );
}

/**
 * The slices at given indices of an axis, in the order given; an index may appear more than once.
 *
 * @throws {@link AxisError} for an unknown axis; {@link InputError} for an index out of range.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { gather } from "transformer-circuits/tensor";
 *
 * const W_E = Tensor.fromNested("d_vocab d_model", [[1, 2], [3, 4], [5, 6]]);
 * console.log(gather(W_E, "d_vocab", [2, 0]).toNested());
 * // [ [ 5, 6 ], [ 1, 2 ] ]
 * ```
 */
export function gather<A extends string>(t: Tensor<A>, axis: AxisOf<A>, indices: ArrayLike<number>): Tensor<A> {
  requireKind("tensor", t, "t", "gather");
  requireKind("list", indices, "indices", "gather");
  const a = t.names.indexOf(axis);
  if (a < 0) throw noSuchAxis(t, axis, "gather");
  const n = t.shape[a] ?? 0;
  const shape = t.shape.map((size, i) => (i === a ? indices.length : size));
  const out = allocateData(
    t.dtype,
    shape.reduce((p, size) => p * size, 1),
  );
  const strides = rowMajorStrides(shape);
  const inner = strides[a] ?? 1;
  const outer = shape.slice(0, a).reduce((p, size) => p * size, 1);
  const data = rawData(t);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < indices.length; i++) {
      const index = indices[i] as number;
      if (!Number.isInteger(index) || index < 0 || index >= n) {
        throw new InputError(
          `index ${index} is outside axis "${axis}" of ${describeTensor(t)}; it takes 0 to ${n - 1}.`,
          {
            operation: "gather",
            argument: "indices",
            expected: [0, n - 1],
            actual: index,
          },
        );
      }
      const from = (o * n + index) * inner;
      out.set(data.subarray(from, from + inner), (o * indices.length + i) * inner);
    }
  }
  return Tensor.from(t.axes, shape, out);
}

/**
 * Says that an untyped tensor has these axes, in this order, and checks it.
 *
 * @returns the same tensor, typed.
 * @throws {@link AxisError} when it has others.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { assertAxes } from "transformer-circuits/tensor";
 *
 * const untyped: Tensor = Tensor.zeros("pos d_model", [2, 3]);
 * const resid = assertAxes(untyped, "pos d_model");
 * console.log(resid.sizeOf("d_model"));
 * // 3
 * ```
 */
export function assertAxes<const A extends string>(t: Tensor, axes: A): Tensor<A> {
  requireKind("tensor", t, "t", "assertAxes");
  if (t.axes !== axes) {
    throw new AxisError(`the tensor is ${describeTensor(t)}, not [${axes}]. Permute or rename its axes.`, {
      operation: "assertAxes",
      argument: "t",
      expected: axes,
      actual: t.axes,
    });
  }
  return t as Tensor<A>;
}

function commonType(tensors: readonly Tensor[]): DType {
  const types = new Set(tensors.map((t) => t.dtype));
  if (types.has("float64")) return "float64";
  return types.has("float32") ? "float32" : "int32";
}

function requireAlike<A extends string>(
  operation: string,
  tensors: readonly Tensor<A>[],
  except: string | undefined,
): Tensor<A> {
  requireKinds("tensor", tensors, "tensors", operation);
  const first = tensors[0];
  if (first === undefined) {
    throw new ShapeError("the list of tensors is empty; there is nothing to take axes and sizes from.", {
      operation,
      argument: "tensors",
      actual: 0,
    });
  }
  for (const [i, t] of tensors.entries()) {
    if (t.axes !== first.axes) {
      throw new AxisError(`tensor ${i} is ${describeTensor(t)} but the first is ${describeTensor(first)}.`, {
        operation,
        argument: "tensors",
        expected: first.axes,
        actual: t.axes,
      });
    }
    if (t.shape.some((n, a) => n !== first.shape[a] && first.names[a] !== except)) {
      throw new ShapeError(`tensor ${i} is ${describeTensor(t)} but the first is ${describeTensor(first)}.`, {
        operation,
        argument: "tensors",
        expected: first.shape,
        actual: t.shape,
      });
    }
  }
  return first;
}
