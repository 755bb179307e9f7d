/**
 * Small dense float64 matrices and the few operations that the decompositions and the factored maps are built from.
 *
 * Row-major, entry `(i, j)` at `data[i * cols + j]`. Products run through the kernels' float64 path, so a transpose
 * inside a product costs nothing and is an option, not a copy.
 */
import { ShapeError, isPromise, requireKind, requireNumbers, requireOptions } from "../errors.ts";
import { kernels, matrix, transposed } from "../kernels/index.ts";
import type { MatrixView } from "../kernels/index.ts";
import { norm2 } from "./vector.ts";

/**
 * A dense float64 matrix, row-major: entry `(i, j)` is `data[i * cols + j]`. Treat `data` as read-only.
 * @category Linear algebra
 */
export interface DenseMatrix {
  readonly rows: number;
  readonly cols: number;
  /** `[rows, cols]`, row-major. */
  readonly data: Float64Array;
}

/**
 * One complex number.
 * @category Linear algebra
 */
export interface Complex {
  /** Real part. */
  readonly re: number;
  /** Imaginary part. */
  readonly im: number;
}

/**
 * Complex numbers as two arrays of one length.
 * @category Linear algebra
 */
export interface ComplexArray {
  /** Real parts. */
  readonly re: Float64Array;
  /** Imaginary parts. */
  readonly im: Float64Array;
}

/**
 * Which operands of {@link matmulDense} to read transposed.
 * @category Linear algebra
 */
export interface MatmulDenseOptions {
  /** Multiply by the transpose of the first matrix. */
  readonly transposeA?: boolean;
  /** Multiply by the transpose of the second matrix. */
  readonly transposeB?: boolean;
}

/**
 * Makes a dense matrix of `rows` x `cols` from row-major numbers; a Float64Array is kept, anything else is copied.
 *
 * @throws ShapeError when the number of entries is not `rows * cols`.
 * @category Linear algebra
 * @example
 * ```ts
 * import { dense } from "transformer-circuits/linear";
 *
 * const a = dense(2, 3, [1, 2, 3, 4, 5, 6]);
 * console.log(a.rows, a.cols, a.data[1 * a.cols + 2]);
 * // 2 3 6
 * ```
 */
export function dense(rows: number, cols: number, data: ArrayLike<number>): DenseMatrix {
  requireKind("list", data, "data", "dense");
  requireKind("list", data, "data", "dense");
  if (!isCount(rows) || !isCount(cols) || data.length !== rows * cols) {
    throw new ShapeError(
      `a matrix of ${rows} x ${cols} has ${rows * cols} entries but data holds ${data.length}. Pass the rows one after another.`,
      { operation: "dense", argument: "data", expected: rows * cols, actual: data.length },
    );
  }
  if (Array.isArray(data)) requireNumbers(data, "dense");
  return { rows, cols, data: data instanceof Float64Array ? data : Float64Array.from(data) };
}

/** Refuses what is not a dense matrix of as many numbers as its sizes say. */
export function requireMatrix(a: DenseMatrix, operation: string, argument = "a"): void {
  const given: Partial<DenseMatrix> | null | undefined = a;
  const { rows, cols, data } = given ?? {};
  if (isCount(rows) && isCount(cols) && data instanceof Float64Array && data.length === rows * cols) return;
  const mend = isPromise(a) ? "Write await before the call that gave it" : "Make one with dense";
  throw new ShapeError(`${argument} is not a dense matrix, { rows, cols, data }. ${mend}.`, {
    operation,
    argument,
    expected: "a DenseMatrix",
    actual: a,
  });
}

const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;

/**
 * The `n` x `n` identity matrix.
 *
 * @throws {@link ShapeError} when `n` is not a whole number, or above 46,340.
 * @category Linear algebra
 * @example
 * ```ts
 * import { identity } from "transformer-circuits/linear";
 *
 * console.log(identity(2).data.join(" "));
 * // 1 0 0 1
 * ```
 */
export function identity(n: number): DenseMatrix {
  if (!isCount(n) || n * n > 2 ** 31) {
    throw new ShapeError(`${n} is not a size. Give a whole number, of at most 46,340.`, {
      operation: "identity",
      argument: "n",
      actual: n,
    });
  }
  const data = new Float64Array(n * n);
  for (let i = 0; i < n; i++) data[i * n + i] = 1;
  return { rows: n, cols: n, data };
}

/**
 * The transpose of a matrix, as a new matrix.
 *
 * @category Linear algebra
 * @example
 * ```ts
 * import { dense, transposeDense } from "transformer-circuits/linear";
 *
 * console.log(transposeDense(dense(2, 3, [1, 2, 3, 4, 5, 6])).data.join(" "));
 * // 1 4 2 5 3 6
 * ```
 */
export function transposeDense(a: DenseMatrix): DenseMatrix {
  requireMatrix(a, "transposeDense");
  const { rows, cols, data } = a;
  const out = new Float64Array(data.length);
  const block = 16;
  for (let ib = 0; ib < rows; ib += block) {
    const iEnd = Math.min(rows, ib + block);
    for (let jb = 0; jb < cols; jb += block) {
      const jEnd = Math.min(cols, jb + block);
      for (let i = ib; i < iEnd; i++) {
        for (let j = jb; j < jEnd; j++) out[j * rows + i] = data[i * cols + j]!;
      }
    }
  }
  return { rows: cols, cols: rows, data: out };
}

/**
 * The product of two dense matrices in float64, either of them read transposed on request.
 *
 * @throws ShapeError when the inner sizes differ.
 * @category Linear algebra
 * @example
 * ```ts
 * import { dense, matmulDense } from "transformer-circuits/linear";
 *
 * const a = dense(2, 2, [1, 2, 3, 4]);
 * const b = dense(2, 2, [0, 1, 1, 0]);
 * console.log(matmulDense(a, b).data.join(" "));
 * // 2 1 4 3
 * console.log(matmulDense(a, b, { transposeA: true }).data.join(" "));
 * // 3 1 4 2
 * ```
 */
export function matmulDense(a: DenseMatrix, b: DenseMatrix, options: MatmulDenseOptions = {}): DenseMatrix {
  requireOptions(options, "matmulDense", "transposeA transposeB");
  requireMatrix(a, "matmulDense", "a");
  requireMatrix(b, "matmulDense", "b");
  const flipA = options.transposeA === true;
  const flipB = options.transposeB === true;
  const m = flipA ? a.cols : a.rows;
  const k = flipA ? a.rows : a.cols;
  const n = flipB ? b.rows : b.cols;
  if (k !== (flipB ? b.cols : b.rows)) {
    const asRead = (x: DenseMatrix, flipped: boolean): string =>
      flipped ? `${x.cols} x ${x.rows} (transposed)` : `${x.rows} x ${x.cols}`;
    throw new ShapeError(
      `inner sizes differ: a is ${asRead(a, flipA)}, b is ${asRead(b, flipB)}. Use transposeA or transposeB if one of them is meant transposed.`,
      { operation: "matmulDense", argument: "b", expected: k, actual: flipB ? b.cols : b.rows },
    );
  }
  const data = new Float64Array(m * n);
  kernels().matmul({
    batch: 1,
    m,
    n,
    k,
    a: strided(a, flipA),
    b: strided(b, flipB),
    out: matrix(data, n),
  });
  return { rows: m, cols: n, data };
}

function strided(x: DenseMatrix, flipped: boolean): MatrixView {
  const view = matrix(x.data, x.cols);
  return flipped ? transposed(view) : view;
}

/**
 * The Gram matrix $A^\top A$ of a matrix's columns, exactly symmetric.
 *
 * @category Linear algebra
 * @example
 * ```ts
 * import { dense, gram } from "transformer-circuits/linear";
 *
 * console.log(gram(dense(2, 2, [1, 2, 3, 4])).data.join(" "));
 * // 10 14 14 20
 * ```
 */
export function gram(a: DenseMatrix): DenseMatrix {
  requireMatrix(a, "gram");
  return matmulDense(a, a, { transposeA: true });
}

/**
 * The Frobenius norm $\sqrt{\sum_{ij} a_{ij}^2}$, without overflow or underflow on the way.
 *
 * @category Linear algebra
 * @example
 * ```ts
 * import { dense, frobenius } from "transformer-circuits/linear";
 *
 * console.log(frobenius(dense(1, 2, [3, 4])));
 * // 5
 * ```
 */
export function frobenius(a: DenseMatrix): number {
  requireMatrix(a, "frobenius");
  return norm2(a.data, 0, a.data.length);
}
