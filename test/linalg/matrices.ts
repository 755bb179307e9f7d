import fc from "fast-check";
import { expect } from "vitest";
import { dense, type DenseMatrix } from "../../src/linalg/index.ts";

/** Unit roundoff of float64. */
export const U = 2 ** -53;

/** Reproducible runs of a property. */
export const seeded = { seed: 20211222, numRuns: 60 } as const;

/** Entry `(i, j)`. */
export function entry(a: DenseMatrix, i: number, j: number): number {
  return a.data[i * a.cols + j] ?? NaN;
}

/** A matrix from a function of row and column. */
export function build(rows: number, cols: number, f: (i: number, j: number) => number): DenseMatrix {
  return dense(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, (_, at) => f(Math.floor(at / cols), at % cols)),
  );
}

/** Product by definition, not by the kernels. */
export function product(a: DenseMatrix, b: DenseMatrix): DenseMatrix {
  return build(a.rows, b.cols, (i, j) => {
    let sum = 0;
    for (let p = 0; p < a.cols; p++) sum += entry(a, i, p) * entry(b, p, j);
    return sum;
  });
}

export function transposed(a: DenseMatrix): DenseMatrix {
  return build(a.cols, a.rows, (i, j) => entry(a, j, i));
}

export function diagonal(values: ArrayLike<number>): DenseMatrix {
  return build(values.length, values.length, (i, j) => (i === j ? (values[i] ?? NaN) : 0));
}

/** Largest modulus of an entry of `a - b`. */
export function distance(a: DenseMatrix, b: DenseMatrix): number {
  expect([a.rows, a.cols]).toEqual([b.rows, b.cols]);
  return a.data.reduce((worst, x, i) => Math.max(worst, Math.abs(x - (b.data[i] ?? NaN))), 0);
}

/** Largest modulus of an entry, 1 for a matrix of zeros. */
export function size(a: DenseMatrix): number {
  return a.data.reduce((worst, x) => Math.max(worst, Math.abs(x)), 0) || 1;
}

/** Checks that the columns are orthonormal within a small multiple of their length. */
export function expectOrthonormal(q: DenseMatrix): void {
  const eye = build(q.cols, q.cols, (i, j) => (i === j ? 1 : 0));
  expect(distance(product(transposed(q), q), eye)).toBeLessThanOrEqual(20 * (q.rows + 2) * U);
}

/** Standard normal numbers from a seed: the same on every machine up to the last bits of log and cos. */
export function normal(seed: number): () => number {
  let state = seed >>> 0 || 1;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
}

/** A Gaussian matrix. */
export function gaussian(rows: number, cols: number, seed: number): DenseMatrix {
  const next = normal(seed);
  return build(rows, cols, () => next());
}

/** Matrices up to 12 x 12: Gaussian, of low rank, of small integers (many zeros and repeats), badly scaled, or zero. */
export function anyMatrix(square = false): fc.Arbitrary<DenseMatrix> {
  const sizes = fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 12 }));
  const kinds = fc.constantFrom("gaussian", "low rank", "integers", "graded", "zero");
  return fc.tuple(sizes, kinds, fc.integer({ min: 1, max: 2 ** 31 })).map(([[m, n], kind, seed]) => {
    const rows = m;
    const cols = square ? m : n;
    const next = normal(seed);
    switch (kind) {
      case "gaussian":
        return gaussian(rows, cols, seed);
      case "low rank":
        return product(gaussian(rows, 2, seed), gaussian(2, cols, seed + 1));
      case "integers":
        return build(rows, cols, () => Math.round(next()));
      case "graded":
        return build(rows, cols, (i, j) => next() * 10 ** (2 * i - 3 * j));
      default:
        return build(rows, cols, () => 0);
    }
  });
}
