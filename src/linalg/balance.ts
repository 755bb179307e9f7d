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

/** Balances the row-major `n` x `n` matrix in place. */
export function balance(a: Float64Array, n: number): Balanced {
  let lo = 0;
  let hi = n;
  for (let found = true; found && hi > lo;) {
    found = false;
    for (let i = hi - 1; i >= lo && !found; i--) {
      if (isZero(a, i * n, 1, lo, hi, i)) {
        exchange(a, n, i, --hi);
        found = true;
      }
    }
  }
  for (let found = true; found && hi > lo;) {
    found = false;
    for (let j = lo; j < hi && !found; j++) {
      if (isZero(a, j, n, lo, hi, j)) {
        exchange(a, n, j, lo++);
        found = true;
      }
    }
  }
  scaleRange(a, n, lo, hi);
  return { lo, hi };
}

/** Whether the entries `lo..hi - 1` of a row (`step` 1) or column (`step` n) are 0 but for the diagonal one. */
function isZero(a: Float64Array, start: number, step: number, lo: number, hi: number, diagonal: number): boolean {
  for (let i = lo; i < hi; i++) if (i !== diagonal && a[start + i * step] !== 0) return false;
  return true;
}

function exchange(a: Float64Array, n: number, i: number, j: number): void {
  if (i === j) return;
  for (let k = 0; k < n; k++) {
    const x = a[k * n + i]!;
    a[k * n + i] = a[k * n + j]!;
    a[k * n + j] = x;
  }
  for (let k = 0; k < n; k++) {
    const x = a[i * n + k]!;
    a[i * n + k] = a[j * n + k]!;
    a[j * n + k] = x;
  }
}

function scaleRange(a: Float64Array, n: number, lo: number, hi: number): void {
  for (let changed = true; changed;) {
    changed = false;
    for (let i = lo; i < hi; i++) {
      let column = norm2(a, lo * n + i, hi - lo, n);
      let row = norm2(a, i * n + lo, hi - lo);
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
      for (let k = lo; k < hi; k++) a[i * n + k] = a[i * n + k]! / factor;
      for (let k = lo; k < hi; k++) a[k * n + i] = a[k * n + i]! * factor;
    }
  }
}
