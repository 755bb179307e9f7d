import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dense, frobenius, gram, identity, matmulDense, transposeDense } from "../../src/linalg/index.ts";
import { anyMatrix, build, distance, entry, gaussian, product, seeded, size, transposed, U } from "./matrices.ts";

describe("dense", () => {
  test("keeps a Float64Array and copies anything else", () => {
    const data = Float64Array.of(1, 2);
    expect(dense(1, 2, data).data).toBe(data);
    expect(dense(1, 2, [1, 2])).toEqual({ rows: 1, cols: 2, data });
    expect(dense(1, 2, Float32Array.of(1, 2)).data).toEqual(data);
    expect(dense(0, 3, []).data).toHaveLength(0);
  });

  test("refuses a wrong number of entries and sizes that are not counts", () => {
    expect(() => dense(2, 3, [1, 2])).toThrow(
      "dense: a matrix of 2 x 3 has 6 entries but data holds 2. Pass the rows one after another.",
    );
    expect(() => dense(-1, -2, [1, 2])).toThrow(expect.objectContaining({ name: "ShapeError", argument: "data" }));
    expect(() => dense(0.5, 4, [1, 2])).toThrow("a matrix of 0.5 x 4");
  });
});

test("identity", () => {
  expect(Array.from(identity(3).data)).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 1]);
  expect(identity(0)).toEqual({ rows: 0, cols: 0, data: new Float64Array(0) });
});

test("transposeDense beyond one block of its loop", () => {
  const a = build(19, 37, (i, j) => 100 * i + j);
  const t = transposeDense(a);
  expect([t.rows, t.cols]).toEqual([37, 19]);
  for (const [i, j] of [
    [0, 0],
    [36, 18],
    [16, 15],
    [17, 3],
  ] as const)
    expect(entry(t, i, j)).toBe(100 * j + i);
  expect(transposeDense(t)).toEqual(a);
});

describe("matmulDense", () => {
  test("all four ways of transposing agree with the definition within 2 k 2^-53 Σ|ab|", () => {
    const a = gaussian(9, 14, 1);
    const b = gaussian(14, 11, 2);
    const want = product(a, b);
    const bound = 2 * 14 * U * 14 * size(a) * size(b);
    expect(distance(matmulDense(a, b), want)).toBeLessThanOrEqual(bound);
    for (const transposeA of [true, false]) {
      for (const transposeB of [true, false]) {
        const left = transposeA ? transposed(a) : a;
        const right = transposeB ? transposed(b) : b;
        expect(distance(matmulDense(left, right, { transposeA, transposeB }), want)).toBeLessThanOrEqual(bound);
      }
    }
  });

  test("refuses inner sizes that differ, saying how each was read", () => {
    const a = build(2, 3, () => 1);
    expect(() => matmulDense(a, a)).toThrow(
      "matmulDense: inner sizes differ: a is 2 x 3, b is 2 x 3. Use transposeA or transposeB if one of them is meant transposed.",
    );
    expect(() =>
      matmulDense(
        a,
        build(3, 3, () => 1),
        { transposeA: true },
      ),
    ).toThrow("a is 3 x 2 (transposed), b is 3 x 3.");
  });
});

test("gram is exactly symmetric and AᵀA within 2 k 2^-53 Σ|ab|", () => {
  fc.assert(
    fc.property(anyMatrix(), (a) => {
      const g = gram(a);
      expect(g.data).toEqual(transposed(g).data);
      const bound = 2 * (a.rows + 1) * U * a.rows * size(a) ** 2;
      expect(distance(g, product(transposed(a), a))).toBeLessThanOrEqual(bound);
    }),
    seeded,
  );
});

describe("frobenius", () => {
  test("of [3, 4] is 5, of no entries 0", () => {
    expect(frobenius(dense(2, 1, [3, 4]))).toBe(5);
    expect(frobenius(dense(0, 0, []))).toBe(0);
    expect(frobenius(dense(1, 2, [0, 0]))).toBe(0);
  });

  test("neither overflows nor underflows: relative error below 4 * 2^-53", () => {
    for (const scale of [1e300, 1e-300, 1e-320]) {
      const norm = frobenius(dense(1, 2, [3 * scale, 4 * scale]));
      // 1e-320 is subnormal and itself holds three digits.
      const step = scale < 1e-307 ? 2 ** -1073 : 4 * U * 5 * scale;
      expect(Math.abs(norm - 5 * scale)).toBeLessThanOrEqual(step);
    }
  });

  test("NaN and infinities show", () => {
    expect(frobenius(dense(1, 2, [NaN, 1]))).toBeNaN();
    expect(frobenius(dense(1, 2, [-Infinity, 1]))).toBe(Infinity);
  });
});
