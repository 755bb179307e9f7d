import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseSafetensors, writeSafetensors } from "../../../src/io/index.ts";
import { readSafetensors } from "../../support/tensors.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { errorOf } from "../bytes.ts";

type FloatDType = "F32" | "F16" | "BF16";

/** The stored bits of numbers, as a DataView reads them. */
function bitsOf(values: readonly number[], dtype: FloatDType, from: "float32" | "float64" = "float64"): number[] {
  const bytes = writeSafetensors(new Map([["x", Tensor.from("a", [values.length], values, from)]]), { dtype });
  const { byteOffset } = parseSafetensors(bytes).tensors.get("x") ?? { byteOffset: 0 };
  const view = new DataView(bytes.buffer);
  return values.map((_, i) =>
    dtype === "F32" ? view.getUint32(byteOffset + 4 * i, true) : view.getUint16(byteOffset + 2 * i, true),
  );
}

test("the bytes of a file, written out", () => {
  const bytes = writeSafetensors(new Map([["x", Tensor.from("a", [2], [1, -2])]]), { dtype: "F16" });
  const header = '{"x":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}';
  expect([...bytes.subarray(0, 8)]).toEqual([56, 0, 0, 0, 0, 0, 0, 0]);
  expect(new TextDecoder().decode(bytes.subarray(8, 64))).toBe(header.padEnd(56));
  expect([...bytes.subarray(64)]).toEqual([0x00, 0x3c, 0x00, 0xc0]);
});

test("metadata, shapes, several element types and views come back; wide elements lie first", () => {
  const matrix = Tensor.from("a b", [2, 3], [1, 2, 3, 4, 5, 6]);
  const bytes = writeSafetensors(
    new Map<string, Tensor>([
      ["transposed", matrix.permute("b a")],
      ["ids", Tensor.from("a", [2], [-5, 7], "int32")],
      ["scalar", Tensor.from("", [], [0.5])],
      ["none", Tensor.zeros("a b", [0, 4])],
      ['weird "name" \u2192', Tensor.from("a", [1], [1])],
    ]),
    { dtype: "BF16", metadata: { format: "pt", note: 'a "quoted" \u2192' } },
  );
  const file = parseSafetensors(bytes);
  expect([...file.metadata]).toEqual([
    ["format", "pt"],
    ["note", 'a "quoted" \u2192'],
  ]);
  expect([...file.tensors.keys()][0]).toBe("ids");
  expect(file.read("transposed").toNested()).toEqual([
    [1, 4],
    [2, 5],
    [3, 6],
  ]);
  expect(file.read("ids").toNested()).toEqual([-5, 7]);
  expect(file.read("scalar").item()).toBe(0.5);
  expect(file.read("none").shape).toEqual([0, 4]);
  expect(file.read('weird "name" \u2192').toNested()).toEqual([1]);
});

describe("numbers are rounded once, to the nearest, ties to even", () => {
  const ulp = 2 ** -10;
  test.each([
    ["a tie to the even number below", 1 + ulp / 2, 0x3c00],
    ["a tie to the even number above", 1 + 1.5 * ulp, 0x3c02],
    ["just above a tie, by less than float32 holds", 1 + ulp / 2 + 2 ** -40, 0x3c01],
    ["just below a tie, by less than float32 holds", 1 + 1.5 * ulp - 2 ** -40, 0x3c01],
    ["a carry into the next exponent", 2 - ulp / 4, 0x4000],
    ["the largest before overflow", 65519.99, 0x7bff],
    ["subnormal, exact", 3 * 2 ** -24, 0x0003],
    ["subnormal tie to even, up", 1.5 * 2 ** -24, 0x0002],
    ["subnormal tie to even, down", 2.5 * 2 ** -24, 0x0002],
    ["subnormal that rounds to the smallest normal", 1023.5 * 2 ** -24, 0x0400],
    ["half the smallest subnormal, a tie to zero", 2 ** -25, 0x0000],
    ["just above half the smallest subnormal", 2 ** -25 * 1.0001, 0x0001],
    ["a float64 subnormal", 5e-324, 0x0000],
    ["a negative that rounds to zero keeps its sign", -1e-9, 0x8000],
    ["negative zero", -0, 0x8000],
    ["infinity", Infinity, 0x7c00],
    ["minus infinity", -Infinity, 0xfc00],
    ["NaN", NaN, 0x7e00],
  ])("F16: %s", (_, value, bits) => {
    expect(bitsOf([value], "F16")).toEqual([bits]);
  });

  test.each([
    ["a tie to even, down", 1 + 2 ** -8, 0x3f80],
    ["a tie to even, up", 1 + 3 * 2 ** -8, 0x3f82],
    ["just above a tie, by less than float32 holds", 1 + 2 ** -8 + 2 ** -40, 0x3f81],
    ["pi", Math.PI, 0x4049],
    ["the largest before overflow", 3.3961775e38, 0x7f7f],
    ["the smallest subnormal", 2 ** -133, 0x0001],
    ["half of it, a tie to zero", 2 ** -134, 0x0000],
    ["minus infinity", -Infinity, 0xff80],
    ["NaN", NaN, 0x7fc0],
  ])("BF16: %s", (_, value, bits) => {
    expect(bitsOf([value], "BF16")).toEqual([bits]);
  });

  test("F32 of float64 is Math.fround", () => {
    expect(bitsOf([0.1, 1 + 2 ** -24, -0], "F32")).toEqual([0x3dcccccd, 0x3f800000, 0x80000000]);
  });

  test("every finite 16-bit pattern survives reading and writing, in both formats", () => {
    for (const [dtype, infinity] of [
      ["F16", 0x7c00],
      ["BF16", 0x7f80],
    ] as const) {
      const patterns = Array.from({ length: 0x10000 }, (_, i) => i).filter((b) => (b & 0x7fff) <= infinity);
      const header = `{"x":{"dtype":"${dtype}","shape":[${patterns.length}],"data_offsets":[0,${2 * patterns.length}]}}`;
      const file = new Uint8Array(8 + header.length + 2 * patterns.length);
      const view = new DataView(file.buffer);
      view.setBigUint64(0, BigInt(header.length), true);
      file.set(new TextEncoder().encode(header), 8);
      patterns.forEach((bits, i) => view.setUint16(8 + header.length + 2 * i, bits, true));
      const values = [...(readSafetensors(file).get("x")?.data ?? [])];
      expect(bitsOf(values, dtype, "float32")).toEqual(patterns);
    }
  });

  test("no other F16 number is nearer: 2,000 doubles of seed 5 against their neighbours", () => {
    const valueOf = (bits: number): number => {
      const [sign, exponent, mantissa] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
      return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25));
    };
    fc.assert(
      fc.property(fc.double({ min: -65000, max: 65000, noNaN: true }), (x) => {
        const [bits = 0] = bitsOf([x], "F16");
        const error = Math.abs(valueOf(bits) - x);
        for (const neighbour of [bits - 1, bits + 1]) {
          if ((neighbour & 0x7fff) >= 0x7c00 || neighbour < 0) continue;
          const other = Math.abs(valueOf(neighbour) - x);
          expect(error < other || (error === other && bits % 2 === 0)).toBe(true);
        }
      }),
      { seed: 5, numRuns: 2000 },
    );
  });
});

describe("refusals", () => {
  const write = (value: number, dtype: FloatDType): (() => unknown) => {
    const weights = new Map([["W", Tensor.from("a", [2], [0, value], "float64")]]);
    return () => writeSafetensors(weights, { dtype });
  };

  test.each([
    [65520, "F16", 'Write "BF16" or "F32".'],
    [-1e6, "F16", 'Write "BF16" or "F32".'],
    [3.3961776e38, "BF16", "Scale the tensor."],
    [3.40282357e38, "F32", "Scale the tensor."],
    [-1e300, "F32", "Scale the tensor."],
  ] as const)("%d as %s would become infinite", (value, dtype, fix) => {
    expect(errorOf(write(value, dtype))).toEqual({
      name: "InputError",
      message: `writeSafetensors: tensor "W", element 1: ${value} is too large for ${dtype} and would become infinite. ${fix}`,
    });
  });

  test("a tensor with the header's own key for a name", () => {
    expect(errorOf(() => writeSafetensors(new Map([["__metadata__", Tensor.zeros("a", [1])]])))).toEqual({
      name: "InputError",
      message: `writeSafetensors: a tensor cannot be called "__metadata__", the header's own key. Rename it.`,
    });
  });
});

test("tensors written as F32 are read bit for bit: 300 runs of seed 6", () => {
  const values = fc.float32Array({ maxLength: 20 });
  fc.assert(
    fc.property(fc.dictionary(fc.string(), values, { maxKeys: 4 }), (given) => {
      const tensors = new Map(
        Object.entries(given).map(([name, data]) => [name, Tensor.from("a", [data.length], data)]),
      );
      tensors.delete("__metadata__");
      const back = readSafetensors(writeSafetensors(tensors));
      expect([...back.keys()].sort()).toEqual([...tensors.keys()].sort());
      for (const [name, t] of tensors) expect([...(back.get(name)?.data ?? [])]).toEqual([...t.data]);
    }),
    { seed: 6, numRuns: 300 },
  );
});
