import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dense, type DenseMatrix, frobenius, qr, singularValues, svd, type SVD } from "../../src/linalg/index.ts";
import {
  anyMatrix,
  build,
  diagonal,
  distance,
  entry,
  expectOrthonormal,
  gaussian,
  product,
  seeded,
  size,
  transposed,
  U,
} from "./matrices.ts";

function expectDecomposes(a: DenseMatrix, { U: left, S, V: right }: SVD): void {
  const r = Math.min(a.rows, a.cols);
  expect([left.rows, left.cols, S.length, right.rows, right.cols]).toEqual([a.rows, r, r, a.cols, r]);
  expectOrthonormal(left);
  expectOrthonormal(right);
  const again = product(product(left, diagonal(S)), transposed(right));
  expect(distance(again, a)).toBeLessThanOrEqual(20 * (a.rows + a.cols) * U * (frobenius(a) || 1));
  for (let i = 1; i < r; i++) expect(S[i]).toBeLessThanOrEqual(S[i - 1] ?? NaN);
  expect(Array.from(S).every((x) => x >= 0)).toBe(true);
}

function expectValues(got: ArrayLike<number>, want: readonly number[], bound: number): void {
  expect(got.length).toBe(want.length);
  want.forEach((x, i) => expect(Math.abs((got[i] ?? NaN) - x)).toBeLessThanOrEqual(bound));
}

/** A matrix with chosen singular values between two random orthogonal ones. */
function withSingularValues(values: readonly number[], rows: number, seed: number): DenseMatrix {
  const left = qr(gaussian(rows, values.length, seed)).Q;
  const right = qr(gaussian(values.length, values.length, seed + 1)).Q;
  return product(product(left, diagonal(values)), transposed(right));
}

describe("svd", () => {
  test("of [[3, 0], [4, 5]], by hand: √45 and √5", () => {
    const a = dense(2, 2, [3, 0, 4, 5]);
    const result = svd(a);
    expectDecomposes(a, result);
    expectValues(result.S, [Math.sqrt(45), Math.sqrt(5)], 2e-15);
  });

  test("A = U S Vᵀ within 20 (m + n) 2^-53 |A|, U and V orthonormal, S descending; the values alone agree", () => {
    fc.assert(
      fc.property(anyMatrix(), (a) => {
        const result = svd(a);
        expectDecomposes(a, result);
        expectValues(singularValues(a), Array.from(result.S), 20 * (a.rows + a.cols) * U * (frobenius(a) || 1));
      }),
      seeded,
    );
  });

  test.each([
    [64, 64],
    [90, 65],
    [65, 90],
    [300, 7],
    [7, 300],
    [1, 40],
    [40, 1],
  ])("%d x %d Gaussian", (rows, cols) => {
    const a = gaussian(rows, cols, rows * cols);
    expectDecomposes(a, svd(a));
  });

  test("sizes without entries", () => {
    for (const [rows, cols] of [
      [0, 0],
      [3, 0],
      [0, 3],
    ] as const) {
      const { U: left, S, V: right } = svd(build(rows, cols, () => 1));
      expect([left.rows, left.cols, S.length, right.rows, right.cols]).toEqual([rows, 0, 0, cols, 0]);
      expect(singularValues(build(rows, cols, () => 1))).toHaveLength(0);
    }
  });

  test("the sign convention: the largest entry of each column of U is positive, and V follows", () => {
    for (const a of [gaussian(9, 6, 4), gaussian(6, 9, 5), diagonal([-3, 2, -1])]) {
      const { U: left } = svd(a);
      for (let j = 0; j < left.cols; j++) {
        const column = Array.from({ length: left.rows }, (_, i) => entry(left, i, j));
        const largest = column.reduce((best, x) => (Math.abs(x) > Math.abs(best) ? x : best), 0);
        expect(largest).toBeGreaterThan(0);
      }
    }
    const { U: left, S, V: right } = svd(diagonal([-3, 2]));
    expect([Array.from(left.data), Array.from(S), Array.from(right.data)]).toEqual([
      [1, 0, 0, 1],
      [3, 2],
      [-1, 0, 0, 1],
    ]);
  });

  test("equal singular values: an orthogonal matrix has only ones", () => {
    const q = qr(gaussian(30, 30, 6)).Q;
    const result = svd(q);
    expectDecomposes(q, result);
    expectValues(
      result.S,
      Array.from({ length: 30 }, () => 1),
      30 * 20 * U,
    );
  });

  test("rank one, zero, and a zero on the diagonal of a bidiagonal matrix", () => {
    const rankOne = product(gaussian(12, 1, 7), gaussian(1, 10, 8));
    const result = svd(rankOne);
    expectDecomposes(rankOne, result);
    expect(result.S[0]).toBeCloseTo(frobenius(rankOne), 12);
    expect(result.S[1]).toBeLessThan(1e-14);
    expectDecomposes(
      build(5, 4, () => 0),
      svd(build(5, 4, () => 0)),
    );
    for (const d of [
      [1, 0, 3, 4],
      [0, 1, 2, 3],
      [1, 2, 3, 0],
      [0, 0, 0, 1],
    ]) {
      const a = build(4, 4, (i, j) => (i === j ? (d[i] ?? NaN) : j === i + 1 ? 1 : 0));
      expectDecomposes(a, svd(a));
    }
  });
});

describe("singularValues", () => {
  test("of a matrix made from them, within 20 n 2^-53 of the largest", () => {
    const values = [1000, 10, 10, 10 - 1e-9, 1, 1e-3, 1e-8, 0];
    expectValues(singularValues(withSingularValues(values, 8, 11)), values, 20 * 8 * U * 1000);
    expectValues(singularValues(withSingularValues(values, 50, 12)), values, 20 * 50 * U * 1000);
  });

  test("of the n x n difference matrix: 2 sin((2i - 1) π / (4n + 2)), within 20 n 2^-53", () => {
    // BᵀB is the second-difference matrix with one end free, whose eigenvalues are 4 sin² of those angles.
    const n = 40;
    const b = build(n, n, (i, j) => (i === j ? 1 : j === i + 1 ? -1 : 0));
    const want = Array.from({ length: n }, (_, i) => 2 * Math.sin(((2 * (n - i) - 1) * Math.PI) / (4 * n + 2)));
    expectValues(singularValues(b), want, 20 * n * U);
  });

  test("of a bidiagonal matrix with entries over forty orders of magnitude: their product is the determinant", () => {
    // The reduction leaves a bidiagonal matrix as it is, so even tiny singular values keep their digits.
    const d = [1, 1e-10, 1e-20, 1e-30, 1e-40];
    const a = build(5, 5, (i, j) => (i === j ? (d[i] ?? NaN) : j === i + 1 ? (d[i] ?? NaN) : 0));
    const logs = Array.from(singularValues(a), Math.log10).reduce((sum, x) => sum + x, 0);
    expect(Math.abs(logs - -100)).toBeLessThan(1e-10);
  });

  test("of a bidiagonal matrix with ones below 100s: the smallest of about 1e-18 has its digits, the product is 1", () => {
    // A shift of the size of the largest singular value's rounding error would swamp the smallest one.
    const a = build(10, 10, (i, j) => (i === j ? 1 : j === i + 1 ? 100 : 0));
    const values = singularValues(a);
    expect(values[9]).toBeLessThan(1e-17);
    expect(Math.abs(values.reduce((product, x) => product * x, 1) - 1)).toBeLessThan(1e-12);
  });

  test("of small integers, against LAPACK (numpy 2.4), within 1e-13", () => {
    const want = [
      22.82635114753009, 16.044298256730116, 14.074812920312176, 6.261442197851858, 4.84846448378281, 2.779309581426374,
    ];
    const a = dense(
      6,
      6,
      [
        8, 2, 3, 8, 1, 5, 6, -5, -8, -4, -4, 7, 8, -9, 0, 6, -7, 6, -7, -1, 6, -4, -3, -4, 4, -5, 9, -1, 0, 0, 2, 1, 0,
        9, 6, 6,
      ],
    );
    expectValues(singularValues(a), want, 1e-13);
  });

  test("scale with the matrix up to the edges of float64", () => {
    const a = gaussian(7, 5, 13);
    const base = Array.from(singularValues(a));
    for (const scale of [2 ** 1000, 2 ** -1000]) {
      const got = singularValues(
        dense(
          7,
          5,
          a.data.map((x) => x * scale),
        ),
      );
      base.forEach((x, i) => expect(Math.abs((got[i] ?? NaN) / scale - x)).toBeLessThanOrEqual(100 * U * size(a)));
    }
  });

  test("of a 256 x 256 Gaussian: Σ σ² = |A|² within 1e-13", () => {
    const a = gaussian(256, 256, 14);
    const sum = singularValues(a).reduce((total, x) => total + x * x, 0);
    expect(Math.abs(sum / frobenius(a) ** 2 - 1)).toBeLessThan(1e-13);
  });
});

test("a NaN is refused by both, with its place", () => {
  const a = dense(1, 2, [1, NaN]);
  const text = "entry (0, 1) of the 1 x 2 matrix is NaN. Every entry must be finite; look for NaN in the weights.";
  expect(() => svd(a)).toThrow(`svd: ${text}`);
  expect(() => singularValues(a)).toThrow(`singularValues: ${text}`);
});
