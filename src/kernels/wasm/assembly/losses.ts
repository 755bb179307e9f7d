/** The cross entropy of a product's rows, a block of columns after another: the product itself is never there as a whole. */
import { A_BYTES, B_BYTES, COLUMNS, DEPTH, EDGE_BYTES, packDeep, product, tiles } from "./matmul.ts";
import { min } from "./lanes.ts";
import { largest, sumOfExponentials } from "./rows.ts";

/** Rows whose block of the product is computed and taken up at once: 48 KiB, which stay in the caches. */
const ROWS: usize = 48;
/** At most so many rows are streamed by {@link product}, which uses the first 16 KiB of its working space for their sums. */
const FEW_ROWS: usize = 4;
const STREAMED_BYTES: usize = 16_384;

/** Adds a bias to the rows of a block. */
@inline
function addBias(block: usize, rows: usize, columns: usize, bias: usize): void {
  for (let i: usize = 0; i < rows; i++) {
    let at = block + i * (COLUMNS << 2);
    let from = bias;
    const end = at + (columns << 2);
    for (; at + 16 <= end; at += 16) {
      v128.store(at, f32x4.add(v128.load(at), v128.load(from)));
      from += 16;
    }
    for (; at < end; at += 4) {
      f32.store(at, f32.load(at) + f32.load(from));
      from += 4;
    }
  }
}

/**
 * `e^x` for `x` ≤ 0 to a few 2^-53; NaN for NaN. With `n = round(x / ln 2)` the rest is at most ln 2 / 2, where 13 terms of the series are enough;
 * ln 2 is taken out in two parts.
 */
function exponential(x: f64): f64 {
  if (x != x) return x;
  // Beside 1 that is nothing.
  if (x < -700) return 0;
  const n = nearest(x * 1.4426950408889634);
  const r = x - n * 6.93147180369123816490e-1 - n * 1.90821492927058770002e-10;
  let sum: f64 = 1;
  for (let i: f64 = 13; i > 0; i--) sum = 1 + (sum * r) / i;
  return sum * reinterpret<f64>((<i64>n + 1023) << 52);
}

/** Takes some more numbers of a row into its largest number and `Σ e^(x - largest)`, two float64s at `pair`. */
@inline
function takeUp(row: usize, columns: usize, pair: usize): void {
  const most = largest(row, columns);
  // Nothing but -Infinity adds nothing.
  if (most == -Infinity) return;
  const before = f64.load(pair);
  let sum = f64.load(pair, 8);
  // Where the largest is NaN so is what is added.
  const max = <f64>most > before || isNaN(most) ? <f64>most : before;
  if (max != before) {
    sum = before == -Infinity ? 0 : sum * exponential(before - max);
    f64.store(pair, max);
  }
  f64.store(pair, sum + sumOfExponentials(row, columns, <f32>max), 8);
}

/**
 * A job in memory, 4 bytes a field: rows, k, from 1 to {@link B_BYTES} / 32; of `a` the address and the step of rows, its entries side by side; of `b` the address and the
 * steps of rows and columns, and whether it is packed, as {@link packPanels} does; how many columns, which of all the first of them is, and how
 * many are taken up together; the address of a bias of theirs or 0; of each row's target among all columns, an i32; where pairs go, those of all rows for
 * each stretch of columns, and each row's target's number, a float32.
 */
export function productLosses(job: usize, space: usize): void {
  const m = load<usize>(job);
  const k = load<usize>(job, 4);
  const a = load<usize>(job, 8);
  const aRow = load<usize>(job, 12);
  const b = load<usize>(job, 16);
  const bRow = load<usize>(job, 20);
  const bColumn = load<usize>(job, 24);
  const isPacked = load<i32>(job, 28) != 0;
  const n = load<usize>(job, 32);
  const first = load<usize>(job, 36);
  const stretch = load<usize>(job, 40);
  const bias = load<usize>(job, 44);
  const targets = load<usize>(job, 48);
  let pairs = load<usize>(job, 52);
  const chosen = load<usize>(job, 56);
  const block = space + EDGE_BYTES + STREAMED_BYTES;
  const packed = space + EDGE_BYTES + A_BYTES;
  const isStreamed = m <= FEW_ROWS && bColumn == 4 && !isPacked;
  // As many columns as fit where they are packed.
  const width = min(COLUMNS, (B_BYTES / (k << 2)) & ~7);
  for (let from: usize = 0; from < n; from += stretch) {
    const end = min(n, from + stretch);
    for (let i: usize = 0; i < m; i++) {
      f64.store(pairs + (i << 4), -Infinity);
      f64.store(pairs + (i << 4), 0, 8);
    }
    for (let jc = from; jc < end; jc += width) {
      const nc = min(width, end - jc);
      const columns = b + jc * bColumn;
      const padded = (nc + 7) & ~7;
      if (!isPacked && !isStreamed) packDeep(packed, columns, bRow, bColumn, k, nc);
      for (let ic: usize = 0; ic < m; ic += ROWS) {
        const mc = min(ROWS, m - ic);
        const rows = a + ic * aRow;
        if (isStreamed) {
          product(mc, nc, k, rows, aRow, 4, columns, bRow, bColumn, block, COLUMNS << 2, 0, false, space);
        } else {
          for (let pc: usize = 0; pc < k; pc += DEPTH) {
            const kc = min(DEPTH, k - pc);
            const panels = isPacked ? b + jc * k * 4 + pc * 32 : packed + pc * padded * 4;
            const panel = (isPacked ? k : kc) << 5;
            tiles(rows + (pc << 2), aRow, panels, 32, panel, kc, mc, nc, block, COLUMNS << 2, i32(pc > 0), space);
          }
        }
        if (bias) addBias(block, mc, nc, bias + (jc << 2));
        for (let i: usize = 0; i < mc; i++) {
          const row = block + i * (COLUMNS << 2);
          const target = <usize>load<u32>(targets + ((ic + i) << 2)) - first - jc;
          // One before these columns has wrapped around.
          if (target < nc) f32.store(chosen + ((ic + i) << 2), f32.load(row + (target << 2)));
          takeUp(row, nc, pairs + ((ic + i) << 4));
        }
      }
    }
    pairs += m << 4;
  }
}
