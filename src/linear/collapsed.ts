/** A map as the product of two matrices. */
import { halvesOf } from "./collapse.ts";
import { Linear } from "./linear.ts";

/**
 * The same map as its two halves in float64, for questions to many of its parts: rows and columns are then picked out
 * of those.
 */
export function collapsed<In extends string, Out extends string>(f: Linear<In, Out>): Linear<In, Out> {
  const { left, right } = halvesOf(f);
  return new Linear(f.in, f.out, { rows: f.rows, cols: f.cols, coefficient: 1, factors: [left, right] });
}
