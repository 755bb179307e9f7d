import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AxisError, InputError, ShapeError } from "../../src/errors.ts";
import { Tensor, Random } from "../../src/tensor/index.ts";
import {
  applyMap,
  compose,
  composeAll,
  identityMap,
  type Linear,
  scaleMap,
  transpose,
} from "../../src/linear/index.ts";
import { chains, expectMap, expectNumbers, flip, map, product, randomRows, scaleOf, times } from "./dense-reference.ts";

const W_E = map("d_vocab", "d_model", [
  [1, 0],
  [0, 1],
  [1, 1],
]);
const W_V = map("d_model", "d_head", [[1], [2]]);
const W_O = map("d_head", "d_model", [[3, 4]]);
const W_U = map("d_model", "d_vocab", [
  [1, 2, 3],
  [4, 5, 6],
]);

describe("compose, worked by hand", () => {
  test("applies the first map first: W_E W_V W_O W_U", () => {
    // W_O W_U = [19, 26, 33]; W_E W_V = [1, 2, 3].
    const f = compose(W_E, W_V, W_O, W_U);
    expect([f.in, f.out]).toEqual(["d_vocab", "d_vocab"]);
    expect(f.factors).toHaveLength(4);
    expectMap(
      f,
      [
        [19, 26, 33],
        [38, 52, 66],
        [57, 78, 99],
      ],
      1,
      0,
    );
  });

  test("of five and six maps", () => {
    const half = scaleMap(identityMap("d_model", 2), 0.5);
    expectMap(
      compose(W_E, half, W_V, W_O, W_U),
      [
        [9.5, 13, 16.5],
        [19, 26, 33],
        [28.5, 39, 49.5],
      ],
      1,
      0,
    );
    expectMap(
      compose(W_E, half, W_V, W_O, half, W_U),
      [
        [4.75, 6.5, 8.25],
        [9.5, 13, 16.5],
        [14.25, 19.5, 24.75],
      ],
      1,
      0,
    );
  });

  test("multiplies coefficients", () => {
    expect(compose(scaleMap(W_V, 3), scaleMap(W_O, -2)).coefficient).toBe(-6);
  });
});

describe("identities of composition (seeded, float64, within 1e-13 of the product of the factors' norms)", () => {
  test("composeAll is the matrix product", () => {
    fc.assert(
      fc.property(chains(), ({ matrices, maps }) => {
        expectMap(composeAll(maps as Linear<string, string>[]), product(matrices), scaleOf(matrices));
      }),
      { seed: 1, numRuns: 60 },
    );
  });

  test("is associative", () => {
    fc.assert(
      fc.property(chains(), fc.integer({ min: 0, max: 9 }), ({ matrices, maps }, at) => {
        const cut = 1 + (at % (maps.length - 1));
        const nested = compose(composeAll(maps.slice(0, cut)), composeAll(maps.slice(cut)));
        expectMap(nested, product(matrices), scaleOf(matrices));
      }),
      { seed: 2, numRuns: 60 },
    );
  });

  test("transposing twice gives the map back, and (fg)ᵀ = gᵀ fᵀ", () => {
    fc.assert(
      fc.property(chains(), ({ matrices, maps }) => {
        const f = composeAll(maps);
        const back = transpose(transpose(f));
        expect([back.in, back.out]).toEqual([f.in, f.out]);
        expect(back.factors).toEqual(f.factors);
        const [first, second] = maps as [Linear, Linear];
        const reversed = compose(transpose(second), transpose(first));
        expect([reversed.in, reversed.out]).toEqual([`${second.out}*`, `${first.in}*`]);
        expectMap(reversed, flip(times(matrices[0] ?? [], matrices[1] ?? [])), scaleOf(matrices.slice(0, 2)));
        expectMap(transpose(f), flip(product(matrices)), scaleOf(matrices));
      }),
      { seed: 3, numRuns: 60 },
    );
  });
});

describe("applyMap", () => {
  test("is the product with row vectors, for any number of leading axes and in either order of cost", () => {
    const random = new Random(4);
    const [a, b] = [randomRows(random, 7, 2), randomRows(random, 2, 5)];
    const f = compose(map("d_model", "d_head", a), map("d_head", "out", b));
    for (const count of [1, 6, 200]) {
      const x = randomRows(random, count, 7);
      const tensor = Tensor.from("batch pos d_model", [1, count, 7], Float64Array.from(x.flat()));
      const y = applyMap(tensor, f);
      expect([y.axes, y.shape, y.dtype]).toEqual(["batch pos out", [1, count, 5], "float64"]);
      expectNumbers(y.data, product([x, a, b]).flat(), scaleOf([x, a, b]));
    }
  });

  test("takes a single vector and rounds float32 once", () => {
    const f = map("d_model", "out", [[0.1], [0.2]]);
    const y = applyMap(Tensor.from("d_model", [2], [3, 5]), f);
    expect([y.axes, y.shape, y.dtype]).toEqual(["out", [1], "float32"]);
    expect(y.at(0)).toBe(Math.fround(0.1 * 3 + 0.2 * 5));
  });

  test("takes int32 vectors, permuted views and scaled maps", () => {
    const x = Tensor.from("d_model pos", [2, 3], Int32Array.of(1, 2, 3, 4, 5, 6)).permute("pos d_model");
    const y = applyMap(x, scaleMap(map("d_model", "out", [[1], [10]]), 2));
    expect(y.toNested()).toEqual([[82], [104], [126]]);
  });

  const text = (action: () => unknown): string => {
    try {
      action();
    } catch (error) {
      return `${(error as Error).name} ${(error as Error).message}`;
    }
    return "";
  };

  test("refuses other spaces, other sizes and scalars", () => {
    const resid: Tensor = Tensor.zeros("pos d_model", [5, 2]);
    const untyped: Linear = W_O;
    expect(text(() => applyMap(resid, untyped))).toBe(
      "AxisError applyMap: spaces differ: x is [pos=5 d_model=2], the map is [d_head=1 -> d_model=2]. x ends with d_model=2 but the map takes d_head=1.",
    );
    expect(text(() => applyMap(Tensor.zeros("pos d_model", [5, 3]), W_V))).toBe(
      "ShapeError applyMap: sizes differ: x is [pos=5 d_model=3], the map is [d_model=2 -> d_head=1]. Are they of the same model?",
    );
    const scalar: Tensor = Tensor.zeros("", []);
    expect(text(() => applyMap(scalar, untyped))).toBe(
      "ShapeError applyMap: x has no axes, so no vectors to map: x is [], the map is [d_head=1 -> d_model=2].",
    );
  });
});

describe("refusals of compose", () => {
  const untyped = (f: Linear): Linear => f;

  test("a map that takes another space than the one before it gives", () => {
    const action = (): unknown => compose(untyped(W_V), untyped(W_U));
    expect(action).toThrow(AxisError);
    expect(action).toThrow(
      "compose: spaces differ: the first map gives d_head=1 but the second map takes d_model=2. They are [d_model=2 -> d_head=1] and [d_model=2 -> d_vocab=3]. Each map must take what the one before it gives.",
    );
  });

  test("a forgotten transpose, with a hint at which map", () => {
    const W_Q = map("d_model", "d_head", [[1], [2]]);
    const W_K = map("d_model", "d_head*", [[1], [2]]);
    expect(() => compose(untyped(W_Q), untyped(W_K))).toThrow(
      "compose: spaces differ: the first map gives d_head=1 but the second map takes d_model=2. They are [d_model=2 -> d_head=1] and [d_model=2 -> d_head*=1]. Did you mean transpose of the second map?",
    );
    expect(() => compose(untyped(W_E), untyped(transpose(W_E)))).toThrow(
      "the first map gives d_model=2 but the second map takes d_model*=2. They are [d_vocab=3 -> d_model=2] and [d_model*=2 -> d_vocab*=3]. Between d_model and d_model* there must be a map such as W_QK, or innerProductMap for plain dot products.",
    );
    const W_UT = map("d_model*", "d_vocab*", [
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(() => compose(untyped(W_UT), untyped(W_V))).toThrow(
      "compose: spaces differ: the first map gives d_vocab*=3",
    );
    const writes = map("d_vocab*", "x", [[1], [2], [3]]);
    expect(() => compose(untyped(map("d_vocab", "d_model", [[1], [2], [3]])), untyped(writes))).toThrow(
      "the second map takes d_vocab*=3. They are [d_vocab=3 -> d_model=1] and [d_vocab*=3 -> x=1]. Did you mean transpose of the first map?",
    );
  });

  test("equal names with unequal sizes", () => {
    const other = map("d_head", "d_model", [
      [1, 2],
      [3, 4],
    ]);
    expect(() => compose(W_V, other)).toThrow(ShapeError);
    expect(() => compose(W_E, W_V, other)).toThrow(
      "compose: sizes differ: the second map gives d_head=1 but the third map takes d_head=2. They are [d_model=2 -> d_head=1] and [d_head=2 -> d_model=2]. Are they of the same model?",
    );
  });

  test("lists name maps by their place; an empty list has no space", () => {
    expect(() => composeAll([untyped(W_E), untyped(W_V), untyped(W_V)])).toThrow(
      "composeAll: spaces differ: map 1 gives d_head=1 but map 2 takes d_model=2.",
    );
    expect(() => composeAll([])).toThrow(InputError);
    expect(() => composeAll([])).toThrow(
      "composeAll: there are no maps, so there is no space to map. Give at least one, or use identityMap.",
    );
  });
});
