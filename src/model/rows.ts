/** Rows picked from flat storage. */
import type { FloatArray } from "../kernels/index.ts";
import type { TensorData } from "../tensor/index.ts";

/** Positions of prompts, as many of each, as rows of all prompts. */
export function rowsOfAll(positions: readonly (readonly number[])[], pos: number): Int32Array {
  const count = positions[0]?.length ?? 0;
  const rows = new Int32Array(positions.length * count);
  for (const [b, row] of positions.entries()) {
    for (let i = 0; i < count; i++) rows[b * count + i] = b * pos + (row[i] as number);
  }
  return rows;
}

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
