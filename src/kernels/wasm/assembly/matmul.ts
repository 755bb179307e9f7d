/**
 * Blocked float32 matrix products over tiles; see scripts/wasm/tiles.mjs for the tiles themselves.
 *
 * Blocks. 256 of `k` at a time, so that a panel of 8 columns of `b` (8 KiB) stays in the first-level cache; at most 240 rows of `a`
 * (240 KiB), which stay in the second level; at most 2048 columns of `b`. A sum takes 256 terms in a register and is then
 * added to the result: this order of additions is the same whatever the strides, the blocks of rows and columns, and the thread.
 */

/** All tiles of a block of the module of tiles. */
@external("tiles", "block")
declare function tiles(
  a: usize,
  aRow: usize,
  b: usize,
  bStep: usize,
  bPanel: usize,
  k: usize,
  m: usize,
  n: usize,
  c: usize,
  cRow: usize,
  accumulate: i32,
  edge: usize,
): void;

/** Terms that a register takes before it is added to the result. */
export const DEPTH: usize = 256;
const ROWS: usize = 240;
const COLUMNS: usize = 2048;
/** Columns packed at once where few rows use them: the packed block stays in the second-level cache. */
const FEW_COLUMNS: usize = 256;

/** Bytes of a thread's working space: edges of tiles, a packed block of either operand, a block of attention scores. */
export const EDGE_BYTES: usize = 256;
const A_BYTES: usize = ROWS * DEPTH * 4;
export const B_BYTES: usize = COLUMNS * DEPTH * 4;

@inline
function min(x: usize, y: usize): usize {
  return x < y ? x : y;
}

/** Four vectors of four, transposed in registers and stored `step` bytes apart. */
@inline
function storeTransposed(r0: v128, r1: v128, r2: v128, r3: v128, to: usize, step: usize): void {
  const a = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5);
  const b = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
  const c = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
  const d = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<i64>(a, b, 0, 2));
  v128.store(to + step, v128.shuffle<i64>(a, b, 1, 3));
  v128.store(to + 2 * step, v128.shuffle<i64>(c, d, 0, 2));
  v128.store(to + 3 * step, v128.shuffle<i64>(c, d, 1, 3));
}

/** Copies `rows` x `columns` entries, any steps in bytes, to rows `toRow` bytes apart with entries side by side. */
function copyBlock(to: usize, toRow: usize, from: usize, row: usize, column: usize, rows: usize, columns: usize): void {
  if (column == 4) {
    const bytes = columns << 2;
    for (let i: usize = 0; i < rows; i++) {
      memory.copy(to, from, bytes);
      to += toRow;
      from += row;
    }
    return;
  }
  let i: usize = 0;
  if (row == 4) {
    for (; i + 4 <= rows; i += 4) {
      let at = from + (i << 2);
      let out = to + i * toRow;
      let j: usize = 0;
      for (; j + 4 <= columns; j += 4) {
        storeTransposed(
          v128.load(at),
          v128.load(at + column),
          v128.load(at + 2 * column),
          v128.load(at + 3 * column),
          out,
          toRow,
        );
        at += 4 * column;
        out += 16;
      }
      for (; j < columns; j++) {
        f32.store(out, f32.load(at));
        f32.store(out + toRow, f32.load(at, 4));
        f32.store(out + 2 * toRow, f32.load(at, 8));
        f32.store(out + 3 * toRow, f32.load(at, 12));
        at += column;
        out += 4;
      }
    }
  }
  for (; i < rows; i++) {
    let at = from + i * row;
    let out = to + i * toRow;
    for (let j: usize = 0; j < columns; j++) {
      f32.store(out, f32.load(at));
      at += column;
      out += 4;
    }
  }
}

/** `k` x `n` of `b` into panels of 8 columns, 32 bytes a row; the last panel is filled up with zeros. */
export function packPanels(to: usize, from: usize, row: usize, column: usize, k: usize, n: usize): void {
  let j: usize = 0;
  for (; j + 8 <= n; j += 8) {
    if (column == 4) {
      let at = from;
      const end = to + (k << 5);
      for (; to < end; to += 32) {
        v128.store(to, v128.load(at));
        v128.store(to, v128.load(at, 16), 16);
        at += row;
      }
    } else {
      copyBlock(to, 32, from, row, column, k, 8);
      to += k << 5;
    }
    from += 8 * column;
  }
  if (j == n) return;
  memory.fill(to, 0, k << 5);
  copyBlock(to, 32, from, row, column, k, n - j);
}

/**
 * `c (+)= a b`, `m` x `n`, `k` deep. Steps are in bytes; entries of a row of `c` lie side by side. `space` is the thread's working
 * space. With `k` 0 the result is zero, or `c` as it is.
 */
export function product(
  m: usize,
  n: usize,
  k: usize,
  a: usize,
  aRow: usize,
  aColumn: usize,
  b: usize,
  bRow: usize,
  bColumn: usize,
  c: usize,
  cRow: usize,
  accumulate: i32,
  space: usize,
): void {
  if (k == 0) {
    if (!accumulate) for (let i: usize = 0; i < m; i++) memory.fill(c + i * cRow, 0, n << 2);
    return;
  }
  const spaceA = space + EDGE_BYTES;
  const spaceB = spaceA + A_BYTES;
  const columns = m < 64 ? FEW_COLUMNS : COLUMNS;
  // A small row-major b lies well in the cache as it is, and packing would cost as much as it spares.
  const isDirect = bColumn == 4 && n % 8 == 0 && (m <= 6 ? bRow <= 4096 : bRow <= 256 && k <= 128);
  for (let jc: usize = 0; jc < n; jc += columns) {
    const nc = min(columns, n - jc);
    for (let pc: usize = 0; pc < k; pc += DEPTH) {
      const kc = min(DEPTH, k - pc);
      const adds = accumulate | i32(pc > 0);
      let panels = b + pc * bRow + jc * bColumn;
      let step = bRow;
      let panel: usize = 32;
      if (!isDirect) {
        packPanels(spaceB, panels, bRow, bColumn, kc, nc);
        panels = spaceB;
        step = 32;
        panel = kc << 5;
      }
      for (let ic: usize = 0; ic < m; ic += ROWS) {
        const mc = min(ROWS, m - ic);
        let rows = a + ic * aRow + pc * aColumn;
        let rowStep = aRow;
        if (aColumn != 4) {
          rowStep = kc << 2;
          copyBlock(spaceA, rowStep, rows, aRow, aColumn, mc, kc);
          rows = spaceA;
        }
        tiles(rows, rowStep, panels, step, panel, kc, mc, nc, c + ic * cRow + (jc << 2), cRow, adds, space);
      }
    }
  }
}

/** A job in memory, 4 bytes a field: batch, m, n, k; then of a and b the address and the steps of batch, row, column; of c without the last. */
export function multiply(job: usize, space: usize): void {
  const batch = <usize>load<usize>(job);
  const m = <usize>load<usize>(job, 4);
  const n = <usize>load<usize>(job, 8);
  const k = <usize>load<usize>(job, 12);
  let a = <usize>load<usize>(job, 16);
  let b = <usize>load<usize>(job, 32);
  let c = <usize>load<usize>(job, 48);
  const accumulate = load<i32>(job, 60);
  for (let t: usize = 0; t < batch; t++) {
    product(
      m,
      n,
      k,
      a,
      load<usize>(job, 24),
      load<usize>(job, 28),
      b,
      load<usize>(job, 40),
      load<usize>(job, 44),
      c,
      load<usize>(job, 56),
      accumulate,
      space,
    );
    a += load<usize>(job, 20);
    b += load<usize>(job, 36);
    c += load<usize>(job, 52);
  }
}

/** All of a block of tiles with operands that are packed already. */
@inline
export function packedProduct(
  a: usize,
  aRow: usize,
  panels: usize,
  panel: usize,
  k: usize,
  m: usize,
  n: usize,
  c: usize,
  cRow: usize,
  accumulate: i32,
  edge: usize,
): void {
  tiles(a, aRow, panels, 32, panel, k, m, n, c, cRow, accumulate, edge);
}

/** Bytes of working space that {@link product} uses; the arrays of `rankedProduct` fit in as well. */
export const PRODUCT_BYTES: usize = EDGE_BYTES + A_BYTES + B_BYTES;
