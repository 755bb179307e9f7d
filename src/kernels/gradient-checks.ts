/** Cheap checks before a kernel of backward passes runs, as those of checks.ts. */
import { checkFlat, checkCount, checkCrossEntropy, checkHeads } from "./checks.ts";
import { invariant } from "../errors.ts";
import type {
  AddRowsAtArgs,
  AttentionGradientArgs,
  LinearGradientArgs,
  LossGradientArgs,
  NormGradientArgs,
  Rows,
} from "./gradient-interface.ts";

/** Sizes are counts, the views lie inside their arrays and the scale is above 0. */
export function checkAttentionGradient(args: AttentionGradientArgs): void {
  const operation = "attentionGradient";
  const { positions, width } = args;
  for (const name of ["batch", "heads", "positions", "width"] as const) checkCount(operation, name, args[name]);
  if (!(args.scale > 0)) invariant(false, operation, `scale is ${args.scale}, not above 0`);
  for (const name of ["q", "k", "v", "gradient", "byQ", "byK", "byV"] as const) {
    checkHeads(operation, name, args[name], args, positions, width);
  }
}

/** Sizes are counts, and rows and results lie inside their arrays. */
export function checkLinearGradient(args: LinearGradientArgs): void {
  const operation = "linearGradient";
  const { rows, inner, outer, byW, byB, byX } = args;
  for (const name of ["rows", "inner", "outer"] as const) checkCount(operation, name, args[name]);
  const check = (name: string, { data, offset = 0, stride }: Rows, width: number): void => {
    checkFlat(operation, name, data, offset, rows === 0 ? 0 : (rows - 1) * (stride ?? width) + width);
  };
  check("x", args.x, inner);
  check("gradient", args.gradient, outer);
  checkFlat(operation, "W", args.W, 0, inner * outer);
  if (byW !== undefined) checkFlat(operation, "byW", byW, 0, inner * outer);
  if (byB !== undefined) checkFlat(operation, "byB", byB, 0, outer);
  if (byX !== undefined) check("byX", byX, inner);
}

/** Arrays are long enough and every target is a column. */
export function checkLossGradient({ rows, cols, logits, targets, weights, losses }: LossGradientArgs): void {
  checkCrossEntropy({ rows, cols, logits, logitsOffset: 0, targets, output: losses });
  checkFlat("lossGradient", "weights", weights, 0, rows);
}

/** Sizes are counts, arrays are long enough, and places are rows of the result. */
export function checkAddRowsAt({ rows, cols, from, places, out }: AddRowsAtArgs): void {
  const operation = "addRowsAt";
  checkCount(operation, "rows", rows);
  checkCount(operation, "cols", cols);
  checkFlat(operation, "from", from, 0, rows * cols);
  checkFlat(operation, "places", places, 0, rows);
  for (const place of places) {
    if (!(place >= 0 && (place + 1) * cols <= out.length)) invariant(false, operation, `there is no row ${place}`);
  }
}

/** Sizes are counts and arrays are long enough. */
export function checkNormGradient(args: NormGradientArgs): void {
  const operation = "normGradient";
  const { rows, cols, w, byW, byB } = args;
  for (const name of ["rows", "cols"] as const) checkCount(operation, name, args[name]);
  for (const name of ["gradient", "normalized", "out"] as const) checkFlat(operation, name, args[name], 0, rows * cols);
  checkFlat(operation, "scale", args.scale, 0, rows);
  for (const vector of [w, byW, byB]) if (vector !== undefined) checkFlat(operation, "w", vector, 0, cols);
}
