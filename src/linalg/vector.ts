/**
 * Vectors inside flat float64 arrays: norms, dot products and Householder reflections, safe against overflow and
 * underflow.
 */

/** Sums of squares outside this range have lost digits to underflow or overflow. */
const SQUARE_MIN = 1e-280;
const SQUARE_MAX = 1e280;

/** Euclidean norm of `count` entries from `start`, `step` apart. */
export function norm2(data: Float64Array, start: number, count: number, step = 1): number {
  let sum = 0;
  const end = start + count * step;
  for (let i = start; i < end; i += step) sum += data[i]! * data[i]!;
  if (sum >= SQUARE_MIN && sum <= SQUARE_MAX) return Math.sqrt(sum);
  let largest = 0;
  for (let i = start; i < end; i += step) largest = Math.max(largest, Math.abs(data[i]!));
  if (largest === 0 || !Number.isFinite(largest)) return largest;
  let scaled = 0;
  for (let i = start; i < end; i += step) scaled += (data[i]! / largest) ** 2;
  return largest * Math.sqrt(scaled);
}

/** `√(x² + y²)`, without overflow or underflow on the way. */
export function hypotenuse(x: number, y: number): number {
  const square = x * x + y * y;
  return square >= SQUARE_MIN && square <= SQUARE_MAX ? Math.sqrt(square) : Math.hypot(x, y);
}

/** `Σ a[aStart + i] · b[bStart + i]` over `count` entries, in four interleaved sums. */
export function dot(a: Float64Array, aStart: number, b: Float64Array, bStart: number, count: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i + 3 < count; i += 4) {
    s0 += a[aStart + i]! * b[bStart + i]!;
    s1 += a[aStart + i + 1]! * b[bStart + i + 1]!;
    s2 += a[aStart + i + 2]! * b[bStart + i + 2]!;
    s3 += a[aStart + i + 3]! * b[bStart + i + 3]!;
  }
  for (; i < count; i++) s0 += a[aStart + i]! * b[bStart + i]!;
  return s0 + s1 + (s2 + s3);
}

/** `a[aStart + i] += factor · b[bStart + i]` over `count` entries. */
export function addScaled(
  a: Float64Array,
  aStart: number,
  factor: number,
  b: Float64Array,
  bStart: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) a[aStart + i] = a[aStart + i]! + factor * b[bStart + i]!;
}

/**
 * Householder reflection of the `count` entries of `v` from `start`: replaces them by `v` with `v[0] = 1` and returns
 * `tau` and `beta` such that `(I - tau v vᵀ) x = beta e₀` for the original `x`. A vector that is already a multiple
 * of `e₀` gets `tau = 0`.
 */
export function reflector(v: Float64Array, start: number, count: number): { tau: number; beta: number } {
  const alpha = v[start]!;
  const tail = count > 1 ? norm2(v, start + 1, count - 1) : 0;
  v[start] = 1;
  if (tail === 0) return { tau: 0, beta: alpha };
  // The sign opposite to alpha's: alpha - beta then adds instead of cancelling.
  const beta = alpha > 0 ? -hypotenuse(alpha, tail) : hypotenuse(alpha, tail);
  const divisor = alpha - beta;
  for (let i = start + 1; i < start + count; i++) v[i] = v[i]! / divisor;
  return { tau: (beta - alpha) / beta, beta };
}

/**
 * A power of two by which to multiply a matrix whose largest entry this is, so that squares of its entries neither
 * overflow nor underflow; 1 as a rule.
 */
export function safeScale(largest: number): number {
  if (largest === 0 || (largest > 1e-100 && largest < 1e100)) return 1;
  const exponent = Math.floor(Math.log2(largest));
  // 2^1024 is not a float64: subnormal matrices are lifted as far as one factor can.
  return 2 ** Math.min(1000, -exponent);
}
