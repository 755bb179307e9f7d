/**
 * One sweep of Francis's implicit double-shift QR over a Hessenberg matrix: a 3 x 3 bulge is chased down the active
 * block by reflections `I - tau v vᵀ`, `v = (1, v₁, v₂)`.
 *
 * Rows that the bulge has left are only ever multiplied from the right from then on. Their share waits, and is done at
 * the end of the sweep, four rows at a time with the sliding pair of columns in registers.
 */
import { at, hypotenuse } from "./memory.ts";

/** Bytes of one reflection in the list: `tau`, `tau v₁`, `tau v₂`, `v₁`, `v₂`. */
const REFLECTION: usize = 40;

/**
 * Sweeps over rows and columns `first..last` of `h`, the bulge starting at row `start` with the vector `x, y, z`;
 * `list` has room for a reflection per row.
 */
export function chase(
  h: usize,
  row: usize,
  first: i32,
  start: i32,
  last: i32,
  x: f64,
  y: f64,
  z: f64,
  list: usize,
): void {
  for (let k = start; k < last; k++) {
    const three = k < last - 1;
    const edge = at(h + <usize>k * row, k) - 8;
    if (k > start) {
      x = load<f64>(edge);
      y = load<f64>(edge + row);
      z = three ? load<f64>(edge + 2 * row) : 0;
    }
    let tau: f64 = 0;
    let v1: f64 = 0;
    let v2: f64 = 0;
    if (y !== 0 || z !== 0) {
      const square = x * x + y * y + z * z;
      const length = square >= 1e-280 && square <= 1e280 ? sqrt(square) : hypotenuse(x, hypotenuse(y, z));
      const beta = x > 0 ? -length : length;
      tau = (beta - x) / beta;
      const inverse = 1 / (x - beta);
      v1 = y * inverse;
      v2 = z * inverse;
      if (k > start) store<f64>(edge, beta);
      else if (start > first) store<f64>(edge, load<f64>(edge) * (1 - tau));
    }
    if (k > start) {
      store<f64>(edge + row, 0);
      if (three) store<f64>(edge + 2 * row, 0);
    }
    const t1 = tau * v1;
    const t2 = tau * v2;
    const entry = list + <usize>k * REFLECTION;
    store<f64>(entry, tau);
    store<f64>(entry, t1, 8);
    store<f64>(entry, t2, 16);
    store<f64>(entry, v1, 24);
    store<f64>(entry, v2, 32);
    const group = first + ((k - first) & ~3);
    if (three) {
      reflectThreeRows(h + <usize>k * row, row, k, last, tau, t1, t2, v1, v2);
      const end = min(k + 3, last);
      for (let i = group; i <= end; i++) {
        const p = at(h + <usize>i * row, k);
        const a = load<f64>(p);
        const b = load<f64>(p, 8);
        const c = load<f64>(p, 16);
        const sum = a + v1 * b + v2 * c;
        store<f64>(p, a - sum * tau);
        store<f64>(p, b - sum * t1, 8);
        store<f64>(p, c - sum * t2, 16);
      }
    } else {
      const p = at(h + <usize>k * row, k);
      for (let j: usize = 0; j <= (<usize>(last - k)) << 3; j += 8) {
        const a = load<f64>(p + j);
        const b = load<f64>(p + j + row);
        const sum = a + v1 * b;
        store<f64>(p + j, a - sum * tau);
        store<f64>(p + j + row, b - sum * t1);
      }
      for (let i = group; i <= last; i++) {
        const q = at(h + <usize>i * row, k);
        const a = load<f64>(q);
        const b = load<f64>(q, 8);
        const sum = a + v1 * b;
        store<f64>(q, a - sum * tau);
        store<f64>(q, b - sum * t1, 8);
      }
    }
  }
  for (let group = first; group + 4 < last; group += 4) {
    const k = max(start, group + 4);
    slideFourRows(h + <usize>group * row, row, list, k, last);
  }
}

/**
 * Columns `k..last` of three rows, from the left. Pairs begin at even columns, so that a pair read is a pair written
 * before; the columns that the last step wrote singly are read singly.
 */
// @ts-ignore: decorator
@inline
function reflectThreeRows(
  p: usize,
  row: usize,
  k: i32,
  last: i32,
  tau: f64,
  t1: f64,
  t2: f64,
  v1: f64,
  v2: f64,
): void {
  const aligned = (k + 3) & ~1;
  const second = p + row;
  const third = second + row;
  let j = k;
  for (; j < aligned && j <= last; j++) reflectColumn(p, second, third, j, tau, t1, t2, v1, v2);
  const tauPair = f64x2.splat(tau);
  const t1Pair = f64x2.splat(t1);
  const t2Pair = f64x2.splat(t2);
  const v1Pair = f64x2.splat(v1);
  const v2Pair = f64x2.splat(v2);
  let pa = at(p, j);
  let pb = pa + row;
  let pc = pb + row;
  const stop = at(p, last);
  for (; pa < stop; pa += 16, pb += 16, pc += 16) {
    const a = v128.load(pa);
    const b = v128.load(pb);
    const c = v128.load(pc);
    const sum = f64x2.add(f64x2.add(a, f64x2.mul(v1Pair, b)), f64x2.mul(v2Pair, c));
    v128.store(pa, f64x2.sub(a, f64x2.mul(sum, tauPair)));
    v128.store(pb, f64x2.sub(b, f64x2.mul(sum, t1Pair)));
    v128.store(pc, f64x2.sub(c, f64x2.mul(sum, t2Pair)));
  }
  if (pa === stop) reflectColumn(p, second, third, last, tau, t1, t2, v1, v2);
}

// @ts-ignore: decorator
@inline
function reflectColumn(
  p: usize,
  second: usize,
  third: usize,
  j: i32,
  tau: f64,
  t1: f64,
  t2: f64,
  v1: f64,
  v2: f64,
): void {
  const a = load<f64>(at(p, j));
  const b = load<f64>(at(second, j));
  const c = load<f64>(at(third, j));
  const sum = a + v1 * b + v2 * c;
  store<f64>(at(p, j), a - sum * tau);
  store<f64>(at(second, j), b - sum * t1);
  store<f64>(at(third, j), c - sum * t2);
}

/** Column `j` of two rows. */
// @ts-ignore: decorator
@inline
function gather(p: usize, q: usize): v128 {
  return v128.load_lane<f64>(q, v128.load_zero<f64>(p), 1);
}

// @ts-ignore: decorator
@inline
function scatter(p: usize, q: usize, x: v128): void {
  v128.store_lane<f64>(p, x, 0);
  v128.store_lane<f64>(q, x, 1);
}

/** Reflections `k..last - 1` from the right on four rows from `p`; the last one spans two columns, the others three. */
function slideFourRows(p: usize, row: usize, list: usize, k: i32, last: i32): void {
  let p0 = at(p, k);
  let p1 = p0 + row;
  let p2 = p1 + row;
  let p3 = p2 + row;
  let x0 = gather(p0, p1);
  let x1 = gather(p2, p3);
  let y0 = gather(p0 + 8, p1 + 8);
  let y1 = gather(p2 + 8, p3 + 8);
  let entry = list + <usize>k * REFLECTION;
  let i = k;
  for (; i < last - 1; i++) {
    const v1 = v128.load_splat<f64>(entry, 24);
    const v2 = v128.load_splat<f64>(entry, 32);
    const z0 = gather(p0 + 16, p1 + 16);
    const z1 = gather(p2 + 16, p3 + 16);
    const s0 = f64x2.add(f64x2.add(x0, f64x2.mul(v1, y0)), f64x2.mul(v2, z0));
    const s1 = f64x2.add(f64x2.add(x1, f64x2.mul(v1, y1)), f64x2.mul(v2, z1));
    const tau = v128.load_splat<f64>(entry);
    const t1 = v128.load_splat<f64>(entry, 8);
    const t2 = v128.load_splat<f64>(entry, 16);
    scatter(p0, p1, f64x2.sub(x0, f64x2.mul(s0, tau)));
    scatter(p2, p3, f64x2.sub(x1, f64x2.mul(s1, tau)));
    x0 = f64x2.sub(y0, f64x2.mul(s0, t1));
    x1 = f64x2.sub(y1, f64x2.mul(s1, t1));
    y0 = f64x2.sub(z0, f64x2.mul(s0, t2));
    y1 = f64x2.sub(z1, f64x2.mul(s1, t2));
    p0 += 8;
    p1 += 8;
    p2 += 8;
    p3 += 8;
    entry += REFLECTION;
  }
  const v1 = v128.load_splat<f64>(entry, 24);
  const tau = v128.load_splat<f64>(entry);
  const t1 = v128.load_splat<f64>(entry, 8);
  const s0 = f64x2.add(x0, f64x2.mul(v1, y0));
  const s1 = f64x2.add(x1, f64x2.mul(v1, y1));
  scatter(p0, p1, f64x2.sub(x0, f64x2.mul(s0, tau)));
  scatter(p2, p3, f64x2.sub(x1, f64x2.mul(s1, tau)));
  scatter(p0 + 8, p1 + 8, f64x2.sub(y0, f64x2.mul(s0, t1)));
  scatter(p2 + 8, p3 + 8, f64x2.sub(y1, f64x2.mul(s1, t1)));
}
