/**
 * The backward pass of LayerNorm and RMSNorm in one pass over rows: with `c = g w` it is `(c - n mean(c n) - mean(c)) / s`,
 * the last mean where rows are centered. Gradients by weight and bias are left as the sums of parts of the rows.
 */
import { addColumns, addProducts } from "./column-sums.ts";
import { min } from "./lanes.ts";

@inline
function sumOfLanes(x: v128): f64 {
  return f64x2.extract_lane(x, 0) + f64x2.extract_lane(x, 1);
}

@inline
function doubles(x: v128): v128 {
  return f64x2.add(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 0)));
}

/** One row; `w` 0: no weight. */
@inline
function rowGradient(g: usize, n: usize, w: usize, scale: f64, d: usize, centers: bool, to: usize, adds: bool): void {
  const end = d << 2;
  let s = f64x2.splat(0);
  let t = f64x2.splat(0);
  let j: usize = 0;
  for (; j + 16 <= end; j += 16) {
    const c = w ? f32x4.mul(v128.load(g + j), v128.load(w + j)) : v128.load(g + j);
    s = f64x2.add(s, doubles(c));
    t = f64x2.add(t, doubles(f32x4.mul(c, v128.load(n + j))));
  }
  let sum = sumOfLanes(s);
  let dot = sumOfLanes(t);
  for (; j < end; j += 4) {
    const c = w ? f32.load(g + j) * f32.load(w + j) : f32.load(g + j);
    sum += c;
    dot += c * f32.load(n + j);
  }
  const minus = centers ? <f32>(sum / <f64>d) : 0;
  const factor = <f32>(dot / <f64>d);
  const one = <f32>(1 / scale);
  const means = f32x4.splat(minus);
  const factors = f32x4.splat(factor);
  const ones = f32x4.splat(one);
  for (j = 0; j + 16 <= end; j += 16) {
    const c = w ? f32x4.mul(v128.load(g + j), v128.load(w + j)) : v128.load(g + j);
    const less = f32x4.sub(f32x4.sub(c, f32x4.mul(v128.load(n + j), factors)), means);
    const x = f32x4.mul(less, ones);
    v128.store(to + j, adds ? f32x4.add(v128.load(to + j), x) : x);
  }
  for (; j < end; j += 4) {
    const c = w ? f32.load(g + j) * f32.load(w + j) : f32.load(g + j);
    const x = (c - f32.load(n + j) * factor - minus) * one;
    f32.store(to + j, adds ? f32.load(to + j) + x : x);
  }
}

/**
 * A job in memory, 4 bytes a field: rows, how many of them are a part, columns, whether rows are centered; the addresses of the gradient by the norm's
 * output, of rows as it normalized them, of their scales, and of its weight or 0; where gradients go: that by what it read, whether to add to what is
 * there, and those by weight and by bias, float64 `[part, columns]`, each 0 where it is not asked for.
 */
export function normGradients(job: usize, _space: usize): void {
  const rows = load<usize>(job);
  const part = load<usize>(job, 4);
  const d = load<usize>(job, 8);
  const centers = load<i32>(job, 12) != 0;
  const g = load<usize>(job, 16);
  const normalized = load<usize>(job, 20);
  const scales = load<usize>(job, 24);
  const w = load<usize>(job, 28);
  const out = load<usize>(job, 32);
  const adds = load<i32>(job, 36) != 0;
  let byW = load<usize>(job, 40);
  let byB = load<usize>(job, 44);
  const row = d << 2;
  for (let first: usize = 0; first < rows; first += part) {
    const count = min(part, rows - first);
    if (byW) memory.fill(byW, 0, d << 3);
    for (let i = first; i < first + count; i++) {
      if (byW) addProducts(byW, g + i * row, normalized + i * row, d);
      rowGradient(g + i * row, normalized + i * row, w, f32.load(scales + (i << 2)), d, centers, out + i * row, adds);
    }
    if (byB) {
      memory.fill(byB, 0, d << 3);
      addColumns(byB, g + first * row, row, count, d);
    }
    byW += byW ? d << 3 : 0;
    byB += byB ? d << 3 : 0;
  }
}
