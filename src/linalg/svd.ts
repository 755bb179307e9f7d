/**
 * Singular value decomposition of a dense matrix in float64: QR first where the matrix is clearly taller than wide,
 * then Householder reduction to bidiagonal form and implicit QR on that. A wide matrix is taken transposed.
 */
import { bidiagonalize, leftVectors, rightVectors } from "./bidiagonal.ts";
import { diagonalize } from "./bidiagonal-qr.ts";
import type { DenseMatrix } from "./dense.ts";
import { matmulDense, requireFinite, transposeDense } from "./dense.ts";
import { qr } from "./qr.ts";
import { RotationQueue } from "./rotations.ts";
import { safeScale } from "./vector.ts";

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
 * @category Linear algebra
 * @example
 * ```ts
 * import { dense, svd } from "transformer-circuits";
 *
 * const { U, S, V } = svd(dense(2, 2, [0, 2, 3, 0]));
 * console.log(Array.from(S, (x) => x.toFixed(3)).join(" "));
 * // 3.000 2.000
 * console.log(U.rows, U.cols, V.rows, V.cols);
 * // 2 2 2 2
 * ```
 */
export function svd(a: DenseMatrix): SVD {
  requireFinite("svd", a);
  if (a.rows < a.cols) {
    const { U, S, V } = svdTall(transposeDense(a));
    return arrange(V, S, U);
  }
  const { U, S, V } = svdTall(a);
  return arrange(U, S, V);
}

/**
 * The singular values of a matrix, descending; a fraction of the work of {@link svd}.
 *
 * @throws InputError when an entry is NaN or infinite.
 * @category Linear algebra
 * @example
 * ```ts
 * import { dense, singularValues } from "transformer-circuits";
 *
 * console.log(Array.from(singularValues(dense(2, 2, [3, 0, 4, 5])), (x) => x.toFixed(4)).join(" "));
 * // 6.7082 2.2361
 * ```
 */
export function singularValues(a: DenseMatrix): Float64Array {
  requireFinite("singularValues", a);
  let tall = a.rows < a.cols ? transposeDense(a) : a;
  if (tall.rows >= TALL * tall.cols && tall.cols > 0) tall = qr(tall).R;
  const scale = safeScale(tall.data);
  const { d, e } = bidiagonalize(scaled(tall.data, scale), tall.rows, tall.cols);
  diagonalize(d, e, undefined, undefined);
  for (let i = 0; i < d.length; i++) d[i] = Math.abs(d[i]!) / scale;
  return d.sort().reverse();
}

function scaled(data: Float64Array, scale: number): Float64Array {
  const out = data.slice();
  if (scale !== 1) for (let i = 0; i < out.length; i++) out[i] = out[i]! * scale;
  return out;
}

/** Unordered factors of a matrix with at least as many rows as columns. */
function svdTall(a: DenseMatrix): SVD {
  const { rows, cols } = a;
  if (rows >= TALL * cols && cols > 0) {
    const { Q, R } = qr(a);
    const inner = svdTall(R);
    return { U: matmulDense(Q, inner.U), S: inner.S, V: inner.V };
  }
  const scale = safeScale(a.data);
  const reduced = bidiagonalize(scaled(a.data, scale), rows, cols);
  const U = leftVectors(reduced);
  const V = rightVectors(reduced);
  const { d, e } = reduced;
  diagonalize(d, e, new RotationQueue(U, rows, cols), new RotationQueue(V, cols, cols));
  for (let i = 0; i < cols; i++) d[i] = d[i]! / scale;
  return { U: { rows, cols, data: U }, S: d, V: { rows: cols, cols, data: V } };
}

/** Singular values positive and descending, signs of the vectors by the rule that {@link svd} states. */
function arrange(U: DenseMatrix, S: Float64Array, V: DenseMatrix): SVD {
  const r = S.length;
  const order = Array.from(S.keys()).sort((i, j) => Math.abs(S[j]!) - Math.abs(S[i]!));
  const signU = new Float64Array(r);
  const largest = new Float64Array(r);
  for (let i = 0; i < U.rows; i++) {
    for (let j = 0; j < r; j++) {
      const x = U.data[i * r + j]!;
      if (Math.abs(x) > largest[j]!) {
        largest[j] = Math.abs(x);
        signU[j] = x < 0 ? -1 : 1;
      }
    }
  }
  const signV = signU.map((sign, j) => (S[j]! < 0 ? -sign : sign));
  return {
    U: pickColumns(U, order, signU),
    S: Float64Array.from(order, (j) => Math.abs(S[j]!)),
    V: pickColumns(V, order, signV),
  };
}

function pickColumns(x: DenseMatrix, order: readonly number[], sign: Float64Array): DenseMatrix {
  const { rows, cols } = x;
  const data = new Float64Array(rows * cols);
  const from = Int32Array.from(order);
  const signs = Float64Array.from(order, (j) => sign[j]!);
  // Adding 0 turns -0 into 0.
  for (let i = 0; i < rows; i++) {
    const row = i * cols;
    for (let j = 0; j < cols; j++) data[row + j] = signs[j]! * x.data[row + from[j]!]! + 0;
  }
  return { rows, cols, data };
}
