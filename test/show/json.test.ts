/** Values as JSON, and tensors back from it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openBundledModel } from "../../src/io/bundled.ts";
import { pathExpansion, virtualHead } from "../../src/paths/index.ts";
import { shownAs } from "../../src/show/index.ts";
import { sweep } from "../../src/interventions/index.ts";
import { InputError, ShapeError, Tensor, randomNormal } from "../../src/tensor/index.ts";
import type { TensorJSON } from "../../src/tensor/index.ts";
import { headGrid } from "../../src/viz/index.ts";

const { model, tokenizer } = await openBundledModel();
const back = (value: unknown): unknown => JSON.parse(JSON.stringify(value), Tensor.revive);

/** Tensors of up to 3 axes and 600 numbers of every dtype: on both sides of the 256 from which numbers are bytes. */
const tensors = fc
  .record({
    shape: fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 3 }),
    dtype: fc.constantFrom("float32", "float64", "int32"),
  })
  .chain(({ shape, dtype }) => {
    const size = shape.reduce((n, m) => n * m, 1);
    const number =
      dtype === "int32"
        ? fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
        : dtype === "float64"
          ? fc.double()
          : fc.float();
    const axes = shape.map((_, a) => `axis_${a}`).join(" ");
    return fc.array(number, { minLength: size, maxLength: size }).map((data) => Tensor.from(axes, shape, data, dtype));
  });

describe("a tensor as JSON", () => {
  test("comes back with its axes, its sizes, its dtype and every bit of its numbers", () => {
    fc.assert(
      fc.property(tensors, (t) => {
        const again = back(t) as Tensor;
        expect(again).toBeInstanceOf(Tensor);
        expect([again.axes, again.shape, again.dtype]).toEqual([t.axes, t.shape, t.dtype]);
        // Object.is: NaN is NaN, and a zero keeps its sign.
        expect(Array.from(again.data).every((x, i) => Object.is(x, t.data[i]))).toBe(true);
      }),
      { seed: 15, numRuns: 200 },
    );
  });

  test("has the digits that a person would write", () => {
    expect(JSON.stringify(Tensor.from("pos", [4], [0.1, 1 / 3, NaN, -Infinity]))).toBe(
      '{"type":"Tensor","axes":"pos","shape":[4],"dtype":"float32","data":[0.1,0.33333334,"NaN","-Infinity"]}',
    );
  });

  test("of many numbers is less than 6 characters a number", () => {
    const text = JSON.stringify(randomNormal("pos d_model", [100, 100], { seed: 1 }));
    expect(text.length).toBeLessThan(60_000);
    expect(text).toContain('"data":"');
    // The first float32 of 1, 2, 3, … is 00 00 80 3f: base64 of it begins AACAP.
    const counted = Tensor.from(
      "pos",
      [300],
      Array.from({ length: 300 }, (_, i) => i + 1),
    );
    expect(counted.toJSON().data).toMatch(/^AACAPwAAAEAAAEBA/);
  });

  test("of a view is of what it views alone", () => {
    const t = randomNormal("pos d_model", [40, 40], { seed: 1 });
    const view = t.permute("d_model pos").slice("pos", 3, 5).select("d_model", 1);
    expect((back(view) as Tensor).toNested()).toEqual([t.at(3, 1), t.at(4, 1)]);
  });

  test("inside results comes back too", () => {
    const scores = { head: "L1H4", rise: Tensor.fromNested("layer head", [[NaN, 2]]), clean: 3 };
    const again = back(scores) as typeof scores;
    expect(again.head).toBe("L1H4");
    expect(again.rise.at(0, 0)).toBeNaN();
    expect(again.rise.at(0, 1)).toBe(2);
  });

  test.each<[string, unknown, string]>([
    ["text that is not parsed", '{"type":"Tensor"}', "Parse it first: Tensor.fromJSON(JSON.parse(text))"],
    ["a promise", Promise.resolve(1), "json is a Promise, not what tensor.toJSON() gives. Write await"],
    ["something else", { axes: "pos" }, "json is an object, not what tensor.toJSON() gives"],
    ["null", null, "json is null"],
    [
      "a number's name that is none",
      { type: "Tensor", axes: "pos", shape: [1], dtype: "float32", data: ["one"] },
      'element 0 of data is "one", not a number',
    ],
    [
      "a hole",
      { type: "Tensor", axes: "pos", shape: [1], dtype: "float32", data: [null] },
      "element 0 of data is null, not a number",
    ],
    [
      "text that is not base64",
      { type: "Tensor", axes: "pos", shape: [1], dtype: "float32", data: "§" },
      "data is a text, but not base64",
    ],
    [
      "a dtype that there is not",
      { type: "Tensor", axes: "pos", shape: [1], dtype: "float16", data: [1] },
      'there is no dtype "float16"',
    ],
  ])("%s is refused", (_, json, text) => {
    expect(() => Tensor.fromJSON(json as TensorJSON)).toThrow(InputError);
    expect(() => Tensor.fromJSON(json as TensorJSON)).toThrow(text);
  });

  test("numbers that do not fill the shape are refused, as digits and as bytes", () => {
    const json = { type: "Tensor", axes: "pos", shape: [3], dtype: "float32" } as const;
    for (const data of [[1, 2], "AACAPw=="]) {
      expect(() => Tensor.fromJSON({ ...json, data })).toThrow(ShapeError);
    }
    expect(() => Tensor.fromJSON({ ...json, shape: [1], data: "AACA" })).toThrow(InputError);
  });
});

describe("what is not a tensor, as JSON", () => {
  test.each<[string, () => unknown, unknown]>([
    ["a head is its place", () => model.head("L1H4"), { type: "AttentionHead", layer: 1, head: 4 }],
    [
      "a map is its ends",
      () => model.head("L1H4").W_OV,
      { type: "Linear", in: "d_model", out: "d_model", rows: 128, cols: 128, rank: 16 },
    ],
    [
      "a virtual head is its heads",
      () => virtualHead(model, ["L0H5", "L1H4"]),
      {
        type: "VirtualHead",
        heads: [
          { layer: 0, head: 5 },
          { layer: 1, head: 4 },
        ],
      },
    ],
    ["a tokenizer", () => tokenizer, { type: "Tokenizer", vocabSize: 1024, bos: 0 }],
    [
      "a figure",
      () => headGrid({ values: [[1, 2]], title: "Scores" }),
      expect.objectContaining({ type: "Figure", kind: "headGrid", label: "Scores" }),
    ],
    [
      "a term",
      () => pathExpansion(model, [0, 5, 6]).terms.at(-1),
      {
        label: "L0H7→L1H7",
        kind: "path",
        source: "direct",
        path: [
          { layer: 0, head: 7 },
          { layer: 1, head: 7 },
        ],
        order: 2,
      },
    ],
    [
      "a cache is its names",
      () => model.run([0, 5], { cache: ["hook_embed"] }).cache,
      { type: "ActivationCache", names: ["hook_embed"] },
    ],
    ["a layer is its title", () => model.layer(0), "AttentionLayer 0 of 8 heads"],
  ])("%s", (_, make, expected) => {
    expect(JSON.parse(JSON.stringify(make()))).toEqual(expected);
  });

  test("a model is its configuration, not its weights", () => {
    const json = JSON.parse(JSON.stringify(model)) as { config: unknown };
    expect(json).toEqual({ type: "Transformer", config: model.config, parameterCount: 411_648, notes: model.notes });
    expect(JSON.stringify({ model, tokenizer }).length).toBeLessThan(1000);
  });

  test("a head and heads found are references that a model takes back", () => {
    const head = model.head("L1H4");
    expect(model.head(JSON.parse(JSON.stringify(head)) as { layer: number; head: number })).toBe(head);
  });
});

describe("numbers that JSON has not", () => {
  const odd = fc.constantFrom(NaN, Infinity, -Infinity);
  const number = fc.oneof(odd, fc.double());
  /** What a reader makes of what was written. */
  const read = (value: unknown): number => Number(value);

  test("are texts in plain results, at any depth, and come back by Number", () => {
    const result = fc.record({
      a: number,
      list: fc.array(fc.record({ value: number, name: fc.string() })),
      typed: fc.array(number).map((list) => Float64Array.from(list)),
    });
    fc.assert(
      fc.property(result, (one) => {
        const shown = shownAs(one, () => ({ title: "a result" }));
        const again = JSON.parse(JSON.stringify({ shown })) as {
          shown: { a: unknown; list: { value: unknown; name: string }[]; typed: unknown[] };
        };
        // JSON has no negative zero; the sign of zero is not kept here
        const same = (x: unknown, y: number): boolean => read(x) === y || (Number.isNaN(read(x)) && Number.isNaN(y));
        expect(same(again.shown.a, one.a)).toBe(true);
        expect(
          again.shown.list.every(
            ({ value, name }, i) => same(value, one.list[i]?.value ?? 0) && name === one.list[i]?.name,
          ),
        ).toBe(true);
        expect(again.shown.typed.every((x, i) => same(x, one.typed[i] ?? 0))).toBe(true);
        expect([again.shown.list.length, again.shown.typed.length]).toEqual([one.list.length, one.typed.length]);
        expect(JSON.stringify(shown)).not.toContain("null");
      }),
      { seed: 5, numRuns: 60 },
    );
  });

  test.each([NaN, Infinity, -Infinity])("are texts in a sweep: %d", (value) => {
    const metric = (): number => value;
    const made = sweep(model, [1, 2, 3], { at: "z", over: "layer head", put: "zero", metric });
    const json = JSON.parse(JSON.stringify(made)) as { base: string; values: { data: string[] } };
    expect(json.base).toBe(String(value));
    expect(new Set(json.values.data)).toEqual(new Set([String(value)]));
  });

  test("tensors in a plain result write themselves", () => {
    const shown = shownAs({ t: Tensor.from("pos", [2], [NaN, 1]), score: NaN }, () => ({ title: "a result" }));
    expect(JSON.stringify(shown)).toBe(
      '{"t":{"type":"Tensor","axes":"pos","shape":[2],"dtype":"float32","data":["NaN",1]},"score":"NaN"}',
    );
  });
});
