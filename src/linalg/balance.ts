/**
 * Balancing before an eigenvalue computation (Parlett and Reinsch, 1969; with 2-norms as James, Langou and Lowery,
 * 2014): rows and columns that already hold an eigenvalue are moved out of the way, the rest is scaled by powers of
 * two until rows and columns have similar norms. Both are exact similarities.
 */
import { norm2 } from "./vector.ts";

const RADIX = 2;
/** A scaling that gains less than this factor is left. */
const WORTHWHILE = 0.95;

/** The rows `lo..hi - 1` still to be worked on; every other diagonal entry is an eigenvalue. */
export interface Balanced {
  readonly lo: number;
  readonly hi: number;
}

/**
 * Balances the `n` x `n` matrix at `at` in place; `stride` is the distance of two rows, `sums` has room for `n`
 * numbers.
 */
export function balance(a: Float64Array, at: number, n: number, stride: number, sums: number): Balanced {
  let lo = 0;
  let hi = n;
  for (let found = true; found && hi > lo;) {
    found = false;
    for (let i = hi - 1; i >= lo && !found; i--) {
      if (isZero(a, at + i * stride, 1, lo, hi, i)) {
        exchange(a, at, n, stride, i, --hi);
        found = true;
      }
    }
  }
  for (let found = true; found && hi > lo;) {
    found = false;
    for (let j = lo; j < hi && !found; j++) {
      if (isZero(a, at + j, stride, lo, hi, j)) {
        exchange(a, at, n, stride, j, lo++);
        found = true;
      }
    }
  }
  if (!isBalanced(a, at, stride, sums, lo, hi)) scaleRange(a, at, stride, lo, hi);
  return { lo, hi };
}

/** Whether the entries `lo..hi - 1` of a row (`step` 1) or column (`step` n) are 0 but for the diagonal one. */
function isZero(a: Float64Array, start: number, step: number, lo: number, hi: number, diagonal: number): boolean {
  for (let i = lo; i < hi; i++) if (i !== diagonal && a[start + i * step] !== 0) return false;
  return true;
}

function exchange(a: Float64Array, at: number, n: number, stride: number, i: number, j: number): void {
  if (i === j) return;
  exchangeEntries(a, at + i, at + j, stride, n);
  exchangeEntries(a, at + i * stride, at + j * stride, 1, n);
}

function exchangeEntries(a: Float64Array, p: number, q: number, step: number, count: number): void {
  for (let k = 0; k < count; k++) {
    const x = a[p + k * step]!;
    a[p + k * step] = a[q + k * step]!;
    a[q + k * step] = x;
  }
}

/** Whether no row's norm is twice its column's or half of it, in one pass over the matrix. */
function isBalanced(a: Float64Array, at: number, stride: number, sums: number, lo: number, hi: number): boolean {
  a.fill(0, sums + lo, sums + hi);
  for (let i = lo; i < hi; i++) {
    const row = at + i * stride;
    for (let j = lo; j < hi; j++) a[sums + j] = a[sums + j]! + a[row + j]! * a[row + j]!;
  }
  for (let i = lo; i < hi; i++) {
    const column = a[sums + i]!;
    let row = 0;
    for (let p = at + i * stride + lo; p < at + i * stride + hi; p++) row += a[p]! * a[p]!;
    const isSafe = column > 1e-280 && row > 1e-280 && column < 1e280 && row < 1e280;
    if (!isSafe || column < row / RADIX ** 2 || column >= row * RADIX ** 2) return false;
  }
  return true;
}

function scaleRange(a: Float64Array, at: number, stride: number, lo: number, hi: number): void {
  for (let changed = true; changed;) {
    changed = false;
    for (let i = lo; i < hi; i++) {
      let column = norm2(a, at + lo * stride + i, hi - lo, stride);
      let row = norm2(a, at + i * stride + lo, hi - lo);
      if (column === 0 || row === 0) continue;
      const before = column + row;
      let factor = 1;
      while (column < row / RADIX && factor < 1e300) {
        factor *= RADIX;
        column *= RADIX;
        row /= RADIX;
      }
      while (column >= row * RADIX && factor > 1e-300) {
        factor /= RADIX;
        column /= RADIX;
        row *= RADIX;
      }
      if (column + row >= WORTHWHILE * before || factor === 1) continue;
      changed = true;
      for (let p = at + i * stride + lo; p < at + i * stride + hi; p++) a[p] = a[p]! / factor;
      for (let p = at + lo * stride + i; p < at + hi * stride; p += stride) a[p] = a[p]! * factor;
    }
  }
}
