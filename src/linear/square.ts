/** Maps from a space to itself or to its dual: the ones that have a trace, a diagonal and eigenvalues. */
import type { Dual } from "../axes.ts";
import { AxisError, ShapeError } from "../errors.ts";
import { baseOf, describeMap, type Linear } from "./linear.ts";

/**
 * A map from a space to itself, as `W_OV`, or to its dual, as `W_QK`.
 *
 * A map to the dual is a bilinear form: its eigenvalues are those of its matrix in the coordinates given, which the
 * papers read for `W_QK` and for the full QK circuit (a token that attends to its like). They keep their meaning
 * under rotations of the space but, unlike those of a map from the space to itself, not under every change of basis.
 *
 * @category Linear maps
 */
export type SquareMap<S extends string> = Linear<S, NoInfer<S | Dual<S>>>;

/** Refuses maps whose ends differ in size or are different spaces. */
export function requireSquare(f: Linear, operation: string): void {
  if (f.rows !== f.cols) {
    throw new ShapeError(
      `${describeMap(f)} is not square: its ends have sizes ${f.rows} and ${f.cols}. Give a map from a space to itself or to its dual.`,
      { operation, argument: "f", expected: f.rows, actual: f.cols },
    );
  }
  if (baseOf(f.in) !== baseOf(f.out)) {
    throw new AxisError(
      `${describeMap(f)} goes from one space to another of the same size. Give a map from a space to itself or to its dual.`,
      { operation, argument: "f", expected: baseOf(f.in), actual: f.out },
    );
  }
}
