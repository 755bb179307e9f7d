/**
 * The bridge to `ndarray`, the strided view that the scientific JavaScript packages exchange. That package compiles
 * code when a view is made, which a page without `unsafe-eval` forbids, so it is imported by this entry and
 * `transformer-circuits/ndarray-ops` alone.
 */
import ndarray from "ndarray";
import { InputError, requireKind } from "../errors.ts";
import type { Kind } from "../errors.ts";
import { Tensor } from "./tensor.ts";
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
 * `ndarray`; where those are wanted, `npm install --save-dev @types/ndarray` and `toNdarray(t) as NdArray`.
 * @throws {@link InputError} on a page whose policy forbids code made of strings.
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
  try {
    return ndarray(t.storage, [...t.shape], [...t.strides], t.offset);
  } catch (cause) {
    throw new InputError(
      "the package ndarray makes code of strings for a view, which this page's policy forbids. Allow 'unsafe-eval' in script-src, or take t.data and t.shape.",
      { operation: "toNdarray", expected: "script-src 'unsafe-eval'" },
      { cause },
    );
  }
}
