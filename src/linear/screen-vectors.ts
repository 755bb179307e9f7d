/** Rows and columns of a product as float32 vectors of its narrow place, in a balanced basis, and how far they can be off. */
import { kernels } from "../kernels/index.ts";
import type { TakeArray } from "../kernels/index.ts";
import { frobenius, matmulDense } from "../linalg/index.ts";
import type { DenseMatrix } from "../linalg/index.ts";
import type { Balance } from "./balance.ts";
import { matrixFactor, toFloat64, viewOf } from "./factor.ts";
import type { MatrixFactor } from "./factor.ts";

/** One vector for each row of a half, or for each column. */
export interface Vectors {
  readonly count: number;
  /** Numbers of a vector, filled up with zeros to a multiple of 8. */
  readonly width: number;
  /** `[count, width]`, float32. */
  readonly data: Float32Array;
  /** `[count]`: norms of these numbers. */
  readonly norms: Float64Array;
  /** `[count]`: norms of what they differ by from the exact vectors, at most. */
  readonly errors: Float64Array;
  /** `[count]`: norms of the vectors in the basis of the halves, at most. */
  readonly plain: Float64Array;
}

/** A half as rows: one matrix, or a long matrix times a small one whose product is still to be taken. */
export interface Half {
  readonly long: MatrixFactor;
  readonly small: MatrixFactor | undefined;
}

/** The half in the given basis. Where there is a small matrix the product is taken in float32. */
export function vectorsOf({ long, small }: Half, basis: DenseMatrix | undefined): Vectors {
  const rank = small?.cols ?? long.cols;
  const width = 8 * Math.ceil(Math.max(1, rank) / 8);
  const count = long.rows;
  const data = new Float32Array(count * width);
  const changed = changedBasis(small, basis);
  if (changed === undefined) copyInto(data, width, long);
  else {
    const right = padded(changed, width, small !== undefined);
    const out = { data, offset: 0, rowStride: width, colStride: 1, batchStride: 0 };
    kernels().matmul({ batch: 1, m: count, n: width, k: long.cols, a: viewOf(long), b: right, out });
  }
  const longNorms = normsOf(long);
  const reach = changed === undefined ? 1 : frobenius(changed);
  const plainReach = small === undefined ? 1 : frobenius(denseOf(small));
  // The sums themselves, then the rounding of the small matrix and of the result.
  const depth = Math.min(long.cols, 256) + Math.ceil(long.cols / 256) + 4;
  const relative = small === undefined ? 4 * (long.cols + 2) * 2 ** -53 : depth * 2 ** -24;
  const norms = new Float64Array(count);
  const errors = new Float64Array(count);
  const plain = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    let sum = 0;
    for (let at = i * width; at < i * width + rank; at++) sum += (data[at] as number) ** 2;
    const norm = Math.sqrt(sum);
    const longNorm = longNorms[i] as number;
    norms[i] = norm;
    errors[i] = 1.01 * (relative * longNorm * reach + 2 ** -23 * norm) + width * 2 ** -140;
    plain[i] = longNorm * plainReach;
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

/** The norms of the rows of a matrix, or what is above them; 0 for nothing but zeros. */
function normsOf(matrix: MatrixFactor): Float64Array {
  const { rows, cols, data, offset, rowStride, colStride } = matrix;
  const squares = new Float64Array(rows);
  if (Math.abs(rowStride) < Math.abs(colStride)) {
    for (let j = 0; j < cols; j++) {
      for (let i = 0, at = offset + j * colStride; i < rows; i++, at += rowStride) {
        const x = data[at] as number;
        squares[i] = (squares[i] as number) + x * x;
      }
    }
  } else {
    for (let i = 0; i < rows; i++) {
      let sum = 0;
      for (let j = 0, at = offset + i * rowStride; j < cols; j++, at += colStride) {
        const x = data[at] as number;
        sum += x * x;
      }
      squares[i] = sum;
    }
  }
  // Squares below this have lost digits, or everything.
  return squares.map((square, i) => (square < 1e-280 ? boundOf(matrix, i) : Math.sqrt(square)));
}

function boundOf({ cols, data, offset, rowStride, colStride }: MatrixFactor, i: number): number {
  let largest = 0;
  for (let j = 0, at = offset + i * rowStride; j < cols; j++, at += colStride) {
    largest = Math.max(largest, Math.abs(data[at] as number));
  }
  return largest * Math.sqrt(cols);
}

/** Vectors in an order, some of them left out; where the kernels take them without copying. */
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
 * How far a float32 entry of each row, or a bound of one, can be off. A sum of `rank` products in float32, in any order, errs by at most `rank` roundings of
 * the sum of their absolute values, which is at most the product of norms; bounds have one term more, of norms rounded up. A product below the
 * smallest float32 is lost whole.
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
