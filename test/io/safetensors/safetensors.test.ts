import { describe, expect, test } from "vitest";
import { parseSafetensors } from "../../../src/io/index.ts";
import { readSafetensors } from "../../support/tensors.ts";
import { errorOf, fileOf, headerOf, vectorOf } from "../bytes.ts";
import { expectedState, fixture } from "../formats.ts";

const little = (bits: readonly number[]): number[] => bits.flatMap((b) => [b & 0xff, b >> 8]);
const bytesOf = (view: { readonly buffer: ArrayBufferLike }): Uint8Array => new Uint8Array(view.buffer);
const dataOf = (file: Uint8Array): number[] => [...(readSafetensors(file).get("x")?.data ?? [])];

describe("parseSafetensors lists a file without decoding it", () => {
  const header =
    '{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[2,10]},"a":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}';
  const file = parseSafetensors(fileOf(header, [0, 0x3c, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]), { name: "m.safetensors" });

  test("tensors in the order of their data, with places in the file", () => {
    const start = 8 + header.length;
    expect(file.name).toBe("m.safetensors");
    expect([...file.tensors]).toEqual([
      ["a", { dtype: "F16", shape: [], byteOffset: start, byteLength: 2 }],
      ["b", { dtype: "F32", shape: [2], byteOffset: start + 2, byteLength: 8 }],
    ]);
    expect([...file.metadata]).toEqual([["format", "pt"]]);
  });

  test("single tensors are read, with axes where given", () => {
    expect(file.read("a").item()).toBe(1);
    expect(file.read("b", { axes: "d_vocab" }).toString()).toBe("Tensor[d_vocab=2] float32");
    expect(file.read("b").axes).toBe("dim0");
    expect([...file.read("b").data]).toEqual([1, -2]);
  });

  test("a tensor that is not there", () => {
    expect(errorOf(() => file.read("c"))).toEqual({
      name: "InputError",
      message: 'parseSafetensors: there is no tensor "c" in m.safetensors; it holds a, b.',
    });
    const many = Object.fromEntries(
      Array.from({ length: 10 }, (_, i) => [`t${i}`, { dtype: "U8", shape: [0], data_offsets: [0, 0] }]),
    );
    expect(errorOf(() => parseSafetensors(fileOf(JSON.stringify(many))).read("c")).message).toBe(
      'parseSafetensors: there is no tensor "c" in the safetensors file; it holds t0, t1, t2, t3, t4, t5, t6, t7, … (10 in all).',
    );
    expect(errorOf(() => parseSafetensors(fileOf("{}")).read("c")).message).toContain("it holds none.");
  });

  test("spaces after the header are padding", () => {
    expect(dataOf(fileOf(`${headerOf("U8", "[2]", "[0,2]")}     `, [3, 4]))).toEqual([3, 4]);
  });

  test("an empty tensor, an empty file of tensors and a key constructor", () => {
    expect(dataOf(fileOf(headerOf("F32", "[0,3]", "[0,0]")))).toEqual([]);
    expect(readSafetensors(fileOf("{}")).size).toBe(0);
    const named = readSafetensors(fileOf('{"constructor":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', [7]));
    expect(named.get("constructor")?.at(0)).toBe(7);
  });
});

test("every element type that the safetensors library writes", () => {
  const file = parseSafetensors(fixture("dtypes.safetensors"));
  expect(new Set([...file.tensors.values()].map(({ dtype }) => dtype)).size).toBe(13);
  expect(file.metadata.get("format")).toBe("pt");
  const state = expectedState();
  for (const name of file.tensors.keys()) {
    if (/^u(16|32|64)$/.test(name)) continue;
    expect([...file.read(name, isDouble(name)).data], name).toEqual([...state.read(name, isDouble(name)).data]);
  }
  expect(file.read("u16").toNested()).toEqual([0, 1, 2 ** 15]);
  expect(file.read("u32", { dtype: "float64" }).toNested()).toEqual([0, 1, 2 ** 31]);
  expect(file.read("u64", { dtype: "float64" }).toNested()).toEqual([0, 1, 2 ** 53 - 1]);
  expect(errorOf(() => file.read("u32")).message).toContain("is 2147483648, which does not fit int32.");
});

const isDouble = (name: string): { dtype?: "float64" } => (name === "f64" ? { dtype: "float64" } : {});

describe("elements are decoded exactly", () => {
  test.each([
    ["zero", 0x0000, 0],
    ["negative zero", 0x8000, -0],
    ["the smallest subnormal, 2^-24", 0x0001, 2 ** -24],
    ["the largest subnormal, 1023 · 2^-24", 0x03ff, 1023 * 2 ** -24],
    ["the smallest normal, 2^-14", 0x0400, 2 ** -14],
    ["a third, 1365 · 2^-12", 0x3555, 1365 / 4096],
    ["one", 0x3c00, 1],
    ["the number after one", 0x3c01, 1 + 2 ** -10],
    ["minus two", 0xc000, -2],
    ["the largest, 65504", 0x7bff, 65504],
    ["infinity", 0x7c00, Infinity],
    ["minus infinity", 0xfc00, -Infinity],
    ["a quiet NaN", 0x7e00, NaN],
    ["a signalling NaN", 0xfc01, NaN],
  ])("F16 %s", (_, bits, value) => {
    expect(dataOf(vectorOf("F16", 1, little([bits])))).toEqual([value]);
  });

  test.each([
    ["negative zero", 0x8000, -0],
    ["the smallest subnormal, 2^-133", 0x0001, 2 ** -133],
    ["the largest subnormal, 127 · 2^-133", 0x007f, 127 * 2 ** -133],
    ["the smallest normal, 2^-126", 0x0080, 2 ** -126],
    ["one", 0x3f80, 1],
    ["pi, 201 / 64", 0x4049, 201 / 64],
    ["minus two", 0xc000, -2],
    ["the largest, 255 · 2^120", 0x7f7f, 255 * 2 ** 120],
    ["infinity", 0x7f80, Infinity],
    ["minus infinity", 0xff80, -Infinity],
    ["NaN", 0x7fc0, NaN],
  ])("BF16 %s", (_, bits, value) => {
    expect(dataOf(vectorOf("BF16", 1, little([bits])))).toEqual([value]);
  });

  test("every BF16 pattern is the upper half of the float32 with that pattern", () => {
    const bits = Array.from({ length: 0x10000 }, (_, i) => i);
    const float32 = new Float32Array(Uint32Array.from(bits, (b) => b * 0x10000).buffer);
    expect(dataOf(vectorOf("BF16", bits.length, little(bits)))).toEqual([...float32]);
  });

  test.each([
    ["F64", bytesOf(Float64Array.of(0.1, -1e-300, Infinity)), [Math.fround(0.1), -0, Infinity]],
    ["F32", bytesOf(Float32Array.of(0.1, -0, NaN)), [Math.fround(0.1), -0, NaN]],
    ["I64", bytesOf(BigInt64Array.of(-1n, 2147483647n, -2147483648n)), [-1, 2147483647, -2147483648]],
    ["I32", bytesOf(Int32Array.of(-1, 2147483647, 5)), [-1, 2147483647, 5]],
    ["I16", bytesOf(Int16Array.of(-32768, 32767, 5)), [-32768, 32767, 5]],
    ["I8", bytesOf(Int8Array.of(-128, 127, 5)), [-128, 127, 5]],
    ["U8", Uint8Array.of(255, 128, 5), [255, 128, 5]],
    ["BOOL", Uint8Array.of(0, 1, 1), [0, 1, 1]],
  ])("%s", (dtype, data, values) => {
    const t = readSafetensors(vectorOf(dtype, 3, data)).get("x");
    expect([...(t?.data ?? [])]).toEqual(values);
    expect(t?.dtype).toBe(dtype.startsWith("F") ? "float32" : "int32");
  });

  test("float64 on request, whatever is stored", () => {
    const read = (bytes: Uint8Array): number[] => [...parseSafetensors(bytes).read("x", { dtype: "float64" }).data];
    expect(read(vectorOf("F64", 2, bytesOf(Float64Array.of(0.1, 1e300))))).toEqual([0.1, 1e300]);
    expect(read(vectorOf("F16", 1, little([0x3c01])))).toEqual([1 + 2 ** -10]);
    expect(read(vectorOf("I64", 1, bytesOf(BigInt64Array.of(2n ** 53n - 1n))))).toEqual([2 ** 53 - 1]);
  });

  test("integers as float32 on request", () => {
    expect([...parseSafetensors(vectorOf("U8", 2, [1, 255])).read("x", { dtype: "float32" }).data]).toEqual([1, 255]);
  });

  test("data at every alignment are the same, also in a Buffer", () => {
    const values = Float64Array.of(1.5, -2.25);
    for (let pad = 0; pad < 8; pad++) {
      const file = fileOf(headerOf("F64", "[2]", "[0,16]") + " ".repeat(pad), bytesOf(values));
      for (let shift = 0; shift < 8; shift++) {
        const moved = new Uint8Array(file.length + shift);
        moved.set(file, shift);
        expect(dataOf(moved.subarray(shift))).toEqual([1.5, -2.25]);
        expect(dataOf(Buffer.from(moved.buffer, shift))).toEqual([1.5, -2.25]);
      }
    }
  });

  test("an ArrayBuffer and shared memory are read too", () => {
    const file = vectorOf("U8", 2, [3, 4]);
    expect([...(readSafetensors(file.slice().buffer).get("x")?.data ?? [])]).toEqual([3, 4]);
    const shared = new Uint8Array(new SharedArrayBuffer(file.length));
    shared.set(file);
    expect(dataOf(shared)).toEqual([3, 4]);
  });
});

describe("elements that do not fit are refused, with their place", () => {
  const start = (dtype: string, bytes: number): number => 8 + headerOf(dtype, "[2]", `[0,${bytes}]`).length;
  const text = (call: () => unknown): string => errorOf(call).message;

  test("an I64 beyond int32, and beyond 2^53", () => {
    const file = vectorOf("I64", 2, bytesOf(BigInt64Array.of(1n, 2147483648n)));
    expect(errorOf(() => readSafetensors(file, { name: "m" }))).toEqual({
      name: "FormatError",
      message: `parseSafetensors: m, tensor "x": element 1, at offset ${start("I64", 16) + 8}, is 2147483648, which does not fit int32. Ask for dtype "float64".`,
    });
    const large = parseSafetensors(vectorOf("I64", 2, bytesOf(BigInt64Array.of(1n, 2n ** 53n))));
    expect(text(() => large.read("x", { dtype: "float64" }))).toBe(
      `parseSafetensors: the safetensors file, tensor "x": element 1, at offset ${start("I64", 16) + 8}, is 9007199254740992, which does not fit float64. Integers up to 2^53 can be read.`,
    );
  });

  test("a finite F64 beyond float32", () => {
    expect(text(() => readSafetensors(vectorOf("F64", 2, bytesOf(Float64Array.of(1e39, 0)))))).toContain(
      `element 0, at offset ${start("F64", 16)}, is 1e+39, which does not fit float32. Ask for dtype "float64".`,
    );
  });

  test("a BOOL that is neither 0 nor 1", () => {
    expect(text(() => readSafetensors(vectorOf("BOOL", 2, [1, 2])))).toContain(
      "is 2, which does not fit int32. A BOOL is a byte 0 or 1.",
    );
  });

  test("floating-point numbers as int32", () => {
    expect(text(() => parseSafetensors(vectorOf("F16", 1, [0, 0])).read("x", { dtype: "int32" }))).toBe(
      'parseSafetensors: the safetensors file, tensor "x": it holds F16 and cannot be read as int32. Read it as float32 or float64.',
    );
  });
});
