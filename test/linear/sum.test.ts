import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AxisError, InputError, ShapeError } from "../../src/errors.ts";
import { Random } from "../../src/tensor/index.ts";
import {
  addMaps,
  compose,
  composeAll,
  frobeniusNormOf,
  identityMap,
  type Linear,
  scaleMap,
  singularValuesOf,
  subtractMaps,
  sumMaps,
  traceOf,
  transpose,
} from "../../src/linear/index.ts";
import {
  chains,
  expectMap,
  eye,
  flip,
  map,
  normOfRows,
  plus,
  product,
  randomRows,
  type Rows,
  scaleOf,
  times,
  traceOfRows,
} from "./dense-reference.ts";

const scaled = (rows: Rows, by: number): number[][] => rows.map((row) => row.map((x) => by * x));

describe("sums of maps (seeded, float64, within 1e-13 of the norms of the factors)", () => {
  test("P36: the sum of two products is the product of the concatenated factors", () => {
    const random = new Random(11);
    const [a1, b1, a2, b2] = [
      randomRows(random, 9, 2),
      randomRows(random, 2, 8),
      randomRows(random, 9, 3),
      randomRows(random, 3, 8),
    ];
    const head = (a: Rows, b: Rows): Linear<"in", "out"> => compose(map("in", "k", a), map("k", "out", b));
    const sum = addMaps(head(a1, b1), head(a2, b2));
    const side = a1.map((row, i) => [...row, ...(a2[i] ?? [])]);
    expectMap(sum, times(side, [...b1, ...b2]), 100);
    expect(singularValuesOf(sum).shape).toEqual([5]);
  });

  test("sums, differences and multiples agree with the matrices", () => {
    fc.assert(
      fc.property(
        chains(),
        fc.double({ min: -3, max: 3, noNaN: true }),
        fc.integer({ min: 0, max: 999 }),
        (chain, by, seed) => {
          const { matrices, maps } = chain;
          const f = composeAll(maps);
          const dense = product(matrices);
          const random = new Random(seed);
          const other = randomRows(random, f.rows, f.cols);
          const g = map(f.in, f.out, other);
          const scale = scaleOf(matrices) + normOfRows(other);
          expectMap(addMaps(f, g), plus(dense, other), scale);
          expectMap(subtractMaps(f, g), plus(dense, scaled(other, -1)), scale);
          expectMap(scaleMap(f, by), scaled(dense, by), 3 * scale);
          expectMap(sumMaps([f, scaleMap(g, by), f]), plus(plus(dense, dense), scaled(other, by)), 5 * scale);
          expectMap(transpose(addMaps(f, g)), flip(plus(dense, other)), scale);
        },
      ),
      { seed: 5, numRuns: 60 },
    );
  });

  test("products of sums: (I + A1 B1 + A2 B2) between two maps", () => {
    const random = new Random(12);
    const [e, a1, b1, a2, b2, u] = [
      randomRows(random, 20, 6),
      randomRows(random, 6, 2),
      randomRows(random, 2, 6),
      randomRows(random, 6, 2),
      randomRows(random, 2, 6),
      randomRows(random, 6, 20),
    ];
    const ov = (a: Rows, b: Rows): Linear<"d_model", "d_model"> =>
      compose(map("d_model", "d_head", a), map("d_head", "d_model", b));
    const layer = addMaps(identityMap("d_model", 6), ov(a1, b1), scaleMap(ov(a2, b2), -0.5));
    const inner = plus(plus(eye(6), times(a1, b1)), scaled(times(a2, b2), -0.5));
    expectMap(layer, inner, 100);
    const whole = compose(map("v", "d_model", e), layer, layer, map("d_model", "v", u));
    const dense = product([e, inner, inner, u]);
    const scale = scaleOf([e, inner, inner, u]);
    expectMap(whole, dense, scale);
    expect(Math.abs(traceOf(whole) - traceOfRows(dense))).toBeLessThan(1e-13 * scale);
    expect(Math.abs(frobeniusNormOf(whole) - normOfRows(dense))).toBeLessThan(1e-12 * scale);
    expect(whole.toString()).toBe("Linear[v=20 -> v=20] of rank at most 6");
  });
});

describe("what a sum is made of", () => {
  const random = new Random(13);
  const rows = { e: randomRows(random, 30, 4), u: randomRows(random, 4, 30) };
  const W_E = map("v", "d", rows.e);
  const W_U = map("d", "v", rows.u);
  const ov = [0, 1, 2].map(() =>
    compose(map("d", "k", randomRows(random, 4, 2)), map("k", "d", randomRows(random, 2, 4))),
  );

  test("common first and last factors are taken out, so full circuits of many heads stay as narrow as the model", () => {
    const circuits = ov.map((head) => compose(W_E, head, W_U));
    const sum = sumMaps([compose(W_E, W_U), ...circuits]);
    expect(sum.factors.map(({ kind }) => kind)).toEqual(["matrix", "sum", "matrix"]);
    expect(sum.toString()).toBe("Linear[v=30 -> v=30] of rank at most 4");
  });

  test("transposed views of one matrix count as the same factor", () => {
    const circuits = [0, 1].map(() => compose(W_E, map("d", "d*", randomRows(random, 4, 4)), transpose(W_E)));
    expect(sumMaps(circuits).factors.map(({ kind }) => kind)).toEqual(["matrix", "sum", "matrix"]);
  });

  test("a wide identity is never left behind: f + f g does not become f (1 + g)", () => {
    const g = compose(map("v", "k", randomRows(random, 30, 2)), map("k", "v", randomRows(random, 2, 30)));
    const sum = addMaps(W_U, compose(W_U, g));
    expect(sum.factors.map(({ rows: m, cols: n }) => [m, n])).toEqual([[4, 30]]);
  });

  test("equal terms are gathered, nested sums flattened", () => {
    const [first, second, third] = ov as [Linear, Linear, Linear];
    const twice = addMaps(first, first);
    expect([twice.coefficient, twice.factors]).toEqual([2, first.factors]);
    const nested = addMaps(addMaps(first, second), scaleMap(addMaps(third, second), 3));
    const factor = nested.factors[0];
    expect(factor?.kind === "sum" && factor.terms.map((term) => term.coefficient)).toEqual([1, 4, 3]);
  });

  test("f - f is zero, and a sum of one map is that map's product", () => {
    const [first] = ov as [Linear];
    const zero = subtractMaps(first, first);
    expect(frobeniusNormOf(zero)).toBe(0);
    expect(traceOf(zero)).toBe(0);
    expect(sumMaps([first]).factors).toBe(first.factors);
  });

  test("a small difference of equal products is taken before their ends are multiplied in", () => {
    const [first] = ov as [Linear];
    const tiny = map("d", "d", scaled(eye(4), 2 ** -30)) as Linear;
    const nearly = subtractMaps(compose(first, addMaps(identityMap("d", 4) as Linear, tiny)), first);
    // Relative 1e-12: with 1 + 2^-30 - 1 formed from rounded products, only six digits would be left.
    expect(Math.abs((frobeniusNormOf(nearly) * 2 ** 30) / frobeniusNormOf(first) - 1)).toBeLessThan(1e-12);
  });
});

describe("refusals of sums", () => {
  const f = map("a", "b", [[1, 2]]);

  test("other spaces, other sizes", () => {
    const g: Linear = map("a", "c", [[1, 2]]);
    expect(() => addMaps(f as Linear, g)).toThrow(AxisError);
    expect(() => addMaps(f as Linear, f, g)).toThrow(
      "addMaps: spaces differ: map 0 is [a=1 -> b=2] but map 2 is [a=1 -> c=2]. A sum needs maps between the same spaces.",
    );
    const h = map("a", "b", [[1], [2]]);
    expect(() => subtractMaps(f, h)).toThrow(ShapeError);
    expect(() => sumMaps([f, h])).toThrow(
      "sumMaps: sizes differ: map 0 is [a=1 -> b=2] but map 1 is [a=2 -> b=1]. A sum needs maps between the same spaces.",
    );
    expect(() => subtractMaps(f, h)).toThrow(
      "subtractMaps: sizes differ: map 0 is [a=1 -> b=2] but map 1 is [a=2 -> b=1].",
    );
  });

  test("an empty list, and multiples that are not finite", () => {
    expect(() => sumMaps([])).toThrow(InputError);
    expect(() => sumMaps([])).toThrow(
      "sumMaps: there are no maps, so there are no spaces to map between. Give at least one.",
    );
    expect(() => scaleMap(f, Number.NaN)).toThrow(
      "scaleMap: cannot multiply [a=1 -> b=2] by NaN; use a finite number.",
    );
    expect(() => scaleMap(f, Infinity)).toThrow(InputError);
  });
});
