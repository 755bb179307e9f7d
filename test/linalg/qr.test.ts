import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dense, qr } from "../../src/linalg/index.ts";
import {
  anyMatrix,
  build,
  distance,
  entry,
  expectOrthonormal,
  gaussian,
  product,
  seeded,
  size,
  U,
} from "./matrices.ts";

describe("qr", () => {
  test("of [[3, 1], [4, 2]], by hand: R = [[5, 2.2], [0, 0.4]]", () => {
    const { Q, R } = qr(dense(2, 2, [3, 1, 4, 2]));
    expect(distance(R, dense(2, 2, [5, 2.2, 0, 0.4]))).toBeLessThan(1e-15);
    expect(distance(Q, dense(2, 2, [0.6, -0.8, 0.8, 0.6]))).toBeLessThan(1e-15);
  });

  test("A = QR within 20 n 2^-53 |A|, QᵀQ = 1, R upper triangular with a non-negative diagonal", () => {
    fc.assert(
      fc.property(anyMatrix(), (a) => {
        const { Q, R } = qr(a);
        const r = Math.min(a.rows, a.cols);
        expect([Q.rows, Q.cols, R.rows, R.cols]).toEqual([a.rows, r, r, a.cols]);
        expectOrthonormal(Q);
        expect(distance(product(Q, R), a)).toBeLessThanOrEqual(20 * (a.rows + 1) * U * size(a));
        for (let i = 0; i < r; i++) {
          expect(entry(R, i, i)).toBeGreaterThanOrEqual(0);
          for (let j = 0; j < i; j++) expect(entry(R, i, j)).toBe(0);
        }
      }),
      seeded,
    );
  });

  test("of a matrix of zeros: Q has orthonormal columns, R is 0", () => {
    const { Q, R } = qr(build(4, 3, () => 0));
    expectOrthonormal(Q);
    expect(Array.from(R.data).every((x) => x === 0)).toBe(true);
  });

  test("tall, at the edge of overflow and of underflow", () => {
    const a = gaussian(40, 5, 3);
    for (const scale of [1e300, 1e-300]) {
      const scaled = dense(
        40,
        5,
        a.data.map((x) => x * scale),
      );
      const { Q, R } = qr(scaled);
      expectOrthonormal(Q);
      expect(distance(product(Q, R), scaled)).toBeLessThanOrEqual(20 * 41 * U * size(scaled));
    }
  });

  test("a NaN or an infinity is refused, with its place", () => {
    expect(() => qr(dense(2, 2, [1, 2, NaN, 4]))).toThrow(
      "qr: entry (1, 0) of the 2 x 2 matrix is NaN. Every entry must be finite; look for NaN in the weights.",
    );
    expect(() => qr(dense(1, 2, [1, -Infinity]))).toThrow(expect.objectContaining({ name: "InputError" }));
  });
});
