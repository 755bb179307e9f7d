/** Arguments of kernels for what is asked of weights: composition and spectra. Matrices are contiguous unless they are views. */
import type { FloatArray, MatrixView } from "./interface.ts";

/**
 * `out = a · b`, `[m, n]` contiguous, of float32 operands over very many terms `k`: float64 sums of float32 sums of 4,096 terms at most. An entry errs by a few
 * roundings of the lengths of its row and its column.
 */
export interface DeepProductArgs {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: MatrixView;
  readonly b: MatrixView;
  readonly out: Float64Array;
}

/** Sums of squares, float64, of the blocks of a contiguous matrix, which divide it evenly: `out[i, j]` of block `i, j`. */
export interface BlockSquaresArgs {
  readonly rows: number;
  readonly cols: number;
  readonly blockRows: number;
  readonly blockCols: number;
  readonly data: FloatArray;
  readonly out: Float64Array;
}

/**
 * Upper triangular roots `R`, `Rᵀ R = G`, of symmetric matrices `[count, n, n]`, contiguous and float64, in their places. Where a pivot is at most `least`
 * times the largest entry on the diagonal, `isDone` is 0 and the matrix is lost.
 */
export interface RootsArgs {
  readonly count: number;
  readonly n: number;
  readonly matrices: Float64Array;
  readonly least: number;
  /** `[count]`. */
  readonly isDone: Int32Array;
}

/**
 * `out[i, j] += ‖a[i] b[j]ᵀ‖²`, the squared Frobenius norms of products of maps, contiguous: `a` `[countA, k, d]`, `b` `[countB, k, d]`, `out` `[countA, countB]`. Only
 * `b` from `first[i]` on goes with `a[i]`; what is added to the others is undefined. Fast ones take them as inner products of `aᵀ a` and `bᵀ b`, in which
 * small norms cancel: the error is a few roundings of `Σ |aᵀ a| |bᵀ b|`.
 */
export interface PairNormsArgs {
  readonly countA: number;
  readonly countB: number;
  readonly k: number;
  readonly d: number;
  readonly a: FloatArray;
  readonly b: FloatArray;
  /** `[countA]`, ascending. */
  readonly first: Int32Array;
  readonly out: Float64Array;
  /** Called now and then with how many of the `d` rows of the symmetric matrices are done. */
  readonly onRows?: ((rows: number) => void) | undefined;
}
