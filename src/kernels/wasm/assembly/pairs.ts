/**
 * `‖a bᵀ‖²` of all pairs of two lists of maps, as inner products of symmetric matrices: `⟨aᵀ a, bᵀ b⟩`. Each matrix is made once, a tile on or
 * right of the diagonal at a time, of all maps; inner products of a tile are summed in float32 over {@link CHUNK} terms in four lanes, and then in float64.
 */
import { copyBlock, packPanels } from "./imported.ts";
import { min, multiplyAdd } from "./lanes.ts";
import { DEPTH, tiles } from "./matmul.ts";

/** Bytes of a tile of which the inner products with another are summed in registers: eight such pieces stay in the first-level cache. */
const CHUNK: usize = 768 * 4;

/** Rows of a map that are transposed at once. */
const LINES: usize = 16;

/**
 * A job in memory, 4 bytes a field: how many maps, `k` and `d`; where they lie, `[map, k, d]`; where their rows `[map, d, k]` and panels of 8 columns,
 * `[map, d / 8 rounded up, k, 8]`, go.
 */
export function packMaps(job: usize, space: usize): void {
  const count = load<usize>(job);
  const k = load<usize>(job, 4);
  const d = load<usize>(job, 8);
  let from = load<usize>(job, 12);
  let rows = load<usize>(job, 16);
  let panels = load<usize>(job, 20);
  for (let t: usize = 0; t < count; t++) {
    // A few lines at a time: steps of d numbers often fall into the same sets of the cache.
    for (let e: usize = 0; e < k; e += LINES) {
      copyBlock(rows + (e << 2), k << 2, from + ((e * d) << 2), 4, d << 2, d, min(LINES, k - e));
    }
    packPanels(panels, from, d << 2, 4, k, d);
    from += (k * d) << 2;
    rows += (k * d) << 2;
    panels += (k * ((d + 7) & ~7)) << 2;
  }
}

/** Adds `weight` times the four lanes of a sum to the float64 at `to`. */
@inline
function addLanes(to: usize, sum: v128, weight: f64): void {
  const halves = f64x2.add(
    f64x2.promote_low_f32x4(sum),
    f64x2.promote_low_f32x4(v128.shuffle<i32>(sum, sum, 2, 3, 0, 1)),
  );
  f64.store(to, f64.load(to) + weight * (f64x2.extract_lane(halves, 0) + f64x2.extract_lane(halves, 1)));
}

/** The inner products of `rows` vectors, `sStep` bytes apart, with two, `tStep` apart, of `bytes`, added to rows of sums `toRow` apart. */
@inline
function inner(
  rows: i32,
  s0: usize,
  sStep: usize,
  t0: usize,
  tStep: usize,
  bytes: usize,
  weight: f64,
  to: usize,
  toRow: usize,
): void {
  const zero = f32x4.splat(0);
  let c00 = zero;
  let c01 = zero;
  let c10 = zero;
  let c11 = zero;
  let c20 = zero;
  let c21 = zero;
  let c30 = zero;
  let c31 = zero;
  let c40 = zero;
  let c41 = zero;
  let c50 = zero;
  let c51 = zero;
  let s1 = s0 + sStep;
  let s2 = s1 + sStep;
  let s3 = s2 + sStep;
  let s4 = s3 + sStep;
  let s5 = s4 + sStep;
  let t1 = t0 + tStep;
  const end = t0 + bytes;
  while (t0 < end) {
    const y0 = v128.load(t0);
    const y1 = v128.load(t1);
    let x = v128.load(s0);
    c00 = multiplyAdd<f32>(x, y0, c00);
    c01 = multiplyAdd<f32>(x, y1, c01);
    s0 += 16;
    if (rows > 1) {
      x = v128.load(s1);
      c10 = multiplyAdd<f32>(x, y0, c10);
      c11 = multiplyAdd<f32>(x, y1, c11);
      s1 += 16;
    }
    if (rows > 2) {
      x = v128.load(s2);
      c20 = multiplyAdd<f32>(x, y0, c20);
      c21 = multiplyAdd<f32>(x, y1, c21);
      s2 += 16;
      x = v128.load(s3);
      c30 = multiplyAdd<f32>(x, y0, c30);
      c31 = multiplyAdd<f32>(x, y1, c31);
      s3 += 16;
    }
    if (rows > 4) {
      x = v128.load(s4);
      c40 = multiplyAdd<f32>(x, y0, c40);
      c41 = multiplyAdd<f32>(x, y1, c41);
      s4 += 16;
      x = v128.load(s5);
      c50 = multiplyAdd<f32>(x, y0, c50);
      c51 = multiplyAdd<f32>(x, y1, c51);
      s5 += 16;
    }
    t0 += 16;
    t1 += 16;
  }
  const isPair = tStep > 0;
  addLanes(to, c00, weight);
  if (isPair) addLanes(to + 8, c01, weight);
  if (rows > 1) {
    to += toRow;
    addLanes(to, c10, weight);
    if (isPair) addLanes(to + 8, c11, weight);
  }
  if (rows > 2) {
    to += toRow;
    addLanes(to, c20, weight);
    if (isPair) addLanes(to + 8, c21, weight);
    to += toRow;
    addLanes(to, c30, weight);
    if (isPair) addLanes(to + 8, c31, weight);
  }
  if (rows > 4) {
    to += toRow;
    addLanes(to, c40, weight);
    if (isPair) addLanes(to + 8, c41, weight);
    to += toRow;
    addLanes(to, c50, weight);
    if (isPair) addLanes(to + 8, c51, weight);
  }
}

/** The inner products of `rows` tiles at `s` with all at `t`, `count` of them, all `step` bytes apart. */
@inline
function innerRow(rows: i32, s: usize, t: usize, count: usize, step: usize, bytes: usize, weight: f64, to: usize, toRow: usize): void {
  for (let done: usize = 0; done < bytes; done += CHUNK) {
    const size = min(CHUNK, bytes - done);
    for (let j: usize = 0; j < count; j += 2) {
      const second = j + 1 < count ? step : 0;
      inner(rows, s + done, step, t + j * step + done, second, size, weight, to + (j << 3), toRow);
    }
  }
}

/** Tiles of `b` that stay in the second-level cache while those of `a` pass by. */
const BLOCK: usize = 24;

/** Inner products of tiles of `a` with those tiles of `b` that each goes with, from `first` on; rows by as many as registers hold. */
function innerProducts(
  countA: usize,
  countB: usize,
  a: usize,
  step: usize,
  bytes: usize,
  weight: f64,
  first: usize,
  sums: usize,
): void {
  const b = a + countA * step;
  const toRow = countB << 3;
  for (let start: usize = 0; start < countB; start += BLOCK) {
    const end = min(countB, start + BLOCK);
    for (let i: usize = 0; i < countA; ) {
      const from = max(start, load<usize>(first + (i << 2)));
      if (from >= end) break;
      const left = countA - i;
      const s = a + i * step;
      const t = b + from * step;
      const to = sums + i * toRow + (from << 3);
      const count = end - from;
      if (left == 6 || left > 11) {
        innerRow(6, s, t, count, step, bytes, weight, to, toRow);
        i += 6;
      } else if (left >= 4) {
        innerRow(4, s, t, count, step, bytes, weight, to, toRow);
        i += 4;
      } else if (left >= 2) {
        innerRow(2, s, t, count, step, bytes, weight, to, toRow);
        i += 2;
      } else {
        innerRow(1, s, t, count, step, bytes, weight, to, toRow);
        i += 1;
      }
    }
  }
}

/**
 * A job in memory, 4 bytes a field: the number of maps in either list, `k`, `d`; the edge of a tile, a multiple of 8; the first row of a band of tiles; rows and
 * panels of {@link packMaps}, `b` after `a`; for each map of `a` the first of `b` that it goes with, ascending; the float64 sums
 * `[a, b]`, which are written; room for a tile of every map.
 */
export function pairNorms(job: usize, space: usize): void {
  const countA = load<usize>(job);
  const countB = load<usize>(job, 4);
  const k = load<usize>(job, 8);
  const d = load<usize>(job, 12);
  const edge = load<usize>(job, 16);
  const row = load<usize>(job, 20);
  const rows = load<usize>(job, 24);
  const panels = load<usize>(job, 28);
  const first = load<usize>(job, 32);
  const sums = load<usize>(job, 36);
  const panelBytes = (k * ((d + 7) & ~7)) << 2;
  const step = (edge * edge) << 2;
  const start = load<usize>(job, 40);
  const m = min(edge, d - row);
  memory.fill(sums, 0, (countA * countB) << 3);
  for (let column = row; column < d; column += edge) {
    const n = min(edge, d - column);
    const bytes = (m * n) << 2;
    const padded = (bytes + 15) & ~15;
    let to = start;
    for (let t: usize = 0; t < countA + countB; t++) {
      const left = rows + (((t * d + row) * k) << 2);
      const right = panels + t * panelBytes + ((column * k) << 2);
      for (let pc: usize = 0; pc < k; pc += DEPTH) {
        const kc = min(DEPTH, k - pc);
        tiles(left + (pc << 2), k << 2, right + (pc << 5), 32, k << 5, kc, m, n, to, n << 2, i32(pc > 0), space);
      }
      if (padded > bytes) memory.fill(to + bytes, 0, padded - bytes);
      to += step;
    }
    innerProducts(countA, countB, start, step, padded, column == row ? 1 : 2, first, sums);
  }
}

/**
 * Sums of squares of the blocks of a float32 matrix that lies in `from` row after row, blocks of `blockRows` x `blockColumns`; float64 sums, one for each block, in
 * the order of blocks in the matrix.
 */
export function blockSquares(from: usize, rows: usize, columns: usize, blockRows: usize, blockColumns: usize, to: usize): void {
  for (let i: usize = 0; i < rows; i += blockRows) {
    for (let j: usize = 0; j < columns; j += blockColumns) {
      let even = f64x2.splat(0);
      let odd = even;
      let rest: f64 = 0;
      for (let r: usize = 0; r < blockRows; r++) {
        let at = from + (((i + r) * columns + j) << 2);
        const end = at + (blockColumns << 2);
        for (; at + 16 <= end; at += 16) {
          const x = v128.load(at);
          const low = f64x2.promote_low_f32x4(x);
          const high = f64x2.promote_low_f32x4(v128.shuffle<i32>(x, x, 2, 3, 0, 1));
          even = multiplyAdd<f64>(low, low, even);
          odd = multiplyAdd<f64>(high, high, odd);
        }
        for (; at < end; at += 4) {
          const x = <f64>f32.load(at);
          rest += x * x;
        }
      }
      even = f64x2.add(even, odd);
      f64.store(to, f64x2.extract_lane(even, 0) + f64x2.extract_lane(even, 1) + rest);
      to += 8;
    }
  }
}
