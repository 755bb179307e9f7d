/**
 * One sweep of Francis's implicit double-shift QR over a Hessenberg matrix inside a flat array, by reflections
 * `I - tau v vᵀ` with `v = (1, v₁, v₂)` or `(1, v₁)`, from the left on rows and from the right on columns.
 *
 * Rows that the bulge has left are only ever multiplied from the right from then on, so their share of the sweep waits
 * and is done at its end, four rows at a time with the sliding pair of columns in registers.
 */
import { hypotenuse } from "../vector.ts";

/** Numbers of one reflection in the list: `tau`, `v₁`, `v₂`; room is made for five. */
const REFLECTION = 5;

export function chase(
  m: Float64Array,
  h: number,
  stride: number,
  first: number,
  start: number,
  last: number,
  x: number,
  y: number,
  z: number,
  list: number,
): void {
  for (let k = start; k < last; k++) {
    const three = k < last - 1;
    const edge = h + k * stride + k - 1;
    if (k > start) {
      x = m[edge]!;
      y = m[edge + stride]!;
      z = three ? m[edge + 2 * stride]! : 0;
    }
    const tail = hypotenuse(y, z);
    let tau = 0;
    let v1 = 0;
    let v2 = 0;
    if (tail !== 0) {
      const beta = x > 0 ? -hypotenuse(x, tail) : hypotenuse(x, tail);
      tau = (beta - x) / beta;
      v1 = y / (x - beta);
      v2 = z / (x - beta);
      if (k > start) m[edge] = beta;
      else if (start > first) m[edge] = m[edge]! * (1 - tau);
    }
    if (k > start) {
      m[edge + stride] = 0;
      if (three) m[edge + 2 * stride] = 0;
    }
    m[list + REFLECTION * k] = tau;
    m[list + REFLECTION * k + 1] = v1;
    m[list + REFLECTION * k + 2] = v2;
    const group = first + ((k - first) & ~3);
    const corner = h + k * stride + k;
    if (three) {
      reflectThreeRows(m, corner, stride, last - k + 1, tau, v1, v2);
      const end = Math.min(k + 3, last);
      for (let i = group; i <= end; i++) reflectThreeColumns(m, h + i * stride + k, tau, v1, v2);
    } else {
      reflectTwoRows(m, corner, stride, last - k + 1, tau, v1);
      for (let i = group; i <= last; i++) reflectTwoColumns(m, h + i * stride + k, tau, v1);
    }
  }
  for (let group = first; group + 4 < last; group += 4) {
    const k = Math.max(start, group + 4);
    slideFourRows(m, h + group * stride + k, stride, list, k, last);
  }
}

/** `count` columns of three neighbouring rows, from the left. */
function reflectThreeRows(
  h: Float64Array,
  at: number,
  stride: number,
  count: number,
  tau: number,
  v1: number,
  v2: number,
): void {
  const t1 = tau * v1;
  const t2 = tau * v2;
  const second = stride;
  const third = 2 * stride;
  for (let p = at; p < at + count; p++) {
    const x = h[p]!;
    const y = h[p + second]!;
    const z = h[p + third]!;
    const sum = x + v1 * y + v2 * z;
    h[p] = x - sum * tau;
    h[p + second] = y - sum * t1;
    h[p + third] = z - sum * t2;
  }
}

/** `count` columns of two neighbouring rows, from the left. */
function reflectTwoRows(h: Float64Array, at: number, stride: number, count: number, tau: number, v1: number): void {
  for (let p = at; p < at + count; p++) {
    const sum = tau * (h[p]! + v1 * h[p + stride]!);
    h[p] = h[p]! - sum;
    h[p + stride] = h[p + stride]! - sum * v1;
  }
}

/** Three neighbouring entries of one row, from the right. */
function reflectThreeColumns(h: Float64Array, at: number, tau: number, v1: number, v2: number): void {
  const sum = tau * (h[at]! + v1 * h[at + 1]! + v2 * h[at + 2]!);
  h[at] = h[at]! - sum;
  h[at + 1] = h[at + 1]! - sum * v1;
  h[at + 2] = h[at + 2]! - sum * v2;
}

/** Two neighbouring entries of one row, from the right. */
function reflectTwoColumns(h: Float64Array, at: number, tau: number, v1: number): void {
  const sum = tau * (h[at]! + v1 * h[at + 1]!);
  h[at] = h[at]! - sum;
  h[at + 1] = h[at + 1]! - sum * v1;
}

/** Reflections `k..last - 1` from the right on four rows; the last one spans two columns, the others three. */
function slideFourRows(h: Float64Array, at: number, stride: number, list: number, k: number, last: number): void {
  const lastEntry = list + REFLECTION * (last - 1);
  let p0 = at;
  let p1 = p0 + stride;
  let p2 = p1 + stride;
  let p3 = p2 + stride;
  let x0 = h[p0]!;
  let x1 = h[p1]!;
  let x2 = h[p2]!;
  let x3 = h[p3]!;
  let y0 = h[p0 + 1]!;
  let y1 = h[p1 + 1]!;
  let y2 = h[p2 + 1]!;
  let y3 = h[p3 + 1]!;
  for (let i = list + REFLECTION * k; i < lastEntry; i += REFLECTION) {
    const tau = h[i]!;
    const v1 = h[i + 1]!;
    const v2 = h[i + 2]!;
    const z0 = h[p0 + 2]!;
    const z1 = h[p1 + 2]!;
    const z2 = h[p2 + 2]!;
    const z3 = h[p3 + 2]!;
    const s0 = tau * (x0 + v1 * y0 + v2 * z0);
    const s1 = tau * (x1 + v1 * y1 + v2 * z1);
    const s2 = tau * (x2 + v1 * y2 + v2 * z2);
    const s3 = tau * (x3 + v1 * y3 + v2 * z3);
    h[p0++] = x0 - s0;
    h[p1++] = x1 - s1;
    h[p2++] = x2 - s2;
    h[p3++] = x3 - s3;
    x0 = y0 - s0 * v1;
    x1 = y1 - s1 * v1;
    x2 = y2 - s2 * v1;
    x3 = y3 - s3 * v1;
    y0 = z0 - s0 * v2;
    y1 = z1 - s1 * v2;
    y2 = z2 - s2 * v2;
    y3 = z3 - s3 * v2;
  }
  const tau = h[lastEntry]!;
  const v1 = h[lastEntry + 1]!;
  const s0 = tau * (x0 + v1 * y0);
  const s1 = tau * (x1 + v1 * y1);
  const s2 = tau * (x2 + v1 * y2);
  const s3 = tau * (x3 + v1 * y3);
  h[p0] = x0 - s0;
  h[p1] = x1 - s1;
  h[p2] = x2 - s2;
  h[p3] = x3 - s3;
  h[p0 + 1] = y0 - s0 * v1;
  h[p1 + 1] = y1 - s1 * v1;
  h[p2 + 1] = y2 - s2 * v1;
  h[p3 + 1] = y3 - s3 * v1;
}
