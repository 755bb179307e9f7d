/**
 * How much a process grows while it opens files that are nearly all names: below four times the file and 64 MiB, the file's own bytes and
 * the garbage of the engine included. Measured in a process for each file, of a tenth or a half of the size and of the whole.
 */
import { execFile } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { bundledLibrary } from "../support/library.ts";
import {
  emptyTensors,
  longConfig,
  manyAliases,
  manyArrays,
  manyLegacyTensors,
  manyModules,
  manyNotes,
  manyObjects,
  manyShards,
  manyTorchTensors,
  reversedTensors,
  wideTensors,
} from "./many-tensors.ts";

type Files = ReadonlyMap<string, Uint8Array>;
const one = (name: string, bytes: Uint8Array): Files => new Map([[name, bytes]]);
const withConfig = (item: string) => (count: number) =>
  new Map([
    ["config.json", longConfig(count, item)],
    ["model.safetensors", emptyTensors(1)],
  ]);

const thousand = 1000;
/** What is made, how many of it, and what the reading says: how many tensors there are, or why it is refused. */
const cases: readonly (readonly [string, (count: number) => Files, number, "all" | RegExp])[] = [
  ["safetensors of nothing", (n) => one("m.safetensors", emptyTensors(n)), 143 * thousand, "all"],
  ["safetensors with a name beyond Latin", (n) => one("m.safetensors", wideTensors(n)), 143 * thousand, "all"],
  ["safetensors, last first", (n) => one("m.safetensors", reversedTensors(n)), 120 * thousand, "all"],
  ["safetensors of metadata", (n) => one("m.safetensors", manyNotes(n)), 600 * thousand, /holds more values/],
  ["safetensors in shards", (n) => manyShards(n, 10), 100 * thousand, "all"],
  ["npz, stored", (n) => one("m.npz", manyArrays(n, false)), 100 * thousand, "all"],
  ["npz, deflated", (n) => one("m.npz", manyArrays(n, true)), 100 * thousand, "all"],
  ["torch, a storage each", (n) => one("m.pt", manyTorchTensors(n, false)), 100 * thousand, "all"],
  ["torch, one storage", (n) => one("m.pt", manyTorchTensors(n, true)), 100 * thousand, "all"],
  ["torch before 2020, a storage each", (n) => one("m.pt", manyLegacyTensors(n, false)), 100 * thousand, "all"],
  ["torch before 2020, one storage", (n) => one("m.pt", manyLegacyTensors(n, true)), 100 * thousand, "all"],
  ["a module of modules", (n) => one("m.pt", manyModules(n)), 60 * thousand, /^0 tensors$|holds more values/],
  ["torch, objects", (n) => one("m.pt", manyObjects(n)), 120 * thousand, /^0 tensors$|holds more values/],
  [
    "safetensors of other names",
    (n) => one("m.safetensors", manyAliases(n)),
    200 * thousand,
    /more than 10000 other names|holds more values/,
  ],
  ["a configuration of numbers", withConfig("1.5"), 8000 * thousand, /holds more values/],
  ["a configuration of lists", withConfig("[1]"), 8000 * thousand, /holds more objects/],
  ["a configuration of strings", withConfig('"ab"'), 8000 * thousand, /holds more values/],
];

const bundled = bundledLibrary("src/io/node.ts");

async function put(folder: string, files: Files): Promise<{ path: string; size: number }> {
  let size = 0;
  for (const [name, bytes] of files) {
    const path = join(bundled.root, folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
    size += bytes.byteLength;
  }
  return { path: join(bundled.root, folder), size };
}

describe.each(cases)("%s", (name, make, most, outcome) => {
  const less = outcome === "all" ? most / 10 : most / 2;
  test.each([less, most])("%d", async (count) => {
    const folder = `${name}-${count}`;
    const small = await put(`${folder}-small`, make(20));
    const { path, size } = await put(folder, make(count));
    const child = fileURLToPath(new URL("peak.mjs", import.meta.url));
    // In one thread, so that what is found does not hang on how soon the engine's collecting threads have their turn.
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...["--expose-gc", "--single-threaded"],
      ...[child, bundled.library, small.path, path],
    ]);
    const found = JSON.parse(stdout) as { grown: number; outcome: string };
    if (outcome === "all") expect(found.outcome).toBe(`${count} tensors`);
    else expect(found.outcome).toMatch(outcome);
    expect(found.grown).toBeGreaterThan(0);
    expect(found.grown).toBeLessThan(4 * size + 64 * 2 ** 20);
    await rm(path, { recursive: true });
  });
});
