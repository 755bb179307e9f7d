/** The rows of $L$ and the columns of $R$ as float32 vectors in a balanced basis, with bounds on their errors. */
import { kernels, matrix } from "../../kernels/index.ts";
import type { TakeArray } from "../../kernels/index.ts";
import { frobenius, matmulDense } from "../../linalg/index.ts";
import type { DenseMatrix } from "../../linalg/index.ts";
import type { Balance, Half } from "./balance.ts";
import { matrixFactor, toFloat64, viewOf } from "../factor.ts";
import type { MatrixFactor } from "../factor.ts";

/** One vector for each row of the left factor, or for each column of the right one. */
export interface Vectors {
  readonly count: number;
  /** Numbers of a vector, filled up with zeros to a multiple of 8. */
  readonly width: number;
  /** `[count, width]`, float32. */
  readonly data: Float32Array;
  /** `[count]`: norms of these numbers. */
  readonly norms: Float64Array;
  /** `[count]`: bounds on the norm of their difference from the exact vectors. */
  readonly errors: Float64Array;
  /** `[count]`: bounds on the norms of the vectors in the basis of the factors. */
  readonly plain: Float64Array;
}

/** Terms that a kernel sums in float32 before it adds them to the rest. */
const DEPTH = 256;

/** A factor in the given basis. Where a small matrix is still to be multiplied in, that product is float32. */
export function vectorsOf(half: Half, basis: DenseMatrix | undefined): Vectors {
  const { long, small } = half;
  const rank = small?.cols ?? long.cols;
  const width = 8 * Math.ceil(Math.max(1, rank) / 8);
  const count = long.rows;
  const data = new Float32Array(count * width);
  const changed = changedBasis(small, basis);
  if (changed === undefined) copyInto(data, width, long);
  else {
    const right = padded(changed, width, small !== undefined);
    const out = matrix(data, width);
    kernels().matmul({ batch: 1, m: count, n: width, k: long.cols, a: viewOf(long), b: right, out });
  }
  const { plain: longNorms, stepped } = normsOf(half);
  const plainReach = small === undefined ? 1 : frobenius(denseOf(small));
  const ownErrors = small === undefined ? longNorms : stepped;
  // Of a float64 product the sums; of a float32 one see `stepsFrom`.
  const relative = small === undefined ? 4 * (long.cols + 2) * 2 ** -53 : 2 ** -24;
  const reach = changed === undefined ? 1 : small === undefined ? frobenius(changed) : steppedNorm(changed);
  const norms = new Float64Array(count);
  const errors = new Float64Array(count);
  const plain = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    let sum = 0;
    for (let at = i * width; at < i * width + rank; at++) sum += (data[at] as number) ** 2;
    const norm = Math.sqrt(sum);
    norms[i] = norm;
    errors[i] = 1.01 * (relative * (ownErrors[i] as number) * reach + 2 ** -23 * norm) + width * 2 ** -140;
    plain[i] = (longNorms[i] as number) * plainReach;
  }
  return { count, width, data, norms, errors, plain };
}

function changedBasis(small: MatrixFactor | undefined, basis: DenseMatrix | undefined): DenseMatrix | undefined {
  if (small === undefined) return basis;
  return basis === undefined ? denseOf(small) : matmulDense(denseOf(small), basis);
}

/** A matrix with columns of zeros to a width, in float32 or float64. */
function padded(matrix: DenseMatrix, width: number, inFloat32: boolean): ReturnType<typeof viewOf> {
  const { rows, cols } = matrix;
  const data = inFloat32 ? new Float32Array(rows * width) : new Float64Array(rows * width);
  for (let i = 0; i < rows; i++) data.set(matrix.data.subarray(i * cols, (i + 1) * cols), i * width);
  return viewOf(matrixFactor(rows, width, data));
}

function copyInto(to: Float32Array, width: number, matrix: MatrixFactor): void {
  const { rows, cols, data, offset, rowStride, colStride } = matrix;
  for (let i = 0; i < rows; i++) {
    const at = i * width;
    let from = offset + i * rowStride;
    for (let j = 0; j < cols; j++, from += colStride) to[at + j] = data[from] as number;
    to.fill(0, at + cols, at + width);
  }
}

function denseOf(matrix: MatrixFactor): DenseMatrix {
  return { rows: matrix.rows, cols: matrix.cols, data: toFloat64(matrix) };
}

/**
 * How often the square of a term counts in the error bound of a float32 sum $\sum_p x_p w_p$. Each partial sum is
 * rounded once, by at most $2^{-24}$ of itself. By Cauchy–Schwarz $|\sum_{p \le t} x_p w_p|$ is at most the product of
 * the norms of $x$ and $w$ up to $t$. So all errors together are at most $2^{-24}$ of the product of two norms in which
 * each square counts once for every partial sum that contains its term. That is about half of the usual bound, all
 * roundings times the whole norms.
 *
 * Partial sums are those of the kernel, and the sums of these. Products that are not fused, the small matrix and the
 * result are rounded too.
 */
function stepsFrom(p: number, terms: number): number {
  const end = Math.min(terms, DEPTH * (Math.floor(p / DEPTH) + 1));
  return end - p + Math.ceil(terms / DEPTH) + 4;
}

/** The Frobenius norm, squares counted as {@link stepsFrom} says. */
function steppedNorm({ rows, cols, data }: DenseMatrix): number {
  return frobenius({ rows, cols, data: data.map((x, t) => x * Math.sqrt(stepsFrom(Math.floor(t / cols), rows))) });
}

/** Norms of the rows of a matrix, or upper bounds of them; 0 only for rows of zeros. */
interface RowNorms {
  readonly plain: Float64Array;
  /** Squares counted as {@link stepsFrom} says. */
  readonly stepped: Float64Array;
}

const keptOfRows = new WeakMap<MatrixFactor, RowNorms>();
const keptOfColumns = new WeakMap<MatrixFactor, RowNorms>();

/** Cached: all heads of a model share their long matrices. */
function normsOf({ long, factor }: Half): RowNorms {
  const kept = long === factor ? keptOfRows : keptOfColumns;
  let norms = kept.get(factor);
  if (norms === undefined) kept.set(factor, (norms = computeNorms(long)));
  return norms;
}

function computeNorms(matrix: MatrixFactor): RowNorms {
  const { rows, cols, data, offset, rowStride, colStride } = matrix;
  const plain = new Float64Array(rows);
  const stepped = new Float64Array(rows);
  const steps = Float64Array.from({ length: cols }, (_, p) => stepsFrom(p, cols));
  if (Math.abs(rowStride) < Math.abs(colStride)) {
    for (let j = 0; j < cols; j++) {
      const often = steps[j] as number;
      for (let i = 0, at = offset + j * colStride; i < rows; i++, at += rowStride) {
        const square = (data[at] as number) ** 2;
        plain[i] = (plain[i] as number) + square;
        stepped[i] = (stepped[i] as number) + often * square;
      }
    }
  } else {
    for (let i = 0; i < rows; i++) {
      let [sum, counted] = [0, 0];
      for (let j = 0, at = offset + i * rowStride; j < cols; j++, at += colStride) {
        const square = (data[at] as number) ** 2;
        sum += square;
        counted += (steps[j] as number) * square;
      }
      plain[i] = sum;
      stepped[i] = counted;
    }
  }
  const most = Math.sqrt(steps.reduce((a, b) => Math.max(a, b), 0));
  for (let i = 0; i < rows; i++) {
    // Squares below this have lost digits, or everything.
    const isLost = (plain[i] as number) < 1e-280;
    const norm = isLost ? boundOf(matrix, i) : Math.sqrt(plain[i] as number);
    stepped[i] = isLost ? most * norm : Math.sqrt(stepped[i] as number);
    plain[i] = norm;
  }
  return { plain, stepped };
}

function boundOf({ cols, data, offset, rowStride, colStride }: MatrixFactor, i: number): number {
  let largest = 0;
  for (let j = 0, at = offset + i * rowStride; j < cols; j++, at += colStride) {
    largest = Math.max(largest, Math.abs(data[at] as number));
  }
  return largest * Math.sqrt(cols);
}

/** Vectors in a new order, placed where kernels use them without a copy. */
export function reordered(vectors: Vectors, order: Int32Array, take: TakeArray): Vectors {
  const { width } = vectors;
  const data = take("float32", order.length * width) as Float32Array;
  order.forEach((from, to) => data.set(vectors.data.subarray(from * width, (from + 1) * width), to * width));
  const picked = (numbers: Float64Array): Float64Array => Float64Array.from(order, (from) => numbers[from] as number);
  return {
    ...{ count: order.length, width, data },
    ...{ norms: picked(vectors.norms), errors: picked(vectors.errors), plain: picked(vectors.plain) },
  };
}

/**
 * The error bound of a float32 entry of each row, and of its upper bound. A float32 sum of `rank` products, in any
 * order, errs by at most `rank` roundings of the sum of their absolute values, which is at most the product of norms.
 * An upper bound has one term more, of norms rounded up. A product below the smallest float32 is lost whole.
 */
export function marginsOf(left: Vectors, right: Vectors, rank: number, balance: Balance | undefined): Float64Array {
  const largest = (numbers: Float64Array): number => numbers.reduce((most, x) => Math.max(most, x), 0);
  const [norm, error, plain] = [largest(right.norms), largest(right.errors), largest(right.plain)];
  const relative = (rank + 16) * 2 ** -24;
  const ofBasis = balance?.error ?? 0;
  return left.norms.map((own, i) => {
    const ownError = left.errors[i] as number;
    const ofVectors = ownError * (norm + error) + own * error;
    return 1.01 * (relative * own * norm + ofVectors + ofBasis * (left.plain[i] as number) * plain) + rank * 2 ** -120;
  });
}
