/**
 * Products of several matrices in the cheapest order, and of two matrices through the kernels.
 *
 * The cost of `A B` with sizes `m x k x n` is `m k n`; the cheapest bracketing of a chain is found by dynamic
 * programming over its intervals (the matrix-chain problem), in the number of factors cubed.
 */
import { kernels, matrix, weightKernels } from "../kernels/index.ts";
import { matrixFactor, viewOf } from "./factor.ts";
import type { MatrixFactor } from "./factor.ts";

/** `a b` in float64. */
export function multiply(a: MatrixFactor, b: MatrixFactor): MatrixFactor {
  const out = new Float64Array(a.rows * b.cols);
  multiplyInto(out, a, b, false);
  return matrixFactor(a.rows, b.cols, out);
}

/** `a aᵀ` in float64, the inner products of its rows. */
export function gramOf(a: MatrixFactor): Float64Array {
  const data = new Float64Array(a.rows * a.rows);
  const out = matrix(data, a.rows);
  weightKernels().gram({ batch: 1, m: a.rows, k: a.cols, a: viewOf(a), out });
  return data;
}

/** `out = a b`, or `out += a b`, into a row-major array. */
export function multiplyInto(out: Float64Array, a: MatrixFactor, b: MatrixFactor, accumulate: boolean): void {
  const target = matrix(out, b.cols);
  kernels().matmul({ batch: 1, m: a.rows, n: b.cols, k: a.cols, a: viewOf(a), b: viewOf(b), out: target, accumulate });
}

/**
 * Where to split each interval of a chain of matrices, matrix `t` being `sizes[t] x sizes[t + 1]`: the interval from
 * `first` to `last` is cheapest as (`first` … `split`) (`split + 1` … `last`), with `split` at `first * n + last`.
 */
export function chainSplits(sizes: readonly number[]): Int32Array {
  const n = sizes.length - 1;
  const size = (t: number): number => sizes[t] as number;
  const cost = new Float64Array(n * n);
  const splits = new Int32Array(n * n);
  for (let length = 2; length <= n; length++) {
    for (let first = 0; first + length <= n; first++) {
      const last = first + length - 1;
      let best = Infinity;
      for (let split = first; split < last; split++) {
        const halves = (cost[first * n + split] as number) + (cost[(split + 1) * n + last] as number);
        const total = halves + size(first) * size(split + 1) * size(last + 1);
        if (total < best) {
          best = total;
          splits[first * n + last] = split;
        }
      }
      cost[first * n + last] = best;
    }
  }
  return splits;
}

/** The product of one or more matrices, in float64 and in the cheapest order; a single matrix is returned as it is. */
export function multiplyChain(matrices: readonly MatrixFactor[]): MatrixFactor {
  const n = matrices.length;
  const splits = chainSplits([...matrices.map((m) => m.rows), (matrices[n - 1] as MatrixFactor).cols]);
  const build = (first: number, last: number): MatrixFactor => {
    if (first === last) return matrices[first] as MatrixFactor;
    const split = splits[first * n + last] as number;
    return multiply(build(first, split), build(split + 1, last));
  };
  return build(0, n - 1);
}
