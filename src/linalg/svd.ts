/**
 * Singular value decomposition of a dense matrix in float64: QR first where the matrix is clearly taller than wide,
 * then Householder reduction to bidiagonal form and implicit QR on that. A wide matrix is taken transposed.
 *
 * Vectors are kept as rows, that is transposed, until the end: rotations of neighbouring columns are then rotations of
 * contiguous rows.
 */
import { diagonalize } from "./bidiagonal-qr.ts";
import { requireMatrix, type DenseMatrix } from "./dense.ts";
import { workspaceFor } from "./engine.ts";
import { checkStack, loadMatrix, loadTriangle, type Source } from "./load.ts";
import { queueSpace, RotationQueue } from "./rotation-queue.ts";
import { type BidiagonalPlaces, Places, spaceFor, strideOf, type Workspace } from "./workspace.ts";

/**
 * A thin singular value decomposition, $A = U \operatorname{diag}(S) V^\top$ with $r = \min(\text{rows}, \text{cols})$.
 * @category Linear algebra
 */
export interface SVD {
  /** `[rows, r]`: left singular vectors, one a column. */
  readonly U: DenseMatrix;
  /** `[r]`: singular values, descending. */
  readonly S: Float64Array;
  /** `[cols, r]`: right singular vectors, one a column (`V` itself, not its transpose). */
  readonly V: DenseMatrix;
}

/** From this ratio of rows to columns on, a QR decomposition first saves work. */
const TALL = 1.5;

/**
 * The thin singular value decomposition $A = U \operatorname{diag}(S) V^\top$, singular values descending.
 *
 * Signs are fixed: the entry of largest modulus in each column of `U` (the first of equals) is positive, and `V`
 * follows. Vectors that belong to equal singular values are any orthonormal basis of their space. The error of a
 * singular value is a small multiple of $2^{-53} \lVert A \rVert$.
 *
 * @throws InputError when an entry is NaN or infinite.
 * @throws CircuitsError when the iteration does not converge.
 * @category Linear algebra
 * @example
 * ```ts
 * import { dense, svd } from "transformer-circuits/linear";
 *
 * const { U, S, V } = svd(dense(2, 2, [0, 2, 3, 0]));
 * console.log(Array.from(S, (x) => x.toFixed(3)).join(" "));
 * // 3.000 2.000
 * console.log(U.rows, U.cols, V.rows, V.cols);
 * // 2 2 2 2
 * ```
 */
export function svd(a: DenseMatrix): SVD {
  requireMatrix(a, "svd");
  const reduced = reduce("svd", { ...a, offset: 0 }, true);
  const { workspace, rows, cols, square, places, queues, U, V, d, e } = reduced;
  const { numbers } = workspace;
  const long = strideOf(rows);
  const short = strideOf(cols);
  workspace.formVectors(U, cols, square, long, places.left, places.leftStride, places.leftTau, cols, 0);
  workspace.formVectors(V, cols, cols, short, places.right, places.rightStride, places.rightTau, cols - 1, 1);
  const space = queueSpace(cols);
  diagonalize(d, e, {
    U: new RotationQueue(workspace, U, long, square, queues, space),
    V: new RotationQueue(workspace, V, short, cols, queues + space, space),
    numbers,
  });
  if (square < rows) workspace.reflectBack(U, cols, rows, long, reduced.Q, long, reduced.tau, cols);
  for (let i = 0; i < cols; i++) d[i] = d[i]! / reduced.scale;
  const left = { at: U, stride: long, length: rows };
  const right = { at: V, stride: short, length: cols };
  return a.rows < a.cols ? arrange(numbers, right, d, left) : arrange(numbers, left, d, right);
}

/**
 * The singular values of a matrix, descending; a fraction of the work of {@link svd}.
 *
 * @throws InputError when an entry is NaN or infinite.
 * @throws CircuitsError when the iteration does not converge.
 * @category Linear algebra
 * @example
 * ```ts
 * import { dense, singularValues } from "transformer-circuits/linear";
 *
 * console.log(Array.from(singularValues(dense(2, 2, [3, 0, 4, 5])), (x) => x.toFixed(4)).join(" "));
 * // 6.7082 2.2361
 * ```
 */
export function singularValues(a: DenseMatrix): Float64Array {
  requireMatrix(a, "singularValues");
  const out = new Float64Array(Math.min(a.rows, a.cols));
  singularValuesInto("singularValues", { ...a, offset: 0 }, out, 0);
  return out;
}

/**
 * The singular values of each of `count` matrices that lie one after the other: of each as {@link singularValues} gives
 * them.
 *
 * @param data - `[count, rows, cols]`, row-major.
 * @returns `[count, min(rows, cols)]`.
 * @throws ShapeError when the number of entries is not `count * rows * cols`.
 * @throws InputError when an entry is NaN or infinite.
 * @throws CircuitsError when the iteration does not converge.
 * @category Linear algebra
 * @example
 * ```ts
 * import { singularValuesOfStack } from "transformer-circuits/linear";
 *
 * const values = singularValuesOfStack(Float64Array.of(0, -2, 0, 1, 0, 0), 1, 2, 3);
 * console.log(Array.from(values, (x) => x.toFixed(4)).join(" "));
 * // 2.0000 1.0000
 * ```
 */
export function singularValuesOfStack(data: Float64Array, count: number, rows: number, cols: number): Float64Array {
  checkStack("singularValuesOfStack", data, count, rows, cols);
  const rank = Math.min(rows, cols);
  const out = new Float64Array(count * rank);
  for (let t = 0; t < count; t++) {
    singularValuesInto("singularValuesOfStack", { data, offset: t * rows * cols, rows, cols }, out, t * rank);
  }
  return out;
}

/** Writes the singular values of a matrix to `out` from `at` on, descending. */
function singularValuesInto(operation: string, source: Source, out: Float64Array, at: number): void {
  const { d, e, scale } = reduce(operation, source, false);
  diagonalize(d, e);
  for (let i = 0; i < d.length; i++) d[i] = Math.abs(d[i]!) / scale;
  d.sort().reverse();
  out.set(d, at);
}

/** A matrix, tall after transposition if need be, reduced to the bidiagonal `d`, `e` in a workspace. */
interface Reduced {
  readonly workspace: Workspace;
  readonly rows: number;
  readonly cols: number;
  /**
   * Rows of the matrix that was reduced: fewer than `rows` after a QR decomposition, whose reflections are in `Q` and
   * `tau`.
   */
  readonly square: number;
  readonly scale: number;
  readonly d: Float64Array;
  readonly e: Float64Array;
  readonly places: BidiagonalPlaces;
  readonly Q: number;
  readonly tau: number;
  /** Room for the vectors, transposed, and for two queues of rotations. */
  readonly U: number;
  readonly V: number;
  readonly queues: number;
}

function reduce(operation: string, source: Source, keep: boolean): Reduced {
  const isWide = source.rows < source.cols;
  const rows = isWide ? source.cols : source.rows;
  const cols = isWide ? source.rows : source.cols;
  const isTall = rows >= TALL * cols && cols > 0;
  const square = isTall ? cols : rows;
  const room = new Places();
  const [long, short] = [strideOf(rows), strideOf(cols)];
  const transposed = isTall ? room.take(spaceFor(cols, rows)) : 0;
  const Q = isTall ? room.take(keep ? spaceFor(cols, rows) : long) : 0;
  const tau = room.take(short);
  const diagonal = room.take(short);
  const a = room.take(spaceFor(square, cols));
  const places = {
    d: room.take(short),
    e: room.take(short),
    left: room.take(keep ? spaceFor(cols, square) : strideOf(square)),
    leftStride: strideOf(square),
    leftTau: room.take(short),
    right: room.take(keep ? spaceFor(cols, cols) : short),
    rightStride: short,
    rightTau: room.take(short),
    work: room.take(short),
  };
  const U = keep && !isTall ? room.take(spaceFor(cols, rows)) : transposed;
  const V = keep ? room.take(spaceFor(cols, cols)) : 0;
  const queues = keep ? room.take(2 * queueSpace(cols)) : 0;
  const workspace = workspaceFor(room.taken);
  const { numbers } = workspace;
  let scale: number;
  if (isTall) {
    scale = loadMatrix(operation, numbers, transposed, source, !isWide);
    workspace.triangularize(transposed, cols, rows, long, keep, Q, tau, diagonal);
    loadTriangle(numbers, a, transposed, cols, long, diagonal);
  } else {
    scale = loadMatrix(operation, numbers, a, source, isWide);
  }
  workspace.bidiagonalize(a, square, cols, short, keep, places);
  const d = numbers.slice(places.d, places.d + cols);
  const e = numbers.slice(places.e, places.e + Math.max(1, cols - 1));
  return { workspace, rows, cols, square, scale, d, e, places, Q, tau, U, V, queues };
}

/** Vectors as rows of the workspace. */
interface Rows {
  readonly at: number;
  readonly stride: number;
  readonly length: number;
}

/** Singular values positive and descending, signs of the vectors by the rule that {@link svd} states. */
function arrange(numbers: Float64Array, U: Rows, S: Float64Array, V: Rows): SVD {
  const r = S.length;
  const order = Array.from(S.keys()).sort((i, j) => Math.abs(S[j]!) - Math.abs(S[i]!));
  const signU = new Float64Array(r);
  const signV = new Float64Array(r);
  for (let k = 0; k < r; k++) {
    const row = U.at + order[k]! * U.stride;
    let largest = 0;
    for (let i = row; i < row + U.length; i++) if (Math.abs(numbers[i]!) > Math.abs(largest)) largest = numbers[i]!;
    signU[k] = largest < 0 ? -1 : 1;
    signV[k] = S[order[k]!]! < 0 ? -signU[k]! : signU[k]!;
  }
  return {
    U: asColumns(numbers, U, order, signU),
    S: Float64Array.from(order, (j) => Math.abs(S[j]!)),
    V: asColumns(numbers, V, order, signV),
  };
}

/** The matrix whose column `k` is row `order[k]` times `sign[k]`, eight columns at a time. */
function asColumns(numbers: Float64Array, x: Rows, order: readonly number[], sign: Float64Array): DenseMatrix {
  const cols = order.length;
  const data = new Float64Array(x.length * cols);
  const block = 8;
  for (let first = 0; first < x.length; first += block) {
    const end = Math.min(x.length, first + block);
    for (let k = 0; k < cols; k++) {
      const row = x.at + order[k]! * x.stride;
      const s = sign[k]!;
      // Adding 0 turns -0 into 0.
      for (let i = first; i < end; i++) data[i * cols + k] = s * numbers[row + i]! + 0;
    }
  }
  return { rows: x.length, cols, data };
}
