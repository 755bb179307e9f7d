/**
 * The backward pass of attention, a head after another. Scores and gradients by the pattern lie as `[key, query]`: so
 * softmax and its derivative go down columns, eight queries in two registers, without a sum across lanes, and every
 * product finds its right operand in panels as it lies. The pattern is computed anew: keeping it would take as long.
 */
import { copyBlock, packPanels } from "./imported.ts";
import { min, multiplyAdd } from "./lanes.ts";
import { DEPTH, tiles } from "./matmul.ts";
import { exponential, scaleRow } from "./rows.ts";

/** Bytes before everything else, where tiles compute what lies beyond the last column. */
const EDGE: usize = 256;
/** The numbers of the lanes. */
const LANES = memory.data<i32>([0, 1, 2, 3, 4, 5, 6, 7], 16);

@inline
function whole(n: usize): usize {
  return (n + 7) & ~7;
}

/** Bytes of working space for one head. */
export function attentionGradientBytes(positions: usize, d_head: usize): usize {
  const padded = whole(positions);
  const columns = whole(d_head);
  // Queries, gradients and keys the one way; queries and gradients the other; scores; results of eight keys.
  return EDGE + 4 * (4 * d_head * padded + 2 * positions * columns + 2 * padded * padded + 8 * columns);
}

/** `c = a b` of one panel of `b`, whose rows are `bStep` bytes apart. */
@inline
function panelProduct(
  a: usize,
  aRow: usize,
  b: usize,
  bStep: usize,
  k: usize,
  m: usize,
  c: usize,
  cRow: usize,
  edge: usize,
): void {
  for (let p: usize = 0; p < k; p += DEPTH) {
    tiles(a + (p << 2), aRow, b + p * bStep, bStep, 32, min(DEPTH, k - p), m, 8, c, cRow, i32(p > 0), edge);
  }
}

/** The second two of four float32 numbers as float64. */
@inline
function upper(x: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 0));
}

/** Four float64 numbers as float32. */
@inline
function singles(low: v128, high: v128): v128 {
  return v128.shuffle<i64>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}

/** `x / y`, 0 where `y` is 0. */
@inline
function shares(x: v128, y: v128): v128 {
  return v128.andnot(f64x2.div(x, y), f64x2.eq(y, f64x2.splat(0)));
}

/**
 * Makes of the scores of 4 queries their pattern, and of the gradient by the pattern that by the scores. From key `first`
 * on queries, whose numbers are at `lanes`, do not see all of the keys. Sums are float64: as the gradients by the scores of
 * a query sum to 0, the rounding of their mean would be all that is left of a sum of theirs.
 */
function softmaxGradient(scores: usize, gradient: usize, row: usize, keys: usize, first: usize, lanes: usize): void {
  let at = scores + first * row;
  for (let j = first; j < keys; j++) {
    const hidden = i32x4.lt_s(v128.load(lanes), i32x4.splat(<i32>(j - first)));
    v128.store(at, v128.bitselect(f32x4.splat(-Infinity), v128.load(at), hidden));
    at += row;
  }
  let max = f32x4.splat(-Infinity);
  const end = scores + keys * row;
  for (at = scores; at < end; at += row) max = f32x4.pmax(max, v128.load(at));
  // A column of nothing but -Infinity has no pattern.
  max = v128.bitselect(f32x4.splat(0), max, f32x4.eq(max, f32x4.splat(-Infinity)));
  let sumLow = f64x2.splat(0);
  let sumHigh = sumLow;
  let dotLow = sumLow;
  let dotHigh = sumLow;
  let from = gradient;
  for (at = scores; at < end; at += row) {
    const e = exponential(f32x4.sub(v128.load(at), max));
    v128.store(at, e);
    const g = v128.load(from);
    const low = f64x2.promote_low_f32x4(e);
    const high = upper(e);
    sumLow = f64x2.add(sumLow, low);
    sumHigh = f64x2.add(sumHigh, high);
    dotLow = multiplyAdd<f64>(low, f64x2.promote_low_f32x4(g), dotLow);
    dotHigh = multiplyAdd<f64>(high, upper(g), dotHigh);
    from += row;
  }
  const one = f64x2.splat(1);
  const factor = singles(shares(one, sumLow), shares(one, sumHigh));
  // The mean in two parts, of which the second is what the first lacks.
  dotLow = shares(dotLow, sumLow);
  dotHigh = shares(dotHigh, sumHigh);
  const mean = singles(dotLow, dotHigh);
  const rest = singles(
    f64x2.sub(dotLow, f64x2.promote_low_f32x4(mean)),
    f64x2.sub(dotHigh, upper(mean)),
  );
  from = gradient;
  for (at = scores; at < end; at += row) {
    const p = f32x4.mul(v128.load(at), factor);
    v128.store(at, p);
    v128.store(from, f32x4.mul(p, f32x4.sub(f32x4.sub(v128.load(from), mean), rest)));
    from += row;
  }
}

/** Copies rows of `count` numbers. */
@inline
function copyRows(to: usize, toRow: usize, from: usize, fromRow: usize, rows: usize, count: usize): void {
  const bytes = count << 2;
  for (let i: usize = 0; i < rows; i++) {
    let at: usize = 0;
    for (; at + 16 <= bytes; at += 16) v128.store(to + at, v128.load(from + at));
    for (; at < bytes; at += 4) f32.store(to + at, f32.load(from + at));
    to += toRow;
    from += fromRow;
  }
}

/** The gradients of one head. Rows have their entries side by side; steps are in bytes. */
function ofHead(
  positions: usize,
  d: usize,
  q: usize,
  qRow: usize,
  k: usize,
  kRow: usize,
  v: usize,
  vRow: usize,
  g: usize,
  gRow: usize,
  byQ: usize,
  byQRow: usize,
  byK: usize,
  byKRow: usize,
  byV: usize,
  byVRow: usize,
  factor: f32,
  isCausal: bool,
  space: usize,
): void {
  const padded = whole(positions);
  const columns = whole(d);
  const row = padded << 2;
  const queries = space + EDGE;
  const gradients = queries + d * row;
  const keys = gradients + d * row;
  const turned = keys + d * row;
  const queryPanels = turned + d * row;
  const gradientPanels = queryPanels + (positions * columns << 2);
  const scores = gradientPanels + (positions * columns << 2);
  const byScores = scores + padded * row;
  const results = byScores + padded * row;
  packPanels(queries, q, 4, qRow, d, positions);
  packPanels(gradients, g, 4, gRow, d, positions);
  copyBlock(keys, row, k, 4, kRow, d, positions);
  packPanels(queryPanels, q, qRow, 4, positions, d);
  packPanels(gradientPanels, g, gRow, 4, positions, d);
  // So that scores, and gradients by queries and keys, are divided by the scale.
  scaleRow(queries, d * padded, factor);
  scaleRow(keys, d * padded, factor);
  scaleRow(queryPanels, positions * columns, factor);
  for (let first: usize = 0; first < positions; first += 8) {
    const seen = isCausal ? min(positions, first + 8) : positions;
    const ofScores = scores + (first << 2);
    const ofGradient = byScores + (first << 2);
    const panel = first * d << 2;
    panelProduct(k, kRow, queries + panel, 32, d, seen, ofScores, row, space);
    panelProduct(v, vRow, gradients + panel, 32, d, seen, ofGradient, row, space);
    const bound = isCausal ? first : seen;
    softmaxGradient(ofScores, ofGradient, row, seen, bound, LANES);
    softmaxGradient(ofScores + 16, ofGradient + 16, row, seen, bound, LANES + 16);
    panelProduct(keys, row, ofGradient, row, seen, d, turned + (first << 2), row, space);
  }
  copyBlock(byQ, byQRow, turned, 4, row, positions, d);
  for (let first: usize = 0; first < positions; first += 8) {
    const count = min(8, positions - first);
    const from = isCausal ? first : 0;
    const at = (first * row) + (from << 2);
    for (let j: usize = 0; j < d; j += 8) {
      const panel = (j * positions << 2) + (from << 5);
      panelProduct(scores + at, row, gradientPanels + panel, 32, positions - from, count, results + (j << 2), columns << 2, space);
    }
    copyRows(byV + first * byVRow, byVRow, results, columns << 2, count, d);
    for (let j: usize = 0; j < d; j += 8) {
      const panel = (j * positions << 2) + (from << 5);
      panelProduct(byScores + at, row, queryPanels + panel, 32, positions - from, count, results + (j << 2), columns << 2, space);
    }
    copyRows(byK + first * byKRow, byKRow, results, columns << 2, count, d);
  }
}

/** Address of a head's vectors: at a field of a job lie their address and the steps of prompt, head and row. */
@inline
function vectorsAt(job: usize, field: usize, b: usize, h: usize): usize {
  const at = job + field;
  return load<usize>(at) + b * load<usize>(at, 4) + h * load<usize>(at, 8);
}

/**
 * A job in memory, 4 bytes a field: prompts and heads, positions, d_head; one over the scale (float32), isCausal; of queries, keys, values, the
 * gradient by the result, and the gradients by queries, keys and values the address and the steps of prompt, head and row.
 */
export function attentionGradients(job: usize, space: usize): void {
  const outer = load<usize>(job);
  const inner = load<usize>(job, 4);
  const positions = load<usize>(job, 8);
  const d = load<usize>(job, 12);
  const factor = load<f32>(job, 16);
  const isCausal = load<i32>(job, 20) != 0;
  for (let b: usize = 0; b < outer; b++) {
    for (let h: usize = 0; h < inner; h++) {
      ofHead(
        positions,
        d,
        vectorsAt(job, 24, b, h),
        load<usize>(job, 36),
        vectorsAt(job, 40, b, h),
        load<usize>(job, 52),
        vectorsAt(job, 56, b, h),
        load<usize>(job, 68),
        vectorsAt(job, 72, b, h),
        load<usize>(job, 84),
        vectorsAt(job, 88, b, h),
        load<usize>(job, 100),
        vectorsAt(job, 104, b, h),
        load<usize>(job, 116),
        vectorsAt(job, 120, b, h),
        load<usize>(job, 132),
        factor,
        isCausal,
        space,
      );
    }
  }
}
