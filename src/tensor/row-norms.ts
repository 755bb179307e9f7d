/** Sizes of vectors. */
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
