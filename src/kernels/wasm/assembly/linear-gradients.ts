/**
 * The backward pass of `x W + b` in one pass over rows, some at a time: they stay in the second-level cache for all three
 * gradients. Those by `W` and `b` are left as the sums of each of these parts.
 */
import { addColumns } from "./column-sums.ts";
import { product } from "./imported.ts";
import { min } from "./lanes.ts";

/**
 * A job in memory, 4 bytes a field: how many rows, how many of them are a part, inner, outer; of `x`, of the gradient by the result and of `W` the
 * address and the step of rows; where gradients go, each 0 where it is not asked for: that by `W`, float32 `[part, inner, outer]`, that by `b`,
 * float64 `[part, outer]`, and that by `x` with the step of its rows and whether to add to what is there.
 */
export function linearGradients(job: usize, space: usize): void {
  const rows = load<usize>(job);
  const part = load<usize>(job, 4);
  const inner = load<usize>(job, 8);
  const outer = load<usize>(job, 12);
  const x = load<usize>(job, 16);
  const xRow = load<usize>(job, 20);
  const g = load<usize>(job, 24);
  const gRow = load<usize>(job, 28);
  const W = load<usize>(job, 32);
  const wRow = load<usize>(job, 36);
  let byW = load<usize>(job, 40);
  let byB = load<usize>(job, 44);
  const byX = load<usize>(job, 48);
  const byXRow = load<usize>(job, 52);
  const accumulate = load<i32>(job, 56);
  for (let first: usize = 0; first < rows; first += part) {
    const count = min(part, rows - first);
    const own = g + first * gRow;
    if (byW) {
      product(inner, outer, count, x + first * xRow, 4, xRow, own, gRow, 4, byW, outer << 2, 0, false, space);
      byW += inner * outer << 2;
    }
    if (byX) product(count, inner, outer, own, gRow, 4, W, 4, wRow, byX + first * byXRow, byXRow, accumulate, false, space);
    if (byB) {
      memory.fill(byB, 0, outer << 3);
      addColumns(byB, own, gRow, count, outer);
      byB += outer << 3;
    }
  }
}
