/**
 * The bridge to `ndarray`, the strided view that the scientific JavaScript packages exchange, and to `ndarray-ops`, its
 * elementwise long tail. Both compile code at run time, which a page without `unsafe-eval` forbids, so they live behind
 * this one entry, `transformer-circuits/ndarray`, and nothing else imports them.
 */
import ndarray, { type NdArray } from "ndarray";
import ops from "ndarray-ops";
import { InputError, requireKind } from "../errors.ts";
import type { Kind } from "../errors.ts";
import { Tensor } from "./tensor.ts";
import { allocateData } from "./storage.ts";
import type { TensorData } from "./storage.ts";

const NDARRAY: Kind = {
  member: "stride",
  what: "an ndarray",
  remedy: "Make one with toNdarray or the package ndarray",
};

/**
 * What `ndarray` calls a view, as far as the exchange needs it: any object with these fields can be read.
 * @category ndarray
 */
export interface NdArrayView {
  readonly data: TensorData;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
  readonly offset: number;
}

/**
 * A strided view that other packages made, as a tensor; the storage is shared, not copied.
 *
 * @param view - an `ndarray` over a Float32Array, Float64Array or Int32Array.
 * @param axes - a name for each axis.
 * @throws {@link ShapeError} when the view reaches outside its data; {@link AxisError} when the names do not fit.
 * @category ndarray
 * @example
 * ```ts
 * import ndarray from "ndarray";
 * import { fromNdarray } from "transformer-circuits/ndarray";
 *
 * const view = ndarray(new Float32Array([1, 2, 3, 4, 5, 6]), [2, 3]);
 * console.log(fromNdarray(view.transpose(1, 0), "d_model pos").toNested());
 * // [ [ 1, 4 ], [ 2, 5 ], [ 3, 6 ] ]
 * ```
 */
export function fromNdarray<const A extends string>(view: NdArrayView, axes: A): Tensor<A> {
  requireKind(NDARRAY, view, "view", "fromNdarray");
  return Tensor.view(axes, view.data, { shape: [...view.shape], strides: [...view.stride], offset: view.offset });
}

/**
 * A tensor as an `ndarray`; the storage is shared, so write to a copy of it only.
 *
 * @returns an `ndarray` of the tensor's shape and strides. It is typed by its fields so that no one needs the types of
 * `ndarray`; where those are wanted, `toNdarray(t) as NdArray`.
 * @category ndarray
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { toNdarray } from "transformer-circuits/ndarray";
 *
 * const view = toNdarray(Tensor.fromNested("pos d_model", [[1, 2], [3, 4]]));
 * console.log(view.shape, view.get(1, 0));
 * // [ 2, 2 ] 3
 * ```
 */
export function toNdarray(t: Tensor): NdArrayView & {
  /** The element at these indices, one for each axis. */
  get(...indices: number[]): number;
} {
  requireKind("tensor", t, "t", "toNdarray");
  return ndarray(t.storage, [...t.shape], [...t.strides], t.offset);
}

/**
 * The name of a function that {@link elementwise} offers, as `ndarray-ops` has it.
 * @category ndarray
 */
export type ElementwiseName =
  | "abs"
  | "acos"
  | "asin"
  | "atan"
  | "ceil"
  | "cos"
  | "exp"
  | "floor"
  | "log"
  | "neg"
  | "recip"
  | "round"
  | "sin"
  | "sqrt"
  | "tan";

const UNARY: Record<ElementwiseName, (out: NdArray, t: NdArray) => unknown> = {
  abs: ops.abs,
  acos: ops.acos,
  asin: ops.asin,
  atan: ops.atan,
  ceil: ops.ceil,
  cos: ops.cos,
  exp: ops.exp,
  floor: ops.floor,
  log: ops.log,
  neg: ops.neg,
  recip: ops.recip,
  round: ops.round,
  sin: ops.sin,
  sqrt: ops.sqrt,
  tan: ops.tan,
};

/**
 * A function of each element, by `ndarray-ops`.
 *
 * @param name - as `ndarray-ops` calls it: `abs`, `exp`, `log`, `sqrt`, `recip`, …
 * @throws {@link InputError} when there is no function of that name.
 * @category ndarray
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { elementwise } from "transformer-circuits/ndarray";
 *
 * console.log(elementwise("abs", Tensor.fromNested("pos", [-1, 2])).toNested());
 * // [ 1, 2 ]
 * ```
 */
export function elementwise<A extends string>(name: ElementwiseName, t: Tensor<A>): Tensor<A> {
  requireKind("tensor", t, "t", "elementwise");
  if (!Object.hasOwn(UNARY, name)) {
    throw new InputError(`there is no function "${String(name)}"; there are ${Object.keys(UNARY).join(", ")}.`, {
      operation: "elementwise",
      argument: "name",
      expected: Object.keys(UNARY),
      actual: name,
    });
  }
  const out = allocateData(t.dtype === "float64" ? "float64" : "float32", t.size);
  const shape = [...t.shape];
  UNARY[name](ndarray(out, shape), ndarray(t.storage, shape, [...t.strides], t.offset));
  return Tensor.from(t.axes, t.shape, out);
}
