import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Tensor } from "../../src/tensor/index.ts";

const numbered = (axes: string, shape: number[]): Tensor =>
  Tensor.from(
    axes,
    shape,
    Float32Array.from({ length: shape.reduce((p, n) => p * n, 1) }, (_, i) => i),
  );

function caught(f: () => unknown): Error {
  try {
    f();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

describe("Tensor", () => {
  it("reads elements at offset + Σ index · stride", () => {
    const t = numbered("batch pos d_model", [2, 3, 4]);
    expect(t.at(1, 2, 3)).toBe(23);
    expect(t.at(1, 0, 2)).toBe(14);
    expect(t.strides).toEqual([12, 4, 1]);
  });

  it("takes typed arrays without copying and other numbers as float32", () => {
    const data = new Float64Array([1, 2]);
    expect(Tensor.from("pos", [2], data).storage).toBe(data);
    expect(Tensor.from("pos", [2], [0.1, 2]).at(0)).toBe(Math.fround(0.1));
    expect(Tensor.from("pos", [2], data, "int32").dtype).toBe("int32");
  });

  it("has views that share storage", () => {
    const t = numbered("batch pos d_model", [2, 3, 4]);
    const row = t.select("batch", 1).select("pos", 2);
    expect(row.storage).toBe(t.storage);
    expect(row.toNested()).toEqual([20, 21, 22, 23]);
    expect(t.slice("pos", 1, 2).toNested()).toEqual([[[4, 5, 6, 7]], [[16, 17, 18, 19]]]);
    expect(t.slice("pos", 3).size).toBe(0);
  });

  it("permutes by name", () => {
    const t = numbered("a b c", [2, 3, 4]);
    const p = t.permute("c a b");
    expect(p.shape).toEqual([4, 2, 3]);
    for (let i = 0; i < 2; i++)
      for (let j = 0; j < 3; j++) for (let k = 0; k < 4; k++) expect(p.at(k, i, j)).toBe(t.at(i, j, k));
  });

  it("renames one axis and keeps the numbers", () => {
    const t = numbered("pos d_model", [2, 2]).rename("pos", "query_pos");
    expect(t.axes).toBe("query_pos d_model");
    expect(t.toNested()).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  it("gives contiguous data of any chain of views equal to reading element by element (seeded)", () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
        fc.constantFrom("a b c", "a c b", "b a c", "b c a", "c a b", "c b a"),
        fc.nat(3),
        (shape, order, start) => {
          const t = numbered("a b c", shape).permute(order);
          const sliced = t.slice("b", Math.min(start, t.sizeOf("b")), t.sizeOf("b"));
          const [n0 = 0, n1 = 0, n2 = 0] = sliced.shape;
          const read: number[] = [];
          for (let i = 0; i < n0; i++)
            for (let j = 0; j < n1; j++) for (let k = 0; k < n2; k++) read.push(sliced.at(i, j, k));
          expect(Array.from(sliced.data)).toEqual(read);
        },
      ),
      { seed: 11, numRuns: 200 },
    );
  });

  it("holds scalars and empty tensors", () => {
    expect(Tensor.from("", [], [7]).item()).toBe(7);
    expect(Tensor.from("", [], [7]).toNested()).toBe(7);
    expect(Tensor.zeros("pos d_model", [0, 3]).toNested()).toEqual([]);
  });

  it("prints axes, sizes and dtype", () => {
    expect(String(Tensor.zeros("pos d_model", [5, 64]))).toBe("Tensor[pos=5 d_model=64] float32");
  });

  it("reads strides of any sign and zero strides as a view", () => {
    const data = Float32Array.of(1, 2, 3);
    expect(Tensor.view("pos", data, { shape: [3], strides: [-1], offset: 2 }).toNested()).toEqual([3, 2, 1]);
    expect(Tensor.view("head pos", data, { shape: [2, 3], strides: [0, 1], offset: 0 }).toNested()).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });
});

describe("errors of Tensor", () => {
  const t = numbered("pos d_model", [2, 3]);
  const cases: [string, () => unknown, string, string][] = [
    [
      "wrong length",
      () => Tensor.from("pos", [3], [1, 2]),
      "ShapeError",
      'Tensor.from: axes "pos" of shape [3] hold 3 numbers but 2 were given.',
    ],
    [
      "wrong rank",
      () => Tensor.from("pos", [1, 1], [1]),
      "AxisError",
      'Tensor.from: axes "pos" name 1 axes but the shape [1, 1] has 2.',
    ],
    [
      "repeated axis",
      () => Tensor.zeros("pos pos", [1, 1]),
      "AxisError",
      'Tensor.from: axis "pos" appears twice in "pos pos". Rename one of them, as in "query_pos key_pos".',
    ],
    [
      "malformed axes",
      () => Tensor.zeros("pos  d", [1, 1]),
      "AxisError",
      'Tensor.from: "pos  d" is not a list of axis names: "" is not a name. Write names separated by single spaces, as in "batch pos d_model".',
    ],
    [
      "axes that are no text",
      () => Tensor.zeros(7 as unknown as "pos", [1]),
      "AxisError",
      'Tensor.from: axes are 7. Write names separated by single spaces, as in "batch pos d_model".',
    ],
    [
      "more than can be stored",
      () => Tensor.zeros("pos d_model", [2 ** 31, 2 ** 31]),
      "ShapeError",
      "Tensor.zeros: a tensor of shape [2147483648, 2147483648] would hold 4611686018427388000 numbers, more than 2^32 - 1.",
    ],
    [
      "a fraction as int32",
      () => Tensor.from("pos", [2], [1, 2.5], "int32"),
      "InputError",
      "Tensor.from: 2.5 at element 1 is no int32 number.",
    ],
    [
      "NaN as int32",
      () => Tensor.from("pos", [1], [NaN], "int32"),
      "InputError",
      "Tensor.from: NaN at element 0 is no int32 number.",
    ],
    [
      "what int32 would wrap",
      () => Tensor.from("pos", [1], [2 ** 31], "int32"),
      "InputError",
      "Tensor.from: 2147483648 at element 0 is no int32 number.",
    ],
    [
      "negative size",
      () => Tensor.zeros("pos", [-1]),
      "ShapeError",
      "Tensor.zeros: [-1] is not a shape: -1 is not a non-negative integer.",
    ],
    [
      "ragged",
      () => Tensor.fromNested("pos d_model", [[1, 2], [3]]),
      "ShapeError",
      "Tensor.fromNested: the arrays are ragged: the first elements give the shape [2, 2] but another array at depth 1 differs.",
    ],
    [
      "too shallow",
      () => Tensor.fromNested("pos d_model", [1, 2]),
      "ShapeError",
      'Tensor.fromNested: axes "pos d_model" name 2 axes but the array is nested 1 deep.',
    ],
    [
      "unknown axis",
      () => (t as Tensor).select("head", 0),
      "AxisError",
      'select: there is no axis "head" in [pos=2 d_model=3]; it has axes "pos", "d_model".',
    ],
    [
      "unknown axis of sizeOf",
      () => (t as Tensor).sizeOf("head"),
      "AxisError",
      'sizeOf: there is no axis "head" in [pos=2 d_model=3]; it has axes "pos", "d_model".',
    ],
    [
      "index out of range",
      () => t.at(2, 0),
      "InputError",
      'at: index 2 is outside axis "pos" of [pos=2 d_model=3]; it takes -2 to 1.',
    ],
    [
      "negative index beyond the first",
      () => t.select("pos", -3),
      "InputError",
      'select: index -3 is outside axis "pos" of [pos=2 d_model=3]; it takes -2 to 1.',
    ],
    ["too few indices", () => t.at(0), "InputError", "at: [pos=2 d_model=3] needs 2 indices but 1 were given."],
    [
      "bad slice",
      () => t.slice("pos", 1, 3),
      "InputError",
      'slice: 1 to 3 is not a range of axis "pos" of [pos=2 d_model=3]; it takes -2 to 2.',
    ],
    [
      "bad permutation",
      () => (t as Tensor).permute("pos"),
      "AxisError",
      'permute: "pos" is not an order of the axes of [pos=2 d_model=3]. Name each axis once.',
    ],
    [
      "rename to a taken name",
      () => t.rename("pos", "d_model"),
      "AxisError",
      'rename: axis "d_model" appears twice in "d_model d_model". Rename one of them, as in "query_pos key_pos".',
    ],
    ["item of many", () => t.item(), "ShapeError", "item: [pos=2 d_model=3] has 6 elements, not one."],
    [
      "view outside its storage",
      () => Tensor.view("pos", new Float32Array(3), { shape: [2], strides: [3], offset: 0 }),
      "ShapeError",
      "Tensor.view: the view reaches elements 0 to 3 but the storage has 3. Check offset, shape and strides.",
    ],
    [
      "view with too few strides",
      () => Tensor.view("pos", new Float32Array(3), { shape: [2], strides: [], offset: 0 }),
      "ShapeError",
      "Tensor.view: 1 sizes need as many strides but 0 were given.",
    ],
  ];
  it.each(cases)("%s", (_, f, name, message) => {
    const error = caught(f);
    expect(error.name).toBe(name);
    expect(error.message).toBe(message);
  });
});
