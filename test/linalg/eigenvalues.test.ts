import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Complex,
  type ComplexArray,
  dense,
  type DenseMatrix,
  eigenvalues,
  frobenius,
  qr,
} from "../../src/linalg/index.ts";
import {
  anyMatrix,
  build,
  diagonal,
  entry,
  expectOrthonormal,
  gaussian,
  product,
  seeded,
  transposed,
  U,
} from "./matrices.ts";

const list = ({ re, im }: ComplexArray): Complex[] => Array.from(re, (x, i) => ({ re: x, im: im[i] ?? NaN }));
const modulus = ({ re, im }: Complex): number => Math.hypot(re, im);

/** Pairs each wanted value with the nearest one left and returns the largest distance. */
function farthest(got: ComplexArray, want: readonly Complex[]): number {
  const left = list(got);
  expect(left).toHaveLength(want.length);
  let worst = 0;
  for (const w of want) {
    const gaps = left.map((g) => Math.hypot(g.re - w.re, g.im - w.im));
    const nearest = gaps.indexOf(Math.min(...gaps));
    worst = Math.max(worst, gaps[nearest] ?? NaN);
    left.splice(nearest, 1);
  }
  return worst;
}

const real = (values: readonly number[]): Complex[] => values.map((re) => ({ re, im: 0 }));

/** The companion matrix of a real polynomial with the given roots; complex ones are followed by their conjugates. */
function companion(roots: readonly Complex[]): DenseMatrix {
  let c: Complex[] = [{ re: 1, im: 0 }];
  for (const root of roots) {
    const shifted = [...c, { re: 0, im: 0 }];
    c.forEach((x, i) => {
      const at = shifted[i + 1] ?? { re: NaN, im: NaN };
      shifted[i + 1] = { re: at.re - (x.re * root.re - x.im * root.im), im: at.im - (x.re * root.im + x.im * root.re) };
    });
    c = shifted;
  }
  const n = roots.length;
  return build(n, n, (i, j) => (i === 0 ? -(c[j + 1]?.re ?? NaN) : i === j + 1 ? 1 : 0));
}

/** Checks order, conjugates and trace. */
function expectWellFormed(a: DenseMatrix, got: ComplexArray): void {
  const n = a.rows;
  const values = list(got);
  expect(values).toHaveLength(n);
  const norm = frobenius(a);
  for (let i = 0; i < n; i++) {
    const x = values[i];
    if (x === undefined || x.im === 0) continue;
    const partner = x.im > 0 ? values[i + 1] : values[i - 1];
    expect(partner).toEqual({ re: x.re, im: -x.im });
  }
  for (let i = 1; i < n; i++) {
    expect(modulus(values[i] as Complex)).toBeLessThanOrEqual(modulus(values[i - 1] as Complex) * (1 + 4 * U));
  }
  let trace = 0;
  for (let i = 0; i < n; i++) trace += entry(a, i, i);
  const sum = values.reduce((total, x) => total + x.re, 0);
  expect(Math.abs(sum - trace)).toBeLessThanOrEqual(20 * n * U * norm);
}

describe("eigenvalues by hand", () => {
  test("of nothing, of one number, of a rotation, of a symmetric and of a triangular matrix", () => {
    expect(eigenvalues(dense(0, 0, []))).toEqual({ re: new Float64Array(0), im: new Float64Array(0) });
    expect(list(eigenvalues(dense(1, 1, [-7])))).toEqual([{ re: -7, im: 0 }]);
    expect(list(eigenvalues(dense(2, 2, [0, -1, 1, 0])))).toEqual([
      { re: 0, im: 1 },
      { re: 0, im: -1 },
    ]);
    expect(list(eigenvalues(dense(2, 2, [2, 1, 1, 2])))).toEqual(real([3, 1]));
    expect(list(eigenvalues(dense(3, 3, [1, 5, 6, 0, -4, 7, 0, 0, 2])))).toEqual(real([-4, 2, 1]));
  });

  test("order: descending modulus, then descending real part, positive imaginary part first", () => {
    const blocks = [
      [0, -2, 2, 0],
      [0, -1, 1, 0],
    ];
    const a = build(6, 6, (i, j) => {
      if (i < 4 && Math.floor(i / 2) === Math.floor(j / 2))
        return blocks[Math.floor(i / 2)]?.[(i % 2) * 2 + (j % 2)] ?? NaN;
      return i === j ? (i === 4 ? -2 : 2) : 0;
    });
    expect(list(eigenvalues(a))).toEqual([
      { re: 2, im: 0 },
      { re: 0, im: 2 },
      { re: 0, im: -2 },
      { re: -2, im: 0 },
      { re: 0, im: 1 },
      { re: 0, im: -1 },
    ]);
  });

  test("zero, identity, ones and a cyclic shift", () => {
    expect(list(eigenvalues(build(5, 5, () => 0)))).toEqual(real([0, 0, 0, 0, 0]));
    expect(list(eigenvalues(diagonal([1, 1, 1])))).toEqual(real([1, 1, 1]));
    expect(farthest(eigenvalues(build(7, 7, () => 1)), real([7, 0, 0, 0, 0, 0, 0]))).toBeLessThan(20 * 7 * U * 7);
    // No entry of it deflates and every standard shift is 0: only an exceptional shift gets the sweep going.
    for (const n of [3, 4, 6, 17, 64]) {
      const shift = build(n, n, (i, j) => (i === (j + 1) % n ? 1 : 0));
      const roots = Array.from({ length: n }, (_, i) => {
        const angle = (2 * Math.PI * i) / n;
        return { re: Math.cos(angle), im: Math.sin(angle) };
      });
      expect(farthest(eigenvalues(shift), roots)).toBeLessThan(20 * n * U);
    }
  });

  test("defective: a Jordan block, upper or lower, has its eigenvalue exactly", () => {
    for (const up of [true, false]) {
      const jordan = build(8, 8, (i, j) => (i === j ? 2 : (up ? j - i : i - j) === 1 ? 1 : 0));
      expect(list(eigenvalues(jordan))).toEqual(real(Array.from({ length: 8 }, () => 2)));
    }
  });

  test("defective and disguised: a Jordan block of size 3 within 10 (20 n 2^-53)^(1/3)", () => {
    // A perturbation of size ε moves a triple eigenvalue by ε^(1/3).
    const q = qr(gaussian(3, 3, 5)).Q;
    const jordan = dense(3, 3, [2, 1, 0, 0, 2, 1, 0, 0, 2]);
    const got = eigenvalues(product(product(q, jordan), transposed(q)));
    expect(farthest(got, real([2, 2, 2]))).toBeLessThan(10 * Math.cbrt(60 * U));
  });

  test("triangular after a permutation: the diagonal exactly", () => {
    const order = [3, 0, 4, 1, 5, 2];
    const upper = build(6, 6, (i, j) => (i > j ? 0 : i === j ? 6 - i : Math.sin(7 * i + j)));
    const shuffled = build(6, 6, (i, j) => entry(upper, order[i] ?? NaN, order[j] ?? NaN));
    expect(list(eigenvalues(shuffled))).toEqual(real([6, 5, 4, 3, 2, 1]));
  });
});

describe("eigenvalues of companion matrices are the roots", () => {
  const i = (re: number, im: number): Complex[] => [
    { re, im },
    { re, im: -im },
  ];
  test.each([
    { name: "1, 2, 3, 4, 5 within 1e-11", roots: real([1, 2, 3, 4, 5]), bound: 1e-11 },
    { name: "two pairs and -3 within 1e-12", roots: [...i(1, 2), ...i(-2, 0.5), ...real([-3])], bound: 1e-12 },
    {
      name: "the tenth roots of unity within 1e-14",
      roots: Array.from({ length: 10 }, (_, k) => ({
        re: Math.cos((k * Math.PI) / 5),
        im: Math.sin((k * Math.PI) / 5),
      })),
      bound: 1e-14,
    },
    { name: "a double root within 1e-7, as its condition allows", roots: real([2, 2, -1]), bound: 1e-7 },
    { name: "1e-6 to 1e6 within 1e-9 of the largest", roots: real([1e-6, 1, 1e3, 1e6]), bound: 1e-3 },
  ])("$name", ({ roots, bound }) => {
    expect(farthest(eigenvalues(companion(roots)), roots)).toBeLessThan(bound);
  });
});

describe("eigenvalues of larger and awkward matrices", () => {
  test.each([5, 9, 16, 33, 64, 100, 257])("Ginibre %d: conjugates, order, Σλ = tr A, Σλ² = tr A²", (n) => {
    const a = gaussian(n, n, n);
    const got = eigenvalues(a);
    expectWellFormed(a, got);
    let traceOfSquare = 0;
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) traceOfSquare += entry(a, i, j) * entry(a, j, i);
    const squares = list(got).reduce((sum, { re, im }) => sum + re * re - im * im, 0);
    expect(Math.abs(squares - traceOfSquare)).toBeLessThanOrEqual(20 * n * U * frobenius(a) ** 2);
  });

  test("Ginibre 512 converges, with Σλ = tr A", () => {
    const a = gaussian(512, 512, 512);
    expectWellFormed(a, eigenvalues(a));
  });

  test("badly scaled: a diagonal similarity over twenty orders of magnitude changes nothing, within 1e-10", () => {
    const a = gaussian(12, 12, 21);
    const scaled = build(12, 12, (i, j) => entry(a, i, j) * 2 ** (6 * (i - j)));
    expect(farthest(eigenvalues(scaled), list(eigenvalues(a)))).toBeLessThan(1e-10);
  });

  test("unchanged by an orthogonal similarity, for a normal matrix within 20 n 2^-53 |A|", () => {
    const q = qr(gaussian(20, 20, 22)).Q;
    expectOrthonormal(q);
    const values = Array.from({ length: 20 }, (_, k) => (k - 9.5) / 3);
    const a = product(product(q, diagonal(values)), transposed(q));
    expect(farthest(eigenvalues(a), real(values))).toBeLessThan(20 * 20 * U * frobenius(a));
    // Skew-symmetric: pairs on the imaginary axis.
    const skew = build(4, 4, (i, j) => (Math.abs(i - j) === 1 && i + j !== 3 ? (i < j ? 1 : -1) * (i + j) : 0));
    expect(
      farthest(eigenvalues(skew), [
        { re: 0, im: 5 },
        { re: 0, im: -5 },
        { re: 0, im: 1 },
        { re: 0, im: -1 },
      ]),
    ).toBeLessThan(20 * 4 * U * 5);
  });

  test("low rank: a 40 x 40 product of rank 5 has the eigenvalues of the 5 x 5 product and zeros", () => {
    const left = gaussian(40, 5, 23);
    const right = gaussian(5, 40, 24);
    const small = list(eigenvalues(product(right, left)));
    const got = eigenvalues(product(left, right));
    expect(farthest(got, [...small, ...real(Array.from({ length: 35 }, () => 0))])).toBeLessThan(1e-12);
  });

  test("scale with the matrix up to the edges of float64", () => {
    const a = gaussian(6, 6, 25);
    const base = list(eigenvalues(a));
    for (const scale of [2 ** 1000, 2 ** -1000]) {
      const { re, im } = eigenvalues(
        dense(
          6,
          6,
          a.data.map((x) => x * scale),
        ),
      );
      const got = { re: re.map((x) => x / scale), im: im.map((x) => x / scale) };
      expect(farthest(got, base)).toBeLessThan(20 * 6 * U * frobenius(a));
    }
  });

  test("of small integers, against LAPACK (numpy 2.4), within 1e-12", () => {
    const a = dense(
      6,
      6,
      [
        8, 2, 3, 8, 1, 5, 6, -5, -8, -4, -4, 7, 8, -9, 0, 6, -7, 6, -7, -1, 6, -4, -3, -4, 4, -5, 9, -1, 0, 0, 2, 1, 0,
        9, 6, 6,
      ],
    );
    const want = [
      { re: -9.729002759868829, im: 5.3313952394285735 },
      { re: 9.165183194429725, im: 5.540226054312303 },
      { re: 3.0638195654390996, im: 4.628518994956942 },
    ].flatMap(({ re, im }) => [
      { re, im },
      { re, im: -im },
    ]);
    const got = list(eigenvalues(a));
    want.forEach((w, at) => {
      expect(Math.hypot((got[at]?.re ?? NaN) - w.re, (got[at]?.im ?? NaN) - w.im)).toBeLessThan(1e-12);
    });
  });

  test("any matrix: well formed, and the same eigenvalues as its transpose where they are well conditioned", () => {
    fc.assert(
      fc.property(anyMatrix(true), (a) => {
        expectWellFormed(a, eigenvalues(a));
      }),
      seeded,
    );
    for (const seed of [1, 2, 3]) {
      const a = gaussian(10, 10, seed);
      expect(farthest(eigenvalues(transposed(a)), list(eigenvalues(a)))).toBeLessThan(1e-12);
    }
  });
});

describe("refusals", () => {
  test("a matrix that is not square", () => {
    expect(() => eigenvalues(dense(1, 2, [1, 2]))).toThrow(
      "eigenvalues: only a square matrix has eigenvalues, this one is 1 x 2. Use singularValues for a rectangular one.",
    );
  });

  test("a NaN or an infinity, with its place", () => {
    expect(() => eigenvalues(dense(2, 2, [1, 2, 3, NaN]))).toThrow(
      "eigenvalues: entry (1, 1) of the 2 x 2 matrix is NaN. Every entry must be finite; look for NaN in the weights.",
    );
    expect(() => eigenvalues(dense(1, 1, [Infinity]))).toThrow(expect.objectContaining({ name: "InputError" }));
  });
});
