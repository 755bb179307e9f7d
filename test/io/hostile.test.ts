import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CircuitsError } from "../../src/errors.ts";
import { parseSafetensors, writeSafetensors } from "../../src/io/index.ts";
import { readSafetensors } from "../support/tensors.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { errorOf, fileOf, headerOf } from "./bytes.ts";

/** The text of the FormatError of a file called m. */
function refusal(bytes: Uint8Array): string {
  const { name, message } = errorOf(() => parseSafetensors(bytes, { name: "m" }));
  expect(name).toBe("FormatError");
  expect(message).toMatch(/^parseSafetensors: m[:,] /);
  return message.slice("parseSafetensors: ".length);
}

const four = [1, 2, 3, 4];

describe("the frame", () => {
  test("shorter than a length", () => {
    expect(refusal(new Uint8Array(3))).toBe(
      "m: the file is 3 bytes long; a safetensors file begins with 8 bytes of header length. It is empty or cut short.",
    );
  });

  test.each([2n ** 63n, 2n ** 64n - 1n, 25_000_001n])("a header of %d bytes", (length) => {
    expect(refusal(fileOf("{}", [], length))).toBe(
      `m: the first 8 bytes give a header of ${length} bytes, more than the 25000000 allowed. This is probably not a safetensors file.`,
    );
  });

  test("a header longer than the file", () => {
    expect(refusal(fileOf("{}", [], 100n))).toBe(
      "m: the header should take 100 bytes from offset 8 but the file ends at 10. It is cut short.",
    );
  });

  test("a header that is not UTF-8, and one with a byte order mark", () => {
    expect(refusal(fileOf(Uint8Array.of(0x7b, 0xff, 0x7d)))).toBe("m: the header, bytes 8 to 11, is not UTF-8 text.");
    expect(refusal(fileOf("\ufeff{}"))).toBe(
      'm: the header is not valid: expected a value at character 0 of the JSON, found "\ufeff".',
    );
  });

  test("a truncated file, at every length", () => {
    const whole = writeSafetensors(new Map([["a", Tensor.from("pos", [3], [1, 2, 3])]]));
    for (let length = 0; length < whole.length; length++) refusal(whole.subarray(0, length));
    expect(refusal(new Uint8Array([...whole, 0]))).toBe(
      `m: bytes ${whole.length} to ${whole.length + 1}, at the end of the file, belong to no tensor.`,
    );
  });
});

describe("the JSON", () => {
  test.each([
    ["", "expected a value at character 0 of the JSON, found the end"],
    ["{", "expected a string at character 1 of the JSON, found the end"],
    ["{}x", 'expected the end at character 2 of the JSON, found "x"'],
    ['{"a"}', 'expected ":" at character 4 of the JSON, found "}"'],
    ['{"a":1,}', 'expected a string at character 7 of the JSON, found "}"'],
    ['{"a":1 "b":2}', 'expected "," or "}" at character 7 of the JSON, found "\\""'],
    ['{"a":[1,]}', 'expected a value at character 8 of the JSON, found "]"'],
    ['{"a":[1}', 'expected "," or "]" at character 7 of the JSON, found "}"'],
    ['{"a":01}', 'expected "," or "}" at character 6 of the JSON, found "1"'],
    ['{"a":tru}', 'expected a value at character 5 of the JSON, found "t"'],
    ['{"a":NaN}', 'expected a value at character 5 of the JSON, found "N"'],
    ['{"a', "the string at character 1 of the JSON does not end"],
    ['{"a\\', "the string at character 1 of the JSON does not end"],
    ['{"\\x":1}', "the string at character 1 of the JSON holds a bad escape or a control character"],
    ['{"a\u0000":1}', "the string at character 1 of the JSON holds a bad escape or a control character"],
    ['{"a":1,"b":2,"a":3}', 'the key "a" appears a second time at character 13 of the JSON'],
    ['{"a":1,"\\u0061":3}', 'the key "a" appears a second time at character 7 of the JSON'],
    ['{"__metadata__":{"k":"1","k":"2"}}', 'the key "k" appears a second time at character 25 of the JSON'],
    ["[".repeat(50), "the JSON is nested deeper than 16 levels at character 17"],
  ])("%s", (header, what) => {
    expect(refusal(fileOf(header))).toBe(`m: the header is not valid: ${what}.`);
  });

  test.each(["[]", "1", "null", '"a"', "true", "-1.5e3"])("%s is not an object", (header) => {
    expect(refusal(fileOf(header))).toBe("m: the header is not a JSON object.");
  });

  test("a million open brackets end quickly, and so does a number of a million digits", () => {
    expect(refusal(fileOf("[".repeat(1_000_000)))).toContain("nested deeper than 16");
    expect(refusal(fileOf(headerOf("U8", `[${"9".repeat(1_000_000)}]`, "[0,4]"), four))).toContain(
      "is not a list of non-negative integers",
    );
  });

  test("more objects and values than a header of its size has", () => {
    expect(refusal(fileOf(`{"__metadata__":[${"{},".repeat(100_000)}1]}`))).toMatch(
      /^m: the header is not valid: the JSON holds more objects than a header of its size has, at character \d+\.$/,
    );
    expect(refusal(fileOf(`{"__metadata__":[${"1,".repeat(100_000)}1]}`))).toMatch(
      /^m: the header is not valid: the JSON holds more values than a header of its size has, at character \d+\.$/,
    );
  });

  test("a key that would change a prototype", () => {
    expect(refusal(fileOf('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', [7]))).toBe(
      'm, tensor "__proto__": a tensor may not have this name, which would change a prototype.',
    );
    expect(refusal(fileOf('{"__metadata__":{"__proto__":"1"}}'))).toBe(
      'm: the header\'s __metadata__ has the key "__proto__".',
    );
  });

  test("metadata that is not an object of strings", () => {
    expect(refusal(fileOf('{"__metadata__":3}'))).toBe("m: the header's __metadata__ is not a JSON object.");
    expect(refusal(fileOf('{"__metadata__":{"a":3}}'))).toBe(
      'm: the header\'s __metadata__ holds "a", which is not a string.',
    );
  });
});

describe("one tensor's entry", () => {
  const dataStart = (header: string): number => 8 + header.length;

  test("not an object, or with a field that nobody knows", () => {
    expect(refusal(fileOf('{"x":3}'))).toBe('m, tensor "x": its entry in the header is not a JSON object.');
    expect(refusal(fileOf('{"x":{"dtype":"U8","strides":[1]}}'))).toBe(
      'm, tensor "x": its entry in the header has an unknown field "strides".',
    );
  });

  test.each([
    ['"F128"', '"F128"'],
    ['"f32"', '"f32"'],
    ["7", "7"],
    ["null", "null"],
    [JSON.stringify("long".repeat(30)), `"${"long".repeat(14)}...`],
  ])("dtype %s", (dtype, shown) => {
    expect(refusal(fileOf(`{"x":{"dtype":${dtype},"shape":[4],"data_offsets":[0,4]}}`, four))).toBe(
      `m, tensor "x": dtype ${shown} is not one that can be read; it must be one of F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL.`,
    );
  });

  test("no dtype, no shape, no offsets", () => {
    expect(refusal(fileOf('{"x":{}}'))).toContain('tensor "x": dtype (missing) is not one that can be read');
    expect(refusal(fileOf('{"x":{"dtype":"U8"}}'))).toBe(
      'm, tensor "x": shape (missing) is not a list of non-negative integers.',
    );
    expect(refusal(fileOf('{"x":{"dtype":"U8","shape":{}}}'))).toBe(
      'm, tensor "x": shape an object is not a list of non-negative integers.',
    );
    expect(refusal(fileOf('{"x":{"dtype":"U8","shape":[]}}'))).toBe(
      'm, tensor "x": data_offsets (missing) is not a list of non-negative integers.',
    );
  });

  test.each(["[-1]", "[1.5]", "[1e400]", "[9007199254740992]", '["4"]', "[null]", "[[4]]", "4"])(
    "shape %s",
    (shape) => {
      expect(refusal(fileOf(headerOf("U8", shape, "[0,4]"), four))).toMatch(
        /^m, tensor "x": shape .* is not a list of non-negative integers\.$/,
      );
    },
  );

  test("a size beyond every number", () => {
    expect(refusal(fileOf(headerOf("U8", "[1e400]", "[0,4]"), four))).toBe(
      'm, tensor "x": shape ["Infinity"] is not a list of non-negative integers.',
    );
  });

  test("more dimensions than any tensor has", () => {
    const shape = JSON.stringify(new Array<number>(33).fill(1));
    expect(refusal(fileOf(headerOf("U8", shape, "[0,1]"), [0]))).toBe(
      'm, tensor "x": it has 33 dimensions; at most 32 can be read.',
    );
  });

  test.each(["[]", "[0]", "[0,4,4]", "[4,0]", "[0,5]", "[5,5]", "[0,9007199254740991]"])(
    "data_offsets %s",
    (offsets) => {
      const header = headerOf("U8", "[4]", offsets);
      expect(refusal(fileOf(header, four))).toBe(
        `m, tensor "x": data_offsets ${offsets} are not [begin, end] within the 4 bytes of data, which begin at offset ${dataStart(header)}.`,
      );
    },
  );

  test("a shape of another size than the data", () => {
    expect(refusal(fileOf(headerOf("F16", "[3]", "[0,4]"), four))).toBe(
      'm, tensor "x": shape [3] of F16 takes 6 bytes but data_offsets [0,4] hold 4.',
    );
  });

  test("a product that overflows, also with a zero behind it", () => {
    for (const shape of ["[4294967296,4294967296]", "[4294967296,4294967296,0]"]) {
      expect(refusal(fileOf(headerOf("U8", shape, "[0,0]")))).toBe(
        `m, tensor "x": shape ${shape} of U8 takes more than 2^53 bytes but data_offsets [0,0] hold 0.`,
      );
    }
  });
});

describe("the data", () => {
  const two = (a: string, b: string): string => {
    const entry = (offsets: string): string => {
      const [begin, end] = JSON.parse(offsets) as [number, number];
      return `{"dtype":"U8","shape":[${end - begin}],"data_offsets":${offsets}}`;
    };
    return `{"a":${entry(a)},"b":${entry(b)}}`;
  };

  test("overlapping tensors", () => {
    const header = two("[0,3]", "[2,4]");
    const start = 8 + header.length;
    expect(refusal(fileOf(header, four))).toBe(
      `m, tensor "b": its data begin at offset ${start + 2}, inside tensor "a", which ends at ${start + 3}. Tensors may not overlap.`,
    );
    expect(refusal(fileOf(two("[0,4]", "[0,4]"), four))).toContain("Tensors may not overlap.");
  });

  test("a hole between tensors, before the first, after the last", () => {
    const header = two("[0,1]", "[2,4]");
    const start = 8 + header.length;
    expect(refusal(fileOf(header, four))).toBe(
      `m, tensor "b": its data begin at offset ${start + 2} but bytes ${start + 1} to ${start + 2} before it belong to no tensor.`,
    );
    expect(refusal(fileOf(headerOf("U8", "[3]", "[1,4]"), four))).toContain("before it belong to no tensor.");
    const short = headerOf("U8", "[3]", "[0,3]");
    expect(refusal(fileOf(short, four))).toBe(
      `m: bytes ${8 + short.length + 3} to ${8 + short.length + 4}, at the end of the file, belong to no tensor.`,
    );
  });
});

test("something that is not bytes", () => {
  expect(errorOf(() => parseSafetensors("model.safetensors" as never))).toEqual({
    name: "InputError",
    message:
      'parseSafetensors: bytes must be a Uint8Array or an ArrayBuffer, not "model.safetensors". Read the file first, as with await readFile(path) or await response.arrayBuffer().',
  });
  for (const [value, shown] of [
    [undefined, "undefined"],
    [[1], "an array"],
    [{}, "an object"],
    [3, "3"],
    [() => 1, "a function"],
    [1n, "a bigint"],
    ["a".repeat(99), "a string of length 99"],
    [new Float32Array(2), "an object"],
  ] as const) {
    expect(errorOf(() => parseSafetensors(value as never)).message).toContain(`an ArrayBuffer, not ${shown}. Read`);
  }
});

describe("mutated files are read or refused with a typed error", () => {
  const sound = writeSafetensors(
    new Map<string, Tensor>([
      ["embed.W_E", Tensor.from("a b", [2, 3], [1, 2, 3, 4, 5, 6])],
      ["ids", Tensor.from("a", [3], [1, 2, 3], "int32")],
      ["s", Tensor.from("", [], [1])],
    ]),
    { metadata: { format: "pt" } },
  );

  const readOrRefuse = (bytes: Uint8Array): void => {
    try {
      for (const t of readSafetensors(bytes).values()) expect(t.data.length).toBe(t.size);
    } catch (error) {
      if (!(error instanceof CircuitsError) || error.message.includes("internal:")) throw error;
      expect(error.name).toBe("FormatError");
    }
  };

  test("bytes changed, 3,000 runs of seed 1", () => {
    const edit = fc.tuple(fc.nat(sound.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        const bytes = sound.slice();
        for (const [at, value] of edits) bytes[at] = value;
        readOrRefuse(bytes);
      }),
      { seed: 1, numRuns: 3000 },
    );
  });

  test("characters of the header replaced by other JSON, 3,000 runs of seed 2", () => {
    const length = Number(new DataView(sound.buffer).getBigUint64(0, true));
    const header = new TextDecoder().decode(sound.subarray(8, 8 + length));
    const piece = fc.constantFrom(
      "",
      "0",
      "-1",
      "9",
      "1e9",
      "[",
      "]",
      "{",
      "}",
      ",",
      ":",
      '"',
      '"__proto__"',
      "null",
      "\\u0000",
    );
    fc.assert(
      fc.property(fc.nat(length), fc.nat(6), piece, (at, cut, text) => {
        const changed = header.slice(0, at) + text + header.slice(at + cut);
        readOrRefuse(fileOf(changed, sound.subarray(8 + length)));
      }),
      { seed: 2, numRuns: 3000 },
    );
  });

  test("any bytes at all, 1,000 runs of seed 3", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        readOrRefuse(bytes);
        readOrRefuse(fileOf(bytes));
      }),
      { seed: 3, numRuns: 1000 },
    );
  });

  test("any JSON as header, 1,000 runs of seed 4", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.uint8Array({ maxLength: 8 }), (json, data) => {
        readOrRefuse(fileOf(json, data));
      }),
      { seed: 4, numRuns: 1000 },
    );
  });
});
