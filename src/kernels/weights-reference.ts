/**
 * The analysis kernels as plain loops, written to be read: the truth that the faster ones are measured against. Sums
 * are float64.
 */
import { checkBlockSquares, checkGram, checkPairNorms, checkRoots, checkRowScreen } from "./checks.ts";
import { deepProductInDoubles } from "./plain/deep.ts";
import { screenRow } from "./plain/parts.ts";
import { referenceKernels } from "./reference.ts";
import type {
  BlockSquaresArgs,
  GramArgs,
  PairNormsArgs,
  RootsArgs,
  RowScreenArgs,
  WeightKernels,
} from "./weights-interface.ts";

/** `out[i, j] = Σ_p a[i, p] a[j, p]`, for every matrix of the batch. */
function gram(args: GramArgs): void {
  checkGram(args);
  const { batch, m, k, a, out } = args;
  for (let t = 0; t < batch; t++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < m; j++) {
        let sum = 0;
        for (let p = 0; p < k; p++) {
          const start = a.offset + t * a.batchStride + p * a.colStride;
          sum += a.data[start + i * a.rowStride]! * a.data[start + j * a.rowStride]!;
        }
        out.data[out.offset + t * out.batchStride + i * out.rowStride + j * out.colStride] = sum;
      }
    }
  }
}

/** {@link WeightKernels.blockSquares}. */
export function blockSquares(args: BlockSquaresArgs): void {
  checkBlockSquares(args);
  const { rows, cols, blockRows, blockCols, data, out } = args;
  const across = cols / blockCols;
  out.fill(0, 0, (rows / blockRows) * across);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < across; j++) {
      const end = i * cols + (j + 1) * blockCols;
      let sum = 0;
      for (let t = end - blockCols; t < end; t++) sum += data[t]! * data[t]!;
      const at = Math.floor(i / blockRows) * across + j;
      out[at] = out[at]! + sum;
    }
  }
}

/** {@link WeightKernels.triangularRoots}, each row from those above it. */
export function triangularRoots(args: RootsArgs): void {
  checkRoots(args);
  const { count, n, matrices, least, isDone } = args;
  for (let t = 0; t < count; t++) isDone[t] = rootInPlace(matrices, t * n * n, n, least) ? 1 : 0;
}

function rootInPlace(g: Float64Array, at: number, n: number, least: number): boolean {
  let largest = 0;
  for (let i = 0; i < n; i++) largest = Math.max(largest, g[at + i * (n + 1)]!);
  for (let i = 0; i < n; i++) {
    const row = at + i * n;
    for (let s = 0; s < i; s++) {
      const above = at + s * n;
      const factor = g[above + i]!;
      for (let j = i; j < n; j++) g[row + j] = g[row + j]! - factor * g[above + j]!;
    }
    const pivot = g[row + i]!;
    if (!(pivot > least * largest)) return false;
    const inverse = 1 / Math.sqrt(pivot);
    for (let j = 0; j < i; j++) g[row + j] = 0;
    for (let j = i; j < n; j++) g[row + j] = g[row + j]! * inverse;
  }
  return true;
}

/** `out[i, j] += Σ_{e, f} (Σ_c a[i, e, c] b[j, f, c])²`. */
export function pairNorms(args: PairNormsArgs): void {
  checkPairNorms(args);
  const { countA, countB, k, d, a, b, first, out } = args;
  for (let i = 0; i < countA; i++) {
    for (let j = first[i]!; j < countB; j++) {
      let sum = 0;
      for (let e = 0; e < k; e++) {
        for (let f = 0; f < k; f++) {
          let product = 0;
          for (let c = 0; c < d; c++) product += a[(i * k + e) * d + c]! * b[(j * k + f) * d + c]!;
          sum += product * product;
        }
      }
      out[i * countB + j] = out[i * countB + j]! + sum;
    }
  }
  if (d > 0) args.onRows?.(d);
}

/** Row `i` of `a · b`, rounded to float32, as it would be stored. */
function productRow(args: RowScreenArgs, i: number): Float32Array {
  const { n, k, a, b } = args;
  return Float32Array.from({ length: n }, (_, j) => {
    let sum = 0;
    for (let p = 0; p < k; p++) {
      sum +=
        a.data[a.offset + i * a.rowStride + p * a.colStride]! * b.data[b.offset + p * b.rowStride + j * b.colStride]!;
    }
    return sum;
  });
}

function rowScreen(args: RowScreenArgs): void {
  checkRowScreen(args);
  for (let i = 0; i < args.m; i++) screenRow(args, productRow(args, i), i);
}

/** The kernels for weights that go with {@link referenceKernels}. */
export const referenceWeightKernels: WeightKernels = {
  name: "reference",
  gram,
  deepProduct: (args) => deepProductInDoubles(referenceKernels, args),
  blockSquares,
  triangularRoots,
  pairNorms,
  rowScreen,
};
