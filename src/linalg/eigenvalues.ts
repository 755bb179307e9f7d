/**
 * Eigenvalues of real square matrices in float64: balancing, Householder reduction to Hessenberg form, Francis's
 * double-shift QR. Values only, so the iteration works on the active block alone.
 */
import { ShapeError } from "../errors.ts";
import { balance } from "./balance.ts";
import { requireMatrix, type ComplexArray, type DenseMatrix } from "./dense.ts";
import { workspaceFor } from "./engine.ts";
import { hessenbergEigenvalues } from "./francis.ts";
import { checkStack, loadMatrix } from "./load.ts";
import { hypotenuse } from "./vector.ts";
import { paddedRows, spaceFor, strideOf } from "./workspace.ts";

/**
 * The eigenvalues of a real square matrix, with multiplicity, sorted by descending modulus, then descending real
 * part; of a conjugate pair the one with positive imaginary part comes first, and the two are exact conjugates.
 *
 * @throws ShapeError when the matrix is not square.
 * @throws InputError when an entry is NaN or infinite.
 * @throws CircuitsError when the iteration does not converge.
 * @category Linear algebra
 * @example
 * ```ts
 * import { dense, eigenvalues } from "transformer-circuits/linear";
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
  requireMatrix(a, "eigenvalues");
  const n = a.rows;
  if (a.cols !== n) {
    throw new ShapeError(
      `only a square matrix has eigenvalues, this one is ${a.rows} x ${a.cols}. Use singularValues for a rectangular one.`,
      { operation: "eigenvalues", argument: "a", expected: [n, n], actual: [a.rows, a.cols] },
    );
  }
  const re = new Float64Array(n);
  const im = new Float64Array(n);
  eigenvaluesInto("eigenvalues", a.data, 0, n, re, im, 0);
  return { re, im };
}

/**
 * The eigenvalues of each of `count` square matrices that lie one after the other, those of all heads for instance: of
 * each matrix as {@link eigenvalues} gives them.
 *
 * @param data - `[count, n, n]`, row-major.
 * @returns real and imaginary parts, each `[count, n]`.
 * @throws ShapeError when the number of entries is not `count * n * n`.
 * @throws InputError when an entry is NaN or infinite.
 * @throws CircuitsError when the iteration does not converge.
 * @category Linear algebra
 * @example
 * ```ts
 * import { eigenvaluesOfStack } from "transformer-circuits/linear";
 *
 * const { re } = eigenvaluesOfStack(Float64Array.of(2, 0, 0, 3, 5, 1, 0, 4), 2, 2);
 * console.log(re.join(" "));
 * // 3 2 5 4
 * ```
 */
export function eigenvaluesOfStack(data: Float64Array, count: number, n: number): ComplexArray {
  checkStack("eigenvaluesOfStack", data, count, n, n);
  const re = new Float64Array(count * n);
  const im = new Float64Array(count * n);
  for (let t = 0; t < count; t++) eigenvaluesInto("eigenvaluesOfStack", data, t * n * n, n, re, im, t * n);
  return { re, im };
}

/** Writes the eigenvalues of the `n` x `n` matrix at `offset` of `data` to `re` and `im` from `out` on, sorted. */
function eigenvaluesInto(
  operation: string,
  data: Float64Array,
  offset: number,
  n: number,
  re: Float64Array,
  im: Float64Array,
  out: number,
): void {
  const stride = strideOf(n);
  const h = 0;
  const work = h + spaceFor(n, n);
  const list = work + 2 * stride;
  const workspace = workspaceFor(list + 5 * n);
  const { numbers } = workspace;
  const scale = loadMatrix(operation, numbers, h, { data, offset, rows: n, cols: n });
  const { lo, hi } = balance(numbers, h, n, stride, work);
  for (let i = 0; i < n; i++) {
    re[out + i] = numbers[h + i * (stride + 1)]!;
    im[out + i] = 0;
  }
  const size = hi - lo;
  if (size > 1) {
    if (size < n) moveBlock(numbers, h, stride, lo, size);
    workspace.reduceToHessenberg(h, size, stride, work);
    hessenbergEigenvalues(workspace, { h, n: size, stride, list }, re, im, out + lo);
  }
  sortEigenvalues(re, im, out, n);
  if (scale !== 1) {
    for (let i = out; i < out + n; i++) {
      re[i] = re[i]! / scale;
      im[i] = im[i]! / scale;
    }
  }
}

/** Moves the diagonal block of `size` rows and columns from `lo` on to the origin, padding included. */
function moveBlock(numbers: Float64Array, h: number, stride: number, lo: number, size: number): void {
  for (let i = 0; i < size; i++) {
    const from = h + (lo + i) * stride + lo;
    const to = h + i * stride;
    numbers.copyWithin(to, from, from + size);
    numbers.fill(0, to + size, to + stride);
  }
  numbers.fill(0, h + size * stride, h + paddedRows(size) * stride);
}

/**
 * Sorts real eigenvalues and conjugate pairs, each pair as one, by insertion: the iteration leaves them nearly in
 * order.
 */
function sortEigenvalues(re: Float64Array, im: Float64Array, out: number, n: number): void {
  for (let i = out; i < out + n;) {
    const width = im[i] === 0 ? 1 : 2;
    const x = re[i]!;
    const y = Math.abs(im[i]!);
    const modulus = hypotenuse(x, y);
    let at = i;
    while (at > out) {
      const other = hypotenuse(re[at - 1]!, im[at - 1]!);
      if (other > modulus || (other === modulus && re[at - 1]! >= x)) break;
      at--;
    }
    re.copyWithin(at + width, at, i);
    im.copyWithin(at + width, at, i);
    re[at] = x;
    im[at] = y;
    if (width === 2) {
      re[at + 1] = x;
      im[at + 1] = -y;
    }
    i += width;
  }
}
