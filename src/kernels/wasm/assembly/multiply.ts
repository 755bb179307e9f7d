/** Stacks of matrix products. */
import * as doubles from "./doubles.ts";
import * as singles from "./matmul.ts";

/** The products of a job, their sums `S`. */
@inline
function products<S>(job: usize, space: usize): void {
  const batch = load<usize>(job);
  const m = load<usize>(job, 4);
  const n = load<usize>(job, 8);
  const k = load<usize>(job, 12);
  let a = load<usize>(job, 16);
  let b = load<usize>(job, 32);
  let c = load<usize>(job, 48);
  const aRow = load<usize>(job, 24);
  const aColumn = load<usize>(job, 28);
  const bRow = load<usize>(job, 40);
  const bColumn = load<usize>(job, 44);
  const cRow = load<usize>(job, 56);
  const accumulate = load<i32>(job, 60);
  for (let t: usize = 0; t < batch; t++) {
    if (sizeof<S>() == 4) {
      const isPacked = load<i32>(job, 64) != 0;
      singles.product(m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, cRow, accumulate, isPacked, space);
    } else {
      const sizeA = load<usize>(job, 64);
      const sizeB = load<usize>(job, 68);
      doubles.product(sizeA, sizeB, m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, cRow, accumulate, space);
    }
    a += load<usize>(job, 20);
    b += load<usize>(job, 36);
    c += load<usize>(job, 52);
  }
}

/**
 * A job in memory, 4 bytes a field: batch, m, n, k; then of a and b the address and the steps of batch, row, column; of c without the
 * last; whether to add to c; whether b is packed, as {@link packPanels} does.
 */
export function multiply(job: usize, space: usize): void {
  products<f32>(job, space);
}

/** The same with `c` of float64, and in place of the last field two: the bytes of a number of `a` and of `b`. */
export function multiplyDoubles(job: usize, space: usize): void {
  products<f64>(job, space);
}
