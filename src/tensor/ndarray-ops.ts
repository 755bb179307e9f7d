/**
 * The elementwise long tail of `ndarray-ops`. That package compiles code as soon as it is loaded, which a page without
 * `unsafe-eval` forbids: it has an entry of its own, `transformer-circuits/ndarray-ops`, and nothing else imports it.
 */
import ndarray, { type NdArray } from "ndarray";
import ops from "ndarray-ops";
import { InputError, requireKind } from "../errors.ts";
import { allocateData } from "./storage.ts";
import { Tensor } from "./tensor.ts";

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
 * import { elementwise } from "transformer-circuits/ndarray-ops";
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
