import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AxisError, InputError, ShapeError } from "../../src/errors.ts";
import { Random, Tensor } from "../../src/tensor/index.ts";
import { compose, principalAngles, readSpaceOf, transpose, writeSpaceOf } from "../../src/linear/index.ts";
import { expectNumbers, eye, flip, map, randomRows, times } from "./dense-reference.ts";

describe("subspaces (Framework, 'Subspaces and Residual Stream Bandwidth')", () => {
  test("a basis has orthonormal columns, as many as the rank", () => {
    const random = new Random(71);
    const narrow = compose(map("d_model", "k", randomRows(random, 9, 2)), map("k", "d_head", randomRows(random, 2, 5)));
    const read = readSpaceOf(narrow);
    const write = writeSpaceOf(transpose(narrow));
    expect([read.axes, read.shape]).toEqual(["d_model component", [9, 2]]);
    expect([write.axes, write.shape]).toEqual(["d_model component", [9, 2]]);
    const rows = read.toNested() as number[][];
    expectNumbers(times(flip(rows), rows).flat(), eye(2).flat(), 1);
    // Within 1e-7: cosines of equal subspaces are 1 to rounding, angles to its root at worst.
    expect(Math.max(...principalAngles(read, write).data)).toBeLessThan(1e-13);
  });

  test("the tolerance decides what counts as zero", () => {
    const f = map("d", "k", [
      [1, 0, 0],
      [0, 1e-4, 0],
      [0, 0, 1e-9],
    ]);
    expect(readSpaceOf(f).shape).toEqual([3, 2]);
    expect(readSpaceOf(f, { tolerance: 1e-3 }).shape).toEqual([3, 1]);
    expect(readSpaceOf(f, { tolerance: 0 }).shape).toEqual([3, 3]);
    expect(
      readSpaceOf(
        map("d", "k", [
          [0, 0],
          [0, 0],
        ]),
      ).shape,
    ).toEqual([2, 0]);
  });
});

describe("principal angles", () => {
  test("planted: e1, e2 against e1 and the diagonal of e2, e3 give 0 and π/4; disjoint ones π/2", () => {
    const a = writeSpaceOf(
      map("k", "d", [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
      ]),
    );
    const b = readSpaceOf(
      map("d", "k", [
        [1, 0],
        [0, 1],
        [0, 1],
        [0, 0],
      ]),
    );
    expectNumbers(principalAngles(a, b).data, [0, Math.PI / 4], 1, 1e-15);
    const c = writeSpaceOf(map("k", "d", [[0, 0, 0, 5]]));
    expectNumbers(principalAngles(a, c).data, [Math.PI / 2], 1, 1e-15);
    expect(principalAngles(a, readSpaceOf(map("d", "k", [[0], [0], [0], [0]]))).shape).toEqual([0]);
  });

  test("a known tiny angle is exact to 1e-15, where the cosine alone would give 0", () => {
    const angle = 1e-9;
    const a = Tensor.from("d component", [2, 1], Float64Array.of(1, 0));
    const b = Tensor.from("d component", [2, 1], Float64Array.of(Math.cos(angle), Math.sin(angle)));
    expect(Math.abs(principalAngles(a, b).at(0) - angle)).toBeLessThan(1e-15);
  });

  test("are symmetric and unchanged by changes of basis inside either subspace (P18), within 1e-9", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), fc.nat(), (m, n, seed) => {
        const random = new Random(seed);
        const [x, y] = [randomRows(random, 9, m), randomRows(random, 9, n)];
        // Unit upper triangular: invertible whatever the draw.
        const mix = randomRows(random, m, m).map((row, i) => row.map((z, j) => (i === j ? 1 : i < j ? z : 0)));
        const a = readSpaceOf(map("d", "k", x));
        const b = readSpaceOf(map("d", "k", y));
        const mixed = readSpaceOf(map("d", "k", times(x, mix)));
        const angles = principalAngles(a, b);
        expect(angles.size).toBe(Math.min(m, n));
        expectNumbers(principalAngles(b, a).data, [...angles.data], 1, 1e-9);
        expectNumbers(principalAngles(mixed, b).data, [...angles.data], 1, 1e-9);
        expect([...angles.data]).toEqual([...angles.data].sort((p, q) => p - q));
      }),
      { seed: 72, numRuns: 40 },
    );
  });

  test("refusals", () => {
    const a: Tensor = Tensor.zeros("d component", [3, 1], "float64");
    expect(() => principalAngles(a, Tensor.zeros("e component", [3, 1]) as Tensor)).toThrow(AxisError);
    expect(() => principalAngles(a, Tensor.zeros("e component", [3, 1]) as Tensor)).toThrow(
      "principalAngles: bases are of different spaces: a is [d=3 component=1], b is [e=3 component=1]. Give two subspaces of one space.",
    );
    expect(() => principalAngles(a, Tensor.zeros("d component", [4, 1]) as Tensor)).toThrow(ShapeError);
    expect(() => principalAngles(a, Tensor.zeros("d component", [4, 1]) as Tensor)).toThrow(
      "principalAngles: sizes differ: a is [d=3 component=1], b is [d=4 component=1]. Are they of the same model?",
    );
    expect(() => principalAngles(a, Tensor.zeros("d", [3]) as Tensor)).toThrow(
      "principalAngles: takes two bases [space, component]: a is [d=3 component=1], b is [d=3].",
    );
    const tolerance = (): unknown => readSpaceOf(map("d", "k", [[1]]), { tolerance: 1 });
    expect(tolerance).toThrow(InputError);
    expect(tolerance).toThrow(
      "readSpaceOf: tolerance is 1; use a share of the largest singular value, from 0 to less than 1.",
    );
  });
});

describe("bases that are none", () => {
  const basis = (rows: number[][], axes = "d_model component"): Tensor<"d_model component"> =>
    Tensor.fromNested(axes, rows) as Tensor as Tensor<"d_model component">;
  const sound = basis([[1], [0], [0]]);

  test("a basis on its side is refused, by name, and by its columns where it is named otherwise", () => {
    const turned = basis([[1, 0, 0]], "component d_model");
    expect(() => principalAngles(turned, turned)).toThrow(
      "principalAngles: a lies on its side: a is [component=1 d_model=3], b is [component=1 d_model=3]. Permute it to [space, component].",
    );
    const other = Tensor.fromNested("direction d_model", [
      [1, 0, 0],
      [0, 1, 0],
    ]) as Tensor as Tensor<"d_model component">;
    expect(() => principalAngles(other, other)).toThrow("column 2 times column 2 is 0");
  });

  test.each([
    ["too long", [[2], [0], [0]], "column 0 times column 0 is 4"],
    ["zero", [[0], [0], [0]], "column 0 times column 0 is 0"],
    [
      "not orthogonal",
      [
        [1, 0.6],
        [0, 0.8],
        [0, 0],
      ],
      "column 0 times column 1 is 0.6",
    ],
    ["not finite", [[NaN], [0], [0]], "column 0 times column 0 is NaN"],
  ])("%s", (_, rows, text) => {
    for (const [a, b, name] of [
      [basis(rows), sound, "a"],
      [sound, basis(rows), "b"],
    ] as const) {
      expect(() => principalAngles(a, b)).toThrow(
        `the columns of ${name}, [d_model=3 component=${rows[0]?.length}], are not`,
      );
      expect(() => principalAngles(a, b)).toThrow(text);
    }
  });
});
