/** Elements by selection, condition, rank and diagonal, and the same numbers under other axes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  add,
  diagonal,
  divide,
  map,
  max,
  min,
  multiply,
  randomNormal,
  reshape,
  set,
  std,
  subtract,
  Tensor,
  topK,
  where,
} from "../../src/tensor/index.ts";
import type { Indices } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";
import { runs } from "../support/model-arbitrary.ts";
import { refusal } from "../support/refusal.ts";

const x = Tensor.fromNested("pos head d_head", [
  [
    [1, 2],
    [3, 4],
    [5, 6],
  ],
  [
    [7, 8],
    [9, 10],
    [11, 12],
  ],
]);

describe("negative indices count from the end", () => {
  test("in at, select and slice", () => {
    expect(x.at(-1, 0, -2)).toBe(7);
    expect(x.select("head", -1).toNested()).toEqual(x.select("head", 2).toNested());
    expect(x.slice("head", -2).toNested()).toEqual(x.slice("head", 1).toNested());
    expect(x.slice("head", -3, -1).toNested()).toEqual(x.slice("head", 0, 2).toNested());
    expect(x.slice("head", 1, -1).shape).toEqual([2, 1, 2]);
    expect(x.slice("head", -1, -1).size).toBe(0);
  });

  test("of a permuted view too", () => {
    expect(x.permute("d_head pos head").select("pos", -1).at(-1, -3)).toBe(8);
  });

  test.each<[string, () => unknown]>([
    ["at", () => x.at(-3, 0, 0)],
    ["select", () => x.select("pos", -3)],
    ["select", () => x.select("pos", -0.5)],
    ["select", () => x.select("pos", NaN)],
    ["slice", () => x.slice("head", -4)],
    ["slice", () => x.slice("head", -1, 1)],
    ["slice", () => x.slice("head", 0, -4)],
  ])("%s refuses what lies before the first", (name, f) => {
    expect(refusal(f)).toMatch(new RegExp(`^InputError: ${name}: .*it takes -\\d to \\d\\.`));
  });
});

describe("set", () => {
  /** The indices that a specification means, by plain words. */
  function meant(spec: Indices | undefined, n: number): number[] {
    const all = Array.from({ length: n }, (_, i) => i);
    if (spec === undefined) return all;
    if (typeof spec === "number") return [spec < 0 ? spec + n : spec];
    if (Array.isArray(spec)) return (spec as readonly Indices[]).flatMap((one) => meant(one, n));
    if ("not" in spec) return all.filter((i) => !meant(spec.not, n).includes(i));
    const { start = 0, end = n } = spec as { start?: number; end?: number };
    return all.slice(start, end);
  }
  const specOf = (n: number): fc.Arbitrary<Indices> => {
    const index = fc.integer({ min: -n, max: n - 1 });
    const range = fc.integer({ min: 0, max: n - 1 }).map((start) => ({ start }));
    const from = fc.oneof(index, range, fc.array(fc.oneof(index, range), { minLength: 1, maxLength: 3 }));
    return fc.oneof(from, fc.record({ not: index }));
  };

  test("changes what is selected and nothing else, of any view", () => {
    fc.assert(
      fc.property(
        fc.record({ pos: specOf(3), head: specOf(4) }, { requiredKeys: [] }),
        fc.boolean(),
        fc.integer({ min: 1, max: 100 }),
        (at, isPermuted, seed) => {
          const made = randomNormal(isPermuted ? "head pos" : "pos head", isPermuted ? [4, 3] : [3, 4], { seed });
          const t = (isPermuted ? (made as Tensor).permute("pos head") : made) as Tensor<"pos head">;
          const [rows, columns] = [meant(at.pos, 3), meant(at.head, 4)];
          fc.pre(rows.length > 0 && columns.length > 0);
          const count = new Set(columns).size;
          const values = Tensor.from(
            "head",
            [count],
            Array.from({ length: count }, (_, i) => 100 + i),
          );
          const after = set(t, at, values);
          const order = [...new Set(columns)].sort((a, b) => a - b);
          for (let p = 0; p < 3; p++) {
            for (let h = 0; h < 4; h++) {
              const isSet = rows.includes(p) && columns.includes(h);
              expect(after.at(p, h)).toBe(isSet ? 100 + order.indexOf(h) : t.at(p, h));
            }
          }
        },
      ),
      runs(3, 300),
    );
  });

  test("takes as many values as there are, each at its own place, and keeps the dtype", () => {
    expect(
      set(x, { head: [2, 0] }, Tensor.from("head", [3], [10, 20, 30]))
        .select("pos", 0)
        .toNested(),
    ).toEqual([
      [10, 10],
      [3, 4],
      [30, 30],
    ]);
    const ids = Tensor.from("pos", [3], [1, 2, 3], "int32");
    expect(set(ids, { pos: 1 }, 7).dtype).toBe("int32");
    expect(ids.toNested()).toEqual([1, 2, 3]);
  });

  test.each<[string, () => unknown]>([
    ['AxisError: set: there is no axis "key" in', () => set(x as Tensor, { key: 1 }, 0)],
    [
      "head 3 is outside the 3 along head of [pos=2 head=3 d_head=2]. head takes -3 to 2.",
      () => set(x, { head: 3 }, 0),
    ],
    ["head leaves nothing over to set.", () => set(x, { head: { not: [0, 1, 2] } }, 0)],
    ["head is 0.5. Give whole numbers.", () => set(x, { head: 0.5 }, 0)],
    [
      "of [pos=2 head=3 d_head=2] 2 are selected along head.",
      () => set(x, { head: [0, 1] }, Tensor.zeros("head", [1])),
    ],
    [
      'the values have an axis "key" that the tensor lacks',
      () => set(x as Tensor, {}, Tensor.zeros("key", [1]) as Tensor),
    ],
    ['values is "1", not a Tensor', () => set(x, { head: 1 }, "1" as never)],
  ])("%s", (text, f) => {
    expect(refusal(f)).toContain(text);
  });
});

test("where takes from one or the other, which may be numbers or have fewer axes", () => {
  const isLarge = map(x, (value) => Number(value > 6));
  const perHead = Tensor.from("head", [3], [-1, -2, -3]);
  expect(where(isLarge, x, perHead).toNested()).toEqual([
    [
      [-1, -1],
      [-2, -2],
      [-3, -3],
    ],
    [
      [7, 8],
      [9, 10],
      [11, 12],
    ],
  ]);
  expect(where(isLarge, 1, NaN).select("head", 0).toNested()).toEqual([
    [NaN, NaN],
    [1, 1],
  ]);
  expect(where(Tensor.from("pos", [2], [-0, NaN]), 1, 2).toNested()).toEqual([2, 1]);
  expect(where(Tensor.from("pos", [1], [1]), Tensor.from("pos", [1], new Float64Array([0.1])), 0).at(0)).toBe(0.1);
  expect(refusal(() => where(perHead as Tensor, x as Tensor, 0))).toContain('has an axis "pos" that the first lacks');
});

test("min is the smallest, or NaN", () => {
  expect(min(x, "head").toNested()).toEqual([
    [1, 2],
    [7, 8],
  ]);
  expect(min(Tensor.from("pos", [3], [1, NaN, 0]), "pos").item()).toBeNaN();
  expect(refusal(() => min(Tensor.zeros("pos head", [2, 0]), "head"))).toContain(
    'axis "head" of [pos=2 head=0] is empty',
  );
});

test("std is NumPy's, or PyTorch's with a correction of 1, far from zero too", () => {
  // np.std([1, 2, 4, 8]) and np.std([1, 2, 4, 8], ddof=1)
  const t = Tensor.from("pos", [4], new Float64Array([1, 2, 4, 8]));
  expectClose([std(t, "pos").item()], [2.680951323690902], { rtol: 1e-15 });
  expectClose([std(t, "pos", { correction: 1 }).item()], [3.095695936834452], { rtol: 1e-15 });
  expectClose([std(add(t, 1e9), "pos").item()], [2.680951323690902], { rtol: 1e-12 });
  expect(std(Tensor.from("pos", [1], [3]), "pos").item()).toBe(0);
  expect(refusal(() => std(Tensor.from("pos", [1], [3]), "pos", { correction: 1 }))).toContain("too few elements");
  expect(refusal(() => std(t, "pos", { correction: -1 }))).toContain("correction is -1");
  expect(refusal(() => std(t, "pos", { ddof: 1 } as never))).toContain('there is no option "ddof"');
});

test("topK is a sort cut short, with ties by index and NaN first", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(NaN, Infinity, -0)), {
        minLength: 12,
        maxLength: 12,
      }),
      fc.integer({ min: 1, max: 4 }),
      (data, k) => {
        const t = Tensor.from("a b c", [3, 4, 1], data);
        const { values, indices } = topK(t, "b", k);
        for (let a = 0; a < 3; a++) {
          const row = data.slice(4 * a, 4 * a + 4);
          const order = [0, 1, 2, 3].sort((i, j) => {
            const [p, q] = [row[i] ?? 0, row[j] ?? 0];
            if (Number.isNaN(p) || Number.isNaN(q)) return Number(Number.isNaN(q)) - Number(Number.isNaN(p)) || i - j;
            return p === q ? i - j : q - p;
          });
          expect(indices.select("a", a).select("c", 0).toNested()).toEqual(order.slice(0, k));
          expect(values.select("a", a).select("c", 0).toNested()).toEqual(order.slice(0, k).map((i) => row[i]));
        }
      },
    ),
    runs(4, 200),
  );
  expectClose(topK(x, "head", 1).values.select("head", 0), max(x, "head"), {});
  expect(refusal(() => topK(x, "head", 4))).toContain("k is 4, but [pos=2 head=3 d_head=2] has 3 along head.");
  expect(refusal(() => topK(x, "head", 0.5))).toContain("k is 0.5");
});

test("a diagonal holds the pairs of its offset", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      (rows, columns, isPermuted) => {
        const made = randomNormal("q h k", [rows, 2, columns], { seed: 1 });
        const t = (isPermuted ? made.permute("k q h") : made) as Tensor;
        for (let offset = 1 - columns; offset < rows; offset++) {
          const along = (diagonal(t, "q", "k", offset) as Tensor<"q h">).select("h", 1).toNested();
          const expected: number[] = [];
          for (let q = 0; q < rows; q++)
            if (q - offset >= 0 && q - offset < columns) expected.push(made.at(q, 1, q - offset));
          expect(along).toEqual(expected);
        }
        expect(refusal(() => diagonal(t, "q", "k", rows))).toContain(`it takes ${1 - columns} to ${rows - 1}`);
      },
    ),
    runs(5, 40),
  );
  expect(refusal(() => diagonal(x, "pos", "pos"))).toContain("name two axes");
  expect(refusal(() => diagonal(x, "pos", "head", 0.5))).toContain("has the offset 0.5");
});

test("reshape keeps the order of the numbers, of a permuted view its own", () => {
  expect(reshape(x, "pos rest", [2, -1]).select("pos", 1).toNested()).toEqual([7, 8, 9, 10, 11, 12]);
  expect(reshape(x.permute("head pos d_head"), "all", [12]).toNested()).toEqual([
    1, 2, 7, 8, 3, 4, 9, 10, 5, 6, 11, 12,
  ]);
  expect(reshape(x.select("pos", 1), "a b", [2, 3]).at(1, 0)).toBe(10);
  expect(reshape(Tensor.from("a", [1], [3]), "", []).item()).toBe(3);
  for (const shape of [[5], [-1, 5], [-1, -1], [2.5], [-2, -6]]) {
    expect(refusal(() => reshape(x, "all more".slice(0, shape.length === 1 ? 3 : 8), shape))).toContain(
      "ShapeError: reshape:",
    );
  }
});

test("numbers stand on the left too", () => {
  expect(subtract(1, x).at(1, 2, 0)).toBe(-10);
  expect(divide(12, x).at(0, 1, 1)).toBe(3);
  expect(add(1, x).toNested()).toEqual(add(x, 1).toNested());
  expect(multiply(2, x).toNested()).toEqual(multiply(x, 2).toNested());
  expect(subtract(0.1, Tensor.from("pos", [1], new Float64Array([0.3]))).at(0)).toBe(0.1 - 0.3);
  expect(subtract(1, Tensor.from("pos", [1], [3], "int32")).dtype).toBe("float32");
  expect(refusal(() => subtract(1, 2 as never))).toContain("b is 2, not a Tensor");
});
