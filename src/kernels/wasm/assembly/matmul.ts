/**
 * Blocked float32 matrix products over tiles; see scripts/wasm/tiles.mjs for the tiles themselves.
 *
 * Blocks. 256 of `k` at a time, so that a panel of 8 columns of `b` (8 KiB) stays in the first-level cache; 48 rows of `a`
 * (48 KiB), which stay in the second level whoever else uses it, and so do their sums with 256 columns of `b`, packed 2048 deep, to the end.
 * A sum takes 256 terms in a register and is then added to the result: this order of additions is the same whatever the strides, the blocks of rows and columns, and the thread.
 */

import { min, multiplyAdd } from "./lanes.ts";

/** All tiles of a block of the module of tiles. */
@external("tiles", "block")
export declare function tiles(
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
const ROWS: usize = 48;
export const COLUMNS: usize = 256;
/** Depth of `b` that is packed at once. */
const SPAN: usize = 2048;

/** Bytes of a thread's working space: edges of tiles, a packed block of either operand with room to spare, a block of attention scores. */
export const EDGE_BYTES: usize = 256;
export const A_BYTES: usize = 240 * DEPTH * 4;
export const B_BYTES: usize = COLUMNS * SPAN * 4;

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
export function copyBlock(to: usize, toRow: usize, from: usize, row: usize, column: usize, rows: usize, columns: usize): void {
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
  if (column == 4) {
    // Two panels at a time: 16 columns are a whole line of the cache.
    for (; j + 16 <= n; j += 16) {
      let at = from;
      let second = to + (k << 5);
      for (const end = second; to < end; to += 32) {
        v128.store(to, v128.load(at));
        v128.store(to, v128.load(at, 16), 16);
        v128.store(second, v128.load(at, 32));
        v128.store(second, v128.load(at, 48), 16);
        second += 32;
        at += row;
      }
      to = second;
      from += 64;
    }
  }
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

/** Columns of few rows that are summed at once: a row of sums and four rows of `b` stay in the first-level cache. */
const STREAMED: usize = 1024;

/** `sums[j] += Σ_p a[p] b[p, j]` for `steps` (1 or 4) rows of `b`, one term after the other. */
@inline
function addRows(sums: usize, columns: usize, a: usize, aColumn: usize, b: usize, bRow: usize, steps: usize): void {
  const x0 = v128.load32_splat(a);
  const x1 = steps == 4 ? v128.load32_splat(a + aColumn) : x0;
  const x2 = steps == 4 ? v128.load32_splat(a + 2 * aColumn) : x0;
  const x3 = steps == 4 ? v128.load32_splat(a + 3 * aColumn) : x0;
  const end = sums + (columns << 2);
  for (; sums < end; sums += 16) {
    let sum = multiplyAdd<f32>(x0, v128.load(b), v128.load(sums));
    if (steps == 4) {
      sum = multiplyAdd<f32>(x1, v128.load(b + bRow), sum);
      sum = multiplyAdd<f32>(x2, v128.load(b + 2 * bRow), sum);
      sum = multiplyAdd<f32>(x3, v128.load(b + 3 * bRow), sum);
    }
    v128.store(sums, sum);
    b += 16;
  }
}

/**
 * {@link product} of few rows: rows of `b` pass by once, in the order they lie in. Terms are taken in the order in which a tile takes them.
 * Sums beyond the last column are of what follows in memory, and not kept.
 */
function streamedProduct(
  m: usize,
  n: usize,
  k: usize,
  a: usize,
  aRow: usize,
  aColumn: usize,
  b: usize,
  bRow: usize,
  c: usize,
  cRow: usize,
  accumulate: i32,
  sums: usize,
): void {
  for (let jc: usize = 0; jc < n; jc += STREAMED) {
    const nc = min(STREAMED, n - jc);
    const padded = (nc + 3) & ~3;
    for (let pc: usize = 0; pc < k; pc += DEPTH) {
      const kc = min(DEPTH, k - pc);
      memory.fill(sums, 0, m * STREAMED * 4);
      let p: usize = 0;
      for (; p + 4 <= kc; p += 4) {
        for (let i: usize = 0; i < m; i++) {
          const left = a + i * aRow + (pc + p) * aColumn;
          addRows(sums + i * STREAMED * 4, padded, left, aColumn, b + (pc + p) * bRow + (jc << 2), bRow, 4);
        }
      }
      for (; p < kc; p++) {
        for (let i: usize = 0; i < m; i++) {
          const left = a + i * aRow + (pc + p) * aColumn;
          addRows(sums + i * STREAMED * 4, padded, left, aColumn, b + (pc + p) * bRow + (jc << 2), bRow, 1);
        }
      }
      const adds = accumulate | i32(pc > 0);
      for (let i: usize = 0; i < m; i++) {
        let from = sums + i * STREAMED * 4;
        let to = c + i * cRow + (jc << 2);
        if (adds) {
          for (const end = to + (nc << 2); to < end; to += 4) {
            f32.store(to, f32.load(to) + f32.load(from));
            from += 4;
          }
        } else memory.copy(to, from, nc << 2);
      }
    }
  }
}

/** At most so many rows are streamed. */
const FEW_ROWS: usize = 4;

/**
 * `c (+)= a b`, `m` x `n`, `k` deep. Steps are in bytes; entries of a row of `c` lie side by side. `space` is the thread's working
 * space. With `k` 0 the result is zero, or `c` as it is. Where `b` `isPacked` it lies in the panels of {@link packPanels}, each `k` deep, and its steps
 * say nothing.
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
  isPacked: bool,
  space: usize,
): void {
  if (k == 0) {
    if (!accumulate) for (let i: usize = 0; i < m; i++) memory.fill(c + i * cRow, 0, n << 2);
    return;
  }
  const spaceA = space + EDGE_BYTES;
  if (m <= FEW_ROWS && bColumn == 4 && n >= 64 && !isPacked) {
    streamedProduct(m, n, k, a, aRow, aColumn, b, bRow, c, cRow, accumulate, spaceA);
    return;
  }
  const spaceB = spaceA + A_BYTES;
  // A small row-major b lies well in the cache as it is, and packing would cost as much as it spares.
  const isDirect = !isPacked && bColumn == 4 && n % 8 == 0 && bRow <= 256 && k <= 128;
  for (let jc: usize = 0; jc < n; jc += COLUMNS) {
    const nc = min(COLUMNS, n - jc);
    const padded = (nc + 7) & ~7;
    // A block of packed b comes from memory for all rows at once; of one packed here rows pass by with their sums.
    const span = isPacked ? DEPTH : SPAN;
    for (let ps: usize = 0; ps < k; ps += span) {
      const end = ps + min(span, k - ps);
      if (!isDirect && !isPacked) packDeep(spaceB, b + ps * bRow + jc * bColumn, bRow, bColumn, end - ps, nc);
      for (let ic: usize = 0; ic < m; ic += ROWS) {
        const mc = min(ROWS, m - ic);
        for (let pc = ps; pc < end; pc += DEPTH) {
          const kc = min(DEPTH, end - pc);
          let rows = a + ic * aRow + pc * aColumn;
          let rowStep = aRow;
          if (aColumn != 4) {
            rowStep = kc << 2;
            copyBlock(spaceA, rowStep, rows, aRow, aColumn, mc, kc);
            rows = spaceA;
          }
          const to = c + ic * cRow + (jc << 2);
          const adds = accumulate | i32(pc > 0);
          if (isDirect) tiles(rows, rowStep, b + (jc << 2), bRow, 32, kc, mc, nc, to, cRow, adds, space);
          else if (isPacked) tiles(rows, rowStep, b + jc * k * 4 + pc * 32, 32, k << 5, kc, mc, nc, to, cRow, adds, space);
          else tiles(rows, rowStep, spaceB + (pc - ps) * padded * 4, 32, kc << 5, kc, mc, nc, to, cRow, adds, space);
        }
      }
    }
  }
}

/** All of `k` x `n` of `b` into panels, the {@link DEPTH} blocks of `k` after one another, each `n` rounded up to whole panels wide. */
export function packDeep(to: usize, from: usize, row: usize, column: usize, k: usize, n: usize): void {
  const padded = (n + 7) & ~7;
  for (let pc: usize = 0; pc < k; pc += DEPTH) {
    packPanels(to + pc * padded * 4, from + pc * row, row, column, min(DEPTH, k - pc), n);
  }
}

/**
 * `c = a b` with `b` packed by {@link packDeep} to a width of `padded`, of which the first `k` rows and `n` columns are taken; `depth` rows were
 * packed. Sums are taken as in {@link product}.
 */
export function packedProduct(
  a: usize,
  aRow: usize,
  packed: usize,
  padded: usize,
  depth: usize,
  k: usize,
  m: usize,
  n: usize,
  c: usize,
  cRow: usize,
  edge: usize,
): void {
  for (let pc: usize = 0; pc < k; pc += DEPTH) {
    const panel = min(DEPTH, depth - pc) << 5;
    const kc = min(DEPTH, k - pc);
    tiles(a + (pc << 2), aRow, packed + pc * padded * 4, 32, panel, kc, m, n, c, cRow, i32(pc > 0), edge);
  }
}

/** Bytes of working space that {@link product} uses; those of `screenedProduct` fit in as well. */
export const PRODUCT_BYTES: usize = EDGE_BYTES + A_BYTES + B_BYTES;
