/** How many bytes of a file are read: of gigabytes, the headers and what is asked for. */
import { zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { inspect, openCheckpoint, writeSafetensors } from "../../src/io/index.ts";
import type { ByteSource } from "../../src/io/index.ts";
import { readAhead, readNow, take } from "../../src/io/bytes/reading.ts";
import type { Reading } from "../../src/io/bytes/reading.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { archiveOf } from "./formats.ts";
import { manyArrays } from "./many-tensors.ts";
import { dict, int, legacyOf, storage, str, tensor, tuple, whole } from "./torch/pickles.ts";

/** Eight tensors of as many floats each, the i-th of i alone. */
const COUNT = 8;
const SIZE = 10_000;
const names = Array.from({ length: COUNT }, (_, i) => `h.${i}`);
const values = names.map((_, i) => new Float32Array(SIZE).fill(i));
const stored = values.map(({ buffer }) => new Uint8Array(buffer));

const pickleOf = (storageOf: (i: number) => number[], offsetOf: (i: number) => number): Uint8Array =>
  whole(
    dict(
      ...names.flatMap((name, i) => [
        str(name),
        tensor({ storage: storageOf(i), offset: int(offsetOf(i)), size: tuple(int(SIZE)) }),
      ]),
    ),
  );
const own = pickleOf(
  (i) => storage(String(i), SIZE),
  () => 0,
);
const shared = pickleOf(
  () => storage("0", COUNT * SIZE),
  (i) => i * SIZE,
);

const npy = (elements: Uint8Array): Uint8Array => {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${SIZE},), }\n`;
  const start = [0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, header.length, 0];
  return Uint8Array.from([...start, ...new TextEncoder().encode(header), ...elements]);
};
const arrays = Object.fromEntries(names.map((name, i) => [`${name}.npy`, npy(stored[i] as Uint8Array)]));

/** The end of a ZIP archive is looked for among its last bytes: a record of 22 and a comment of at most 65,535. */
const END = 65_557;

/** What is read to list the tensors, at most: an archive's entries have a header each, and so have the arrays of an `.npz`. */
const files: readonly (readonly [string, Uint8Array, number])[] = [
  ["safetensors", writeSafetensors(new Map(names.map((name, i) => [name, Tensor.from("a", [SIZE], values[i] ?? [])]))), 2000],
  ["torch, a storage each", archiveOf(own, ...stored), END + 6000],
  ["torch, one storage", archiveOf(shared, stored.flatMap((bytes) => [...bytes])), END + 6000],
  ["torch-legacy", legacyOf(own, values), 2 ** 20],
  ["npz", zipSync(arrays, { level: 0 }), END + COUNT * 4500],
]; // prettier-ignore

function counted(bytes: Uint8Array): ByteSource & { taken: number; calls: number } {
  const source = {
    size: bytes.length,
    taken: 0,
    calls: 0,
    read: (begin: number, end: number) => {
      source.taken += end - begin;
      source.calls += 1;
      return Promise.resolve(bytes.slice(begin, end));
    },
  };
  return source;
}

describe.each(files)("%s", (_, bytes, listing) => {
  test("only headers are read to list the tensors, and only its own bytes for one of them", async () => {
    const source = counted(bytes);
    const { tensors } = await inspect(source);
    expect(tensors.map(({ name }) => name)).toEqual(names);
    expect(tensors.every(({ byteLength }) => byteLength === 4 * SIZE)).toBe(true);
    expect(source.taken).toBeGreaterThan(0);
    expect(source.taken).toBeLessThan(listing);
    const checkpoint = await openCheckpoint(source);
    source.taken = 0;
    expect([...(await checkpoint.read("h.3")).data]).toEqual([...(values[3] ?? [])]);
    expect(source.taken).toBeGreaterThanOrEqual(4 * SIZE);
    expect(source.taken).toBeLessThan(4 * SIZE + 300);
  });
});

test("five thousand small arrays are listed in a few reads, each byte once", async () => {
  const bytes = manyArrays(5000, false);
  const source = counted(bytes);
  expect((await inspect(source)).tensors.length).toBe(5000);
  expect(source.calls).toBeLessThan(60);
  expect(source.taken).toBeLessThan(1.2 * bytes.length);
});

describe("reading ahead", () => {
  const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);

  /** What a reader of ranges is handed, with the ranges that were read for it. */
  function run(ranges: readonly (readonly [number, number])[]): readonly (readonly [number, number])[] {
    const read: [number, number][] = [];
    const reader = readAhead(
      (function* (): Reading<void> {
        for (const [begin, end] of ranges) {
          const part = yield* take(begin, end - begin);
          expect(Buffer.compare(part, bytes.subarray(begin, end))).toBe(0);
        }
      })(),
      bytes.length,
    );
    const noted = function* (): Reading<void> {
      let step = reader.next();
      while (step.done !== true) {
        read.push([step.value.begin, step.value.end]);
        step = reader.next(yield step.value);
      }
    };
    readNow(bytes, noted());
    return read;
  }

  test("ranges that lie apart are read alone", () => {
    const apart = Array.from({ length: 20 }, (_, i) => [14_000 * i, 14_000 * i + 30] as const);
    expect(run(apart)).toEqual(apart);
    const backwards = [...apart].reverse();
    expect(run(backwards)).toEqual(backwards);
  });

  test("a row of them in blocks that grow to 65,536 bytes and end with the file", () => {
    const row = Array.from({ length: 3000 }, (_, i) => [100 * i, 100 * i + 30] as const);
    const read = run(row);
    expect(read.slice(0, 2)).toEqual([[0, 30], [100, 130]]); // prettier-ignore
    expect(read.length).toBeLessThan(16);
    expect(Math.max(...read.map(([begin, end]) => end - begin))).toBe(65_536);
    expect(read.at(-1)?.[1]).toBe(300_000);
  });

  test("a range longer than a block, and one across the end of a block", () => {
    const row = Array.from({ length: 12 }, (_, i) => [50 * i, 50 * i + 50] as const);
    const more: (readonly [number, number])[] = [
      ...row,
      [600, 200_600],
      [200_000, 200_700],
      [5, 9],
      [299_999, 300_000],
    ];
    expect(run(more).at(-1)).toEqual([299_999, 300_000]);
  });
});
