/** Kernels for weights as plain loops: roots of symmetric matrices, sums of squares, and norms of products, which are the truth for the faster ones. */
import { checkBlockSquares, checkPairNorms, checkRoots } from "./checks.ts";
import type { BlockSquaresArgs, PairNormsArgs, RootsArgs } from "./weights-interface.ts";

/** {@link Kernels.blockSquares}. */
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

/** {@link Kernels.triangularRoots}, each row from those above it. */
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
