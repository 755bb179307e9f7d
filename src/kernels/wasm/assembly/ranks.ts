/** What is asked of the rows of a product without keeping it: largest entries, and the rank of one entry of each row. */
import { packDeep, packedProduct, product } from "./imported.ts";
import { min } from "./lanes.ts";
import { B_BYTES, EDGE_BYTES } from "./matmul.ts";

/** Rows and columns of the product that exist at a time: 96 KiB. */
export const ROWS: usize = 24;
export const COLUMNS: usize = 1024;

/** Columns of a block of all `k`: as many as the space for packed operands allows, in whole panels. */
@inline
export function columnsOfBlock(k: usize): usize {
  const fitting = min((B_BYTES / 4 / k) & ~7, COLUMNS);
  return fitting < 8 ? 8 : fitting;
}

/** Puts a number among the largest `top` of a row, in descending order, equal ones in the order in which they come. */
@inline
export function insert(x: f32, column: i32, top: usize, values: usize, indices: usize): void {
  let place = (top - 1) << 2;
  while (place > 0 && f32.load(values + place - 4) < x) {
    f32.store(values + place, f32.load(values + place - 4));
    i32.store(indices + place, i32.load(indices + place - 4));
    place -= 4;
  }
  f32.store(values + place, x);
  i32.store(indices + place, column);
}

/**
 * Takes `columns` numbers of a row, of columns `first` on, into its `top` largest so far: values in descending order, equal
 * ones by column. NaN is taken for -Infinity.
 */
function takeRow(at: usize, columns: usize, first: i32, top: usize, values: usize, indices: usize): void {
  const last = (top - 1) << 2;
  let least = f32.load(values + last);
  let bar = f32x4.splat(least);
  const end = at + (columns << 2);
  const start = at;
  while (at < end) {
    if (at + 16 <= end && !v128.any_true(f32x4.gt(v128.load(at), bar))) {
      at += 16;
      continue;
    }
    const stop = at + 16 <= end ? at + 16 : end;
    for (; at < stop; at += 4) {
      const x = f32.load(at);
      if (!(x > least)) continue;
      insert(x, first + <i32>((at - start) >> 2), top, values, indices);
      least = f32.load(values + last);
      bar = f32x4.splat(least);
    }
  }
}

/** {@link takeRow} for each row of a block. */
function takeTop(
  from: usize,
  row: usize,
  rows: usize,
  columns: usize,
  first: i32,
  top: usize,
  values: usize,
  indices: usize,
): void {
  for (let i: usize = 0; i < rows; i++) {
    takeRow(from, columns, first, top, values, indices);
    from += row;
    values += top << 2;
    indices += top << 2;
  }
}

/**
 * Adds, for each row of a block, how many numbers are above the row's `bars[i]`, or equal to it in a column before `targets[i]`:
 * the rank of that entry, counted from 0, once all columns have passed.
 */
function countAbove(
  from: usize,
  row: usize,
  rows: usize,
  columns: usize,
  first: i32,
  bars: usize,
  targets: usize,
  counts: usize,
): void {
  for (let i: usize = 0; i < rows; i++) {
    const bar = f32.load(bars + (i << 2));
    const target = i32.load(targets + (i << 2)) - first;
    const lanes = f32x4.splat(bar);
    const start = from + i * row;
    const end = start + (columns << 2);
    let at = start;
    let n = i32x4.splat(0);
    for (; at + 16 <= end; at += 16) n = i32x4.sub(n, f32x4.gt(v128.load(at), lanes));
    let count =
      i32x4.extract_lane(n, 0) + i32x4.extract_lane(n, 1) + i32x4.extract_lane(n, 2) + i32x4.extract_lane(n, 3);
    for (; at < end; at += 4) count += i32(f32.load(at) > bar);
    // Equal entries are rare: they are looked for only in blocks before the target's column.
    if (target > 0) {
      const before = start + ((<usize>target < columns ? <usize>target : columns) << 2);
      for (at = start; at + 16 <= before; at += 16) {
        if (v128.any_true(f32x4.eq(v128.load(at), lanes))) {
          for (let j: usize = 0; j < 16; j += 4) count += i32(f32.load(at + j) == bar);
        }
      }
      for (; at < before; at += 4) count += i32(f32.load(at) == bar);
    }
    i32.store(counts + (i << 2), i32.load(counts + (i << 2)) + count);
  }
}

/**
 * A job in memory, 4 bytes a field: m, n, k; of a the address and the step of rows (entries lie side by side); of b the address and the
 * steps of rows and columns; top, values, indices; bars, targets, counts. With `top` 0 the ranks of the targets are counted, else
 * the largest `top` of each row are kept: `[m, top]`.
 */
export function rankedProduct(job: usize, space: usize): void {
  const m = load<usize>(job);
  const n = load<usize>(job, 4);
  const k = load<usize>(job, 8);
  const a = load<usize>(job, 12);
  const aRow = load<usize>(job, 16);
  const b = load<usize>(job, 20);
  const bRow = load<usize>(job, 24);
  const bColumn = load<usize>(job, 28);
  const top = load<usize>(job, 32);
  const values = load<usize>(job, 36);
  const indices = load<usize>(job, 40);
  const bars = load<usize>(job, 44);
  const targets = load<usize>(job, 48);
  const counts = load<usize>(job, 52);
  if (top == 0) {
    for (let i: usize = 0; i < m; i++) {
      const column = b + <usize>load<i32>(targets + (i << 2)) * bColumn;
      product(1, 1, k, a + i * aRow, aRow, 4, column, bRow, bColumn, bars + (i << 2), 4, 0, false, space);
    }
  }
  const columns = columnsOfBlock(k);
  const block = space + EDGE_BYTES;
  const packed = block + ROWS * COLUMNS * 4;
  const blockRow = columns << 2;
  for (let jc: usize = 0; jc < n; jc += columns) {
    const nc = min(columns, n - jc);
    const padded = (nc + 7) & ~7;
    packDeep(packed, b + jc * bColumn, bRow, bColumn, k, nc);
    for (let ic: usize = 0; ic < m; ic += ROWS) {
      const mc = min(ROWS, m - ic);
      packedProduct(a + ic * aRow, aRow, packed, padded, k, k, mc, nc, block, blockRow, space);
      if (top > 0) {
        const kept = ic * top * 4;
        takeTop(block, blockRow, mc, nc, <i32>jc, top, values + kept, indices + kept);
      } else {
        countAbove(block, blockRow, mc, nc, <i32>jc, bars + (ic << 2), targets + (ic << 2), counts + (ic << 2));
      }
    }
  }
}
