/** Sums over rows, in float64, which gradients by biases and by weights of norms are. */

/** Adds four float32 numbers to four float64 sums. */
@inline
function takeUp(sums: usize, x: v128): void {
  v128.store(sums, f64x2.add(v128.load(sums), f64x2.promote_low_f32x4(x)));
  v128.store(sums, f64x2.add(v128.load(sums, 16), f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 0))), 16);
}

/** Adds the sum of each column of some rows, `row` bytes apart, to float64 sums. */
export function addColumns(sums: usize, from: usize, row: usize, rows: usize, columns: usize): void {
  const end = columns << 2;
  for (; rows >= 2; rows -= 2) {
    const next = from + row;
    let j: usize = 0;
    for (; j + 16 <= end; j += 16) {
      const a = v128.load(from + j);
      const b = v128.load(next + j);
      const to = sums + 2 * j;
      const low = f64x2.add(f64x2.promote_low_f32x4(a), f64x2.promote_low_f32x4(b));
      const highA = f64x2.promote_low_f32x4(v128.shuffle<i64>(a, a, 1, 0));
      const highB = f64x2.promote_low_f32x4(v128.shuffle<i64>(b, b, 1, 0));
      v128.store(to, f64x2.add(v128.load(to), low));
      v128.store(to, f64x2.add(v128.load(to, 16), f64x2.add(highA, highB)), 16);
    }
    for (; j < end; j += 4) {
      const both = <f64>f32.load(from + j) + <f64>f32.load(next + j);
      f64.store(sums + 2 * j, f64.load(sums + 2 * j) + both);
    }
    from = next + row;
  }
  if (rows == 0) return;
  for (let j: usize = 0; j < end; j += 4) {
    f64.store(sums + 2 * j, f64.load(sums + 2 * j) + <f64>f32.load(from + j));
  }
}

/** Adds the products of two vectors, entry by entry, to float64 sums. */
@inline
export function addProducts(sums: usize, a: usize, b: usize, columns: usize): void {
  const end = columns << 2;
  let j: usize = 0;
  for (; j + 16 <= end; j += 16) takeUp(sums + 2 * j, f32x4.mul(v128.load(a + j), v128.load(b + j)));
  for (; j < end; j += 4) {
    f64.store(sums + 2 * j, f64.load(sums + 2 * j) + <f64>(f32.load(a + j) * f32.load(b + j)));
  }
}

/** Adds each of some rows to the row of a matrix that an i32 names, one after the other. */
export function addRowsAt(to: usize, from: usize, places: usize, rows: usize, columns: usize): void {
  const bytes = columns << 2;
  for (let i: usize = 0; i < rows; i++) {
    const own = to + load<usize>(places + (i << 2)) * bytes;
    let j: usize = 0;
    for (; j + 16 <= bytes; j += 16) v128.store(own + j, f32x4.add(v128.load(own + j), v128.load(from + j)));
    for (; j < bytes; j += 4) f32.store(own + j, f32.load(own + j) + f32.load(from + j));
    from += bytes;
  }
}
