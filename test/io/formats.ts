/** The files of test/fixtures/formats and of the golden cases in other layouts, and how the tests read them. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { unzipSync, zipSync } from "fflate";
import { expect } from "vitest";
import { parseSafetensors } from "../../src/io/index.ts";
import type { SafetensorsFile, TensorFile } from "../../src/io/index.ts";

export const fixturePath = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/formats/${name}`, import.meta.url));
export const goldenPath = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/golden/${name}`, import.meta.url));

const bytesOf = (path: string): Uint8Array => new Uint8Array(readFileSync(path));
export const fixture = (name: string): Uint8Array => bytesOf(fixturePath(name));
export const golden = (name: string): Uint8Array => bytesOf(goldenPath(name));

/** Every tensor of one file is that of another, in element type, shape and bits (NaN is NaN). */
export function expectSameTensors(
  actual: Pick<TensorFile, "tensors" | "read">,
  expected: SafetensorsFile,
  nameOf: (name: string) => string = (name) => name,
): void {
  expect(new Set(actual.tensors.keys())).toEqual(new Set([...expected.tensors.keys()].map(nameOf)));
  for (const [name, { dtype, shape }] of expected.tensors) {
    expect(actual.tensors.get(nameOf(name)), name).toMatchObject({ dtype, shape });
    const wanted = dtype === "F64" ? ({ dtype: "float64" } as const) : {};
    const tensor = actual.read(nameOf(name), wanted);
    expect(tensor.shape, name).toEqual(shape);
    expect([...tensor.data], name).toEqual([...expected.read(name, wanted).data]);
  }
}

export const expectedState = (): SafetensorsFile => parseSafetensors(fixture("expected.safetensors"));

/** A ZIP archive with its entries changed; `undefined` removes one. */
export function rezipped(
  archive: Uint8Array,
  change: (name: string, data: Uint8Array) => Uint8Array | undefined,
  level: 0 | 6 = 0,
): Uint8Array {
  const entries = Object.entries(unzipSync(archive)).flatMap(([name, data]) => {
    const changed = change(name, data);
    return changed === undefined ? [] : [[name, changed] as const];
  });
  return zipSync(Object.fromEntries(entries), { level });
}

/** An archive of `data.pkl` and storages `data/0`, `data/1` … */
export function archiveOf(pickle: Uint8Array, ...storages: ArrayLike<number>[]): Uint8Array {
  const data = storages.map((bytes, i) => [`archive/data/${i}`, Uint8Array.from(bytes)] as const);
  return zipSync(Object.fromEntries([["archive/data.pkl", pickle] as const, ...data]), { level: 0 });
}
