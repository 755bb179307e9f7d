/** A golden model whose weights NumPy wrote: stored and deflated, C and Fortran order, either byte order, f2, f4 and f8. */
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCheckpoint, parseCheckpoint, parseSafetensors, transformerFromCheckpoint } from "../../src/io/index.ts";
import { loadFolder } from "../../src/io/node.ts";
import { expectClose } from "../support/golden.ts";
import { fixture, fixturePath, golden, goldenPath } from "./formats.ts";

const expected = parseSafetensors(golden("attn-2l-ln/expected.safetensors"));
const weights = parseSafetensors(golden("attn-2l-ln/model.safetensors"));
const tokens = expected.read("tokens").toNested() as number[][];
const logits = expected.read("logits").data;
const largest = Array.from(logits, Math.abs).reduce((a, b) => Math.max(a, b));

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "transformer-circuits-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** float16 rounds each weight by up to 2^-11; two layers and the embeddings leave a few times that. */
describe.each([
  ["golden-ln.npz", 1e-5],
  ["golden-ln-compressed.npz", 1e-5],
  ["golden-ln-half.npz", 4 * 2 ** -11],
] as const)("%s", (name, share) => {
  test("the logits are the golden ones, from bytes", async () => {
    const files = new Map([
      ["config.json", golden("attn-2l-ln/config.json")],
      ["model.npz", fixture(name)],
    ]);
    const model = await transformerFromCheckpoint(await openCheckpoint(files));
    expectClose(model.forward(tokens).data, logits, { atol: share * largest, rtol: 1e-4 });
  });

  test("and from a folder", async () => {
    await copyFile(fixturePath(name), join(folder, "weights.npz"));
    await copyFile(join(goldenPath("attn-2l-ln"), "config.json"), join(folder, "config.json"));
    const { model } = await loadFolder(folder);
    expectClose(model.forward(tokens).data, logits, { atol: share * largest, rtol: 1e-4 });
  });

  test("every weight is the golden one, as far as its type holds it", () => {
    const arrays = parseCheckpoint(fixture(name));
    expect(new Set(arrays.tensors.keys())).toEqual(new Set(weights.tensors.keys()));
    const bound = name === "golden-ln-half.npz" ? { rtol: 2 ** -11, atol: 2 ** -24 } : {};
    for (const key of weights.tensors.keys()) expectClose(arrays.read(key), weights.read(key), bound);
  });
});

test("the files have what they should: element types, and both methods of the archive", () => {
  const typesIn = (name: string): Set<string> =>
    new Set([...parseCheckpoint(fixture(name)).tensors.values()].map(({ dtype }) => dtype));
  expect(typesIn("golden-ln.npz")).toEqual(new Set(["F32", "F64"]));
  expect(typesIn("golden-ln-half.npz")).toEqual(new Set(["F16"]));
  const text = new TextDecoder("latin1").decode(fixture("golden-ln.npz"));
  for (const descr of ["<f4", ">f4", "<f8", ">f8"]) expect(text).toContain(`'descr': '${descr}'`);
  for (const order of ["True", "False"]) expect(text).toContain(`'fortran_order': ${order}`);
  expect(new TextDecoder("latin1").decode(fixture("golden-ln-compressed.npz"))).not.toContain("'descr'");
});
