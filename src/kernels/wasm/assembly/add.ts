/** Sums of numbers side by side, as of a stream and what a layer adds to it, or of rows and a bias. */
import { min } from "./lanes.ts";

/**
 * A job in memory, 4 bytes a field: how many numbers, after how many the second operand begins anew; the addresses of both operands and of the
 * sums, which may be that of the first.
 */
export function add(job: usize, _space: usize): void {
  const end = load<usize>(job) << 2;
  const period = load<usize>(job, 4) << 2;
  const a = load<usize>(job, 8);
  const b = load<usize>(job, 12);
  const to = load<usize>(job, 16);
  for (let start: usize = 0; start < end; start += period) {
    let at = start;
    let from = b;
    const stop = min(start + period, end);
    for (; at + 32 <= stop; at += 32) {
      const x = f32x4.add(v128.load(a + at), v128.load(from));
      const y = f32x4.add(v128.load(a + at, 16), v128.load(from, 16));
      v128.store(to + at, x);
      v128.store(to + at, y, 16);
      from += 32;
    }
    for (; at < stop; at += 4) {
      f32.store(to + at, f32.load(a + at) + f32.load(from));
      from += 4;
    }
  }
}
