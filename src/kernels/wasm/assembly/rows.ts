/** Softmax and what belongs to it, and norms, over contiguous float32 rows. */
import { multiplyAdd } from "./lanes.ts";

/**
 * What the exponential needs, four lanes each: the largest argument that gives 0; 1 / ln 2; 1.5 · 2²³, which rounds a sum to an
 * integer in its low bits; ln 2 in two parts, the first times an integer below 2⁷ exact; and the coefficients of `q` in
 * `e^r = 1 + r + r² q(r)` for |r| ≤ ln 2 / 2, interpolated at Chebyshev's points: off by at most 1.1e-8 of `e^r`.
 * They are read from memory because V8 makes constants of vectors anew in every turn of a loop.
 */
const TABLE = memory.data<f32>(
  [
    -87.33654, -87.33654, -87.33654, -87.33654, 1.44269504, 1.44269504, 1.44269504, 1.44269504, 12582912.0, 12582912.0,
    12582912.0, 12582912.0, 0.693359375, 0.693359375, 0.693359375, 0.693359375, -0.00021219444, -0.00021219444,
    -0.00021219444, -0.00021219444, 0.00139262508, 0.00139262508, 0.00139262508, 0.00139262508, 0.00836323288,
    0.00836323288, 0.00836323288, 0.00836323288, 0.0416665542, 0.0416665542, 0.0416665542, 0.0416665542, 0.166665767,
    0.166665767, 0.166665767, 0.166665767, 0.5, 0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0,
  ],
  16,
);

/** `z - x y`. */
@inline
function multiplySubtract(x: v128, y: v128, z: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_nmadd(x, y, z);
  return f32x4.sub(z, f32x4.mul(x, y));
}

/**
 * `e^x` for `x` ≤ 0: 0 below -87.34 (the least normal number), NaN for NaN.
 * With `n = round(x / ln 2)` and `r = x - n ln 2`, `e^x = 2^n e^r`; the exponent's bits are those of the rounded sum, shifted.
 */
@inline
function exponential(x: v128): v128 {
  const magic = v128.load(TABLE, 32);
  const shifted = multiplyAdd<f32>(x, v128.load(TABLE, 16), magic);
  const n = f32x4.sub(shifted, magic);
  let r = multiplySubtract(n, v128.load(TABLE, 48), x);
  r = multiplySubtract(n, v128.load(TABLE, 64), r);
  let q = multiplyAdd<f32>(v128.load(TABLE, 80), r, v128.load(TABLE, 96));
  q = multiplyAdd<f32>(q, r, v128.load(TABLE, 112));
  q = multiplyAdd<f32>(q, r, v128.load(TABLE, 128));
  q = multiplyAdd<f32>(q, r, v128.load(TABLE, 144));
  const one = v128.load(TABLE, 160);
  const power = multiplyAdd<f32>(multiplyAdd<f32>(q, r, one), r, one);
  const scale = i32x4.add(i32x4.shl(shifted, 23), one);
  return v128.andnot(f32x4.mul(power, scale), f32x4.le(x, v128.load(TABLE)));
}

@inline
function largestLane(x: v128): f32 {
  const y = f32x4.pmax(x, v128.shuffle<i32>(x, x, 2, 3, 0, 1));
  const z = f32x4.pmax(y, v128.shuffle<i32>(y, y, 1, 0, 3, 2));
  return f32x4.extract_lane(z, 0);
}

@inline
function sumOfLanes(x: v128): f64 {
  return (
    <f64>f32x4.extract_lane(x, 0) +
    <f64>f32x4.extract_lane(x, 1) +
    (<f64>f32x4.extract_lane(x, 2) + <f64>f32x4.extract_lane(x, 3))
  );
}

/** The last `count` (1 to 3) numbers of a row, the lanes beyond them `filler`. */
@inline
function loadLast(at: usize, count: usize, filler: f32): v128 {
  let x = f32x4.splat(filler);
  x = f32x4.replace_lane(x, 0, f32.load(at));
  if (count > 1) x = f32x4.replace_lane(x, 1, f32.load(at, 4));
  if (count > 2) x = f32x4.replace_lane(x, 2, f32.load(at, 8));
  return x;
}

@inline
function storeLast(at: usize, count: usize, x: v128): void {
  f32.store(at, f32x4.extract_lane(x, 0));
  if (count > 1) f32.store(at, f32x4.extract_lane(x, 1), 4);
  if (count > 2) f32.store(at, f32x4.extract_lane(x, 2), 8);
}

/** The largest of `count` numbers that are not NaN; NaN where there is none above -Infinity but a NaN. */
function largest(from: usize, count: usize): f32 {
  const lowest = f32x4.splat(-Infinity);
  let m0 = lowest;
  let m1 = lowest;
  let at = from;
  const end = from + (count << 2);
  for (; at + 32 <= end; at += 32) {
    m0 = f32x4.pmax(m0, v128.load(at));
    m1 = f32x4.pmax(m1, v128.load(at, 16));
  }
  if (at + 16 <= end) {
    m0 = f32x4.pmax(m0, v128.load(at));
    at += 16;
  }
  if (at < end) m1 = f32x4.pmax(m1, loadLast(at, (end - at) >> 2, -Infinity));
  const max = largestLane(f32x4.pmax(m0, m1));
  if (max == -Infinity) {
    for (at = from; at < end; at += 4) if (isNaN(f32.load(at))) return NaN;
  }
  return max;
}

/** Numbers whose exponentials are summed in float32 before the sum is taken up in float64. */
const RUN: usize = 256;

/** Stores `e^(x - max)` of `count` numbers and returns their sum; `to` may be `from`. */
export function exponentials(from: usize, to: usize, count: usize, max: f32): f64 {
  const least = f32x4.splat(max);
  const end = from + (count << 2);
  const whole = from + ((count & ~7) << 2);
  let total: f64 = 0;
  while (from < whole) {
    let s0 = f32x4.splat(0);
    let s1 = f32x4.splat(0);
    const stop = whole - from > RUN << 2 ? from + (RUN << 2) : whole;
    for (; from < stop; from += 32) {
      const x = exponential(f32x4.sub(v128.load(from), least));
      const y = exponential(f32x4.sub(v128.load(from, 16), least));
      v128.store(to, x);
      v128.store(to, y, 16);
      s0 = f32x4.add(s0, x);
      s1 = f32x4.add(s1, y);
      to += 32;
    }
    total += sumOfLanes(f32x4.add(s0, s1));
  }
  if (from + 16 <= end) {
    const x = exponential(f32x4.sub(v128.load(from), least));
    v128.store(to, x);
    total += sumOfLanes(x);
    from += 16;
    to += 16;
  }
  if (from < end) {
    const left = (end - from) >> 2;
    const x = exponential(f32x4.sub(loadLast(from, left, -Infinity), least));
    storeLast(to, left, x);
    total += sumOfLanes(x);
  }
  return total;
}

/** Divides `count` numbers in place. */
export function divide(at: usize, count: usize, divisor: f32): void {
  if (divisor == 1) return;
  const d = f32x4.splat(divisor);
  const end = at + (count << 2);
  for (; at + 16 <= end; at += 16) v128.store(at, f32x4.div(v128.load(at), d));
  for (; at < end; at += 4) f32.store(at, f32.load(at) / divisor);
}

/** Multiplies `count` numbers in place. */
export function scaleRow(at: usize, count: usize, factor: f32): void {
  const f = f32x4.splat(factor);
  const end = at + (count << 2);
  for (; at + 32 <= end; at += 32) {
    v128.store(at, f32x4.mul(v128.load(at), f));
    v128.store(at, f32x4.mul(v128.load(at, 16), f), 16);
  }
  for (; at < end; at += 4) f32.store(at, f32.load(at) * factor);
}

/** Softmax of the first `visible` of `columns` numbers; the rest is 0 and not read. */
function softmaxRow(from: usize, to: usize, visible: usize, columns: usize): void {
  const max = largest(from, visible);
  if (max == -Infinity) {
    memory.fill(to, 0, columns << 2);
    return;
  }
  const sum = exponentials(from, to, visible, max);
  scaleRow(to, visible, <f32>(1 / sum));
  if (visible < columns) memory.fill(to + (visible << 2), 0, (columns - visible) << 2);
}

/** Softmax of each row. */
export function softmax(from: usize, to: usize, rows: usize, columns: usize): void {
  const bytes = columns << 2;
  for (let i: usize = 0; i < rows; i++) {
    softmaxRow(from, to, columns, columns);
    from += bytes;
    to += bytes;
  }
}

/** Softmax of `rows` rows from row `first` on, of matrices of `queries` rows: query `i` sees keys up to `i + queryOffset`. */
export function causalSoftmax(
  from: usize,
  to: usize,
  first: usize,
  rows: usize,
  queries: usize,
  keys: usize,
  queryOffset: usize,
): void {
  const bytes = keys << 2;
  for (let i = first; i < first + rows; i++) {
    const seen = (i % queries) + queryOffset + 1;
    softmaxRow(from, to, seen < keys ? seen : keys, keys);
    from += bytes;
    to += bytes;
  }
}

/** For each row its largest number and `Σ e^(x - largest)`, two float64s a row, into `pairs`; `space` holds one row. */
export function maxAndSum(from: usize, rows: usize, columns: usize, pairs: usize, space: usize): void {
  for (let i: usize = 0; i < rows; i++) {
    const max = largest(from, columns);
    f64.store(pairs, max);
    f64.store(pairs, max == -Infinity ? 0 : exponentials(from, space, columns, max), 8);
    from += columns << 2;
    pairs += 16;
  }
}

/** `x - first - second` of each row, in float64 and rounded once; the two of a row are at `pairs`. */
export function subtractPairs(from: usize, to: usize, rows: usize, columns: usize, pairs: usize): void {
  for (let i: usize = 0; i < rows; i++) {
    const first = f64x2.splat(f64.load(pairs));
    const second = f64x2.splat(f64.load(pairs, 8));
    const end = from + (columns << 2);
    for (; from + 16 <= end; from += 16) {
      const x = v128.load(from);
      const low = f64x2.sub(f64x2.sub(f64x2.promote_low_f32x4(x), first), second);
      const high = f64x2.sub(f64x2.sub(f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 0)), first), second);
      v128.store(to, v128.shuffle<i64>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2));
      to += 16;
    }
    for (; from < end; from += 4) {
      f32.store(to, <f32>(<f64>f32.load(from) - f64.load(pairs) - f64.load(pairs, 8)));
      to += 4;
    }
    pairs += 16;
  }
}

/** Mean (where `center`) and root mean square taken out of each row, in float64; the divisors go to `scales`. */
export function normalize(
  from: usize,
  to: usize,
  rows: usize,
  columns: usize,
  eps: f64,
  center: i32,
  scales: usize,
): void {
  for (let i: usize = 0; i < rows; i++) {
    const end = from + (columns << 2);
    const whole = from + ((columns & ~3) << 2);
    let mean: f64 = 0;
    if (center) {
      let s0 = f64x2.splat(0);
      let s1 = f64x2.splat(0);
      let at = from;
      for (; at < whole; at += 16) {
        const x = v128.load(at);
        s0 = f64x2.add(s0, f64x2.promote_low_f32x4(x));
        s1 = f64x2.add(s1, f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 0)));
      }
      s0 = f64x2.add(s0, s1);
      mean = f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1);
      for (; at < end; at += 4) mean += <f64>f32.load(at);
      mean /= <f64>columns;
    }
    const middle = f64x2.splat(mean);
    let q0 = f64x2.splat(0);
    let q1 = f64x2.splat(0);
    let at = from;
    for (; at < whole; at += 16) {
      const x = v128.load(at);
      const low = f64x2.sub(f64x2.promote_low_f32x4(x), middle);
      const high = f64x2.sub(f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 0)), middle);
      q0 = f64x2.add(q0, f64x2.mul(low, low));
      q1 = f64x2.add(q1, f64x2.mul(high, high));
    }
    q0 = f64x2.add(q0, q1);
    let squares = f64x2.extract_lane(q0, 0) + f64x2.extract_lane(q0, 1);
    for (; at < end; at += 4) {
      const x = <f64>f32.load(at) - mean;
      squares += x * x;
    }
    const divisor = sqrt(squares / <f64>columns + eps);
    const factor = f64x2.splat(1 / divisor);
    for (at = from; at < whole; at += 16) {
      const x = v128.load(at);
      const low = f64x2.mul(f64x2.sub(f64x2.promote_low_f32x4(x), middle), factor);
      const high = f64x2.mul(f64x2.sub(f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 0)), middle), factor);
      v128.store(to, v128.shuffle<i64>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2));
      to += 16;
    }
    for (; at < end; at += 4) {
      f32.store(to, <f32>((<f64>f32.load(at) - mean) / divisor));
      to += 4;
    }
    f32.store(scales, <f32>divisor);
    scales += 4;
    from = end;
  }
}

export { largest };
