/** Cross entropies of rows and their gradients, with one exponential a logit. */
import { exponentials, largest, scaleRow } from "./rows.ts";

/**
 * A job in memory, 4 bytes a field: rows, columns, the address of logits, over which gradients are written; of each row's target, an i32, of its
 * weight, a float32, and of two float64s a row: `Σ e^(x - largest)`, and the target's `x - largest`.
 */
export function lossGradients(job: usize, _space: usize): void {
  const rows = load<usize>(job);
  const columns = load<usize>(job, 4);
  let row = load<usize>(job, 8);
  const targets = load<usize>(job, 12);
  const weights = load<usize>(job, 16);
  const pairs = load<usize>(job, 20);
  for (let i: usize = 0; i < rows; i++) {
    const at = row + (load<usize>(targets + (i << 2)) << 2);
    const max = largest(row, columns);
    const weight = f32.load(weights + (i << 2));
    f64.store(pairs + (i << 4), <f64>f32.load(at) - <f64>max, 8);
    const sum = exponentials(row, row, columns, max, 0);
    f64.store(pairs + (i << 4), sum);
    scaleRow(row, columns, <f32>(<f64>weight / sum));
    f32.store(at, f32.load(at) - weight);
    row += columns << 2;
  }
}
