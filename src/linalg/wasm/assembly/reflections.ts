/**
 * Householder reflections applied to the rows of a matrix, four rows at a time. `row` is the distance of two rows in
 * bytes; `from`, `to`, `first` and `end` are multiples of four.
 */
import { at, total } from "./memory.ts";

/** `w[j] = tau Σ v[i] a[i][j]` over the rows `first..end - 1`, for the columns `from..to - 1`. */
export function weighRows(
  w: usize,
  tau: f64,
  v: usize,
  a: usize,
  row: usize,
  first: i32,
  end: i32,
  from: i32,
  to: i32,
): void {
  const scale = f64x2.splat(tau);
  let j = from;
  for (; j + 8 <= to; j += 8) {
    let s0 = f64x2.splat(0);
    let s1 = f64x2.splat(0);
    let s2 = f64x2.splat(0);
    let s3 = f64x2.splat(0);
    let p = at(a, j) + <usize>first * row;
    for (let i = first; i < end; i += 2) {
      const v0 = v128.load_splat<f64>(at(v, i));
      const v1 = v128.load_splat<f64>(at(v, i), 8);
      const q = p + row;
      s0 = f64x2.add(s0, f64x2.add(f64x2.mul(v0, v128.load(p)), f64x2.mul(v1, v128.load(q))));
      s1 = f64x2.add(s1, f64x2.add(f64x2.mul(v0, v128.load(p, 16)), f64x2.mul(v1, v128.load(q, 16))));
      s2 = f64x2.add(s2, f64x2.add(f64x2.mul(v0, v128.load(p, 32)), f64x2.mul(v1, v128.load(q, 32))));
      s3 = f64x2.add(s3, f64x2.add(f64x2.mul(v0, v128.load(p, 48)), f64x2.mul(v1, v128.load(q, 48))));
      p = q + row;
    }
    const out = at(w, j);
    v128.store(out, f64x2.mul(scale, s0));
    v128.store(out, f64x2.mul(scale, s1), 16);
    v128.store(out, f64x2.mul(scale, s2), 32);
    v128.store(out, f64x2.mul(scale, s3), 48);
  }
  if (j < to) {
    let s0 = f64x2.splat(0);
    let s1 = f64x2.splat(0);
    let p = at(a, j) + <usize>first * row;
    for (let i = first; i < end; i += 2) {
      const v0 = v128.load_splat<f64>(at(v, i));
      const v1 = v128.load_splat<f64>(at(v, i), 8);
      const q = p + row;
      s0 = f64x2.add(s0, f64x2.add(f64x2.mul(v0, v128.load(p)), f64x2.mul(v1, v128.load(q))));
      s1 = f64x2.add(s1, f64x2.add(f64x2.mul(v0, v128.load(p, 16)), f64x2.mul(v1, v128.load(q, 16))));
      p = q + row;
    }
    v128.store(at(w, j), f64x2.mul(scale, s0));
    v128.store(at(w, j), f64x2.mul(scale, s1), 16);
  }
}

/** `a[i] -= tau (a[i] · u) u` for the rows `first..end - 1`. */
export function reflectRows(a: usize, row: usize, first: i32, end: i32, u: usize, tau: f64, from: i32, to: i32): void {
  for (let i = first; i < end; i += 4) {
    const p = a + <usize>i * row;
    let d0 = f64x2.splat(0);
    let d1 = f64x2.splat(0);
    let d2 = f64x2.splat(0);
    let d3 = f64x2.splat(0);
    for (let j = from; j < to; j += 4) {
      const u0 = v128.load(at(u, j));
      const u1 = v128.load(at(u, j), 16);
      const p0 = at(p, j);
      const p1 = p0 + row;
      const p2 = p1 + row;
      const p3 = p2 + row;
      d0 = f64x2.add(d0, f64x2.add(f64x2.mul(v128.load(p0), u0), f64x2.mul(v128.load(p0, 16), u1)));
      d1 = f64x2.add(d1, f64x2.add(f64x2.mul(v128.load(p1), u0), f64x2.mul(v128.load(p1, 16), u1)));
      d2 = f64x2.add(d2, f64x2.add(f64x2.mul(v128.load(p2), u0), f64x2.mul(v128.load(p2, 16), u1)));
      d3 = f64x2.add(d3, f64x2.add(f64x2.mul(v128.load(p3), u0), f64x2.mul(v128.load(p3, 16), u1)));
    }
    const s0 = f64x2.splat(tau * total(d0));
    const s1 = f64x2.splat(tau * total(d1));
    const s2 = f64x2.splat(tau * total(d2));
    const s3 = f64x2.splat(tau * total(d3));
    for (let j = from; j < to; j += 2) {
      const u0 = v128.load(at(u, j));
      const p0 = at(p, j);
      const p1 = p0 + row;
      const p2 = p1 + row;
      const p3 = p2 + row;
      v128.store(p0, f64x2.sub(v128.load(p0), f64x2.mul(s0, u0)));
      v128.store(p1, f64x2.sub(v128.load(p1), f64x2.mul(s1, u0)));
      v128.store(p2, f64x2.sub(v128.load(p2), f64x2.mul(s2, u0)));
      v128.store(p3, f64x2.sub(v128.load(p3), f64x2.mul(s3, u0)));
    }
  }
}

/**
 * Both reflections at once: `a[i] -= v[i] w`, then `a[i] -= tau (a[i] · u) u`, with `w · u = overlap` known, for the
 * rows `first..end - 1`.
 */
export function reflectBothSides(
  a: usize,
  row: usize,
  first: i32,
  end: i32,
  v: usize,
  w: usize,
  overlap: f64,
  u: usize,
  tau: f64,
  from: i32,
  to: i32,
): void {
  for (let i = first; i < end; i += 4) {
    const p = a + <usize>i * row;
    let d0 = f64x2.splat(0);
    let d1 = f64x2.splat(0);
    let d2 = f64x2.splat(0);
    let d3 = f64x2.splat(0);
    for (let j = from; j < to; j += 4) {
      const u0 = v128.load(at(u, j));
      const u1 = v128.load(at(u, j), 16);
      const p0 = at(p, j);
      const p1 = p0 + row;
      const p2 = p1 + row;
      const p3 = p2 + row;
      d0 = f64x2.add(d0, f64x2.add(f64x2.mul(v128.load(p0), u0), f64x2.mul(v128.load(p0, 16), u1)));
      d1 = f64x2.add(d1, f64x2.add(f64x2.mul(v128.load(p1), u0), f64x2.mul(v128.load(p1, 16), u1)));
      d2 = f64x2.add(d2, f64x2.add(f64x2.mul(v128.load(p2), u0), f64x2.mul(v128.load(p2, 16), u1)));
      d3 = f64x2.add(d3, f64x2.add(f64x2.mul(v128.load(p3), u0), f64x2.mul(v128.load(p3, 16), u1)));
    }
    const vi = at(v, i);
    const t0 = f64x2.splat(tau * (total(d0) - load<f64>(vi) * overlap));
    const t1 = f64x2.splat(tau * (total(d1) - load<f64>(vi, 8) * overlap));
    const t2 = f64x2.splat(tau * (total(d2) - load<f64>(vi, 16) * overlap));
    const t3 = f64x2.splat(tau * (total(d3) - load<f64>(vi, 24) * overlap));
    const v0 = v128.load_splat<f64>(vi);
    const v1 = v128.load_splat<f64>(vi, 8);
    const v2 = v128.load_splat<f64>(vi, 16);
    const v3 = v128.load_splat<f64>(vi, 24);
    for (let j = from; j < to; j += 2) {
      const uj = v128.load(at(u, j));
      const wj = v128.load(at(w, j));
      const p0 = at(p, j);
      const p1 = p0 + row;
      const p2 = p1 + row;
      const p3 = p2 + row;
      v128.store(p0, f64x2.sub(v128.load(p0), f64x2.add(f64x2.mul(v0, wj), f64x2.mul(t0, uj))));
      v128.store(p1, f64x2.sub(v128.load(p1), f64x2.add(f64x2.mul(v1, wj), f64x2.mul(t1, uj))));
      v128.store(p2, f64x2.sub(v128.load(p2), f64x2.add(f64x2.mul(v2, wj), f64x2.mul(t2, uj))));
      v128.store(p3, f64x2.sub(v128.load(p3), f64x2.add(f64x2.mul(v3, wj), f64x2.mul(t3, uj))));
    }
  }
}
