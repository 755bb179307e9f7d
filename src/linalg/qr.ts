/**
 * Householder QR (Golub and Van Loan, Matrix Computations, 4th ed., §5.2), on a transposed copy so that columns are
 * contiguous.
 */
import type { DenseMatrix } from "./dense.ts";
import { requireFinite } from "./dense.ts";
import { addScaled, dot, reflector, safeScale } from "./vector.ts";

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
 * import { dense, qr } from "transformer-circuits";
 *
 * const { Q, R } = qr(dense(2, 2, [3, 1, 4, 2]));
 * console.log(Array.from(R.data, (x) => x.toFixed(1)).join(" "));
 * // 5.0 2.2 0.0 0.4
 * console.log(Array.from(Q.data, (x) => x.toFixed(1)).join(" "));
 * // 0.6 -0.8 0.8 0.6
 * ```
 */
export function qr(a: DenseMatrix): QR {
  requireFinite("qr", a);
  const { rows, cols } = a;
  const rank = Math.min(rows, cols);
  const scale = safeScale(a.data);
  const columns = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) columns[j * rows + i] = a.data[i * cols + j]! * scale;
  }
  const tau = new Float64Array(rank);
  const diagonal = new Float64Array(rank);
  for (let k = 0; k < rank; k++) {
    const at = k * rows + k;
    const reflection = reflector(columns, at, rows - k);
    tau[k] = reflection.tau;
    diagonal[k] = reflection.beta;
    for (let j = k + 1; j < cols; j++) reflect(columns, at, columns, j * rows + k, rows - k, reflection.tau);
  }
  return {
    Q: formQ(columns, tau, diagonal, rows, rank),
    R: formR(columns, diagonal, rows, cols, scale),
  };
}

/** `x -= tau (v · x) v`. */
function reflect(v: Float64Array, vStart: number, x: Float64Array, xStart: number, count: number, tau: number): void {
  if (tau !== 0) addScaled(x, xStart, -tau * dot(v, vStart, x, xStart, count), v, vStart, count);
}

/**
 * The reflections applied to the first columns of the identity, last reflection first; columns that belong to a
 * negative diagonal entry change sign.
 */
function formQ(
  columns: Float64Array,
  tau: Float64Array,
  diagonal: Float64Array,
  rows: number,
  rank: number,
): DenseMatrix {
  const data = new Float64Array(rows * rank);
  const column = new Float64Array(rows);
  for (let j = 0; j < rank; j++) {
    column.fill(0);
    column[j] = diagonal[j]! < 0 ? -1 : 1;
    for (let k = j; k >= 0; k--) reflect(columns, k * rows + k, column, k, rows - k, tau[k]!);
    for (let i = 0; i < rows; i++) data[i * rank + j] = column[i]!;
  }
  return { rows, cols: rank, data };
}

function formR(columns: Float64Array, diagonal: Float64Array, rows: number, cols: number, scale: number): DenseMatrix {
  const rank = diagonal.length;
  const data = new Float64Array(rank * cols);
  for (let i = 0; i < rank; i++) {
    const factor = (diagonal[i]! < 0 ? -1 : 1) / scale;
    data[i * cols + i] = diagonal[i]! * factor;
    for (let j = i + 1; j < cols; j++) data[i * cols + j] = columns[j * rows + i]! * factor;
  }
  return { rows: rank, cols, data };
}
