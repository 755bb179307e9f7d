/**
 * The inner loops of the tiled matrix product: packing lines of an operand into float64 panels, and multiplying two
 * panels into a tile of 4 x 4 sums that stay in registers.
 */
import type { FloatArray } from "../interface.ts";

/** Rows and columns of a tile. */
export const TILE = 4;

/** Rows, columns and depth of a block: what is packed and multiplied at once. */
export const BLOCK = 256;

/**
 * Panels of 4 lanes; lane `l` of panel `q` is line `4 q + l`, whose entry `p` lies at `start + line * laneStep + p *
 * step`.
 */
export function pack(
  target: Float64Array,
  data: FloatArray,
  start: number,
  laneStep: number,
  step: number,
  lines: number,
  kc: number,
): void {
  let to = 0;
  let line = 0;
  for (; line + TILE <= lines; line += TILE) {
    let s0 = start + line * laneStep;
    let s1 = s0 + laneStep;
    let s2 = s1 + laneStep;
    let s3 = s2 + laneStep;
    for (let p = 0; p < kc; p++) {
      target[to] = data[s0]!;
      target[to + 1] = data[s1]!;
      target[to + 2] = data[s2]!;
      target[to + 3] = data[s3]!;
      to += TILE;
      s0 += step;
      s1 += step;
      s2 += step;
      s3 += step;
    }
  }
  if (line === lines) return;
  for (let p = 0; p < kc; p++) {
    for (let lane = 0; lane < TILE; lane++) {
      target[to++] = line + lane < lines ? data[start + (line + lane) * laneStep + p * step]! : 0;
    }
  }
}

/** Adds the product of a panel of `a` and a panel of `b`, `kc` deep, to the 16 sums at `at`. */
export function addTile(
  a: Float64Array,
  aStart: number,
  b: Float64Array,
  bStart: number,
  kc: number,
  sums: Float64Array,
  at: number,
): void {
  let c00 = 0,
    c01 = 0,
    c02 = 0,
    c03 = 0;
  let c10 = 0,
    c11 = 0,
    c12 = 0,
    c13 = 0;
  let c20 = 0,
    c21 = 0,
    c22 = 0,
    c23 = 0;
  let c30 = 0,
    c31 = 0,
    c32 = 0,
    c33 = 0;
  const end = aStart + kc * TILE;
  for (let ai = aStart, bi = bStart; ai < end; ai += TILE, bi += TILE) {
    const b0 = b[bi]!;
    const b1 = b[bi + 1]!;
    const b2 = b[bi + 2]!;
    const b3 = b[bi + 3]!;
    const a0 = a[ai]!;
    c00 += a0 * b0;
    c01 += a0 * b1;
    c02 += a0 * b2;
    c03 += a0 * b3;
    const a1 = a[ai + 1]!;
    c10 += a1 * b0;
    c11 += a1 * b1;
    c12 += a1 * b2;
    c13 += a1 * b3;
    const a2 = a[ai + 2]!;
    c20 += a2 * b0;
    c21 += a2 * b1;
    c22 += a2 * b2;
    c23 += a2 * b3;
    const a3 = a[ai + 3]!;
    c30 += a3 * b0;
    c31 += a3 * b1;
    c32 += a3 * b2;
    c33 += a3 * b3;
  }
  sums[at] = sums[at]! + c00;
  sums[at + 1] = sums[at + 1]! + c01;
  sums[at + 2] = sums[at + 2]! + c02;
  sums[at + 3] = sums[at + 3]! + c03;
  sums[at + 4] = sums[at + 4]! + c10;
  sums[at + 5] = sums[at + 5]! + c11;
  sums[at + 6] = sums[at + 6]! + c12;
  sums[at + 7] = sums[at + 7]! + c13;
  sums[at + 8] = sums[at + 8]! + c20;
  sums[at + 9] = sums[at + 9]! + c21;
  sums[at + 10] = sums[at + 10]! + c22;
  sums[at + 11] = sums[at + 11]! + c23;
  sums[at + 12] = sums[at + 12]! + c30;
  sums[at + 13] = sums[at + 13]! + c31;
  sums[at + 14] = sums[at + 14]! + c32;
  sums[at + 15] = sums[at + 15]! + c33;
}
