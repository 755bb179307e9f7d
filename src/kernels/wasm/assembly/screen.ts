/**
 * Finds the entries of a product above a threshold of their row. A cheaper product of upper bounds says which entries
 * have to be computed.
 */
import { packDeep, packedProduct } from "./imported.ts";
import { min, multiplyAdd } from "./lanes.ts";
import { B_BYTES, EDGE_BYTES } from "./matmul.ts";

/** Rows and columns of the product that exist at a time: 96 KiB. */
const ROWS: usize = 24;
const COLUMNS: usize = 1024;

/** Columns of a block of all `k`: as many as the space for packed operands allows, in whole panels. */
@inline
function columnsOfBlock(k: usize): usize {
  const fitting = min((B_BYTES / 4 / k) & ~7, COLUMNS);
  return fitting < 8 ? 8 : fitting;
}

/** Puts a number among the largest `top` of a row, in descending order, equal ones in the order in which they come. */
@inline
function insert(x: f32, column: i32, top: usize, values: usize, indices: usize): void {
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
 * What is kept of a row: the largest entries above its threshold, the first ones, or those up to a second threshold
 * with the number of those beyond it.
 */
const LARGEST = 0;
const FIRST = 1;

/** The dot product of two rows of `bytes`, a multiple of 32. */
@inline
function dot(a: usize, b: usize, bytes: usize): f32 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  const end = a + bytes;
  for (; a + 64 <= end; a += 64) {
    s0 = multiplyAdd<f32>(v128.load(a), v128.load(b), s0);
    s1 = multiplyAdd<f32>(v128.load(a, 16), v128.load(b, 16), s1);
    s2 = multiplyAdd<f32>(v128.load(a, 32), v128.load(b, 32), s2);
    s3 = multiplyAdd<f32>(v128.load(a, 48), v128.load(b, 48), s3);
    b += 64;
  }
  if (a < end) {
    s0 = multiplyAdd<f32>(v128.load(a), v128.load(b), s0);
    s1 = multiplyAdd<f32>(v128.load(a, 16), v128.load(b, 16), s1);
  }
  s0 = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
  return (
    f32x4.extract_lane(s0, 0) + f32x4.extract_lane(s0, 1) + (f32x4.extract_lane(s0, 2) + f32x4.extract_lane(s0, 3))
  );
}

/**
 * Scans a row of the cheap product, from `at` to `end`, for columns from `first` on. Returns the row's threshold from
 * here on. With `bytes` 0 the cheap product is the product itself.
 */
function scanRow(
  at: usize,
  end: usize,
  first: i32,
  bar: f32,
  high: f32,
  mode: i32,
  bytes: usize,
  wholeA: usize,
  wholeB: usize,
  most: usize,
  values: usize,
  indices: usize,
  found: usize,
  above: usize,
): f32 {
  const start = at;
  let lanes = f32x4.splat(bar);
  while (at < end) {
    // A bit for each of the next 16 entries: whether it is above the bar. Beyond the last column there is something, which is not looked at.
    const g0 = f32x4.gt(v128.load(at), lanes);
    const g1 = f32x4.gt(v128.load(at, 16), lanes);
    const g2 = f32x4.gt(v128.load(at, 32), lanes);
    const g3 = f32x4.gt(v128.load(at, 48), lanes);
    const from = at;
    at += 64;
    if (!v128.any_true(v128.or(v128.or(g0, g1), v128.or(g2, g3)))) continue;
    let bits =
      i32x4.bitmask(g0) | (i32x4.bitmask(g1) << 4) | (i32x4.bitmask(g2) << 8) | (i32x4.bitmask(g3) << 12);
    if (at > end) bits &= (1 << <i32>((end - from) >> 2)) - 1;
    for (; bits != 0; bits &= bits - 1) {
      const here = from + (<usize>ctz(bits) << 2);
      let x = f32.load(here);
      if (!(x > bar)) continue;
      const column = first + <i32>((here - start) >> 2);
      if (bytes) {
        x = dot(wholeA, wholeB + <usize>column * bytes, bytes);
        if (!(x > bar)) continue;
      }
      if (x > high) {
        i32.store(above, i32.load(above) + 1);
        continue;
      }
      const count = i32.load(found);
      if (mode == LARGEST) {
        insert(x, column, most, values, indices);
        if (count < <i32>most) i32.store(found, count + 1);
        if (count + 1 >= <i32>most) {
          bar = f32.load(values + ((most - 1) << 2));
          lanes = f32x4.splat(bar);
        }
        continue;
      }
      if (count < <i32>most) {
        f32.store(values + (count << 2), x);
        i32.store(indices + (count << 2), column);
      }
      i32.store(found, count + 1);
      if (mode == FIRST && count + 1 == <i32>most) return Infinity;
    }
  }
  return bar;
}

/** Whether some row is not done. */
function isOpen(bars: usize, rows: usize): bool {
  for (let i: usize = 0; i < rows; i++) if (f32.load(bars + (i << 2)) < f32.MAX_VALUE) return true;
  return false;
}

/**
 * A job in memory, 4 bytes a field: m, n, k of the cheap product; of its a the address and the step of rows (entries lie side by side); of its
 * b the address and the steps of rows and columns; bytes of a row of the whole operands, which are 0 where the cheap product is all, and
 * their addresses (rows of a, columns of b, one after another); mode, most; values, indices `[m, most]`; bars, highs, found, above `[m]`.
 */
export function screenedProduct(job: usize, space: usize): void {
  const m = load<usize>(job);
  const n = load<usize>(job, 4);
  const k = load<usize>(job, 8);
  const a = load<usize>(job, 12);
  const aRow = load<usize>(job, 16);
  const b = load<usize>(job, 20);
  const bRow = load<usize>(job, 24);
  const bColumn = load<usize>(job, 28);
  const bytes = load<usize>(job, 32);
  const wholeA = load<usize>(job, 36);
  const wholeB = load<usize>(job, 40);
  const mode = load<i32>(job, 44);
  const most = load<usize>(job, 48);
  const values = load<usize>(job, 52);
  const indices = load<usize>(job, 56);
  const bars = load<usize>(job, 60);
  const highs = load<usize>(job, 64);
  const found = load<usize>(job, 68);
  const above = load<usize>(job, 72);
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
      if (!isOpen(bars + (ic << 2), mc)) continue;
      packedProduct(a + ic * aRow, aRow, packed, padded, k, k, mc, nc, block, blockRow, space);
      for (let i: usize = ic; i < ic + mc; i++) {
        const at = block + (i - ic) * blockRow;
        const bar = f32.load(bars + (i << 2));
        if (!(bar < f32.MAX_VALUE)) continue;
        const list = (i * most) << 2;
        const now = scanRow(
          at,
          at + (nc << 2),
          <i32>jc,
          bar,
          f32.load(highs + (i << 2)),
          mode,
          bytes,
          wholeA + i * bytes,
          wholeB,
          most,
          values + list,
          indices + list,
          found + (i << 2),
          above + (i << 2),
        );
        f32.store(bars + (i << 2), now);
      }
    }
  }
}
