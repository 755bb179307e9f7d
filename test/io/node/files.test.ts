/** Checkpoints on disk. */
import { copyFile, cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseSafetensors, parseCheckpoint } from "../../../src/io/index.ts";
import { convertPath, inspectPath, openPath } from "../../../src/io/node.ts";
import { expectSameTensors, expectedState, fixturePath, golden, goldenPath } from "../formats.ts";

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "transformer-circuits-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const rejected = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing was thrown",
    (error: unknown) => String(error),
  );

describe("openPath and inspectPath", () => {
  test("a folder of TransformerLens's hub, by path and by URL", async () => {
    const path = goldenPath("tl-pth-ln");
    const expected = parseCheckpoint(golden("tl-pth-ln/tl-pth-ln_final.pth"));
    for (const given of [path, pathToFileURL(path)]) {
      const checkpoint = await openPath(given);
      expect(checkpoint).toMatchObject({ name: path, format: "torch", files: ["tl-pth-ln_final.pth"] });
      expect(checkpoint.config).toMatchObject({ n_layers: 2, attn_only: true });
      for (const name of expected.tensors.keys()) expect(await checkpoint.read(name)).toEqual(expected.read(name));
      await checkpoint.close();
    }
  });

  test("one file, an index, and a folder with one", async () => {
    expect((await inspectPath(fixturePath("nanogpt.pt"))).values.iter_num).toBe(2000);
    const folder = goldenPath("hf-gpt2-bf16-sharded");
    const [byFolder, byIndex] = [
      await inspectPath(folder),
      await inspectPath(join(folder, "model.safetensors.index.json")),
    ];
    expect(byIndex).toEqual(byFolder);
    expect(byFolder.tensors.length).toBe(40);
  });

  test("what is not there or not sound is named by its path", async () => {
    const missing = join(root, "nowhere");
    expect(await rejected(openPath(missing))).toBe(
      `InputError: openPath: cannot read ${missing}: there is no such file or folder.`,
    );
    const file = join(root, "damaged.pth");
    await writeFile(file, "hello");
    expect(await rejected(inspectPath(file))).toContain(`FormatError: inspectPath: ${file}: its format is not known.`);
    expect(await rejected(openPath(file, { signal: AbortSignal.abort(new Error("enough")) }))).toBe("Error: enough");
  });

  test("a file that becomes shorter while it is open", async () => {
    const file = join(root, "shrinks.safetensors");
    await copyFile(fixturePath("module.safetensors"), file);
    const checkpoint = await openPath(file);
    await writeFile(file, (await readFile(file)).subarray(0, 140));
    expect(await rejected(checkpoint.read("weight"))).toMatch(
      /^InputError: .* bytes came instead of \d+\. The file may have/,
    );
    await checkpoint.close();
  });
});

describe("convertPath", () => {
  test("any format, with its config.json", async () => {
    const folder = join(root, "converted");
    await mkdir(folder);
    const file = join(folder, "model.safetensors");
    const done = await convertPath(goldenPath("tl-pth-shortformer"), file);
    expect(done).toMatchObject({ file, tensors: 24, config: join(folder, "config.json") });
    const bytes = await readFile(file);
    expect(done.size).toBe(bytes.length);
    expect(await readFile(join(folder, "config.json"))).toEqual(
      await readFile(goldenPath("tl-pth-shortformer/config.json")),
    );
    const expected = parseCheckpoint(golden("tl-pth-shortformer/tl-pth-shortformer_final.pth"));
    const written = parseSafetensors(bytes);
    expect(written.metadata.get("format")).toBe("pt");
    for (const name of expected.tensors.keys())
      expect([...written.read(name).data]).toEqual([...expected.read(name).data]);
    expect((await readdir(folder)).sort()).toEqual(["config.json", "model.safetensors"]);
  });

  test("a file without one", async () => {
    const file = join(root, "state.safetensors");
    expect((await convertPath(fixturePath("state-legacy.pt"), pathToFileURL(file))).config).toBeUndefined();
    const { tensors, read } = parseSafetensors(await readFile(file));
    expectSameTensors({ tensors, read }, expectedState());
  });

  test("refuses to overwrite, and does so by force", async () => {
    const folder = join(root, "taken");
    await cp(goldenPath("tl-pth-ln"), folder, { recursive: true });
    const file = join(folder, "model.safetensors");
    await writeFile(file, "precious");
    const taken = `InputError: convertPath: cannot write ${file}: it is there already. Name another file, or overwrite it by force.`;
    expect(await rejected(convertPath(join(folder, "tl-pth-ln_final.pth"), file))).toBe(taken);
    expect(await readFile(file, "utf8")).toBe("precious");
    expect(await convertPath(join(folder, "tl-pth-ln_final.pth"), file, { force: true })).toMatchObject({
      tensors: 30,
    });
    await writeFile(join(folder, "config.json"), "{}");
    const other = join(folder, "other.safetensors");
    expect(await rejected(convertPath(goldenPath("tl-pth-ln"), other))).toContain(
      `cannot write ${join(folder, "config.json")}: it is there already.`,
    );
  });

  test("a config.json that is there but cannot be read is an error, and nothing is written", async () => {
    const folder = join(root, "unreadable");
    await mkdir(join(folder, "config.json"), { recursive: true });
    const weights = join(folder, "model.safetensors");
    await copyFile(fixturePath("module.safetensors"), weights);
    const file = join(folder, "new.safetensors");
    expect(await rejected(convertPath(weights, file))).toBe(
      `InputError: convertPath: cannot read ${join(folder, "config.json")}: EISDIR: illegal operation on a directory, read.`,
    );
    expect((await readdir(folder)).sort()).toEqual(["config.json", "model.safetensors"]);
  });

  test("a target that cannot be, and a cancel, leave nothing behind", async () => {
    const from = fixturePath("state.pt");
    expect(await rejected(convertPath(from, root, { force: true }))).toContain("it is a folder. Name a file in it.");
    expect(await rejected(convertPath(from, join(root, "no/where.safetensors")))).toContain("there is no folder");
    const folder = join(root, "cancelled");
    await mkdir(folder);
    const cancel = new AbortController();
    const onProgress = (): void => cancel.abort(new Error("enough"));
    const file = join(folder, "m.safetensors");
    expect(await rejected(convertPath(from, file, { signal: cancel.signal, onProgress }))).toBe("Error: enough");
    expect(await readdir(folder)).toEqual([]);
  });
});
