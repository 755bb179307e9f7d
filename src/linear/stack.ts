/**
 * Stacks of matrices, one for each head: what is computed for all heads of a layer at once.
 *
 * A stack is a view of flat storage, float32 or float64, that may be one head's weights or all of them, transposed or
 * side by side. One matrix serves all of the other operand where its `count` is 1. Sums are float64 where an operand or
 * the result is.
 */
import { kernels, matrix, transposed, weightKernels, withWorkspace } from "../kernels/index.ts";
import type { FloatArray, MatrixView } from "../kernels/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { addTo, matrixView } from "../tensor/internal.ts";

/** Matrices `[count, rows, cols]`. */
export interface Stack {
  readonly count: number;
  readonly rows: number;
  readonly cols: number;
  readonly view: MatrixView;
}

/** Where the matrices of a stack lie: one after another, rows one after another, unless steps say otherwise. */
export interface StackLayout {
  readonly offset?: number;
  /** From a row to the next. */
  readonly row?: number;
  /** From a matrix to the next. */
  readonly step?: number;
}

/** Matrices in flat storage, entries of a row side by side. */
export function stackOf(
  data: FloatArray,
  [count, rows, cols]: readonly [count: number, rows: number, cols: number],
  { offset = 0, row = cols, step = rows * row }: StackLayout = {},
): Stack {
  return { count, rows, cols, view: matrix(data, row, count === 1 ? 0 : step, offset) };
}

/** A tensor `[head, rows, cols]` or `[rows, cols]`. */
export function stackOfTensor(W: Tensor): Stack {
  const [count = 0, rows = 0, cols = 0] = W.rank === 2 ? [1, ...W.shape] : W.shape;
  return { count, rows, cols, view: matrixView(W) };
}

/** The transpose of each matrix. */
export function transposedStack({ count, rows, cols, view }: Stack): Stack {
  return { count, rows: cols, cols: rows, view: transposed(view) };
}

/** One matrix of a stack. */
export function oneOf({ rows, cols, view }: Stack, index: number): Stack {
  return { count: 1, rows, cols, view: { ...view, offset: view.offset + index * view.batchStride, batchStride: 0 } };
}

/** `a b` for each head, into float64 numbers of its own. */
export function times(a: Stack, b: Stack): Stack & { readonly data: Float64Array } {
  const count = Math.max(a.count, b.count);
  const data = new Float64Array(count * a.rows * b.cols);
  return { ...multiplyStacks(a, b, stackOf(data, [count, a.rows, b.cols])), data };
}

/** `into = a b` for each head, or `into += a b`. */
export function multiplyStacks(a: Stack, b: Stack, into: Stack, accumulate = false): Stack {
  const { count: batch, rows: m, cols: n } = into;
  kernels().matmul({ batch, m, n, k: a.cols, a: a.view, b: b.view, out: into.view, accumulate });
  return into;
}

/** `a aᵀ` for each head, `[count, rows, rows]`: the inner products of rows, symmetric to the bit. */
export function gramStack(
  a: Stack,
  data: FloatArray = new Float64Array(a.count * a.rows * a.rows),
): Stack & { readonly data: FloatArray } {
  const out = stackOf(data, [a.count, a.rows, a.rows]);
  weightKernels().gram({ batch: a.count, m: a.rows, k: a.cols, a: a.view, out: out.view });
  return { ...out, data };
}

/** The sums of the squares of the entries of matrices one after another, in float64. */
export function squaresOf(data: FloatArray, count: number, out: Float64Array = new Float64Array(count)): Float64Array {
  const cols = data.length / Math.max(1, count);
  weightKernels().blockSquares({ rows: count, cols, blockRows: 1, blockCols: cols, data, out });
  return out;
}

/** Multiply-adds from which on float32 operands are multiplied in float32. */
export const LARGE = 2 ** 28;
/** Terms of a sum that are added in float32 at most, before they join float64 sums. */
const SPAN = 4096;

/**
 * `a b` of two matrices with very many terms in a sum, such as a vocabulary; float64. Of large float32 matrices it is a
 * float64 sum of float32 products, each over 4,096 terms at most.
 */
export function timesOverMany(a: Stack, b: Stack): Float64Array {
  const [m, n, k] = [a.rows, b.cols, a.cols];
  if (!(isSingle(a) && isSingle(b) && m * n * k >= LARGE)) return times(a, b).data;
  const out = new Float64Array(m * n);
  weightKernels().deepProduct({ m, n, k, a: a.view, b: b.view, out });
  return out;
}

/** `a aᵀ` of a matrix of very many columns, summed as in {@link timesOverMany}. */
export function gramOverMany(a: Stack): Float64Array {
  const { rows: n, cols: k, view } = a;
  const data = new Float64Array(n * n);
  if (!(isSingle(a) && n * n * k >= LARGE)) return gramStack(a, data).data as Float64Array;
  withWorkspace((take) => {
    const part = take("float32", n * n);
    for (let from = 0; from < k; from += SPAN) {
      const offset = view.offset + from * view.colStride;
      gramStack({ ...a, cols: Math.min(SPAN, k - from), view: { ...view, offset } }, part);
      addTo(data, part);
    }
  });
  return data;
}

const isSingle = ({ view }: Stack): boolean => view.data instanceof Float32Array;

/**
 * $\lVert A_i B_j^\top \rVert_F^2$ of all pairs of maps of two lists, `[a.count, b.count]`, by the inner products
 * $\langle A_i^\top A_i,\, B_j^\top B_j \rangle$ of symmetric matrices, each made once: what it costs grows with the
 * maps and only then with the pairs. They are made a tile at a time, so that memory stays bounded. An inner product
 * loses what cancels in it.
 *
 * @param first - `[a.count]`, ascending: the first partner of each `a`; numbers of pairs before it are undefined.
 * @param onRows - called with the rows of the symmetric matrices that are done, of `a.cols`.
 */
export function squaresOfPairs(a: Stack, b: Stack, first: Int32Array, onRows: (rows: number) => void): Float64Array {
  const out = new Float64Array(a.count * b.count);
  const maps = { countA: a.count, countB: b.count, k: a.rows, d: a.cols, a: a.view.data, b: b.view.data };
  weightKernels().pairNorms({ ...maps, first, out, onRows });
  return out;
}
