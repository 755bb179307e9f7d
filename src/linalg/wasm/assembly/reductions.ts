/**
 * Reductions by Householder reflections: to triangular, to Hessenberg and to bidiagonal form, and the orthogonal
 * matrices that belong to them. Layouts as memory.ts says; `row` is the distance of two rows in bytes.
 */
import { at, beta, clear, dot, reflector } from "./memory.ts";
import { reflectBothSides, reflectRows, weighRows } from "./reflections.ts";

// @ts-ignore: decorator
@inline
function down4(i: i32): i32 {
  return i & ~3;
}

// @ts-ignore: decorator
@inline
function up4(i: i32): i32 {
  return (i + 3) & ~3;
}

/** Reduces the `n` x `n` matrix `a` to Hessenberg form in place; `work` holds two rows. */
export function reduceToHessenberg(a: usize, n: i32, row: usize, work: usize): void {
  const v = work;
  const w = work + row;
  const end = up4(n);
  for (let k = 0; k < n - 2; k++) {
    const first = k + 1;
    const from = down4(first);
    clear(v, from, first);
    for (let i = first; i < n; i++) store<f64>(at(v, i), load<f64>(at(a + <usize>i * row, k)));
    clear(v, n, end);
    const tau = reflector(v, first, n);
    store<f64>(at(a + <usize>first * row, k), beta);
    for (let i = first + 1; i < n; i++) store<f64>(at(a + <usize>i * row, k), 0);
    if (tau === 0) continue;
    weighRows(w, tau, v, a, row, from, end, from, end);
    clear(w, from, first);
    const overlap = dot(w, v, from, end);
    reflectRows(a, row, 0, from, v, tau, from, end);
    reflectBothSides(a, row, from, end, v, w, overlap, v, tau, from, end);
  }
}

/**
 * Reduces the `rows` x `cols` matrix `a`, `rows >= cols`, to a bidiagonal one with diagonal `d` and superdiagonal `e`;
 * overwrites `a`. Reflection `k` from the left stays in row `k` of `left`, from the right in row `k` of `right`, where
 * `leftRow` and `rightRow` are distances of rows or 0 where only the last reflection is to be kept.
 */
export function bidiagonalize(
  a: usize,
  rows: i32,
  cols: i32,
  row: usize,
  d: usize,
  e: usize,
  left: usize,
  leftRow: usize,
  leftTau: usize,
  right: usize,
  rightRow: usize,
  rightTau: usize,
  w: usize,
): void {
  const endRow = up4(rows);
  const endCol = up4(cols);
  for (let k = 0; k < cols; k++) {
    const v = left + <usize>k * leftRow;
    const firstRow = down4(k);
    clear(v, firstRow, k);
    for (let i = k; i < rows; i++) store<f64>(at(v, i), load<f64>(at(a + <usize>i * row, k)));
    clear(v, rows, endRow);
    const tau = reflector(v, k, rows);
    store<f64>(at(d, k), beta);
    store<f64>(at(leftTau, k), tau);
    const first = k + 1;
    if (first === cols) break;
    const from = down4(first);
    weighRows(w, tau, v, a, row, firstRow, endRow, from, endCol);
    clear(w, from, first);
    const u = right + <usize>k * rightRow;
    clear(u, from, first);
    const ak = a + <usize>k * row;
    for (let j = first; j < cols; j++) store<f64>(at(u, j), load<f64>(at(ak, j)) - load<f64>(at(w, j)));
    clear(u, cols, endCol);
    const tauRight = reflector(u, first, cols);
    store<f64>(at(e, k), beta);
    store<f64>(at(rightTau, k), tauRight);
    reflectBothSides(a, row, from, endRow, v, w, dot(w, u, from, endCol), u, tauRight, from, endCol);
  }
}

/**
 * Reduces the matrix whose columns are the `count` rows of `a`, each of `length` entries, to a triangular one, of which row
 * `k` of `a` then holds the `k` entries above the diagonal and `diagonal[k]` the one on it. Reflection `k` goes to row `k` of
 * `v`, where `vRow` is the distance of rows or 0 where only the last one is to be kept.
 */
export function triangularize(
  a: usize,
  count: i32,
  length: i32,
  row: usize,
  v: usize,
  vRow: usize,
  tau: usize,
  diagonal: usize,
): void {
  const end = up4(length);
  const rank = min(count, length);
  for (let k = 0; k < rank; k++) {
    const from = down4(k);
    const vk = v + <usize>k * vRow;
    clear(vk, from, k);
    memory.copy(at(vk, k), at(a + <usize>k * row, k), (<usize>(end - k)) << 3);
    const factor = reflector(vk, k, length);
    store<f64>(at(tau, k), factor);
    store<f64>(at(diagonal, k), beta);
    if (factor === 0) continue;
    // Rows k + 1 up to the next group of four, one at a time: earlier rows of the group are done.
    let j = k + 1;
    for (; j < count && (j & 3) !== 0; j++) {
      const aj = a + <usize>j * row;
      const s = factor * dot(aj, vk, from, end);
      for (let i = k; i < length; i++) store<f64>(at(aj, i), load<f64>(at(aj, i)) - s * load<f64>(at(vk, i)));
    }
    if (j < count) reflectRows(a, row, j, up4(count), vk, factor, from, end);
  }
}

/**
 * The transpose of `H₀ H₁ … H_{count - 1}` applied to the first `rows` columns of the identity, into `x`, `rows` x
 * `length`. Reflection `k` is row `k` of `v`, its first entry that is not 0 at `k + offset`.
 */
export function formVectors(
  x: usize,
  rows: i32,
  length: i32,
  row: usize,
  v: usize,
  vRow: usize,
  tau: usize,
  count: i32,
  offset: i32,
): void {
  const end = up4(length);
  const endRow = up4(rows);
  memory.fill(x, 0, <usize>endRow * row);
  for (let j = 0; j < rows; j++) store<f64>(at(x + <usize>j * row, j), 1);
  // Four rows stay in first-level cache for all reflections; a reflection leaves rows before its first entry as they are.
  for (let i = 0; i < endRow; i += 4) {
    for (let k = min(count - 1, i + 3 - offset); k >= 0; k--) {
      const factor = load<f64>(at(tau, k));
      if (factor !== 0) reflectRows(x, row, i, i + 4, v + <usize>k * vRow, factor, down4(k + offset), end);
    }
  }
}

/** `H₀ H₁ … H_{count - 1}` applied to each row of `x`, `rows` x `length`, in place. */
export function reflectBack(
  x: usize,
  rows: i32,
  length: i32,
  row: usize,
  v: usize,
  vRow: usize,
  tau: usize,
  count: i32,
): void {
  const end = up4(length);
  for (let i = 0; i < rows; i += 4) {
    for (let k = count - 1; k >= 0; k--) {
      const factor = load<f64>(at(tau, k));
      if (factor !== 0) reflectRows(x, row, i, i + 4, v + <usize>k * vRow, factor, down4(k), end);
    }
  }
}
