/**
 * Householder QR (Golub and Van Loan, Matrix Computations, 4th ed., §5.2), on a transposed copy so that columns are
 * contiguous.
 */
import { requireMatrix, type DenseMatrix } from "./dense.ts";
import { workspaceFor } from "./engine.ts";
import { loadMatrix } from "./load.ts";
import { Places, spaceFor, strideOf, type Workspace } from "./workspace.ts";

/**
 * A thin QR decomposition.
 * @category Linear algebra
 */
export interface QR {
  /** `[rows, min(rows, cols)]`, orthonormal columns. */
  readonly Q: DenseMatrix;
  /** `[min(rows, cols), cols]`, upper triangular with a non-negative diagonal. */
  readonly R: DenseMatrix;
}

/**
 * The thin QR decomposition $A = QR$, with a non-negative diagonal of $R$ (so it is unique when the columns of a tall
 * $A$ are independent).
 *
 * @throws InputError when an entry is NaN or infinite.
 * @category Linear algebra
 * @example
 * ```ts
 * import { dense, qr } from "transformer-circuits/linear";
 *
 * const { Q, R } = qr(dense(2, 2, [3, 1, 4, 2]));
 * console.log(Array.from(R.data, (x) => x.toFixed(1)).join(" "));
 * // 5.0 2.2 0.0 0.4
 * console.log(Array.from(Q.data, (x) => x.toFixed(1)).join(" "));
 * // 0.6 -0.8 0.8 0.6
 * ```
 */
export function qr(a: DenseMatrix): QR {
  requireMatrix(a, "qr");
  const { rows, cols } = a;
  const rank = Math.min(rows, cols);
  const { workspace, columns, v, tau, diagonal, Q, scale } = triangularized("qr", a, true);
  const stride = strideOf(rows);
  workspace.formVectors(Q, rank, rows, stride, v, stride, tau, rank, 0);
  const { numbers } = workspace;
  const data = new Float64Array(rows * rank);
  for (let j = 0; j < rank; j++) {
    // Columns that belong to a negative diagonal entry change sign; adding 0 turns -0 into 0.
    const sign = numbers[diagonal + j]! < 0 ? -1 : 1;
    for (let i = 0; i < rows; i++) data[i * rank + j] = sign * numbers[Q + j * stride + i]! + 0;
  }
  return { Q: { rows, cols: rank, data }, R: triangleOf(numbers, columns, diagonal, rows, cols, scale) };
}

/**
 * The triangular factor of {@link qr} alone, for half the work or less.
 *
 * @returns $R$, `[min(rows, cols), cols]`, upper triangular with a non-negative diagonal.
 * @throws InputError when an entry is NaN or infinite.
 * @category Linear algebra
 * @example
 * ```ts
 * import { dense, qrTriangle } from "transformer-circuits/linear";
 *
 * console.log(Array.from(qrTriangle(dense(2, 2, [3, 1, 4, 2])).data, (x) => x.toFixed(1)).join(" "));
 * // 5.0 2.2 0.0 0.4
 * ```
 */
export function qrTriangle(a: DenseMatrix): DenseMatrix {
  requireMatrix(a, "qrTriangle");
  const { workspace, columns, diagonal, scale } = triangularized("qrTriangle", a, false);
  return triangleOf(workspace.numbers, columns, diagonal, a.rows, a.cols, scale);
}

interface Triangularized {
  readonly workspace: Workspace;
  /** The columns as rows, the triangle above its diagonal in them. */
  readonly columns: number;
  readonly v: number;
  readonly tau: number;
  readonly diagonal: number;
  /** Room for `Q`, transposed. */
  readonly Q: number;
  readonly scale: number;
}

function triangularized(operation: string, a: DenseMatrix, keep: boolean): Triangularized {
  const { rows, cols } = a;
  const rank = Math.min(rows, cols);
  const stride = strideOf(rows);
  const room = new Places();
  const columns = room.take(spaceFor(cols, rows));
  const v = room.take(keep ? spaceFor(rank, rows) : stride);
  const tau = room.take(rank);
  const diagonal = room.take(rank);
  const Q = keep ? room.take(spaceFor(rank, rows)) : 0;
  const workspace = workspaceFor(room.taken);
  const scale = loadMatrix(operation, workspace.numbers, columns, { ...a, offset: 0 }, true);
  workspace.triangularize(columns, cols, rows, stride, keep, v, tau, diagonal);
  return { workspace, columns, v, tau, diagonal, Q, scale };
}

function triangleOf(
  numbers: Float64Array,
  columns: number,
  diagonal: number,
  rows: number,
  cols: number,
  scale: number,
): DenseMatrix {
  const rank = Math.min(rows, cols);
  const stride = strideOf(rows);
  const data = new Float64Array(rank * cols);
  for (let i = 0; i < rank; i++) {
    const factor = (numbers[diagonal + i]! < 0 ? -1 : 1) / scale;
    data[i * cols + i] = numbers[diagonal + i]! * factor;
    for (let j = i + 1; j < cols; j++) data[i * cols + j] = numbers[columns + j * stride + i]! * factor;
  }
  return { rows: rank, cols, data };
}
