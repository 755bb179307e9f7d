/**
 * Blocked matrix products summed in float64: operands of float32 are widened as they are packed. Blocks and the order of additions are those
 * of matmul.ts: 256 terms in a register, then added to the result.
 */
import { min, multiplyAdd } from "./lanes.ts";
import { B_BYTES, DEPTH, EDGE_BYTES } from "./matmul.ts";

/** All tiles of a block of the module of tiles; panels have 4 columns. */
@external("tiles", "blockOfDoubles")
export declare function tilesOfDoubles(
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

const ROWS: usize = 48;
export const A_BYTES: usize = 120 * DEPTH * 8;
/** Half of the columns of float32. */
export const COLUMNS: usize = 128;
/** Depth of `b` that is packed at once. */
const SPAN: usize = B_BYTES / (COLUMNS * 8);

/** Two neighbouring numbers. */
@inline
function load2<T>(at: usize): v128 {
  if (sizeof<T>() == 4) return f64x2.promote_low_f32x4(v128.load64_zero(at));
  return v128.load(at);
}

@inline
function load1<T>(at: usize): f64 {
  if (sizeof<T>() == 4) return <f64>f32.load(at);
  return f64.load(at);
}

/** Copies `rows` x `columns` entries, any steps in bytes, to rows `toRow` bytes apart with entries side by side. */
function copyOf<T>(to: usize, toRow: usize, from: usize, row: usize, column: usize, rows: usize, columns: usize): void {
  let i: usize = 0;
  if (row == sizeof<T>() && column != sizeof<T>()) {
    for (; i + 2 <= rows; i += 2) {
      let at = from + i * sizeof<T>();
      let out = to + i * toRow;
      let j: usize = 0;
      for (; j + 2 <= columns; j += 2) {
        const left = load2<T>(at);
        const right = load2<T>(at + column);
        v128.store(out, v128.shuffle<i64>(left, right, 0, 2));
        v128.store(out + toRow, v128.shuffle<i64>(left, right, 1, 3));
        at += 2 * column;
        out += 16;
      }
      if (j < columns) {
        f64.store(out, load1<T>(at));
        f64.store(out + toRow, load1<T>(at + sizeof<T>()));
      }
    }
  }
  for (; i < rows; i++) {
    let at = from + i * row;
    let out = to + i * toRow;
    let j: usize = 0;
    if (column == sizeof<T>()) {
      for (; j + 2 <= columns; j += 2) {
        v128.store(out, load2<T>(at));
        at += 2 * sizeof<T>();
        out += 16;
      }
    }
    for (; j < columns; j++) {
      f64.store(out, load1<T>(at));
      at += column;
      out += 8;
    }
  }
}

/** `k` x `n` of `b` into panels of 4 columns, 32 bytes a row; the last panel is filled up with zeros. */
function packOf<T>(to: usize, from: usize, row: usize, column: usize, k: usize, n: usize): void {
  let j: usize = 0;
  for (; j + 4 <= n; j += 4) {
    if (column == sizeof<T>()) {
      let at = from;
      const end = to + (k << 5);
      for (; to < end; to += 32) {
        v128.store(to, load2<T>(at));
        v128.store(to, load2<T>(at + 2 * sizeof<T>()), 16);
        at += row;
      }
    } else {
      copyOf<T>(to, 32, from, row, column, k, 4);
      to += k << 5;
    }
    from += 4 * column;
  }
  if (j == n) return;
  memory.fill(to, 0, k << 5);
  copyOf<T>(to, 32, from, row, column, k, n - j);
}

/** Copies rows of numbers of `size` bytes, widened, to rows with entries side by side. */
export function copyDoubles(size: usize, to: usize, toRow: usize, from: usize, row: usize, column: usize, rows: usize, columns: usize): void {
  if (size == 4) copyOf<f32>(to, toRow, from, row, column, rows, columns);
  else copyOf<f64>(to, toRow, from, row, column, rows, columns);
}

/** Packs numbers of `size` bytes, widened, into panels. */
export function packDoubles(size: usize, to: usize, from: usize, row: usize, column: usize, k: usize, n: usize): void {
  if (size == 4) packOf<f32>(to, from, row, column, k, n);
  else packOf<f64>(to, from, row, column, k, n);
}

/** `sums[j] += Σ_p a[p] b[p, j]` for `steps` (1 or 4) rows of `b`, one term after the other. */
@inline
function addRows<T>(sums: usize, columns: usize, a: usize, b: usize, bRow: usize, steps: usize): void {
  const x0 = v128.load64_splat(a);
  const x1 = steps == 4 ? v128.load64_splat(a, 8) : x0;
  const x2 = steps == 4 ? v128.load64_splat(a, 16) : x0;
  const x3 = steps == 4 ? v128.load64_splat(a, 24) : x0;
  const end = sums + (columns << 3);
  for (; sums < end; sums += 16) {
    let sum = multiplyAdd<f64>(x0, load2<T>(b), v128.load(sums));
    if (steps == 4) {
      sum = multiplyAdd<f64>(x1, load2<T>(b + bRow), sum);
      sum = multiplyAdd<f64>(x2, load2<T>(b + 2 * bRow), sum);
      sum = multiplyAdd<f64>(x3, load2<T>(b + 3 * bRow), sum);
    }
    v128.store(sums, sum);
    b += 2 * sizeof<T>();
  }
}

/** Columns of few rows that are summed at once: a row of sums and four rows of `b` stay in the first-level cache. */
const STREAMED: usize = 512;
/** At most so many rows are streamed. */
const FEW_ROWS: usize = 4;

/**
 * A block of `k` of few rows, `a` packed to rows of {@link DEPTH}: rows of `b` pass by once, in the order they lie in. Terms are taken in the
 * order in which a tile takes them. Sums beyond the last column are of what follows in memory, and not kept.
 */
function streamed<T>(
  m: usize,
  n: usize,
  k: usize,
  a: usize,
  b: usize,
  bRow: usize,
  c: usize,
  cRow: usize,
  accumulate: i32,
  sums: usize,
): void {
  for (let jc: usize = 0; jc < n; jc += STREAMED) {
    const nc = min(STREAMED, n - jc);
    const padded = (nc + 1) & ~1;
    memory.fill(sums, 0, m * STREAMED * 8);
    let p: usize = 0;
    for (; p + 4 <= k; p += 4) {
      for (let i: usize = 0; i < m; i++) {
        addRows<T>(sums + i * STREAMED * 8, padded, a + (i * DEPTH + p) * 8, b + p * bRow + jc * sizeof<T>(), bRow, 4);
      }
    }
    for (; p < k; p++) {
      for (let i: usize = 0; i < m; i++) {
        addRows<T>(sums + i * STREAMED * 8, padded, a + (i * DEPTH + p) * 8, b + p * bRow + jc * sizeof<T>(), bRow, 1);
      }
    }
    for (let i: usize = 0; i < m; i++) {
      let from = sums + i * STREAMED * 8;
      let to = c + i * cRow + (jc << 3);
      if (accumulate) {
        for (const end = to + (nc << 3); to < end; to += 8) {
          f64.store(to, f64.load(to) + f64.load(from));
          from += 8;
        }
      } else memory.copy(to, from, nc << 3);
    }
  }
}

/**
 * `c (+)= a b`, `m` x `n`, `k` deep; numbers of the operands have `sizeA` and `sizeB` bytes. Steps are in bytes; entries of a row of `c`, float64, lie
 * side by side. `space` is the thread's working space. With `k` 0 the result is zero, or `c` as it is.
 */
export function product(
  sizeA: usize,
  sizeB: usize,
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
    if (!accumulate) for (let i: usize = 0; i < m; i++) memory.fill(c + i * cRow, 0, n << 3);
    return;
  }
  const spaceA = space + EDGE_BYTES;
  const spaceB = spaceA + A_BYTES;
  if (m <= FEW_ROWS && bColumn == sizeB && n >= 32) {
    for (let pc: usize = 0; pc < k; pc += DEPTH) {
      const kc = min(DEPTH, k - pc);
      copyDoubles(sizeA, spaceA, DEPTH * 8, a + pc * aColumn, aRow, aColumn, m, kc);
      const adds = accumulate | i32(pc > 0);
      if (sizeB == 4) streamed<f32>(m, n, kc, spaceA, b + pc * bRow, bRow, c, cRow, adds, spaceB);
      else streamed<f64>(m, n, kc, spaceA, b + pc * bRow, bRow, c, cRow, adds, spaceB);
    }
    return;
  }
  for (let jc: usize = 0; jc < n; jc += COLUMNS) {
    const nc = min(COLUMNS, n - jc);
    const padded = (nc + 3) & ~3;
    for (let ps: usize = 0; ps < k; ps += SPAN) {
      const end = ps + min(SPAN, k - ps);
      for (let pc = ps; pc < end; pc += DEPTH) {
        const to = spaceB + (pc - ps) * padded * 8;
        packDoubles(sizeB, to, b + pc * bRow + jc * bColumn, bRow, bColumn, min(DEPTH, end - pc), nc);
      }
      for (let ic: usize = 0; ic < m; ic += ROWS) {
        const mc = min(ROWS, m - ic);
        for (let pc = ps; pc < end; pc += DEPTH) {
          const kc = min(DEPTH, end - pc);
          let rows = a + ic * aRow + pc * aColumn;
          let rowStep = aRow;
          if (sizeA != 8 || aColumn != 8) {
            rowStep = kc << 3;
            copyDoubles(sizeA, spaceA, rowStep, rows, aRow, aColumn, mc, kc);
            rows = spaceA;
          }
          const panels = spaceB + (pc - ps) * padded * 8;
          const to = c + ic * cRow + (jc << 3);
          const adds = accumulate | i32(pc > 0);
          tilesOfDoubles(rows, rowStep, panels, 32, kc << 5, kc, mc, nc, to, cRow, adds, space);
        }
      }
    }
  }
}
