import { readFileSync } from "node:fs";
import { zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { parseCheckpoint } from "../../../src/io/index.ts";
import { errorOf } from "../bytes.ts";
import { fixture, fixturePath } from "../formats.ts";

type Expected = readonly Expected[] | number | string | boolean;
const expected = JSON.parse(readFileSync(fixturePath("expected.json"), "utf8")) as Record<string, Expected>;
const flat = (value: Expected): number[] =>
  Array.isArray(value) ? (value as Expected[]).flatMap(flat) : [read(value)];
const read = (value: Expected): number =>
  typeof value === "string" ? ({ nan: NaN, inf: Infinity, "-inf": -Infinity }[value] ?? -0) : Number(value);

describe("arrays of NumPy", () => {
  test.each(["arrays.npz", "arrays-compressed.npz"])("%s", (name) => {
    const file = parseCheckpoint(fixture(name));
    expect(file.format).toBe("npz");
    expect([...file.tensors.keys()].sort()).toEqual(Object.keys(expected).sort());
    for (const [key, value] of Object.entries(expected)) {
      const tensor = file.read(key, key.startsWith("f8") ? { dtype: "float64" } : {});
      expect([...tensor.data], key).toEqual(flat(value));
    }
    expect(file.tensors.get("fortran")).toMatchObject({ dtype: "F32", shape: [2, 3, 4] });
    expect(file.read("fortran").at(1, 2, 3)).toBe(23);
    expect(file.read("scalar").at()).toBe(2.5);
    expect(file.tensors.get("u2_big")?.dtype).toBe("U16");
  });

  test("single files of every version of the header", () => {
    for (const version of [1, 2, 3]) {
      expect([...parseCheckpoint(fixture(`version${version}.npy`)).read("arr_0").data]).toEqual(
        flat(expected.f4 ?? []),
      );
    }
    const tensor = parseCheckpoint(fixture("fortran.npy")).read("arr_0", { axes: "layer head pos", dtype: "float64" });
    expect(tensor.toString()).toBe("Tensor[layer=2 head=3 pos=4] float64");
    expect([...tensor.data]).toEqual(flat(expected.fortran ?? []));
  });
});

/** An .npy file of a header text. */
function npy(header: string, data: ArrayLike<number> = [], version = 1): Uint8Array {
  const text = new TextEncoder().encode(header);
  return Uint8Array.from([
    0x93,
    ...new TextEncoder().encode("NUMPY"),
    version,
    0,
    text.length & 255,
    text.length >> 8,
    ...text,
    ...Array.from(data),
  ]);
}
const header = (descr: string, shape: string): string =>
  `{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }`;

function refusal(bytes: Uint8Array): string {
  const { name, message } = errorOf(() => parseCheckpoint(bytes, { name: "m" }).read("arr_0"));
  expect(name).toBe("FormatError");
  expect(message).toMatch(/^parseCheckpoint: m: /);
  return message.slice("parseCheckpoint: m: ".length);
}

describe("refused", () => {
  test("another format, a version of the future, a long or short header", () => {
    expect(refusal(new Uint8Array(3))).toContain("its format is not known.");
    expect(errorOf(() => parseCheckpoint(zipSync({ "a.npy": new Uint8Array(3) }))).message).toContain(
      'tensor "a": it does not begin as an .npy file, with "\\x93NUMPY". It is cut short or of another format.',
    );
    expect(refusal(npy("", [], 4))).toBe("version 4 of .npy files is not known.");
    expect(refusal(npy("", [255, 255], 2))).toBe("the header should have 4294901760 bytes; at most 65536 are read.");
    expect(refusal(npy("", [], 2))).toBe("the header is cut short.");
    expect(refusal(npy(header("'<f4'", "(1,)")).subarray(0, 40))).toMatch(
      /^the header should end at byte \d+\. It is cut short\.$/,
    );
  });

  test.each([
    ["'|O'", "it is an array of objects, which holds a pickle and is not read."],
    ["[('a', '<f4')]", "it is an array of records, which is not read. Save each field by itself."],
    [
      "'<c8'",
      'element type "<c8" is not one that is read; they are f8, f4, f2, i8, i4, i2, i1, u8, u4, u2, u1, b1 in either byte order.',
    ],
    [
      "'|f4'",
      'element type "|f4" is not one that is read; they are f8, f4, f2, i8, i4, i2, i1, u8, u4, u2, u1, b1 in either byte order.',
    ],
  ])("elements %s", (descr, what) => {
    expect(refusal(npy(header(descr, "(1,)"), [0, 0, 0, 0]))).toBe(what);
  });

  test.each([
    ["(2,)", 'shape [2] of "<f4" takes 8 bytes, but 4 follow the header, which ends at byte'],
    ["()", undefined],
    ["(4294967296, 4294967296)", 'shape [4294967296, 4294967296] of "<f4" takes more than 2^53 bytes, but 4 follow'],
    [`(${"1, ".repeat(33)})`, "it has 33 dimensions; at most 32 can be read."],
    ["(1, , 1)", "does not say descr, fortran_order and shape."],
    ["(-1,)", "is not valid at character"],
    ["3", "is not valid at character"],
  ])("shape %s", (shape, what) => {
    const bytes = npy(header("'<f4'", shape), [0, 0, 0, 0]);
    if (what === undefined) expect(parseCheckpoint(bytes).read("arr_0").at()).toBe(0);
    else expect(refusal(bytes)).toContain(what);
  });

  test("headers that are no such dict", () => {
    expect(refusal(npy("{}"))).toBe('the header "{}" does not say descr, fortran_order and shape.');
    expect(refusal(npy("{'descr': '<f4', 'descr': '<f4'}"))).toBe('the header has "descr" twice.');
    expect(refusal(npy("{'descr': __import__('os').system('true')}"))).toContain("is not valid at character 1.");
    expect(refusal(npy(`{${" ".repeat(60_000)}`))).toContain("does not say descr");
  });

  test("archives: another entry, a forbidden name, a wrong checksum", () => {
    const of = (bytes: Uint8Array, read?: string): string =>
      errorOf(() => {
        const file = parseCheckpoint(bytes, { name: "m" });
        if (read !== undefined) file.read(read);
      }).message;
    const array = npy(header("'|u1'", "(2,)"), [1, 2]);
    expect(of(zipSync({ "a.txt": array }))).toContain("the ZIP archive holds neither data.pkl");
    const named = zipSync({ "xxproto__.npy": array }, { level: 0 });
    const text = new TextDecoder("latin1").decode(named).replaceAll("xxproto__", "__proto__");
    expect(of(Uint8Array.from(text, (c) => c.charCodeAt(0)))).toContain(
      'tensor "__proto__": an array may not have this name',
    );
    const changed = zipSync({ "a.npy": array }, { level: 0 });
    changed[30 + "a.npy".length + array.length - 1] = 3;
    expect(of(changed, "a")).toBe(
      'parseCheckpoint: m: entry "a.npy": its bytes are not those of which its checksum was taken.',
    );
    expect(of(zipSync({ "a.npy": array.subarray(0, array.length - 1) }))).toContain(
      'm, tensor "a": shape [2] of "|u1" takes 2 bytes, but 1 follow',
    );
  });
});
