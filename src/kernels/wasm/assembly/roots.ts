/** Triangular roots `R` of Gram matrices, `Rᵀ R = G`, in float64, row after row from those above it. */
import { multiplyAdd } from "./lanes.ts";

/** Takes `x[s]` times row `s` from the row at `row`, for `steps` (1 or 4) rows `bytes` apart, from `from` to `end` bytes. */
@inline
function subtract(row: usize, from: usize, end: usize, column: usize, above: usize, bytes: usize, steps: i32): void {
  const x0 = f64x2.splat(-f64.load(above + column));
  const x1 = steps == 4 ? f64x2.splat(-f64.load(above + bytes + column)) : x0;
  const x2 = steps == 4 ? f64x2.splat(-f64.load(above + 2 * bytes + column)) : x0;
  const x3 = steps == 4 ? f64x2.splat(-f64.load(above + 3 * bytes + column)) : x0;
  let at = from;
  for (; at + 16 <= end; at += 16) {
    let y = multiplyAdd<f64>(x0, v128.load(above + at), v128.load(row + at));
    if (steps == 4) {
      y = multiplyAdd<f64>(x1, v128.load(above + bytes + at), y);
      y = multiplyAdd<f64>(x2, v128.load(above + 2 * bytes + at), y);
      y = multiplyAdd<f64>(x3, v128.load(above + 3 * bytes + at), y);
    }
    v128.store(row + at, y);
  }
  if (at < end) {
    let y = multiplyAdd<f64>(x0, v128.load64_zero(above + at), v128.load64_zero(row + at));
    if (steps == 4) {
      y = multiplyAdd<f64>(x1, v128.load64_zero(above + bytes + at), y);
      y = multiplyAdd<f64>(x2, v128.load64_zero(above + 2 * bytes + at), y);
      y = multiplyAdd<f64>(x3, v128.load64_zero(above + 3 * bytes + at), y);
    }
    f64.store(row + at, f64x2.extract_lane(y, 0));
  }
}

/** The root of the `n` x `n` matrix at `g` in its place; false where a pivot is at most `least` times the largest entry on the diagonal. */
function root(g: usize, n: usize, least: f64): bool {
  const bytes = n << 3;
  let largest: f64 = 0;
  for (let i: usize = 0; i < n; i++) largest = max(largest, f64.load(g + i * (bytes + 8)));
  least *= largest;
  for (let i: usize = 0; i < n; i++) {
    const row = g + i * bytes;
    const column = i << 3;
    let s: usize = 0;
    for (; s + 4 <= i; s += 4) subtract(row, column, bytes, column, g + s * bytes, bytes, 4);
    for (; s < i; s++) subtract(row, column, bytes, column, g + s * bytes, bytes, 1);
    const pivot = f64.load(row + column);
    if (!(pivot > least)) return false;
    memory.fill(row, 0, column);
    const inverse = 1 / Math.sqrt(pivot);
    for (let at = column; at < bytes; at += 8) f64.store(row + at, f64.load(row + at) * inverse);
  }
  return true;
}

/**
 * The roots of `count` matrices `n` x `n`, one after another, in their places, upper triangular; `done` says which, 4 bytes each. What is not done had a
 * pivot of at most `least` times its largest diagonal entry, and is lost.
 */
export function triangularRoots(count: usize, n: usize, g: usize, least: f64, done: usize): void {
  for (let t: usize = 0; t < count; t++) {
    i32.store(done + (t << 2), i32(root(g + t * n * n * 8, n, least)));
  }
}
