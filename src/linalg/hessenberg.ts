/**
 * Reduction of a square matrix to upper Hessenberg form by Householder similarities (Golub and Van Loan, 4th ed.,
 * §7.4.3).
 * `a` is row-major with `stride` entries a row. What lies below the subdiagonal afterwards is 0.
 */
import { weighRows } from "./bidiagonal.ts";
import { dot, reflector } from "./vector.ts";

/** Reduces `a` in place. */
export function reduceToHessenberg(a: Float64Array, n: number, stride: number): void {
  const v = new Float64Array(n);
  const weights = new Float64Array(n);
  for (let k = 0; k < n - 2; k++) {
    const width = n - k - 1;
    for (let i = 0; i < width; i++) v[i] = a[(k + 1 + i) * stride + k]!;
    const { tau, beta } = reflector(v, 0, width);
    for (let i = 0; i < width; i++) a[(k + 1 + i) * stride + k] = i === 0 ? beta : 0;
    if (tau === 0) continue;
    weighRows(weights, width, v, width, a, (k + 1) * stride + k + 1, stride, tau);
    const overlap = dot(weights, 0, v, 0, width);
    for (let i = 0; i <= k; i++) reflectRow(a, i * stride + k + 1, width, v, tau);
    for (let i = 0; i < width; i++) {
      reflectBothSides(a, (k + 1 + i) * stride + k + 1, width, v[i]!, weights, overlap, v, tau);
    }
  }
}

/** `x -= tau (x · v) v` for one row. */
function reflectRow(a: Float64Array, start: number, width: number, v: Float64Array, tau: number): void {
  const s = tau * dot(a, start, v, 0, width);
  for (let j = 0; j < width; j++) a[start + j] = a[start + j]! - s * v[j]!;
}

/** `x -= vᵢ w`, the reflection from the left, then `x -= tau (x · v) v`, with `w · v = overlap` known. */
function reflectBothSides(
  a: Float64Array,
  start: number,
  width: number,
  vi: number,
  w: Float64Array,
  overlap: number,
  v: Float64Array,
  tau: number,
): void {
  const s = tau * (dot(a, start, v, 0, width) - vi * overlap);
  for (let j = 0; j < width; j++) a[start + j] = a[start + j]! - (vi * w[j]! + s * v[j]!);
}
