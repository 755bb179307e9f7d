/**
 * Analysis kernels, which only questions to weights use: composition, spectra, searches over the vocabulary. They live
 * in a module of their own, so that a bundle that only computes with tensors does not include them. Matrices are
 * contiguous unless they are views.
 */
import type { FloatArray, KernelName, MatrixView } from "./interface.ts";

/**
 * `out[b] = a[b] · a[b]ᵀ`, the Gram matrices of the rows of `a` `[batch, m, k]`; `out` `[batch, m, m]` is symmetric to
 * the bit. Where either is float64, sums are.
 */
export interface GramArgs {
  readonly batch: number;
  readonly m: number;
  readonly k: number;
  readonly a: MatrixView;
  readonly out: MatrixView;
}

/**
 * `out = a · b`, `[m, n]` contiguous, of float32 operands over very many terms `k`: float64 sums of float32 sums of
 * 4,096 terms at most. An entry errs by a few roundings of the lengths of its row and its column.
 */
export interface DeepProductArgs {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: MatrixView;
  readonly b: MatrixView;
  readonly out: Float64Array;
}

/**
 * Sums of squares, float64, of the blocks of a contiguous matrix, which divide it evenly: `out[i, j]` of block `i, j`.
 */
export interface BlockSquaresArgs {
  readonly rows: number;
  readonly cols: number;
  readonly blockRows: number;
  readonly blockCols: number;
  readonly data: FloatArray;
  readonly out: Float64Array;
}

/**
 * Upper triangular roots `R`, `Rᵀ R = G`, of symmetric matrices `[count, n, n]`, contiguous and float64, in their
 * places. Where a pivot is at most `least` times the largest entry on the diagonal, `isDone` is 0 and the matrix is
 * lost.
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
 * `out[i, j] += ‖a[i] b[j]ᵀ‖²`, the squared Frobenius norms of products of maps, contiguous: `a` `[countA, k, d]`, `b`
 * `[countB, k, d]`, `out` `[countA, countB]`. Only `b` from `first[i]` on goes with `a[i]`; what is added to the others
 * is undefined. Fast ones take them as inner products of `aᵀ a` and `bᵀ b`, in which small norms cancel: the error is a
 * few roundings of `Σ |aᵀ a| |bᵀ b|`.
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

/**
 * What {@link RowScreenArgs} keeps of a row. `largest`: its largest entries above the threshold, descending. `first`:
 * the first ones in order, after which the row is done. `between`: those up to the second threshold, in order; what
 * lies beyond is counted.
 */
export type Kept = "largest" | "first" | "between";

/**
 * The entries of each row of a product that lie above a threshold of the row, without the product.
 *
 * `a · b` is the product itself, or with `whole` a cheaper one whose entries are upper bounds. Then an entry is
 * computed, from a row of `whole.a` and a row of `whole.b`, only where its bound is above the threshold. Numbers are
 * finite.
 */
export interface RowScreenArgs {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: MatrixView;
  readonly b: MatrixView;
  /** `[m, width]` and `[n, width]`, contiguous from their starts; the width is a multiple of 8. */
  readonly whole?: { readonly width: number; readonly a: Float32Array; readonly b: Float32Array } | undefined;
  readonly keep: Kept;
  /** Entries kept of a row at most. */
  readonly most: number;
  /** `[m]`: the thresholds; below Infinity. The content is undefined afterwards. */
  readonly bars: Float32Array;
  /** `[m]`: for `between`. */
  readonly highs?: Float32Array | undefined;
  /** `[m, most]`: entries kept; the rest is undefined. */
  readonly values: Float32Array;
  /** `[m, most]`: their columns. */
  readonly indices: Int32Array;
  /** `[m]`: how many were found; for `between` all of them, those too that found no place. */
  readonly found: Int32Array;
  /** `[m]`: for `between`, how many lie beyond the second bar. */
  readonly above?: Int32Array | undefined;
}

/** One implementation of every analysis kernel. */
export interface WeightKernels {
  readonly name: KernelName;
  /** Inner products of the rows of a matrix, each pair's once. */
  gram(args: GramArgs): void;
  /** A product over very many terms. */
  deepProduct(args: DeepProductArgs): void;
  /** Sums of squares of blocks. */
  blockSquares(args: BlockSquaresArgs): void;
  /** Triangular roots of symmetric matrices. */
  triangularRoots(args: RootsArgs): void;
  /** Norms of the products of all pairs of two lists of maps. */
  pairNorms(args: PairNormsArgs): void;
  /** Entries above a threshold in each row of a product that is not kept. */
  rowScreen(args: RowScreenArgs): void;
}
