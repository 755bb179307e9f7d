/** Softmax and what belongs to it, and norms, over contiguous float32 rows. */
import { min, multiplyAdd } from "./lanes.ts";

/**
 * What the exponential needs, four lanes each: the least argument; 1 / ln 2; 1.5 · 2²³, which rounds a sum to an integer in its low
 * bits; the bits of 1; the coefficients of `q` in `2^f = 1 + f q(f)` for |f| ≤ 1/2, the highest first, found by Remez's exchange for the least relative
 * error and then among their float32 neighbours: off by at most 6.0e-9 of `2^f`; and ln 2 in two parts, the first times an integer below 2⁷ exact.
 * They are read from memory because V8 makes constants of vectors anew in every turn of a loop.
 */
const TABLE = memory.data<f32>(
  [
    -88.02969, -88.02969, -88.02969, -88.02969, 1.44269504, 1.44269504, 1.44269504, 1.44269504, 12582912.0, 12582912.0,
    12582912.0, 12582912.0, 1.0, 1.0, 1.0, 1.0, 0.000154697598, 0.000154697598, 0.000154697598, 0.000154697598,
    0.00134099787, 0.00134099787, 0.00134099787, 0.00134099787, 0.00961802993, 0.00961802993, 0.00961802993,
    0.00961802993, 0.0555028953, 0.0555028953, 0.0555028953, 0.0555028953, 0.240226522, 0.240226522, 0.240226522,
    0.240226522, 0.693147242, 0.693147242, 0.693147242, 0.693147242, 0.693359375, 0.693359375, 0.693359375, 0.693359375,
    -0.00021219444, -0.00021219444, -0.00021219444, -0.00021219444,
  ],
  16,
);

/** From 4 - n numbers on: n lanes of ones, then zeros. */
const LANES = memory.data<i32>([-1, -1, -1, -1, 0, 0, 0, 0], 16);

/**
 * The same for four vectors at a time, in the module of tiles: exponentials of `x - most` from `from` to `end`, at least one block of 16 numbers, are
 * stored at `to`, and their sum in four lanes returned. With every block a word is read `ahead` bytes after it, of both: what is computed next is on its way.
 */
@external("tiles", "exponentials")
declare function storeBlocks(from: usize, end: usize, to: usize, most: v128, table: usize, ahead: usize): v128;

/** As {@link storeBlocks}, only the sum. */
@external("tiles", "sumOfExponentials")
declare function sumBlocks(from: usize, end: usize, most: v128, table: usize, ahead: usize): v128;

/** `x / ln 2 + minus`. Unfused, a product with 1 / ln 2 would be rounded at its own size: there the integer is taken out first. */
@inline
function fraction(x: v128, minus: v128, perUnit: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(x, perUnit, minus);
  const high = f32x4.add(x, f32x4.mul(minus, v128.load(TABLE, 160)));
  return f32x4.mul(f32x4.add(high, f32x4.mul(minus, v128.load(TABLE, 176))), perUnit);
}

/**
 * `e^x` for `x` ≤ 0: 0 below -87.68, which is 2^-126.5; NaN for NaN.
 * With `n = round(x / ln 2)` and `f = x / ln 2 - n`, `e^x = 2^n 2^f`, as `2^n + f 2^n q(f)`. The exponent's bits are those of the rounded sum,
 * shifted; for the least argument they are all 0, and so is the result.
 */
@inline
export function exponential(x: v128): v128 {
  const bounded = f32x4.pmax(x, v128.load(TABLE));
  const perUnit = v128.load(TABLE, 16);
  const magic = v128.load(TABLE, 32);
  const shifted = multiplyAdd<f32>(bounded, perUnit, magic);
  const f = fraction(bounded, f32x4.sub(magic, shifted), perUnit);
  const scale = i32x4.add(i32x4.shl(shifted, 23), v128.load(TABLE, 48));
  let q = multiplyAdd<f32>(v128.load(TABLE, 64), f, v128.load(TABLE, 80));
  q = multiplyAdd<f32>(q, f, v128.load(TABLE, 96));
  q = multiplyAdd<f32>(q, f, v128.load(TABLE, 112));
  q = multiplyAdd<f32>(q, f, v128.load(TABLE, 128));
  q = multiplyAdd<f32>(q, f, v128.load(TABLE, 144));
  return multiplyAdd<f32>(q, f32x4.mul(f, scale), scale);
}

@inline
function largestLane(x: v128): f32 {
  const y = f32x4.pmax(x, v128.shuffle<i32>(x, x, 2, 3, 0, 1));
  const z = f32x4.pmax(y, v128.shuffle<i32>(y, y, 1, 0, 3, 2));
  return f32x4.extract_lane(z, 0);
}

@inline
function sumOfLanes(x: v128): f64 {
  const y = f64x2.add(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 0)));
  return f64x2.extract_lane(y, 0) + f64x2.extract_lane(y, 1);
}

/** The last `count` (1 to 3) numbers of a row, -Infinity in the lanes beyond them. Memory ends beyond all rows. */
@inline
function loadLast(at: usize, count: usize): v128 {
  return v128.bitselect(v128.load(at), f32x4.splat(-Infinity), v128.load(LANES + ((4 - count) << 2)));
}

@inline
function storeLast(at: usize, count: usize, x: v128): void {
  f32.store(at, f32x4.extract_lane(x, 0));
  if (count > 1) f32.store(at, f32x4.extract_lane(x, 1), 4);
  if (count > 2) f32.store(at, f32x4.extract_lane(x, 2), 8);
}

/** The largest of `count` numbers that are not NaN; NaN where there is none above -Infinity but a NaN. */
export function largest(from: usize, count: usize): f32 {
  const lowest = f32x4.splat(-Infinity);
  let m0 = lowest;
  let m1 = lowest;
  let m2 = lowest;
  let m3 = lowest;
  let at = from;
  const end = from + (count << 2);
  for (; at + 64 <= end; at += 64) {
    m0 = f32x4.pmax(m0, v128.load(at));
    m1 = f32x4.pmax(m1, v128.load(at, 16));
    m2 = f32x4.pmax(m2, v128.load(at, 32));
    m3 = f32x4.pmax(m3, v128.load(at, 48));
  }
  for (; at + 16 <= end; at += 16) m0 = f32x4.pmax(m0, v128.load(at));
  if (at < end) m1 = f32x4.pmax(m1, loadLast(at, (end - at) >> 2));
  const max = largestLane(f32x4.pmax(f32x4.pmax(m0, m1), f32x4.pmax(m2, m3)));
  if (max == -Infinity) {
    for (at = from; at < end; at += 4) if (isNaN(f32.load(at))) return NaN;
  }
  return max;
}

/** Numbers whose exponentials are summed in float32 before the sum is taken up in float64: a lane of two sums adds 32 pairs. */
const RUN: usize = 512;

/** The sum of `e^(x - max)` of `count` numbers, each stored where `keeps`. */
@inline
function sumExponentials(from: usize, to: usize, count: usize, max: f32, keeps: bool, ahead: usize): f64 {
  const most = f32x4.splat(max);
  const end = from + (count << 2);
  const whole = from + ((count & ~15) << 2);
  let total: f64 = 0;
  while (from < whole) {
    const stop = whole - from > RUN << 2 ? from + (RUN << 2) : whole;
    total += sumOfLanes(keeps ? storeBlocks(from, stop, to, most, TABLE, ahead) : sumBlocks(from, stop, most, TABLE, ahead));
    to += stop - from;
    from = stop;
  }
  if (from == end) return total;
  let s = f32x4.splat(0);
  for (; from + 16 <= end; from += 16) {
    const x = exponential(f32x4.sub(v128.load(from), most));
    if (keeps) {
      v128.store(to, x);
      to += 16;
    }
    s = f32x4.add(s, x);
  }
  if (from < end) {
    const left = (end - from) >> 2;
    const x = exponential(f32x4.sub(loadLast(from, left), most));
    if (keeps) storeLast(to, left, x);
    s = f32x4.add(s, x);
  }
  return total + sumOfLanes(s);
}

/** Stores `e^(x - max)` of `count` numbers and returns their sum; `to` may be `from`. `ahead`: as for {@link storeBlocks}. */
export function exponentials(from: usize, to: usize, count: usize, max: f32, ahead: usize): f64 {
  return sumExponentials(from, to, count, max, true, ahead);
}

/** The sum of `e^(x - max)` of `count` numbers. */
export function sumOfExponentials(from: usize, count: usize, max: f32): f64 {
  return sumExponentials(from, 0, count, max, false, 0);
}

/** Divides `count` numbers in place. */
export function divide(at: usize, count: usize, divisor: f32): void {
  if (divisor == 1) return;
  if ((reinterpret<u32>(divisor) & 0x7fffff) == 0) {
    // By a power of two: the reciprocal is exact, and so both round the same number.
    scaleRow(at, count, 1 / divisor);
    return;
  }
  const d = f32x4.splat(divisor);
  const end = at + (count << 2);
  for (; at + 16 <= end; at += 16) v128.store(at, f32x4.div(v128.load(at), d));
  for (; at < end; at += 4) f32.store(at, f32.load(at) / divisor);
}

/** Multiplies `count` numbers in place. */
export function scaleRow(at: usize, count: usize, factor: f32): void {
  const f = f32x4.splat(factor);
  const end = at + (count << 2);
  for (; at + 64 <= end; at += 64) {
    const a = f32x4.mul(v128.load(at), f);
    const b = f32x4.mul(v128.load(at, 16), f);
    const c = f32x4.mul(v128.load(at, 32), f);
    const d = f32x4.mul(v128.load(at, 48), f);
    v128.store(at, a);
    v128.store(at, b, 16);
    v128.store(at, c, 32);
    v128.store(at, d, 48);
  }
  for (; at + 16 <= end; at += 16) v128.store(at, f32x4.mul(v128.load(at), f));
  for (; at < end; at += 4) f32.store(at, f32.load(at) * factor);
}

/** Bytes of zeros from which the engine's own way to write them beats a loop, although it is a call out of WebAssembly. */
const LONG: usize = 1024;

/** Sets `count` numbers to 0. `ahead`: as for {@link storeBlocks}; 0 where nothing follows. */
export function clear(at: usize, count: usize, ahead: usize): void {
  const bytes = count << 2;
  if (ahead == 0 && bytes >= LONG) {
    memory.fill(at, 0, bytes);
    return;
  }
  const end = at + bytes;
  const zero = i32x4.splat(0);
  for (; at + 64 <= end; at += 64) {
    // Read for nothing but to have its line near when it is cleared.
    i32.load(at + ahead);
    v128.store(at, zero);
    v128.store(at, zero, 16);
    v128.store(at, zero, 32);
    v128.store(at, zero, 48);
  }
  for (; at + 16 <= end; at += 16) v128.store(at, zero);
  for (; at < end; at += 4) i32.store(at, 0);
}

/** Exponentials of the first `visible` of `columns` numbers made probabilities, and the rest 0. */
@inline
function finishRow(to: usize, visible: usize, columns: usize, max: f32, sum: f64, ahead: usize): void {
  if (max == -Infinity) visible = 0;
  scaleRow(to, visible, <f32>(1 / sum));
  clear(to + (visible << 2), columns - visible, ahead);
}

/** Bytes of a row of which three, read and written, stay in the second-level cache together with the next three. */
const SHORT: usize = 32768;

/**
 * Softmax of `rows` rows of which `visible` numbers are seen in the first and `more` more in each after it, at most `columns`; the rest is 0 and not
 * read. Three rows at a time, where they are short: while the sum of one is waited for, the next is computed, and the three after them are fetched.
 */
@inline
function softmaxRows(from: usize, to: usize, rows: usize, visible: usize, more: usize, columns: usize): void {
  const bytes = columns << 2;
  for (; rows >= 3 && bytes <= SHORT; rows -= 3) {
    const ahead = rows >= 6 ? 3 * bytes : 0;
    const v0 = min(visible, columns);
    const v1 = min(visible + more, columns);
    const v2 = min(visible + 2 * more, columns);
    const max0 = largest(from, v0);
    const max1 = largest(from + bytes, v1);
    const max2 = largest(from + 2 * bytes, v2);
    const sum0 = exponentials(from, to, v0, max0, ahead);
    const sum1 = exponentials(from + bytes, to + bytes, v1, max1, ahead);
    const sum2 = exponentials(from + 2 * bytes, to + 2 * bytes, v2, max2, ahead);
    finishRow(to, v0, columns, max0, sum0, ahead);
    finishRow(to + bytes, v1, columns, max1, sum1, ahead);
    finishRow(to + 2 * bytes, v2, columns, max2, sum2, ahead);
    from += 3 * bytes;
    to += 3 * bytes;
    visible += 3 * more;
  }
  for (; rows > 0; rows--) {
    const v = min(visible, columns);
    const max = largest(from, v);
    finishRow(to, v, columns, max, exponentials(from, to, v, max, 0), 0);
    from += bytes;
    to += bytes;
    visible += more;
  }
}

/** Softmax of each row. */
export function softmax(from: usize, to: usize, rows: usize, columns: usize): void {
  softmaxRows(from, to, rows, columns, 0, columns);
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
  while (rows > 0) {
    const query = first % queries;
    const count = min(queries - query, rows);
    softmaxRows(from, to, count, query + queryOffset + 1, 1, keys);
    from += (count * keys) << 2;
    to += (count * keys) << 2;
    first += count;
    rows -= count;
  }
}

/** For each row its largest number and `Σ e^(x - largest)`, two float64s a row, into `pairs`. */
export function maxAndSum(from: usize, rows: usize, columns: usize, pairs: usize): void {
  for (let i: usize = 0; i < rows; i++) {
    const max = largest(from, columns);
    f64.store(pairs, max);
    f64.store(pairs, max == -Infinity ? 0 : sumOfExponentials(from, columns, max), 8);
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

/** Two float32 numbers as float64. */
@inline
function loadDoubles(at: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(at));
}

@inline
function addLanes(x: v128): f64 {
  return f64x2.extract_lane(x, 0) + f64x2.extract_lane(x, 1);
}

/**
 * Mean (where `center`) and root mean square taken out of each row, in float64; the divisors go to `scales`.
 *
 * One pass sums `x - origin` and its square, where the origin is the first number of the row. As one of the row's it is so near the
 * mean that the mean of squares is at most `n + 1` times the variance: what cancels costs at most about `n² 2^-53` of it.
 */
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
    const whole = from + ((columns & ~7) << 2);
    const origin: f64 = center ? f32.load(from) : 0;
    const first = f64x2.splat(origin);
    let s0 = f64x2.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    let q0 = s0;
    let q1 = s0;
    let q2 = s0;
    let q3 = s0;
    let at = from;
    if (center) {
      for (; at < whole; at += 32) {
        const a = f64x2.sub(loadDoubles(at), first);
        const b = f64x2.sub(loadDoubles(at + 8), first);
        const c = f64x2.sub(loadDoubles(at + 16), first);
        const d = f64x2.sub(loadDoubles(at + 24), first);
        s0 = f64x2.add(s0, a);
        q0 = multiplyAdd<f64>(a, a, q0);
        s1 = f64x2.add(s1, b);
        q1 = multiplyAdd<f64>(b, b, q1);
        s2 = f64x2.add(s2, c);
        q2 = multiplyAdd<f64>(c, c, q2);
        s3 = f64x2.add(s3, d);
        q3 = multiplyAdd<f64>(d, d, q3);
      }
    } else {
      for (; at < whole; at += 32) {
        const a = loadDoubles(at);
        const b = loadDoubles(at + 8);
        const c = loadDoubles(at + 16);
        const d = loadDoubles(at + 24);
        q0 = multiplyAdd<f64>(a, a, q0);
        q1 = multiplyAdd<f64>(b, b, q1);
        q2 = multiplyAdd<f64>(c, c, q2);
        q3 = multiplyAdd<f64>(d, d, q3);
      }
    }
    let sum = addLanes(f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3)));
    let squares = addLanes(f64x2.add(f64x2.add(q0, q1), f64x2.add(q2, q3)));
    for (; at < end; at += 4) {
      const x = <f64>f32.load(at) - origin;
      sum += x;
      squares += x * x;
    }
    const shift = center ? sum / <f64>columns : 0;
    const variance = squares / <f64>columns - shift * shift;
    const divisor = sqrt((variance < 0 ? 0 : variance) + eps);
    const mean = origin + shift;
    const factor = f64x2.splat(1 / divisor);
    const minus = f64x2.splat(-mean / divisor);
    for (at = from; at < whole; at += 32) {
      const a = f32x4.demote_f64x2_zero(multiplyAdd<f64>(loadDoubles(at), factor, minus));
      const b = f32x4.demote_f64x2_zero(multiplyAdd<f64>(loadDoubles(at + 8), factor, minus));
      const c = f32x4.demote_f64x2_zero(multiplyAdd<f64>(loadDoubles(at + 16), factor, minus));
      const d = f32x4.demote_f64x2_zero(multiplyAdd<f64>(loadDoubles(at + 24), factor, minus));
      v128.store(to, v128.shuffle<i64>(a, b, 0, 2));
      v128.store(to, v128.shuffle<i64>(c, d, 0, 2), 16);
      to += 32;
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
