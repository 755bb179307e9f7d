/** Rows picked from flat storage. */
import type { FloatArray } from "../kernels/index.ts";
import type { TensorData } from "../tensor/index.ts";

/** Copies some rows, those that follow on one another together; `out` may be longer. */
export function copyRows<T extends TensorData | FloatArray>(
  from: TensorData,
  rows: ArrayLike<number>,
  width: number,
  out: T,
): T {
  for (let first = 0; first < rows.length;) {
    const row = rows[first] as number;
    let end = first + 1;
    while (end < rows.length && rows[end] === row + end - first) end++;
    out.set(from.subarray(row * width, (row + end - first) * width), first * width);
    first = end;
  }
  return out;
}
