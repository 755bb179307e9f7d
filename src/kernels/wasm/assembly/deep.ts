/** What deep products need beside products: the sums of quarters of Winograd's form of Strassen's algorithm, and sums of float32 numbers in float64. */

@inline
function store4(to: usize, step: usize, x0: v128, x1: v128, x2: v128, x3: v128): void {
  v128.store(to, x0);
  v128.store(to + step, x1);
  v128.store(to + 2 * step, x2);
  v128.store(to + 3 * step, x3);
}

/**
 * The four sums of quarters of a left operand, each `rows` x `columns` (a multiple of 4), its rows scaled: with `x` the quarters, `x21 + x22`,
 * `x21 + x22 - x11`, `x11 - x21` and `x12 - x21 - x22 + x11`. Steps are in bytes: of rows of quarters, of rows of the sums, from one sum to the next.
 */
export function leftSums(
  rows: usize,
  columns: usize,
  x11: usize,
  x12: usize,
  x21: usize,
  x22: usize,
  row: usize,
  scales: usize,
  to: usize,
  toRow: usize,
  step: usize,
): void {
  for (let i: usize = 0; i < rows; i++) {
    const upper = v128.load32_splat(scales + (i << 2));
    const lower = v128.load32_splat(scales + ((rows + i) << 2));
    for (let at: usize = 0; at < columns << 2; at += 16) {
      const a11 = f32x4.mul(v128.load(x11 + at), upper);
      const a12 = f32x4.mul(v128.load(x12 + at), upper);
      const a21 = f32x4.mul(v128.load(x21 + at), lower);
      const a22 = f32x4.mul(v128.load(x22 + at), lower);
      const s1 = f32x4.add(a21, a22);
      const s2 = f32x4.sub(s1, a11);
      store4(to + at, step, s1, s2, f32x4.sub(a11, a21), f32x4.sub(a12, s2));
    }
    x11 += row;
    x12 += row;
    x21 += row;
    x22 += row;
    to += toRow;
  }
}

/** The same of a right operand, its columns scaled: `x12 - x11`, `x22 - x12 + x11`, `x22 - x12` and `x22 - x12 + x11 - x21`. */
export function rightSums(
  rows: usize,
  columns: usize,
  x11: usize,
  x12: usize,
  x21: usize,
  x22: usize,
  row: usize,
  scales: usize,
  to: usize,
  toRow: usize,
  step: usize,
): void {
  const right = scales + (columns << 2);
  for (let i: usize = 0; i < rows; i++) {
    for (let at: usize = 0; at < columns << 2; at += 16) {
      const b11 = f32x4.mul(v128.load(x11 + at), v128.load(scales + at));
      const b12 = f32x4.mul(v128.load(x12 + at), v128.load(right + at));
      const b21 = f32x4.mul(v128.load(x21 + at), v128.load(scales + at));
      const b22 = f32x4.mul(v128.load(x22 + at), v128.load(right + at));
      const t1 = f32x4.sub(b12, b11);
      const t2 = f32x4.sub(b22, t1);
      store4(to + at, step, t1, t2, f32x4.sub(b22, b12), f32x4.sub(t2, b21));
    }
    x11 += row;
    x12 += row;
    x21 += row;
    x22 += row;
    to += toRow;
  }
}

/** Adds `count` float32 numbers, a multiple of 4, to as many of float64. */
export function addSingles(to: usize, from: usize, count: usize): void {
  for (const end = from + (count << 2); from < end; from += 16) {
    const x = v128.load(from);
    v128.store(to, f64x2.add(v128.load(to), f64x2.promote_low_f32x4(x)));
    const high = f64x2.promote_low_f32x4(v128.shuffle<i32>(x, x, 2, 3, 0, 1));
    v128.store(to, f64x2.add(v128.load(to, 16), high), 16);
    to += 32;
  }
}
