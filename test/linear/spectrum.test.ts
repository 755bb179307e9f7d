import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { AxisError, InputError, ShapeError } from "../../src/errors.ts";
import { useKernels } from "../../src/kernels/index.ts";
import { eigenvalues } from "../../src/linalg/index.ts";
import { Random } from "../../src/tensor/index.ts";
import {
  addMaps,
  compose,
  composeAll,
  diagonalOf,
  eigenvaluesOf,
  frobeniusNormOf,
  identityMap,
  type Linear,
  scaleMap,
  singularValuesOf,
  svdOf,
  traceOf,
  transpose,
} from "../../src/linear/index.ts";
import {
  chains,
  expectNumbers,
  eye,
  flip,
  map,
  normOfRows,
  product,
  randomRows,
  type Rows,
  scaleOf,
  times,
  total,
  traceOfRows,
} from "./dense-reference.ts";

afterEach(() => {
  useKernels("auto");
});

/** Eigenvalues of the multiplied-out matrix, those of modulus below `cut` removed, as `[re, im]`. */
function denseEigenvalues(rows: Rows, cut: number): [number, number][] {
  const { re, im } = eigenvalues({ rows: rows.length, cols: rows.length, data: Float64Array.from(rows.flat()) });
  return Array.from(re, (x, t): [number, number] => [x, im[t] as number]).filter(([x, y]) => Math.hypot(x, y) > cut);
}

function pairsOf(f: Linear): [number, number][] {
  const { re, im } = eigenvaluesOf(f);
  return Array.from(re.data, (x, t): [number, number] => [x, im.at(t)]);
}

/** The largest distance from a number to its nearest unused partner: order among equal moduli is not promised. */
function distance(a: readonly [number, number][], b: readonly [number, number][]): number {
  const left = [...b];
  let worst = 0;
  for (const [x, y] of a) {
    const gaps = left.map(([u, v]) => Math.hypot(x - u, y - v));
    const nearest = gaps.indexOf(Math.min(...gaps));
    worst = Math.max(worst, gaps[nearest] ?? Infinity);
    left.splice(nearest, 1);
  }
  return left.length === 0 ? worst : Infinity;
}

describe("worked by hand", () => {
  const f = compose(
    map("d", "k", [
      [1, 0],
      [0, 2],
      [0, 0],
    ]),
    map("k", "d", [
      [0, 3, 0],
      [1, 0, 0],
    ]),
  );

  test("trace, norm, singular values and eigenvalues of [[0, 3, 0], [2, 0, 0], [0, 0, 0]]", () => {
    expect(traceOf(f)).toBe(0);
    expect(frobeniusNormOf(f)).toBeCloseTo(Math.sqrt(13), 14); // one rounding of the root
    expectNumbers(singularValuesOf(f).data, [3, 2], 3, 1e-15);
    expect(
      distance(pairsOf(f), [
        [Math.sqrt(6), 0],
        [-Math.sqrt(6), 0],
      ]),
    ).toBeLessThan(1e-14);
    expect(diagonalOf(f).toNested()).toEqual([0, 0, 0]);
  });

  test("a rotation by a quarter turn has eigenvalues ±2i", () => {
    const { re, im } = eigenvaluesOf(
      map("d", "d", [
        [0, 2],
        [-2, 0],
      ]),
    );
    expectNumbers(re.data, [0, 0], 2, 1e-15);
    expectNumbers(im.data, [2, -2], 2, 1e-15);
  });

  test("planted eigenvalues: P diag(4, -1, 0.5) P⁻¹ with P = [[1,1,0],[0,1,1],[0,0,1]]", () => {
    const p = [
      [1, 1, 0],
      [0, 1, 1],
      [0, 0, 1],
    ];
    const inverse = [
      [1, -1, 1],
      [0, 1, -1],
      [0, 0, 1],
    ];
    const diagonal = [
      [4, 0, 0],
      [0, -1, 0],
      [0, 0, 0.5],
    ];
    const { re, im } = eigenvaluesOf(compose(map("v", "d", p), map("d", "d", diagonal), map("d", "v", inverse)));
    expectNumbers(re.data, [4, -1, 0.5], 4, 1e-14);
    expectNumbers(im.data, [0, 0, 0], 4, 1e-14);
  });

  test("the zero map and rank one", () => {
    const zero = compose(
      map("d", "k", [
        [0, 0],
        [0, 0],
        [0, 0],
      ]),
      map("k", "d", [
        [1, 2, 3],
        [4, 5, 6],
      ]),
    );
    expect([traceOf(zero), frobeniusNormOf(zero)]).toEqual([0, 0]);
    expect(singularValuesOf(zero).toNested()).toEqual([0, 0]);
    expect(pairsOf(zero).map(([re, im]) => [Math.abs(re), Math.abs(im)])).toEqual([
      [0, 0],
      [0, 0],
    ]);
    const one = compose(map("d", "k", [[1], [2]]), map("k", "d", [[3, 4]]));
    expect(traceOf(one)).toBe(11);
    expectNumbers(singularValuesOf(one).data, [Math.sqrt(125)], 12, 1e-15);
  });

  test("coefficients: everything is linear in them, norms in their absolute value", () => {
    const g = scaleMap(f, -2);
    expect(frobeniusNormOf(g)).toBeCloseTo(2 * Math.sqrt(13), 13); // as above
    expectNumbers(singularValuesOf(g).data, [6, 4], 6, 1e-15);
    expect(
      traceOf(
        scaleMap(
          map("d", "d", [
            [1, 2],
            [3, 4],
          ]),
          -2,
        ),
      ),
    ).toBe(-10);
    expect(
      eigenvaluesOf(
        scaleMap(
          map("d", "d", [
            [3, 5],
            [0, 1],
          ]),
          -2,
        ),
      ).re.toNested(),
    ).toEqual([-6, -2]);
  });

  test("the identity and its multiples", () => {
    const f3 = scaleMap(identityMap("d", 3), -2);
    expect(eigenvaluesOf(f3).re.toNested()).toEqual([-2, -2, -2]);
    expect(singularValuesOf(f3).toNested()).toEqual([2, 2, 2]);
    expect(diagonalOf(f3).toNested()).toEqual([-2, -2, -2]);
  });
});

describe.each(["reference", "blocked"] as const)("identities, %s kernels (seeded, float64)", (name) => {
  test("P13: sum of eigenvalues = tr(AB) = tr(BA) = sum of the diagonal, within 1e-11 of the factors' norms", () => {
    useKernels(name);
    fc.assert(
      fc.property(chains({ square: true }), ({ matrices, maps }) => {
        const f = composeAll(maps);
        const [first, ...rest] = maps as [Linear, ...Linear[]];
        const turned = composeAll([...rest, first]);
        const expected = traceOfRows(product(matrices));
        const bound = 1e-11 * scaleOf(matrices);
        const near = (x: number): void => expect(Math.abs(x - expected)).toBeLessThanOrEqual(bound);
        near(traceOf(f));
        near(traceOf(turned));
        near(total(diagonalOf(f).data));
        near(total(eigenvaluesOf(f).re.data));
        expect(Math.abs(total(eigenvaluesOf(f).im.data))).toBeLessThanOrEqual(bound);
      }),
      { seed: 21, numRuns: 40 },
    );
  });

  test("‖f‖ = the norm of the matrix, ‖f‖² = Σσ², ‖fᵀ‖ = ‖f‖, within 1e-12 of the factors' norms", () => {
    useKernels(name);
    fc.assert(
      fc.property(chains(), ({ matrices, maps }) => {
        const f = composeAll(maps);
        const norm = frobeniusNormOf(f);
        const bound = 1e-12 * scaleOf(matrices);
        const values = singularValuesOf(f).data as Float64Array;
        expect(Math.abs(norm - normOfRows(product(matrices)))).toBeLessThanOrEqual(bound);
        expect(Math.abs(norm - Math.hypot(...values))).toBeLessThanOrEqual(bound);
        expect(Math.abs(norm - frobeniusNormOf(transpose(f)))).toBeLessThanOrEqual(bound);
      }),
      { seed: 22, numRuns: 60 },
    );
  });

  test("P43: U diag(S) Vᵀ gives the matrix back, U and V have orthonormal columns, S descends, within 1e-13", () => {
    useKernels(name);
    fc.assert(
      fc.property(chains(), ({ matrices, maps }) => {
        const f = composeAll(maps);
        const { U, S, V } = svdOf(f);
        const [u, v] = [U.toNested() as number[][], V.toNested() as number[][]];
        const width = Math.min(...matrices.flatMap((m) => [m.length, m[0]?.length ?? 0]));
        expect([U.shape, S.shape, V.shape]).toEqual([[f.rows, width], [width], [f.cols, width]]);
        expect([U.axes, V.axes]).toEqual([`${f.in} component`, `${f.out} component`]);
        const values = [...S.data];
        expect(values).toEqual([...values].sort((a, b) => b - a));
        expect(values.every((s) => s >= 0)).toBe(true);
        const scaledU = u.map((row) => row.map((x, t) => x * (values[t] as number)));
        expectNumbers(times(scaledU, flip(v)).flat(), product(matrices).flat(), scaleOf(matrices));
        expectNumbers(times(flip(u), u).flat(), eye(width).flat(), 1);
        expectNumbers(times(flip(v), v).flat(), eye(width).flat(), 1);
      }),
      { seed: 23, numRuns: 60 },
    );
  });
});

describe("P14: eigenvalues from the small side are the nonzero ones of the multiplied-out matrix", () => {
  const random = new Random(31);
  const [V, d, k] = [40, 12, 3];
  const weights = {
    W_E: randomRows(random, V, d),
    W_Q: randomRows(random, d, k),
    W_K: randomRows(random, d, k),
    W_V: randomRows(random, d, k),
    W_O: randomRows(random, k, d),
    previousV: randomRows(random, d, k),
    previousO: randomRows(random, k, d),
    W_U: randomRows(random, d, V),
  };
  const W_E = map("d_vocab", "d_model", weights.W_E);
  const W_U = map("d_model", "d_vocab", weights.W_U);
  const W_QK = compose(map("d_model", "d_head", weights.W_Q), transpose(map("d_model", "d_head*", weights.W_K)));
  const W_OV = compose(map("d_model", "d_head", weights.W_V), map("d_head", "d_model", weights.W_O));
  const previous = compose(map("d_model", "d_head", weights.previousV), map("d_head", "d_model", weights.previousO));
  const { W_E: e, W_U: u } = weights;

  test.each([
    ["full OV circuit", compose(W_E, W_OV, W_U), product([e, weights.W_V, weights.W_O, u])],
    ["full QK circuit", compose(W_E, W_QK, transpose(W_E)), product([e, weights.W_Q, flip(weights.W_K), flip(e)])],
    [
      "K-composition circuit",
      compose(W_E, W_QK, transpose(previous), transpose(W_E)),
      product([e, weights.W_Q, flip(weights.W_K), flip(weights.previousO), flip(weights.previousV), flip(e)]),
    ],
    [
      "sum of two OV circuits",
      compose(W_E, addMaps(W_OV, previous), W_U),
      product([e, addRows(times(weights.W_V, weights.W_O), times(weights.previousV, weights.previousO)), u]),
    ],
  ] as const)("%s, within 1e-11 of the largest", (name, f, dense) => {
    const expected = denseEigenvalues(dense, 1e-6 * normOfRows(dense));
    const found = pairsOf(f);
    expect(expected).toHaveLength(name.startsWith("sum") ? 2 * k : k);
    expect(distance(found, expected)).toBeLessThan(1e-11 * normOfRows(dense));
  });

  test("random chains: power sums Σλᵖ = tr(Mᵖ) for p = 1 … 4, within 1e-11 of the factors' norms to the power p", () => {
    fc.assert(
      fc.property(chains({ square: true }), ({ matrices, maps }) => {
        const dense = product(matrices);
        const f = composeAll(maps);
        const eigenvaluesFound = pairsOf(f);
        expect(eigenvaluesFound).toHaveLength(Math.min(...matrices.map((m) => m.length)));
        let powers = eigenvaluesFound;
        let power = dense;
        for (let p = 1; p <= 4; p++) {
          const bound = 1e-11 * scaleOf(matrices) ** p;
          const sum = powers.reduce((total, [re]) => total + re, 0);
          expect(Math.abs(sum - traceOfRows(power))).toBeLessThanOrEqual(bound);
          powers = powers.map(([x, y], t) => {
            const [u, v] = eigenvaluesFound[t] ?? [0, 0];
            return [x * u - y * v, x * v + y * u];
          });
          power = times(power, dense);
        }
      }),
      { seed: 32, numRuns: 40 },
    );
  });

  test("an inner dimension larger than the outer ones gives as many as the outer size", () => {
    const wide = compose(map("d", "k", randomRows(random, 2, 9)), map("k", "d", randomRows(random, 9, 2)));
    expect(eigenvaluesOf(wide).re.shape).toEqual([2]);
    expect(singularValuesOf(wide).shape).toEqual([2]);
  });
});

function addRows(a: Rows, b: Rows): number[][] {
  return a.map((row, i) => row.map((x, j) => x + (b[i]?.[j] ?? 0)));
}

describe("P15: the norm is never cycled (erratum of the Framework's composition figure)", () => {
  test("‖A1 A2 B1 B2‖ is the true one and differs from all cyclic orders", () => {
    const random = new Random(41);
    const [a1, a2, b1, b2] = [
      randomRows(random, 16, 4),
      randomRows(random, 4, 16),
      randomRows(random, 16, 4),
      randomRows(random, 4, 16),
    ];
    const dense = normOfRows(product([a1, a2, b1, b2]));
    const f = compose(map("d", "h", a1), map("h", "d", a2), map("d", "h", b1), map("h", "d", b2));
    expect(Math.abs(frobeniusNormOf(f) / dense - 1)).toBeLessThan(1e-13);
    for (const cycled of [product([a2, b1, b2, a1]), product([b2, a1, a2, b1])]) {
      expect(Math.abs(normOfRows(cycled) / dense - 1)).toBeGreaterThan(0.1);
    }
    // The trace may be cycled.
    expect(Math.abs(traceOf(f) - traceOfRows(product([a2, b1, b2, a1])))).toBeLessThan(1e-12 * dense);
  });
});

describe("cancellation and range", () => {
  test("a product 1e-7 the size of its factors keeps seven digits of its norm; the Gram form alone would keep none", () => {
    const random = new Random(42);
    const [a, b] = [randomRows(random, 8, 3), randomRows(random, 3, 8)];
    const near = b.map((row) => row.map((x) => -x * (1 + 1e-7)));
    const f = compose(
      map(
        "d",
        "k",
        a.map((row) => [...row, ...row]),
      ),
      map("k", "d", [...b, ...near]),
    );
    // Exact: b + near is a difference of nearly equal numbers.
    const expected = normOfRows(times(a, addRows(b, near)));
    expect(Math.abs(frobeniusNormOf(f) / expected - 1)).toBeLessThan(1e-7);
  });

  test.each([1e-160, 1e160])("entries of size %s neither vanish nor overflow when squared", (size) => {
    const f = compose(map("d", "k", [[3 * size], [4 * size]]), map("k", "d", [[1 / size, 0]]));
    expect(Math.abs(frobeniusNormOf(f) - 5)).toBeLessThan(1e-14);
    expect(Math.abs(frobeniusNormOf(map("d", "k", [[3 * size], [4 * size]])) / size - 5)).toBeLessThan(1e-14);
  });
});

describe("refusals", () => {
  test.each([
    ["traceOf", traceOf as (f: Linear) => unknown],
    ["diagonalOf", diagonalOf as (f: Linear) => unknown],
    ["eigenvaluesOf", eigenvaluesOf as (f: Linear) => unknown],
  ])("%s of maps that are not square or go to another space", (name, question) => {
    const tall: Linear = map("d_vocab", "d_model", [
      [1, 0],
      [0, 1],
      [1, 1],
    ]);
    expect(() => question(tall)).toThrow(ShapeError);
    expect(() => question(tall)).toThrow(
      `${name}: [d_vocab=3 -> d_model=2] is not square: its ends have sizes 3 and 2. Give a map from a space to itself or to its dual.`,
    );
    const other: Linear = map("d_model", "d_head", eye(2));
    expect(() => question(other)).toThrow(AxisError);
    expect(() => question(other)).toThrow(
      `${name}: [d_model=2 -> d_head=2] goes from one space to another of the same size. Give a map from a space to itself or to its dual.`,
    );
    expect(() => question(map("d", "d*", eye(2)))).not.toThrow();
    expect(() => question(map("d*", "d", eye(2)))).not.toThrow();
  });

  test("NaN in the weights is an error, not an endless iteration", () => {
    const f = map("d", "d", [
      [1, Number.NaN],
      [0, 1],
    ]);
    expect(() => eigenvaluesOf(f)).toThrow(InputError);
    expect(() => svdOf(f)).toThrow(InputError);
  });
});
