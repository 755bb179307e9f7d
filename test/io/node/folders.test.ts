/** Golden models through their own files, and the same after conversion. */
import { copyFile, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseCheckpoint, parseSafetensors } from "../../../src/io/index.ts";
import { convertPath, loadFolder } from "../../../src/io/node.ts";
import { expectClose } from "../../support/golden.ts";
import { fixture, fixturePath, golden, goldenPath } from "../formats.ts";

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "transformer-circuits-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/**
 * The folder, the case with its logits, and the bound relative to the largest logit. Weights of the last case were rounded to float16, by
 * up to 2^-11 each, against those that made the logits: two layers and the embeddings leave a few times that. Logits of its own follow below.
 */
const cases = [
  ["hf-gpt2", "hf-gpt2", 1e-5],
  ["hf-gpt-neox", "hf-gpt-neox", 1e-5],
  ["hf-gpt-neox-f16", "hf-gpt-neox-f16", 1e-5],
  ["hf-gpt2-bf16-sharded", "hf-gpt2-bf16-sharded", 1e-5],
  ["tl-pth-ln", "attn-2l-ln", 1e-5],
  ["tl-pth-shortformer", "attn-2l-shortformer", 1e-5],
  ["tl-pth-shortformer-f16", "attn-2l-shortformer", 4 * 2 ** -11],
] as const;

function expectedOf(name: string): { tokens: number[][]; logits: ArrayLike<number>; largest: number } {
  const file = parseSafetensors(golden(`${name}/expected.safetensors`));
  const logits = file.read("logits").data;
  const largest = Array.from(logits, Math.abs).reduce((a, b) => Math.max(a, b));
  return { tokens: file.read("tokens").toNested() as number[][], logits, largest };
}

describe.each(cases)("%s", (name, expectedName, share) => {
  const { tokens, logits, largest } = expectedOf(expectedName);

  test(`its logits are those of ${expectedName}, within 1e-4 relative and ${share} of the largest`, async () => {
    const { model, config, tokenizer } = await loadFolder(goldenPath(name));
    expect(model.config).toBe(config);
    expect(tokenizer).toBeUndefined();
    expectClose(model.forward(tokens).data, logits, { atol: share * largest, rtol: 1e-4 });
  });

  test("converted, with its config.json, it is the same model to the bit", async () => {
    const folder = join(root, name);
    await mkdir(folder);
    const { config } = await convertPath(goldenPath(name), join(folder, "model.safetensors"));
    expect(config).toBe(join(folder, "config.json"));
    expect(await readFile(join(folder, "config.json"))).toEqual(await readFile(join(goldenPath(name), "config.json")));
    const [before, after] = [await loadFolder(goldenPath(name)), await loadFolder(folder)];
    expect(after.config).toEqual(before.config);
    expect([...after.model.forward(tokens).data]).toEqual([...before.model.forward(tokens).data]);
  });
});

test("float16 weights: logits of those very weights, made apart in float64, within 1e-4 relative and 1e-5 of the largest", async () => {
  const expected = parseCheckpoint(fixture("half.npz"));
  const logits = expected.read("logits").data;
  const largest = Array.from(logits, Math.abs).reduce((a, b) => Math.max(a, b));
  const { model } = await loadFolder(goldenPath("tl-pth-shortformer-f16"));
  const found = model.forward(expected.read("tokens").toNested() as number[][]);
  expectClose(found.data, logits, { atol: 1e-5 * largest, rtol: 1e-4 });
});

describe("a single file", () => {
  const { tokens, logits, largest } = expectedOf("attn-2l-ln");

  test("takes the config.json beside it, and is chosen by its name among several", async () => {
    const folder = join(root, "several");
    await mkdir(folder);
    const from = join(goldenPath("tl-pth-ln"), "tl-pth-ln_final.pth");
    await copyFile(from, join(folder, "step_100.pth"));
    await copyFile(from, join(folder, "step_200.pth"));
    await copyFile(join(goldenPath("tl-pth-ln"), "config.json"), join(folder, "config.json"));
    await expect(loadFolder(folder)).rejects.toThrow(
      `loadFolder: ${folder} holds several files of weights: step_100.pth, step_200.pth. Name one of them.`,
    );
    const told: (readonly [number, number])[] = [];
    const onProgress = (done: number, total: number): void => void told.push([done, total]);
    const { model } = await loadFolder(join(folder, "step_200.pth"), { onProgress });
    expectClose(model.forward(tokens).data, logits, { atol: 1e-5 * largest, rtol: 1e-4 });
    expect(told.at(-1)?.[0]).toBe(told.at(-1)?.[1]);
  });

  test("an index is its files", async () => {
    const { config } = await loadFolder(join(goldenPath("hf-gpt2-bf16-sharded"), "model.safetensors.index.json"));
    expect(config.n_layers).toBe(3);
  });

  test("of no model", async () => {
    await expect(loadFolder(fixturePath("arrays.npz"))).rejects.toThrow(
      "no token embedding was found under a known name",
    );
  });
});
