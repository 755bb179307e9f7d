/** Other views of the same numbers: under other axes, and the diagonal of two. */
import type { AxisOf, Without } from "../axes.ts";
import { InputError, requireKind, ShapeError } from "../errors.ts";
import { reshaped, viewOf } from "./raw.ts";
import { sizeOfShape } from "./storage.ts";
import { describeTensor, noSuchAxis } from "./tensor.ts";
import type { Tensor } from "./tensor.ts";

/**
 * The same numbers, in row-major order, under other axes: two neighbours as one, or one as two.
 *
 * @param shape - the sizes; one may be -1, which is what is left.
 * @throws {@link ShapeError} when the sizes hold another number of elements; {@link AxisError} when the names do not
 * fit.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { reshape } from "transformer-circuits/tensor";
 *
 * const z = Tensor.fromNested("pos head d_head", [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]);
 * console.log(reshape(z, "pos head_and_d_head", [2, -1]).toNested());
 * // [ [ 1, 2, 3, 4 ], [ 5, 6, 7, 8 ] ]
 * ```
 */
export function reshape<const C extends string>(t: Tensor, axes: C, shape: readonly number[]): Tensor<C> {
  requireKind("tensor", t, "t", "reshape");
  requireKind("list", shape, "shape", "reshape");
  const known = shape.filter((n) => n !== -1);
  const rest = t.size / sizeOfShape(known, "reshape");
  const isOpen = known.length === shape.length - 1 && Number.isSafeInteger(rest);
  const sizes = isOpen ? shape.map((n) => (n === -1 ? rest : n)) : shape;
  if (known.length < shape.length ? isOpen : sizeOfShape(shape, "reshape") === t.size) return reshaped(t, axes, sizes);
  throw new ShapeError(
    `${describeTensor(t)} holds ${t.size} numbers, which [${shape.join(", ")}] does not. At most one size may be -1.`,
    { operation: "reshape", argument: "shape", expected: t.size, actual: shape },
  );
}

/**
 * The diagonal of two axes, along the first of them.
 *
 * @param offset - the first index minus the second: of `query_pos` and `key_pos`, 1 is what looks at the previous
 * token; 0 unless given.
 * @returns a view without the second axis; the first has an entry for each pair of indices of that offset.
 * @throws {@link AxisError} when one is not there; {@link InputError} when they are one, or no pair has the offset.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, mean } from "transformer-circuits";
 * import { diagonal } from "transformer-circuits/tensor";
 *
 * const pattern = Tensor.fromNested("query_pos key_pos", [[1, 0, 0], [0.75, 0.25, 0], [0, 0.5, 0.5]]);
 * console.log(diagonal(pattern, "query_pos", "key_pos").toNested());
 * // [ 1, 0.25, 0.5 ]
 * console.log(mean(diagonal(pattern, "query_pos", "key_pos", 1), "query_pos").item());
 * // 0.625
 * ```
 */
export function diagonal<A extends string, const N extends AxisOf<A>, const M extends AxisOf<A>>(
  t: Tensor<A>,
  first: N,
  second: M,
  offset = 0,
): Tensor<Without<A, M>> {
  requireKind("tensor", t, "t", "diagonal");
  const [a, b] = [first, second].map((axis) => {
    const place = t.names.indexOf(axis);
    if (place < 0) throw noSuchAxis(t, axis, "diagonal");
    return place;
  }) as [number, number];
  const fail = (text: string, actual: unknown): InputError =>
    new InputError(text, { operation: "diagonal", argument: "offset", actual });
  if (a === b) throw fail(`"${first}" alone has no diagonal; name two axes.`, second);
  const [rows = 0, columns = 0] = [t.shape[a], t.shape[b]];
  const length = Math.min(rows - Math.max(offset, 0), columns + Math.min(offset, 0));
  if (!Number.isSafeInteger(offset) || length < 1) {
    throw fail(
      `no pair of ${first} and ${second} of ${describeTensor(t)} has the offset ${offset}; it takes ${1 - columns} to ${rows - 1}.`,
      offset,
    );
  }
  const [down = 0, along = 0] = [t.strides[a], t.strides[b]];
  const keep = <T>(list: readonly T[], diagonalOf: T): T[] =>
    list.map((one, i) => (i === a ? diagonalOf : one)).filter((_, i) => i !== b);
  return viewOf(t, keep(t.names, first as string).join(" ") as Without<A, M>, {
    shape: keep(t.shape, length),
    strides: keep(t.strides, down + along),
    offset: t.offset + Math.max(offset, 0) * down + Math.max(-offset, 0) * along,
  });
}
