/**
 * Plane rotations, and a queue that applies sweeps of them to the columns of a matrix.
 *
 * A sweep rotates neighbouring columns one pair after the next. Queued sweeps are applied together, four rows at a
 * time: a row stays in registers and first-level cache for all of them, and each entry is read and written once a
 * sweep.
 */
import { hypotenuse } from "./vector.ts";

/** A rotation `[c s; -s c]` that takes `(f, g)` to `(r, 0)`; one object is filled again and again. */
export interface Rotation {
  c: number;
  s: number;
  r: number;
}

/** Fills `into` with the rotation that takes `(f, g)` to `(r, 0)`. */
export function rotate(into: Rotation, f: number, g: number): void {
  if (g === 0) {
    into.c = 1;
    into.s = 0;
    into.r = f;
  } else {
    const r = hypotenuse(f, g);
    into.c = f / r;
    into.s = g / r;
    into.r = r;
  }
}

const CAPACITY = 1 << 13;

/** Sweeps of rotations waiting to be applied to the columns of one row-major matrix. */
export class RotationQueue {
  readonly #x: Float64Array;
  readonly #rows: number;
  readonly #cols: number;
  readonly #cs = new Float64Array(2 * CAPACITY);
  readonly #sweeps: { first: number; step: number; from: number; count: number }[] = [];
  #used = 0;

  constructor(x: Float64Array, rows: number, cols: number) {
    this.#x = x;
    this.#rows = rows;
    this.#cols = cols;
  }

  /** Begins a sweep of at most `count` rotations of the columns `first`, `first + step`, `first + 2 step` … */
  begin(first: number, step: 1 | -1, count: number): void {
    if (this.#used + count > CAPACITY) this.flush();
    this.#sweeps.push({ first, step, from: this.#used, count: 0 });
  }

  /** The next rotation of the sweep begun last. */
  push(c: number, s: number): void {
    this.#cs[2 * this.#used] = c;
    this.#cs[2 * this.#used + 1] = s;
    this.#used++;
    this.#sweeps[this.#sweeps.length - 1]!.count++;
  }

  /** Applies all that waits. */
  flush(): void {
    const rows = this.#rows;
    let row = 0;
    for (; row + 3 < rows; row += 4) {
      for (const sweep of this.#sweeps) {
        sweepFourRows(
          this.#x,
          row * this.#cols + sweep.first,
          this.#cols,
          sweep.step,
          this.#cs,
          sweep.from,
          sweep.count,
        );
      }
    }
    for (; row < rows; row++) {
      for (const sweep of this.#sweeps) {
        sweepRow(this.#x, row * this.#cols + sweep.first, sweep.step, this.#cs, sweep.from, sweep.count);
      }
    }
    this.#sweeps.length = 0;
    this.#used = 0;
  }
}

function sweepRow(x: Float64Array, start: number, step: number, cs: Float64Array, from: number, count: number): void {
  let at = start;
  let carried = x[at]!;
  for (let i = 2 * from; i < 2 * (from + count); i += 2) {
    const c = cs[i]!;
    const s = cs[i + 1]!;
    const next = x[at + step]!;
    x[at] = c * carried + s * next;
    carried = c * next - s * carried;
    at += step;
  }
  x[at] = carried;
}

function sweepFourRows(
  x: Float64Array,
  start: number,
  stride: number,
  step: number,
  cs: Float64Array,
  from: number,
  count: number,
): void {
  let p0 = start;
  let p1 = p0 + stride;
  let p2 = p1 + stride;
  let p3 = p2 + stride;
  let x0 = x[p0]!;
  let x1 = x[p1]!;
  let x2 = x[p2]!;
  let x3 = x[p3]!;
  const end = 2 * (from + count);
  for (let i = 2 * from; i < end; i += 2) {
    const c = cs[i]!;
    const s = cs[i + 1]!;
    const y0 = x[p0 + step]!;
    const y1 = x[p1 + step]!;
    const y2 = x[p2 + step]!;
    const y3 = x[p3 + step]!;
    x[p0] = c * x0 + s * y0;
    x[p1] = c * x1 + s * y1;
    x[p2] = c * x2 + s * y2;
    x[p3] = c * x3 + s * y3;
    x0 = c * y0 - s * x0;
    x1 = c * y1 - s * x1;
    x2 = c * y2 - s * x2;
    x3 = c * y3 - s * x3;
    p0 += step;
    p1 += step;
    p2 += step;
    p3 += step;
  }
  x[p0] = x0;
  x[p1] = x1;
  x[p2] = x2;
  x[p3] = x3;
}
