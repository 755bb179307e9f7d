/** ZIP archives that lie about what they hold. */
import { deflateSync, zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { readNow } from "../../../src/io/bytes/reading.ts";
import { openZip, readEntry } from "../../../src/io/zip/zip.ts";
import { errorOf } from "../bytes.ts";
import { fixture } from "../formats.ts";

const source = { operation: "read", name: "m" };

/** Every entry of an archive by name. */
function unzip(bytes: Uint8Array): Map<string, Uint8Array> {
  const zip = readNow(bytes, openZip(bytes.length, source));
  return new Map([...zip.entries].map(([name, entry]) => [name, readNow(bytes, readEntry(zip, entry, source))]));
}

function refusal(bytes: Uint8Array): string {
  const { name, message } = errorOf(() => unzip(bytes));
  expect(name).toBe("FormatError");
  expect(message).toMatch(/^read: m: /);
  return message.slice("read: m: ".length);
}

const text = new TextEncoder().encode("the quick brown fox, the quick brown fox, the quick brown fox");
const stored = zipSync({ "a.txt": text, b: Uint8Array.of(1, 2) }, { level: 0 });
const deflated = zipSync({ "a.txt": text }, { level: 9 });

/** Where a signature stands for the n-th time. */
function find(bytes: Uint8Array, signature: readonly number[], nth = 0): number {
  for (let at = 0, seen = 0; at < bytes.length; at++) {
    if (signature.every((byte, i) => bytes[at + i] === byte) && seen++ === nth) return at;
  }
  throw new Error("not found");
}
const LOCAL = [0x50, 0x4b, 3, 4];
const CENTRAL = [0x50, 0x4b, 1, 2];
const END = [0x50, 0x4b, 5, 6];

/** A copy with little-endian numbers written `offset` bytes after a signature. */
function edited(
  bytes: Uint8Array,
  signature: readonly number[],
  offset: number,
  value: number,
  width: 2 | 4,
  nth = 0,
): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  const at = find(bytes, signature, nth) + offset;
  if (width === 2) view.setUint16(at, value, true);
  else view.setUint32(at, value, true);
  return copy;
}

test("stored and deflated entries, and a comment at the end", () => {
  for (const bytes of [stored, deflated, edited(Uint8Array.from([...stored, 33, 33]), END, 20, 2, 2)]) {
    expect(unzip(bytes).get("a.txt")).toEqual(text);
  }
  expect(unzip(zipSync({})).size).toBe(0);
});

test("ZIP64: what cannot be told in 32 bits", () => {
  const names = [...unzip(fixture("state-zip64.pt")).keys()];
  expect(names).toEqual([...unzip(fixture("state.pt")).keys()]);
});

test("more entries than 16 bits count, without a ZIP64 record, and a directory that holds more than it says", () => {
  const many = zipSync(Object.fromEntries(Array.from({ length: 65_540 }, (_, i) => [String(i), new Uint8Array(0)])), {
    level: 0,
  });
  const count = many.length - 12;
  expect(new DataView(many.buffer).getUint16(count, true)).toBe(4);
  const source = { operation: "parseCheckpoint", name: "m" };
  expect(readNow(many, openZip(many.length, source)).entries.size).toBe(65_540);
  many[count] = 3;
  expect(() => readNow(many, openZip(many.length, source))).toThrow(
    /^parseCheckpoint: m: the ZIP directory says that it has 3 entries, but its \d+ bytes from offset \d+ hold 65540\.$/,
  );
});

describe("refused with the entry and the offset", () => {
  test("a directory that is not there, or elsewhere, or of several parts", () => {
    expect(refusal(stored.subarray(0, stored.length - 1))).toBe(
      "the file begins as a ZIP archive but the archive's directory is not at its end. It is cut short.",
    );
    expect(refusal(edited(stored, END, 12, 5000, 4))).toMatch(
      /^the ZIP directory should take 5000 bytes from offset \d+, but it must end before offset \d+\.$/,
    );
    expect(refusal(edited(stored, END, 4, 1, 2))).toBe("the ZIP archive is one of several parts, which are not read.");
    expect(refusal(edited(stored, END, 10, 0xffff, 2))).toMatch(
      /^the ZIP64 record before offset \d+ is missing or damaged\.$/,
    );
    expect(refusal(edited(stored, END, 10, 500, 2))).toMatch(
      /^the ZIP directory says that it has 500 entries in \d+ bytes; at most 250000 are read, of at least 46 bytes each\.$/,
    );
  });

  test("entries of the directory that are damaged", () => {
    expect(refusal(edited(stored, CENTRAL, 0, 0, 4))).toMatch(
      /^entry 0 of the ZIP directory, at offset \d+, is missing or damaged\.$/,
    );
    expect(refusal(edited(stored, CENTRAL, 30, 60_000, 2))).toMatch(
      /^entry 0 of the ZIP directory, at offset \d+, reaches beyond its end\.$/,
    );
    expect(refusal(edited(stored, CENTRAL, 46, 0xffff, 2))).toMatch(
      /^the name of entry 0 of the ZIP directory, at offset \d+, is not UTF-8 text\.$/,
    );
    const zip64 = fixture("state-zip64.pt");
    expect(refusal(edited(zip64, CENTRAL, 30, 12, 2))).toMatch(/its ZIP64 field is cut short\.$|missing or damaged\.$/);
  });

  test("encrypted, and by another method", () => {
    expect(refusal(edited(stored, CENTRAL, 8, 1, 2))).toBe('entry "a.txt": it is encrypted, which is not read.');
    expect(refusal(edited(stored, CENTRAL, 10, 12, 2))).toBe(
      'entry "a.txt": it is compressed by method 12; only stored (0) and deflated (8) entries are read.',
    );
  });

  test("sizes that differ, entries that overlap, headers of something else", () => {
    expect(refusal(edited(stored, CENTRAL, 24, 7, 4))).toBe(
      `entry "a.txt": it is stored, yet its sizes ${text.length} and 7 differ.`,
    );
    expect(refusal(edited(stored, CENTRAL, 42, 0, 4, 1))).toMatch(
      /^entry "a\.txt": its 61 bytes, with a header at offset 0, reach beyond offset 0, where something else begins\.$/,
    );
    const second = find(stored, LOCAL, 1);
    expect(refusal(edited(edited(stored, CENTRAL, 20, 99, 4), CENTRAL, 24, 99, 4))).toBe(
      `entry "a.txt": its 99 bytes, with a header at offset 0, reach beyond offset ${second}, where something else begins.`,
    );
    expect(refusal(edited(stored, LOCAL, 0, 0, 4))).toBe('entry "a.txt": the header at offset 0 is not its own.');
    expect(refusal(edited(stored, LOCAL, 28, 50, 2))).toMatch(
      /^entry "a\.txt": its 61 bytes from offset 85 reach beyond offset \d+, where something else begins\.$/,
    );
  });

  test("two entries of one name", () => {
    const twice = zipSync({ "a.txt": text, "b.txt": text }, { level: 0 });
    twice[find(twice, CENTRAL, 1) + 46] = "a".charCodeAt(0);
    expect(refusal(twice)).toBe('two entries of the ZIP archive are called "a.txt".');
  });
});

describe("zip bombs", () => {
  const compressed = deflateSync(text, { level: 9 }).length;

  test("a size that deflation cannot reach", () => {
    expect(refusal(edited(deflated, CENTRAL, 24, 2 ** 31, 4))).toBe(
      `entry "a.txt": ${compressed} deflated bytes cannot become the ${2 ** 31} that its directory says.`,
    );
  });

  test("100 MB of zeros in 100 kB", () => {
    const bomb = zipSync({ zeros: new Uint8Array(100_000_000) }, { level: 9 });
    expect(bomb.length).toBeLessThan(200_000);
    expect(refusal(bomb)).toMatch(
      /^entry "zeros": \d+ deflated bytes should become 100000000, far more than a file of \d+ bytes can mean\. This may be a zip bomb; if not, store the entry without compression\.$/,
    );
  });

  test("more or less than the directory says", () => {
    expect(refusal(edited(deflated, CENTRAL, 24, text.length - 1, 4))).toBe(
      `entry "a.txt": ${compressed} deflated bytes become more, not the ${text.length - 1} that its directory says.`,
    );
    expect(refusal(edited(deflated, CENTRAL, 24, text.length + 1, 4))).toBe(
      `entry "a.txt": ${compressed} deflated bytes become ${text.length}, not the ${text.length + 1} that its directory says.`,
    );
  });

  test("deflated data that are none", () => {
    const broken = deflated.slice();
    broken.fill(0xff, 35, 60);
    expect(refusal(broken)).toMatch(/^entry "a\.txt": \d+ deflated bytes are not valid: .+\.$/);
  });
});
