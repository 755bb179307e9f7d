/**
 * Reductions by Householder reflections (Golub and Van Loan, 4th ed., §5.2, §5.4 and §7.4): to triangular, to
 * Hessenberg and to bidiagonal form, and the orthogonal matrices that belong to them. What each does, the interface in
 * workspace.ts says.
 */
import { dot, reflector } from "../vector.ts";
import type { BidiagonalPlaces } from "../workspace.ts";
import { reflectBothSides, reflectRows, weighRows } from "./reflections.ts";

export function reduceToHessenberg(m: Float64Array, a: number, n: number, stride: number, work: number): void {
  const w = work + stride;
  for (let k = 0; k < n - 2; k++) {
    const first = k + 1;
    const width = n - first;
    for (let i = 0; i < width; i++) m[work + i] = m[a + (first + i) * stride + k]!;
    const { tau, beta } = reflector(m, work, width);
    for (let i = 0; i < width; i++) m[a + (first + i) * stride + k] = i === 0 ? beta : 0;
    if (tau === 0) continue;
    const block = a + first * stride + first;
    weighRows(m, w, tau, work, block, stride, width, width);
    const overlap = dot(m, w, m, work, width);
    reflectRows(m, a + first, stride, first, work, tau, width);
    reflectBothSides(m, block, stride, width, work, w, overlap, work, tau, width);
  }
}

export function bidiagonalize(
  m: Float64Array,
  a: number,
  rows: number,
  cols: number,
  stride: number,
  keep: boolean,
  to: BidiagonalPlaces,
): void {
  const w = to.work;
  for (let k = 0; k < cols; k++) {
    const left = to.left + (keep ? k * to.leftStride : 0);
    const right = to.right + (keep ? k * to.rightStride : 0);
    m.fill(0, left, left + k);
    for (let i = k; i < rows; i++) m[left + i] = m[a + i * stride + k]!;
    const fromLeft = reflector(m, left + k, rows - k);
    m[to.d + k] = fromLeft.beta;
    m[to.leftTau + k] = fromLeft.tau;
    const first = k + 1;
    const width = cols - first;
    if (width === 0) break;
    weighRows(m, w, fromLeft.tau, left + k, a + k * stride + first, stride, rows - k, width);
    m.fill(0, right, right + first);
    for (let j = 0; j < width; j++) m[right + first + j] = m[a + k * stride + first + j]! - m[w + j]!;
    const fromRight = reflector(m, right + first, width);
    m[to.e + k] = fromRight.beta;
    m[to.rightTau + k] = fromRight.tau;
    const overlap = dot(m, w, m, right + first, width);
    const block = a + first * stride + first;
    const below = rows - first;
    reflectBothSides(m, block, stride, below, left + first, w, overlap, right + first, fromRight.tau, width);
  }
}

export function triangularize(
  m: Float64Array,
  a: number,
  count: number,
  length: number,
  stride: number,
  v: number,
  vStride: number,
  tau: number,
  diagonal: number,
): void {
  const rank = Math.min(count, length);
  for (let k = 0; k < rank; k++) {
    const row = a + k * stride;
    const at = v + k * vStride;
    m.fill(0, at, at + k);
    m.copyWithin(at + k, row + k, row + length);
    const reflection = reflector(m, at + k, length - k);
    m[tau + k] = reflection.tau;
    m[diagonal + k] = reflection.beta;
    if (reflection.tau === 0) continue;
    reflectRows(m, row + stride + k, stride, count - k - 1, at + k, reflection.tau, length - k);
  }
}

export function formVectors(
  m: Float64Array,
  x: number,
  rows: number,
  length: number,
  stride: number,
  v: number,
  vStride: number,
  tau: number,
  count: number,
  offset: number,
): void {
  m.fill(0, x, x + rows * stride);
  for (let j = 0; j < rows; j++) m[x + j * stride + j] = 1;
  // A row stays in first-level cache for all reflections.
  for (let i = 0; i < rows; i++) {
    for (let k = Math.min(count - 1, i - offset); k >= 0; k--) {
      const from = k + offset;
      const factor = m[tau + k]!;
      if (factor !== 0) reflectRows(m, x + i * stride + from, stride, 1, v + k * vStride + from, factor, length - from);
    }
  }
}

export function reflectBack(
  m: Float64Array,
  x: number,
  rows: number,
  length: number,
  stride: number,
  v: number,
  vStride: number,
  tau: number,
  count: number,
): void {
  for (let i = 0; i < rows; i++) {
    for (let k = count - 1; k >= 0; k--) {
      const factor = m[tau + k]!;
      if (factor !== 0) reflectRows(m, x + i * stride + k, stride, 1, v + k * vStride + k, factor, length - k);
    }
  }
}
