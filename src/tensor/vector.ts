/** Vectors in flat storage: sizes, sums, inner products. */
import { rawData } from "./raw.ts";
import type { Tensor } from "./tensor.ts";

/** The 2-norm of every row of the last axis, in row-major order. */
export function rowNorms(t: Tensor): Float64Array {
  const width = t.shape[t.rank - 1] ?? 1;
  const data = rawData(t);
  return Float64Array.from({ length: width === 0 ? 0 : t.size / width }, (_, row) => {
    let s = 0;
    for (let i = row * width; i < (row + 1) * width; i++) s += (data[i] as number) ** 2;
    return Math.sqrt(s);
  });
}

/** The largest absolute value; 0 of nothing. */
export function maxAbs(values: ArrayLike<number>): number {
  let worst = 0;
  for (let i = 0; i < values.length; i++) worst = Math.max(worst, Math.abs(values[i] as number));
  return worst;
}

/** The mean of numbers; NaN of nothing. */
export function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return sum / values.length;
}

/** An inner product, in two sums, so that no addition waits for the one before it. */
export function dot(a: ArrayLike<number>, fromA: number, b: ArrayLike<number>, fromB: number, count: number): number {
  let [even, odd] = [0, 0];
  let t = 0;
  for (; t + 1 < count; t += 2) {
    even += (a[fromA + t] as number) * (b[fromB + t] as number);
    odd += (a[fromA + t + 1] as number) * (b[fromB + t + 1] as number);
  }
  if (t < count) even += (a[fromA + t] as number) * (b[fromB + t] as number);
  return even + odd;
}

/** Adds numbers to as many, from element `start` on. */
export function addTo(sums: Float64Array, terms: ArrayLike<number>, start = 0): void {
  for (let t = 0; t < terms.length; t++) sums[start + t] = (sums[start + t] as number) + (terms[t] as number);
}
