/** Tensors with some elements changed: at a selection, or where a condition holds. */
import type { AxisOf } from "../axes.ts";
import { AxisError, InputError, requireKind, requireObject, ShapeError } from "../errors.ts";
import type { Within } from "./elementwise.ts";
import { spread } from "./elementwise.ts";
import { checkIndices, eachPicked, indicesOf, placing } from "./indices.ts";
import type { Indices } from "./indices.ts";
import { rawData, tensorOf } from "./raw.ts";
import { dataForResult } from "./storage.ts";
import { describeTensor, noSuchAxis } from "./tensor.ts";
import type { Tensor } from "./tensor.ts";

/**
 * The tensor with other values at a selection.
 *
 * @param at - indices by axis; an axis that is left out is taken whole.
 * @param values - a number, or a tensor of some of the axes, each as long as what is selected there or as the axis;
 * along an axis that it lacks it is repeated.
 * @returns a new tensor of the same dtype.
 * @throws {@link AxisError} for an axis that is not there; {@link InputError} for an index that is not, or when nothing
 * is selected; {@link ShapeError} when the sizes of the values do not fit.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, mean } from "transformer-circuits";
 * import { set } from "transformer-circuits/tensor";
 *
 * const z = Tensor.fromNested("pos head", [[1, 2, 3], [4, 5, 6]]);
 * console.log(set(z, { head: 1 }, 0).toNested(), set(z, { pos: -1, head: { not: 0 } }, 9).toNested());
 * // [ [ 1, 0, 3 ], [ 4, 0, 6 ] ] [ [ 1, 2, 3 ], [ 4, 9, 9 ] ]
 * console.log(set(z, { head: [0, 2] }, mean(z, "pos")).toNested());
 * // [ [ 2.5, 2, 4.5 ], [ 2.5, 5, 4.5 ] ]
 * ```
 */
export function set<A extends string, B extends string>(
  t: Tensor<A>,
  at: { readonly [N in AxisOf<NoInfer<A>>]?: Indices },
  values: Within<A, B> | number,
): Tensor<A> {
  requireKind("tensor", t, "t", "set");
  requireObject(at, "at", "set");
  if (typeof values !== "number") requireKind("tensor", values, "values", "set");
  const given = at as Readonly<Record<string, Indices | undefined>>;
  const stranger = Object.keys(given).find((axis) => !t.names.includes(axis));
  if (stranger !== undefined) throw noSuchAxis(t, stranger, "set");
  const picks = t.names.map((axis, a) => (given[axis] === undefined ? undefined : picked(t, axis, a, given[axis])));
  const before = rawData(t);
  const out = before.slice();
  if (typeof values === "number") eachPicked(t.shape, picks, (i) => (out[i] = values));
  else {
    const data = rawData(values);
    const place = placeIn(t, values, picks);
    eachPicked(t.shape, picks, (i) => (out[i] = data[place(i)] as number));
  }
  return tensorOf(t.axes, t.shape, out);
}

function picked(t: Tensor, axis: string, a: number, spec: Indices): number[] {
  checkIndices(spec, axis, "set");
  const n = t.shape[a] ?? 0;
  const among = `the ${n} along ${axis} of ${describeTensor(t)}`;
  const found = indicesOf(spec, { field: axis, low: 0, high: n, isFromEnd: true, among }, "set");
  if (found.length > 0) return found;
  throw new InputError(`${axis} leaves nothing over to set.`, { operation: "set", argument: axis, actual: spec });
}

function placeIn(t: Tensor, values: Tensor, picks: readonly (readonly number[] | undefined)[]): (i: number) => number {
  const axes = values.names.map((axis) => {
    const a = t.names.indexOf(axis);
    if (a >= 0) return a;
    throw new AxisError(
      `the values have an axis "${axis}" that the tensor lacks: they are ${describeTensor(values)}, it is ${describeTensor(t)}. Rename it.`,
      { operation: "set", argument: "values", expected: t.names, actual: values.names },
    );
  });
  const place = placing(t.shape, picks, axes, values.shape);
  if (typeof place === "function") return place;
  const axis = values.names[place.misfit] ?? "";
  const a = axes[place.misfit] ?? 0;
  throw new ShapeError(
    `the values are ${describeTensor(values)}, but of ${describeTensor(t)} ${picks[a]?.length ?? t.shape[a]} are selected along ${axis}. Give as many.`,
    {
      operation: "set",
      argument: "values",
      expected: picks[a]?.length ?? t.shape[a],
      actual: values.shape[place.misfit],
    },
  );
}

/**
 * Elements of one where a condition holds, of another where not.
 *
 * @param condition - holds where it is not 0; make one with {@link map}.
 * @param a - what is taken where it holds: a number or a tensor of some of its axes.
 * @param b - what is taken where it does not hold.
 * @returns a tensor of the condition's axes.
 * @throws {@link AxisError} when one has an axis that the condition lacks; {@link ShapeError} when sizes differ.
 * @category Tensors
 * @example
 * ```ts
 * import { Tensor, map } from "transformer-circuits";
 * import { where } from "transformer-circuits/tensor";
 *
 * const scores = Tensor.fromNested("head", [0.25, 0.75, 1]);
 * console.log(where(map(scores, (x) => Number(x > 0.5)), scores, -1).toNested());
 * // [ -1, 0.75, 1 ]
 * ```
 */
export function where<A extends string, B extends string = never, C extends string = never>(
  condition: Tensor<A>,
  a: Within<A, B> | number,
  b: Within<A, C> | number,
): Tensor<A> {
  requireKind("tensor", condition, "condition", "where");
  const x = alternative(condition, a, "a");
  const y = alternative(condition, b, "b");
  const isDouble = [a, b].some((operand) => typeof operand !== "number" && operand.dtype === "float64");
  const holds = rawData(condition);
  const out = dataForResult(isDouble ? "float64" : "float32", condition.size);
  for (let i = 0; i < out.length; i++) {
    const from = holds[i] === 0 ? y : x;
    out[i] = from[i % from.length] as number;
  }
  return tensorOf(condition.axes, condition.shape, out);
}

/** The elements to take of one of the two, in the order of the condition's. */
function alternative(condition: Tensor, operand: Tensor | number, argument: string): ArrayLike<number> {
  if (typeof operand === "number") return [operand];
  requireKind("tensor", operand, argument, "where");
  return spread("where", condition, operand);
}
