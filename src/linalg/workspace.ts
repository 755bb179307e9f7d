/**
 * The inner loops of the decompositions behind one interface: in WebAssembly SIMD where it runs, in TypeScript where it
 * is refused.
 *
 * A workspace is a memory of float64 numbers and the loops that work in it. Positions are indices of numbers. A matrix
 * lies there row by row with {@link strideOf} numbers from one row to the next, is followed by rows of zeros up to
 * {@link paddedRows}, and its rows are filled up with zeros: the loops run over whole groups of four.
 */

/** A memory and the loops that work in it. `stride` is the distance of two rows. */
export interface Workspace {
  readonly name: "wasm" | "typescript";
  /** The memory; good until the next workspace is asked for. */
  readonly numbers: Float64Array;

  /** Reduces the `n` x `n` matrix at `a` to Hessenberg form in place; `work` holds two rows. */
  reduceToHessenberg(a: number, n: number, stride: number, work: number): void;

  /**
   * One sweep of Francis's double-shift QR over rows and columns `first..last` of the Hessenberg matrix at `h`. The
   * bulge starts at row `start` with the vector `x, y, z`; `list` holds five numbers a row.
   */
  chase(
    h: number,
    stride: number,
    first: number,
    start: number,
    last: number,
    x: number,
    y: number,
    z: number,
    list: number,
  ): void;

  /**
   * Reduces the `rows` x `cols` matrix at `a`, `rows >= cols`, to bidiagonal form: diagonal to `d`, superdiagonal to
   * `e`. Reflection `k` goes to row `k` of `left` and of `right`, or to their only row where `keep` is false; factors
   * to `leftTau` and `rightTau`; `work` holds a row.
   */
  bidiagonalize(a: number, rows: number, cols: number, stride: number, keep: boolean, to: BidiagonalPlaces): void;

  /**
   * QR of the matrix whose columns are the `count` rows at `a`, of `length` entries each: entries `0..k - 1` of row `k`
   * are then the triangle's above its diagonal. Reflections go to the rows of `v`, or to its only row where `keep` is
   * false.
   */
  triangularize(
    a: number,
    count: number,
    length: number,
    stride: number,
    keep: boolean,
    v: number,
    tau: number,
    diagonal: number,
  ): void;

  /**
   * To `x`, `rows` x `length`: the transpose of `H₀ H₁ … H_{count - 1}` applied to columns of the identity. Reflection
   * `k` is row `k` of `v`, its first entry that is not 0 at `k + offset`.
   */
  formVectors(
    x: number,
    rows: number,
    length: number,
    stride: number,
    v: number,
    vStride: number,
    tau: number,
    count: number,
    offset: number,
  ): void;

  /** `H₀ H₁ … H_{count - 1}` applied to each row of `x`, `rows` x `length`, reflections as for {@link formVectors}. */
  reflectBack(
    x: number,
    rows: number,
    length: number,
    stride: number,
    v: number,
    vStride: number,
    tau: number,
    count: number,
  ): void;

  /**
   * Applies sweeps of plane rotations, listed from `list` to `end`, to the rows of `x`, `length` entries long. A sweep
   * is the index of its first row, the number of its rotations (negative: towards smaller indices) and a pair `c, s`
   * for each, which takes neighbours `p, q` to `c p + s q, c q - s p`.
   */
  rotateRows(x: number, stride: number, length: number, list: number, end: number): void;
}

/** Where {@link Workspace.bidiagonalize} puts its results. */
export interface BidiagonalPlaces {
  readonly d: number;
  readonly e: number;
  readonly left: number;
  readonly leftStride: number;
  readonly leftTau: number;
  readonly right: number;
  readonly rightStride: number;
  readonly rightTau: number;
  readonly work: number;
}

/**
 * Numbers from one row to the next: an odd number of cache lines, since rows at a power-of-two distance would share the
 * same cache sets.
 */
export function strideOf(cols: number): number {
  return (((cols + 7) >> 3) | 1) << 3;
}

/** Rows that a matrix takes up, padding included. */
export function paddedRows(rows: number): number {
  return (rows + 3) & ~3;
}

/** Numbers that a matrix takes up, padding included. */
export function spaceFor(rows: number, cols: number): number {
  return paddedRows(rows) * strideOf(cols);
}

/** Places in a workspace yet to be asked for, one after the other, each at the start of a cache line. */
export class Places {
  #taken = 0;

  /** How much has been taken. */
  get taken(): number {
    return this.#taken;
  }

  /** The index of `count` numbers. */
  take(count: number): number {
    const at = this.#taken;
    this.#taken += (count + 7) & ~7;
    return at;
  }
}
