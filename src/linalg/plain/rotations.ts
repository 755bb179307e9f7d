/** Sweeps of plane rotations of neighbouring rows, four columns at a time: what is carried along stays in registers. */

export function rotateRows(
  m: Float64Array,
  x: number,
  stride: number,
  length: number,
  list: number,
  end: number,
): void {
  for (let j = 0; j < length; j += 4) {
    for (let entry = list; entry < end;) {
      // Counts and places are whole numbers: |0 lets the compiler index with integers.
      const count = m[entry + 1]! | 0;
      rotateFourColumns(m, x + j + (m[entry]! | 0) * stride, count < 0 ? -stride : stride, entry + 2, Math.abs(count));
      entry += 2 + 2 * Math.abs(count);
    }
  }
}

function rotateFourColumns(m: Float64Array, start: number, step: number, from: number, count: number): void {
  let p = start;
  let x0 = m[p]!;
  let x1 = m[p + 1]!;
  let x2 = m[p + 2]!;
  let x3 = m[p + 3]!;
  for (let i = from; i < from + 2 * count; i += 2) {
    const c = m[i]!;
    const s = m[i + 1]!;
    const q = p + step;
    const y0 = m[q]!;
    const y1 = m[q + 1]!;
    const y2 = m[q + 2]!;
    const y3 = m[q + 3]!;
    m[p] = c * x0 + s * y0;
    m[p + 1] = c * x1 + s * y1;
    m[p + 2] = c * x2 + s * y2;
    m[p + 3] = c * x3 + s * y3;
    x0 = c * y0 - s * x0;
    x1 = c * y1 - s * x1;
    x2 = c * y2 - s * x2;
    x3 = c * y3 - s * x3;
    p = q;
  }
  m[p] = x0;
  m[p + 1] = x1;
  m[p + 2] = x2;
  m[p + 3] = x3;
}
