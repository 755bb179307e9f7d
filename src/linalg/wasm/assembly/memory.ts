/**
 * Rows of float64 numbers in memory. A row begins at a multiple of 64 bytes and is padded with zeros to a multiple of
 * eight numbers; matrices are padded with rows of zeros to a multiple of four. Loops therefore run over whole groups of
 * four from a multiple of four on: what they meet before the first and behind the last entry is 0 and stays 0.
 */

/** Sums of squares outside this range have lost digits to underflow or overflow. */
const SQUARE_MIN: f64 = 1e-280;
const SQUARE_MAX: f64 = 1e280;

/** Address of entry `i` of a row. */
// @ts-ignore: decorator
@inline
export function at(row: usize, i: i32): usize {
  return row + ((<usize>i) << 3);
}

/** The sum of both lanes. */
// @ts-ignore: decorator
@inline
export function total(x: v128): f64 {
  return f64x2.extract_lane(x, 0) + f64x2.extract_lane(x, 1);
}

/** Sets entries `from..to - 1` to 0. */
export function clear(row: usize, from: i32, to: i32): void {
  for (let i = from; i < to; i++) store<f64>(at(row, i), 0);
}

/** `Σ x[i] y[i]` for `from <= i < to`, both multiples of four. */
export function dot(x: usize, y: usize, from: i32, to: i32): f64 {
  let even = f64x2.splat(0);
  let odd = f64x2.splat(0);
  for (let i = from; i < to; i += 4) {
    even = f64x2.add(even, f64x2.mul(v128.load(at(x, i)), v128.load(at(y, i))));
    odd = f64x2.add(odd, f64x2.mul(v128.load(at(x, i), 16), v128.load(at(y, i), 16)));
  }
  return total(f64x2.add(even, odd));
}

/** `√(x² + y²)`, without overflow or underflow on the way. */
export function hypotenuse(x: f64, y: f64): f64 {
  const square = x * x + y * y;
  if (square >= SQUARE_MIN && square <= SQUARE_MAX) return sqrt(square);
  const large = max(abs(x), abs(y));
  if (large === 0) return 0;
  const small = min(abs(x), abs(y)) / large;
  return large * sqrt(1 + small * small);
}

/** Euclidean norm of entries `from..to - 1`. */
function norm2(x: usize, from: i32, to: i32): f64 {
  let s0: f64 = 0;
  let s1: f64 = 0;
  let i = from;
  for (; i + 1 < to; i += 2) {
    const a = load<f64>(at(x, i));
    const b = load<f64>(at(x, i), 8);
    s0 += a * a;
    s1 += b * b;
  }
  if (i < to) {
    const a = load<f64>(at(x, i));
    s0 += a * a;
  }
  const sum = s0 + s1;
  if (sum >= SQUARE_MIN && sum <= SQUARE_MAX) return sqrt(sum);
  let largest: f64 = 0;
  for (i = from; i < to; i++) largest = max(largest, abs(load<f64>(at(x, i))));
  if (largest === 0) return 0;
  let scaled: f64 = 0;
  for (i = from; i < to; i++) {
    const a = load<f64>(at(x, i)) / largest;
    scaled += a * a;
  }
  return largest * sqrt(scaled);
}

/** What {@link reflector} found besides its return value. */
export let beta: f64 = 0;

/**
 * Householder reflection of entries `from..to - 1` of `v`: replaces them by `v` with `v[from] = 1`, returns `tau` and
 * leaves `beta` such that `(I - tau v vᵀ) x = beta e₀` for the original `x`. A multiple of `e₀` gets `tau = 0`.
 */
export function reflector(v: usize, from: i32, to: i32): f64 {
  const alpha = load<f64>(at(v, from));
  const tail = norm2(v, from + 1, to);
  store<f64>(at(v, from), 1);
  beta = alpha;
  if (tail === 0) return 0;
  // The sign opposite to alpha's: alpha - beta then adds instead of cancelling.
  const length = hypotenuse(alpha, tail);
  beta = alpha > 0 ? -length : length;
  const divisor = alpha - beta;
  for (let i = from + 1; i < to; i++) store<f64>(at(v, i), load<f64>(at(v, i)) / divisor);
  return (beta - alpha) / beta;
}
