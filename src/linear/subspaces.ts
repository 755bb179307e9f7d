/**
 * The subspaces that maps read and write, and the angles between them.
 *
 * Row convention: `x f` depends only on the part of `x` in the column space of `f`, and lies in its row space. A head
 * reads the column spaces of `W_Q`, `W_K` and `W_V` and writes the row space of `W_O` (*A Mathematical Framework*,
 * "Subspaces and residual stream bandwidth").
 */
import { AxisError, InputError, ShapeError, requireKind } from "../errors.ts";
import { singularValues } from "../linalg/index.ts";
import type { DenseMatrix } from "../linalg/index.ts";
import { Tensor } from "../tensor/index.ts";
import { describeTensor } from "../tensor/internal.ts";
import { multiply } from "./chain.ts";
import type { BaseSpace } from "./dense.ts";
import { matrixFactor, toFloat64, transposeFactor } from "./factor.ts";
import type { MatrixFactor } from "./factor.ts";
import { baseOf, type Linear, LINEAR_MAP } from "./linear.ts";
import { svdOf } from "./spectrum.ts";

/**
 * How {@link readSpaceOf} and {@link writeSpaceOf} decide the rank.
 * @category Linear maps
 */
export interface SubspaceOptions {
  /** Singular values of at most this share of the largest count as 0. By default 1e-6, some float32 roundings. */
  readonly tolerance?: number | undefined;
}

/**
 * An orthonormal basis of the subspace that a map reads: its column space, the directions of its input that matter.
 *
 * @returns `[in, component]` (the space without its star), float64, as many columns as the map's rank.
 * @throws {@link InputError} when the tolerance is not between 0 and 1.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { linear, readSpaceOf } from "transformer-circuits/linear";
 *
 * const W_V = linear("d_model", "d_head", Tensor.fromNested("d_model d_head", [[0, 0], [3, 6], [0, 0]]));
 * const basis = readSpaceOf(W_V);
 * console.log(basis.shape, Math.abs(basis.at(1, 0)).toFixed(6));
 * // [ 3, 1 ] 1.000000
 * ```
 */
export function readSpaceOf<In extends string>(
  f: Linear<In>,
  options: SubspaceOptions = {},
): Tensor<`${BaseSpace<In>} component`> {
  requireKind(LINEAR_MAP, f, "f", "readSpaceOf", options, "tolerance");
  return basisOf(f, "U", options, "readSpaceOf") as Tensor<`${BaseSpace<In>} component`>;
}

/**
 * An orthonormal basis of the subspace that a map writes: its row space.
 *
 * @returns `[out, component]` (the space without its star), float64, as many columns as the map's rank.
 * @throws {@link InputError} when the tolerance is not between 0 and 1.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { linear, writeSpaceOf } from "transformer-circuits/linear";
 *
 * const W_O = linear("d_head", "d_model", Tensor.fromNested("d_head d_model", [[0, 3, 4], [0, 6, 8]]));
 * const basis = writeSpaceOf(W_O);
 * console.log(basis.axes, basis.shape, Math.abs(basis.at(2, 0)).toFixed(6));
 * // d_model component [ 3, 1 ] 0.800000
 * ```
 */
export function writeSpaceOf<Out extends string>(
  f: Linear<string, Out>,
  options: SubspaceOptions = {},
): Tensor<`${BaseSpace<Out>} component`> {
  requireKind(LINEAR_MAP, f, "f", "writeSpaceOf", options, "tolerance");
  return basisOf(f, "V", options, "writeSpaceOf") as Tensor<`${BaseSpace<Out>} component`>;
}

/**
 * The principal angles between two subspaces, smallest first: 0 where they share a direction, π/2 where they are
 * orthogonal.
 *
 * With orthonormal bases $A$ and $B$, cosines are the singular values of $A^T B$ and sines those of $B - A A^T B$;
 * each angle is taken from whichever is accurate there (Björck and Golub, 1973).
 *
 * @param a - an orthonormal basis `[space, component]`, as {@link readSpaceOf} and {@link writeSpaceOf} give it.
 * @param b - another one of the same space.
 * @returns `[angle]` in radians, as many as the smaller subspace has dimensions.
 * @throws {@link AxisError} when the spaces differ in name or a basis lies on its side; {@link ShapeError} when they
 * differ in size; {@link InputError} when columns are not orthonormal to 1e-4.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { linear, principalAngles, readSpaceOf, writeSpaceOf } from "transformer-circuits/linear";
 *
 * const W_O = linear("d_head", "d_model", Tensor.fromNested("d_head d_model", [[1, 0, 0], [0, 1, 0]]));
 * const W_V = linear("d_model", "d_head", Tensor.fromNested("d_model d_head", [[1, 0], [0, 0], [0, 1]]));
 * const angles = principalAngles(writeSpaceOf(W_O), readSpaceOf(W_V));
 * console.log(Array.from(angles.data, (angle) => angle.toFixed(4)).join(" "));
 * // 0.0000 1.5708
 * ```
 */
export function principalAngles<A extends string>(a: Tensor<A>, b: Tensor<NoInfer<A>>): Tensor<"angle"> {
  requireKind("tensor", a, "a", "principalAngles");
  requireKind("tensor", b, "b", "principalAngles");
  checkBases(a, b);
  const [first, second] = [factorOf(a), factorOf(b)];
  requireOrthonormal(first, a, "a");
  requireOrthonormal(second, b, "b");
  const [larger, smaller] = first.cols >= second.cols ? [first, second] : [second, first];
  const count = smaller.cols;
  if (count === 0) return Tensor.zeros("angle", [0], "float64");
  const overlap = multiply(transposeFactor(larger) as MatrixFactor, smaller);
  const inside = multiply(larger, overlap).data;
  const outside = toFloat64(smaller).map((x, t) => x - (inside[t] as number));
  const cosines = singularValues(denseMatrix(overlap));
  const sines = singularValues(denseMatrix(matrixFactor(smaller.rows, count, outside)));
  const angles = new Float64Array(count);
  for (let t = 0; t < count; t++) {
    const cosine = Math.min(1, cosines[t] as number);
    const sine = Math.min(1, sines[count - 1 - t] as number);
    angles[t] = cosine * cosine > 0.5 ? Math.asin(sine) : Math.acos(cosine);
  }
  return Tensor.from("angle", [count], angles);
}

function basisOf(f: Linear, side: "U" | "V", options: SubspaceOptions, operation: string): Tensor {
  const { tolerance = 1e-6 } = options;
  if (!(tolerance >= 0 && tolerance < 1)) {
    throw new InputError(
      `tolerance is ${tolerance}; use a share of the largest singular value, from 0 to less than 1.`,
      {
        operation,
        argument: "tolerance",
        expected: [0, 1],
        actual: tolerance,
      },
    );
  }
  const decomposition = svdOf(f);
  const values = decomposition.S.data;
  const smallest = tolerance * (values[0] ?? 0);
  const rank = values.filter((s) => s > smallest).length;
  const basis: Tensor = decomposition[side];
  const space = baseOf(side === "U" ? f.in : f.out);
  return basis.slice("component", 0, rank).rename(side === "U" ? f.in : f.out, space);
}

function checkBases(a: Tensor, b: Tensor): void {
  const operation = "principalAngles";
  const operands = `a is ${describeTensor(a)}, b is ${describeTensor(b)}`;
  if (a.rank !== 2 || b.rank !== 2) {
    throw new ShapeError(`takes two bases [space, component]: ${operands}.`, {
      operation,
      argument: a.rank === 2 ? "b" : "a",
      expected: 2,
      actual: a.rank === 2 ? b.rank : a.rank,
    });
  }
  for (const [argument, basis] of [
    ["a", a],
    ["b", b],
  ] as const) {
    if (basis.names[0] !== "component") continue;
    throw new AxisError(`${argument} lies on its side: ${operands}. Permute it to [space, component].`, {
      operation,
      argument,
      expected: "space component",
      actual: basis.axes,
    });
  }
  if (a.names[0] !== b.names[0]) {
    throw new AxisError(`bases are of different spaces: ${operands}. Give two subspaces of one space.`, {
      operation,
      argument: "b",
      expected: a.names[0],
      actual: b.names[0],
    });
  }
  if (a.shape[0] !== b.shape[0]) {
    throw new ShapeError(`sizes differ: ${operands}. Are they of the same model?`, {
      operation,
      argument: "b",
      expected: a.shape[0],
      actual: b.shape[0],
    });
  }
}

/** How far the products of float32 columns may be from those of orthonormal ones. */
const ORTHONORMAL = 1e-4;

/** Rejects a basis whose columns are not orthonormal: angles would be wrong in silence. */
function requireOrthonormal(basis: MatrixFactor, t: Tensor, argument: string): void {
  const { data } = multiply(transposeFactor(basis) as MatrixFactor, basis);
  const at = data.findIndex((x, i) => !(Math.abs(x - (i % (basis.cols + 1) === 0 ? 1 : 0)) <= ORTHONORMAL));
  if (at < 0) return;
  const [i, j] = [Math.floor(at / basis.cols), at % basis.cols];
  throw new InputError(
    `the columns of ${argument}, ${describeTensor(t)}, are not orthonormal: column ${i} times column ${j} is ${data[at]}. Take a basis from readSpaceOf, writeSpaceOf or qr.`,
    { operation: "principalAngles", argument, expected: i === j ? 1 : 0, actual: data[at] },
  );
}

function factorOf(t: Tensor): MatrixFactor {
  const [rows = 0, cols = 0] = t.shape;
  return matrixFactor(rows, cols, Float64Array.from(t.data));
}

function denseMatrix(matrix: MatrixFactor): DenseMatrix {
  return { rows: matrix.rows, cols: matrix.cols, data: toFloat64(matrix) };
}
