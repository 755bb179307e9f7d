/**
 * Reduction to bidiagonal form, `A = U B Vᵀ`, by Householder reflections from both sides in turn (Golub and Kahan,
 * 1965).
 * `a` is rows x cols with `rows >= cols`; `B` has diagonal `d` and superdiagonal `e`.
 */
import { dot, reflector } from "./vector.ts";

/** The reduced matrix: the reflections stay in `a`, below the diagonal and right of the superdiagonal. */
export interface Bidiagonal {
  readonly rows: number;
  readonly cols: number;
  readonly a: Float64Array;
  /** `[cols]` */
  readonly d: Float64Array;
  /** `[cols - 1]`, at least one entry long. */
  readonly e: Float64Array;
  readonly tauLeft: Float64Array;
  readonly tauRight: Float64Array;
}

/** Reduces the row-major `a`, which it overwrites. */
export function bidiagonalize(a: Float64Array, rows: number, cols: number): Bidiagonal {
  const d = new Float64Array(cols);
  const e = new Float64Array(Math.max(1, cols - 1));
  const tauLeft = new Float64Array(cols);
  const tauRight = new Float64Array(cols);
  const left = new Float64Array(rows);
  const right = new Float64Array(cols);
  const weights = new Float64Array(cols);
  for (let k = 0; k < cols; k++) {
    const below = rows - k;
    for (let i = 0; i < below; i++) left[i] = a[(k + i) * cols + k]!;
    const fromLeft = reflector(left, 0, below);
    for (let i = 0; i < below; i++) a[(k + i) * cols + k] = left[i]!;
    d[k] = fromLeft.beta;
    tauLeft[k] = fromLeft.tau;
    const width = cols - k - 1;
    if (width === 0) break;
    weighRows(weights, width, left, below, a, k * cols + k + 1, cols, fromLeft.tau);
    for (let j = 0; j < width; j++) right[j] = a[k * cols + k + 1 + j]! - weights[j]!;
    const fromRight = reflector(right, 0, width);
    for (let j = 0; j < width; j++) a[k * cols + k + 1 + j] = right[j]!;
    e[k] = fromRight.beta;
    tauRight[k] = fromRight.tau;
    const overlap = dot(weights, 0, right, 0, width);
    for (let i = 1; i < below; i++) {
      updateRow(a, (k + i) * cols + k + 1, width, left[i]!, weights, fromRight.tau, overlap, right);
    }
  }
  return { rows, cols, a, d, e, tauLeft, tauRight };
}

/** `weights = tau · vᵀ A` over a block of `count` rows, four rows at a time. */
export function weighRows(
  weights: Float64Array,
  width: number,
  v: Float64Array,
  count: number,
  a: Float64Array,
  start: number,
  stride: number,
  tau: number,
): void {
  weights.fill(0, 0, width);
  if (tau === 0) return;
  let i = 0;
  for (; i + 3 < count; i += 4) {
    const v0 = tau * v[i]!;
    const v1 = tau * v[i + 1]!;
    const v2 = tau * v[i + 2]!;
    const v3 = tau * v[i + 3]!;
    const r0 = start + i * stride;
    const r1 = r0 + stride;
    const r2 = r1 + stride;
    const r3 = r2 + stride;
    for (let j = 0; j < width; j++) {
      weights[j] = weights[j]! + (v0 * a[r0 + j]! + v1 * a[r1 + j]! + (v2 * a[r2 + j]! + v3 * a[r3 + j]!));
    }
  }
  for (; i < count; i++) {
    const v0 = tau * v[i]!;
    const r0 = start + i * stride;
    for (let j = 0; j < width; j++) weights[j] = weights[j]! + v0 * a[r0 + j]!;
  }
}

/** One row `x` through both reflections: `x -= vᵢ w`, then `x -= tau (x · u) u`, with `w · u = overlap` known. */
function updateRow(
  a: Float64Array,
  start: number,
  width: number,
  vi: number,
  w: Float64Array,
  tau: number,
  overlap: number,
  u: Float64Array,
): void {
  const s = tau * (dot(a, start, u, 0, width) - vi * overlap);
  for (let j = 0; j < width; j++) a[start + j] = a[start + j]! - (vi * w[j]! + s * u[j]!);
}

/** `U`, rows x cols, row-major: the left reflections applied to the first columns of the identity. */
export function leftVectors(reduced: Bidiagonal): Float64Array {
  const { rows, cols, a, tauLeft } = reduced;
  const v = new Float64Array(rows);
  const out = identityColumns(rows, cols);
  const weights = new Float64Array(cols);
  for (let k = cols - 1; k >= 0; k--) {
    for (let i = k; i < rows; i++) v[i - k] = a[i * cols + k]!;
    applyReflection(out, rows, cols, k, v, tauLeft[k]!, weights);
  }
  return out;
}

/** `V`, cols x cols, row-major. */
export function rightVectors(reduced: Bidiagonal): Float64Array {
  const { cols, a, tauRight } = reduced;
  const v = new Float64Array(cols);
  const out = identityColumns(cols, cols);
  const weights = new Float64Array(cols);
  for (let k = cols - 2; k >= 0; k--) {
    for (let j = k + 1; j < cols; j++) v[j - k - 1] = a[k * cols + j]!;
    applyReflection(out, cols, cols, k + 1, v, tauRight[k]!, weights);
  }
  return out;
}

function identityColumns(rows: number, cols: number): Float64Array {
  const out = new Float64Array(rows * cols);
  for (let j = 0; j < cols; j++) out[j * cols + j] = 1;
  return out;
}

/** Reflects rows `k...` of `x`, whose columns before `k` are still columns of the identity. */
function applyReflection(
  x: Float64Array,
  rows: number,
  cols: number,
  k: number,
  v: Float64Array,
  tau: number,
  weights: Float64Array,
): void {
  if (tau === 0) return;
  const width = cols - k;
  weighRows(weights, width, v, rows - k, x, k * cols + k, cols, tau);
  for (let i = k; i < rows; i++) {
    const vi = v[i - k]!;
    const row = i * cols + k;
    for (let j = 0; j < width; j++) x[row + j] = x[row + j]! - vi * weights[j]!;
  }
}
