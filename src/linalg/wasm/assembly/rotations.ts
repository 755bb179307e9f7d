/** Sweeps of plane rotations of neighbouring rows, one pair after the next, on eight columns at a time. */
import { at } from "./memory.ts";

/**
 * Applies the sweeps listed from `list` to `end` to the rows of `x`, `length` entries long. A sweep is listed as the
 * index of its first row, the number of rotations (negative: towards smaller indices), and a pair `c, s` for each; the
 * rotation takes neighbours `p, q` to `c p + s q, c q - s p`.
 */
export function rotateRows(x: usize, row: usize, length: i32, list: usize, end: usize): void {
  for (let j = 0; j < length; j += 8) {
    const column = at(x, j);
    let entry = list;
    while (entry < end) {
      const count = <i32>load<f64>(entry, 8);
      const step = count < 0 ? 0 - row : row;
      let p = column + <usize>(<i32>load<f64>(entry)) * row;
      const stop = entry + 16 + ((<usize>abs(count)) << 4);
      entry += 16;
      let x0 = v128.load(p);
      let x1 = v128.load(p, 16);
      let x2 = v128.load(p, 32);
      let x3 = v128.load(p, 48);
      for (; entry < stop; entry += 16) {
        const c = v128.load_splat<f64>(entry);
        const s = v128.load_splat<f64>(entry, 8);
        const q = p + step;
        const y0 = v128.load(q);
        v128.store(p, f64x2.add(f64x2.mul(c, x0), f64x2.mul(s, y0)));
        x0 = f64x2.sub(f64x2.mul(c, y0), f64x2.mul(s, x0));
        const y1 = v128.load(q, 16);
        v128.store(p, f64x2.add(f64x2.mul(c, x1), f64x2.mul(s, y1)), 16);
        x1 = f64x2.sub(f64x2.mul(c, y1), f64x2.mul(s, x1));
        const y2 = v128.load(q, 32);
        v128.store(p, f64x2.add(f64x2.mul(c, x2), f64x2.mul(s, y2)), 32);
        x2 = f64x2.sub(f64x2.mul(c, y2), f64x2.mul(s, x2));
        const y3 = v128.load(q, 48);
        v128.store(p, f64x2.add(f64x2.mul(c, x3), f64x2.mul(s, y3)), 48);
        x3 = f64x2.sub(f64x2.mul(c, y3), f64x2.mul(s, x3));
        p = q;
      }
      v128.store(p, x0);
      v128.store(p, x1, 16);
      v128.store(p, x2, 32);
      v128.store(p, x3, 48);
    }
  }
}
