import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadFolder, saveFigure } from "../../../src/io/node.ts";
import { goldenFile, loadGolden } from "../../support/golden.ts";

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "transformer-circuits-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A folder with copies of a golden case's files. */
async function folderWith(name: string, ...files: string[]): Promise<string> {
  const folder = join(root, name);
  await mkdir(folder);
  for (const file of files) await copyFile(goldenFile("bundled", file), join(folder, file));
  return folder;
}

async function rejection(promise: Promise<unknown>): Promise<{ name: string; message: string }> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error("nothing was thrown");
  return { name: error.name, message: error.message };
}

describe("loadFolder", () => {
  test("model and tokenizer, by path and by URL", async () => {
    const url = goldenFile("bundled", "");
    for (const path of [fileURLToPath(url), url]) {
      const { model, tokenizer, config } = await loadFolder(path);
      expect(config).toBe(model.config);
      expect(config.n_heads).toBe(8);
      expect(tokenizer?.encode("declare", { bos: true })[0]).toBe(0);
    }
  });

  test("without a tokenizer", async () => {
    const { model, tokenizer } = await loadFolder(goldenFile("attn-1l-standard", ""));
    expect(tokenizer).toBeUndefined();
    expect([...model.weight("unembed.b_U").data]).toEqual([...loadGolden("attn-1l-standard").model.b_U.data]);
  });

  test("bos as tokenizer_config.json says", async () => {
    const folder = await folderWith("bos", "config.json", "model.safetensors", "tokenizer.json");
    await writeFile(join(folder, "tokenizer_config.json"), '{"bos_token":"!"}');
    expect((await loadFolder(folder)).tokenizer?.bos).toBe(1);
  });

  test("a path that is not there, or no checkpoint", async () => {
    const missing = join(root, "nowhere");
    expect(await rejection(loadFolder(missing))).toEqual({
      name: "InputError",
      message: `loadFolder: cannot read ${missing}: there is no such file or folder.`,
    });
    const file = fileURLToPath(goldenFile("bundled", "config.json"));
    expect((await rejection(loadFolder(file))).message).toBe(
      `loadFolder: ${file}: its format is not known. Read are safetensors, GGUF, PyTorch (.pt, .pth, .bin, .ckpt), .npz and .npy.`,
    );
    expect((await rejection(loadFolder("a\u0000b"))).message).toMatch(/^loadFolder: cannot read a\0b: .+\.$/);
  });

  test("a file that is not there", async () => {
    const read =
      "Read are safetensors, with or without an index, PyTorch (.pth, .pt, .bin, .ckpt), .gguf, .npz and .npy.";
    const empty = await folderWith("empty");
    expect(await rejection(loadFolder(empty))).toEqual({
      name: "InputError",
      message: `loadFolder: ${empty} holds no weights; it holds nothing. ${read}`,
    });
    const config = await folderWith("config", "config.json", "tokenizer.json");
    expect((await rejection(loadFolder(config))).message).toBe(
      `loadFolder: ${config} holds no weights; it holds config.json, tokenizer.json. ${read}`,
    );
    const bare = await folderWith("bare", "model.safetensors");
    // shortformer positions without norms, but its biases are trained
    expect((await rejection(loadFolder(bare))).message).toBe(
      `loadFolder: ${bare}: TransformerLens's model needs its configuration, as the tensors do not say kinds of positions and norms, but there is none. Pass the content of config.json, or put the file beside the weights.`,
    );
  });

  test.each(["hf-gpt2", "hf-gpt-neox", "hf-gpt-neox-f16"])("a folder as Hugging Face saves it: %s", async (name) => {
    const { model, config, tokenizer } = await loadFolder(new URL(`../../fixtures/golden/${name}`, import.meta.url));
    expect(config).toMatchObject({ attn_only: false, n_layers: 2, d_vocab: 101, normalization_type: "LN" });
    expect(model.forward([1, 2, 3]).shape).toEqual([1, 3, 101]);
    expect(tokenizer).toBeUndefined();
  });

  test("a tokenizer's file that cannot be read", async () => {
    const folder = await folderWith("unreadable", "config.json", "model.safetensors");
    await mkdir(join(folder, "tokenizer.json"));
    const { tokenizerFault } = await loadFolder(folder);
    expect(tokenizerFault?.name).toBe("InputError");
    expect(tokenizerFault?.message).toMatch(/^loadFolder: cannot read .*tokenizer\.json: EISDIR.*\.$/);
  });

  test("damaged weights are named by their path", async () => {
    const folder = await folderWith("damaged", "config.json");
    await writeFile(join(folder, "model.safetensors"), "abc");
    expect(await rejection(loadFolder(folder))).toEqual({
      name: "FormatError",
      message: `loadFolder: ${join(folder, "model.safetensors")}: the file is 3 bytes long; a safetensors file begins with 8 bytes of header length. It is empty or cut short.`,
    });
  });

  test("a tokenizer of another model", async () => {
    const folder = join(root, "mixed");
    await mkdir(folder);
    for (const file of ["config.json", "model.safetensors"]) {
      await copyFile(goldenFile("attn-1l-standard", file), join(folder, file));
    }
    await copyFile(goldenFile("bundled", "tokenizer.json"), join(folder, "tokenizer.json"));
    const { model, tokenizerFault } = await loadFolder(folder);
    expect(model.config.d_vocab).toBe(97);
    expect(tokenizerFault).toMatchObject({
      name: "ConfigError",
      message: `loadFolder: the tokenizer of ${folder} has 1024 tokens but the model's d_vocab is 97. One of the two belongs to another model.`,
    });
  });

  test("a signal stops it, with the signal's reason", async () => {
    const before = AbortSignal.abort(new Error("before"));
    await expect(loadFolder(goldenFile("bundled", ""), { signal: before })).rejects.toThrow("before");
    const controller = new AbortController();
    const loading = loadFolder(goldenFile("bundled", ""), { signal: controller.signal });
    controller.abort(new Error("during"));
    await expect(loading).rejects.toThrow("during");
  });
});

describe("saveFigure", () => {
  const figure = { svg: "<svg/>", html: "<style></style><svg/>" };

  test(".svg and .html, in folders that it makes, by path and URL", async () => {
    const svg = join(root, "figures", "deep", "a.svg");
    await saveFigure(svg, figure);
    expect(await readFile(svg, "utf8")).toBe("<svg/>\n");
    const html = join(root, "b.HTML");
    await saveFigure(pathToFileURL(html), figure);
    expect(await readFile(html, "utf8")).toBe(
      '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<body>\n<style></style><svg/>\n</body>\n</html>\n',
    );
  });

  test(".png is what the figure makes of itself", async () => {
    const file = join(root, "c.png");
    await saveFigure(file, { ...figure, png: () => Promise.resolve(Uint8Array.of(137, 80, 78, 71)) });
    expect([...(await readFile(file))]).toEqual([137, 80, 78, 71]);
  });

  test("other forms", async () => {
    expect(await rejection(saveFigure("a.pdf", figure))).toEqual({
      name: "InputError",
      message:
        "saveFigure: cannot save to a.pdf: a figure is saved as .svg, .png or .html. Name the file with one of these.",
    });
    expect((await rejection(saveFigure("a.svg", { html: "" }))).message).toBe(
      "saveFigure: cannot save to a.svg: this figure has no svg. Name the file with .html.",
    );
  });
});
