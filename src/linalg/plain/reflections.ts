/** Householder reflections applied to the rows of a matrix inside a flat array. */
import { addScaled, dot } from "../vector.ts";

/** `w[j] = tau Σ v[i] a[i][j]` over `count` rows and `width` columns from `a`, four rows at a time. */
export function weighRows(
  m: Float64Array,
  w: number,
  tau: number,
  v: number,
  a: number,
  stride: number,
  count: number,
  width: number,
): void {
  m.fill(0, w, w + width);
  if (tau === 0) return;
  let i = 0;
  for (; i + 3 < count; i += 4) {
    const v0 = tau * m[v + i]!;
    const v1 = tau * m[v + i + 1]!;
    const v2 = tau * m[v + i + 2]!;
    const v3 = tau * m[v + i + 3]!;
    const r0 = a + i * stride;
    const r1 = r0 + stride;
    const r2 = r1 + stride;
    const r3 = r2 + stride;
    for (let j = 0; j < width; j++) {
      m[w + j] = m[w + j]! + (v0 * m[r0 + j]! + v1 * m[r1 + j]! + (v2 * m[r2 + j]! + v3 * m[r3 + j]!));
    }
  }
  for (; i < count; i++) addScaled(m, w, tau * m[v + i]!, m, a + i * stride, width);
}

/** `a[i] -= tau (a[i] · u) u` for `count` rows from `a`, of `width` entries. */
export function reflectRows(
  m: Float64Array,
  a: number,
  stride: number,
  count: number,
  u: number,
  tau: number,
  width: number,
): void {
  for (let i = 0; i < count; i++) {
    const row = a + i * stride;
    addScaled(m, row, -tau * dot(m, row, m, u, width), m, u, width);
  }
}

/** Both reflections: `a[i] -= v[i] w`, then `a[i] -= tau (a[i] · u) u`, with `w · u = overlap` known. */
export function reflectBothSides(
  m: Float64Array,
  a: number,
  stride: number,
  count: number,
  v: number,
  w: number,
  overlap: number,
  u: number,
  tau: number,
  width: number,
): void {
  for (let i = 0; i < count; i++) {
    const row = a + i * stride;
    const vi = m[v + i]!;
    const s = tau * (dot(m, row, m, u, width) - vi * overlap);
    for (let j = 0; j < width; j++) m[row + j] = m[row + j]! - (vi * m[w + j]! + s * m[u + j]!);
  }
}
