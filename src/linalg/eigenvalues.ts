/**
 * Eigenvalues of a real square matrix in float64: balancing, Householder reduction to Hessenberg form, Francis's
 * double-shift QR. Values only, so the iteration works on the active block alone.
 */
import { ShapeError } from "../errors.ts";
import { balance } from "./balance.ts";
import type { ComplexArray, DenseMatrix } from "./dense.ts";
import { requireFinite } from "./dense.ts";
import { hessenbergEigenvalues } from "./francis.ts";
import { reduceToHessenberg } from "./hessenberg.ts";
import { hypotenuse, safeScale } from "./vector.ts";

/**
 * The eigenvalues of a real square matrix, with multiplicity, sorted by descending modulus, then descending real
 * part; of a conjugate pair the one with positive imaginary part comes first, and the two are exact conjugates.
 *
 * @throws ShapeError when the matrix is not square.
 * @throws InputError when an entry is NaN or infinite.
 * @category Linear algebra
 * @example
 * ```ts
 * import { dense, eigenvalues } from "transformer-circuits";
 *
 * // x³ - 2x² + x - 2 = (x - 2)(x² + 1)
 * const companion = dense(3, 3, [2, -1, 2, 1, 0, 0, 0, 1, 0]);
 * const { re, im } = eigenvalues(companion);
 * console.log(Array.from(re, (x) => Math.abs(x).toFixed(3)).join(" "));
 * // 2.000 0.000 0.000
 * console.log(Array.from(im, (x) => x.toFixed(3)).join(" "));
 * // 0.000 1.000 -1.000
 * ```
 */
export function eigenvalues(a: DenseMatrix): ComplexArray {
  const n = a.rows;
  if (a.cols !== n) {
    throw new ShapeError(
      `only a square matrix has eigenvalues, this one is ${a.rows} x ${a.cols}. Use singularValues for a rectangular one.`,
      { operation: "eigenvalues", argument: "a", expected: [n, n], actual: [a.rows, a.cols] },
    );
  }
  requireFinite("eigenvalues", a);
  const work = a.data.slice();
  const scale = safeScale(work);
  if (scale !== 1) for (let i = 0; i < work.length; i++) work[i] = work[i]! * scale;
  const { lo, hi } = balance(work, n);
  const re = new Float64Array(n);
  const im = new Float64Array(n);
  for (let i = 0; i < n; i++) re[i] = work[i * n + i]!;
  solveBlock(work, n, lo, hi, re, im);
  return sortedEigenvalues(re, im, scale);
}

/** Eigenvalues of rows and columns `lo..hi - 1`, into the same places of `re` and `im`. */
function solveBlock(work: Float64Array, n: number, lo: number, hi: number, re: Float64Array, im: Float64Array): void {
  const size = hi - lo;
  if (size < 2) return;
  // An odd number of cache lines a row: rows at a power-of-two distance would share the same cache sets.
  const stride = (((size + 7) >> 3) | 1) << 3;
  const block = new Float64Array(size * stride);
  for (let i = 0; i < size; i++) {
    block.set(work.subarray((lo + i) * n + lo, (lo + i) * n + hi), i * stride);
  }
  reduceToHessenberg(block, size, stride);
  hessenbergEigenvalues(block, size, stride, re.subarray(lo, hi), im.subarray(lo, hi));
}

/** Sorts real eigenvalues and conjugate pairs, each pair as one; `im[i] > 0` marks the first of a pair. */
function sortedEigenvalues(re: Float64Array, im: Float64Array, scale: number): ComplexArray {
  const units: { re: number; im: number; modulus: number }[] = [];
  for (let i = 0; i < re.length; i++) {
    if (im[i]! < 0) continue;
    units.push({ re: re[i]!, im: im[i]!, modulus: hypotenuse(re[i]!, im[i]!) });
  }
  units.sort((x, y) => y.modulus - x.modulus || y.re - x.re);
  const out = { re: new Float64Array(re.length), im: new Float64Array(re.length) };
  let at = 0;
  for (const unit of units) {
    out.re[at] = unit.re / scale;
    out.im[at++] = unit.im / scale;
    if (unit.im > 0) {
      out.re[at] = unit.re / scale;
      out.im[at++] = -unit.im / scale;
    }
  }
  return out;
}
