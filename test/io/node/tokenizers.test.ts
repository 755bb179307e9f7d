/** Folders whose tokenizer is missing, given, of another model or broken: the model is loaded, and the fault is told when text is asked for. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadTokenizer, toTokens, writeSafetensors } from "../../../src/io/index.ts";
import type { Tokenizer } from "../../../src/io/index.ts";
import { loadFolder } from "../../../src/io/node.ts";
import { randomModel } from "../../support/random-model.ts";
import { errorOf } from "../bytes.ts";

const model = randomModel({ d_vocab: 4 });
const { config } = model;
const vocab = { a: 0, b: 1, c: 2, "<|endoftext|>": 3 };
const added = (id: number, content: string): object => ({ id, content, special: true, normalized: false });
const end = added(3, "<|endoftext|>");
const base = { pre_tokenizer: { type: "WhitespaceSplit" }, model: { type: "WordLevel", vocab, unk_token: "a" } };
const sound = { ...base, added_tokens: [end] };

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "transformer-circuits-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function folderOf(files: Readonly<Record<string, unknown>>, withConfig = true): Promise<string> {
  const folder = await mkdtemp(join(root, "model-"));
  await writeFile(join(folder, "model.safetensors"), writeSafetensors(model.weights));
  for (const [name, content] of Object.entries(withConfig ? { "config.json": config, ...files } : files)) {
    await writeFile(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return folder;
}

const expected = [...model.forward([1, 2]).data];

describe("a tokenizer that fits", () => {
  test.each<[string, Record<string, unknown>]>([
    ["tokenizer.json", { "tokenizer.json": sound }],
    [
      "a padding token that was added without a row in the embedding",
      {
        "tokenizer.json": { ...base, added_tokens: [end, added(4, "[PAD]")] },
      },
    ],
    ["vocab.json and merges.txt", { "vocab.json": { b: 1, c: 2, a: 0, "<|endoftext|>": 3 }, "merges.txt": "" }],
  ])("%s", async (name, files) => {
    const { model: loaded, tokenizer, tokenizerFault } = await loadFolder(await folderOf(files));
    expect(tokenizerFault).toBeUndefined();
    const text = name.startsWith("vocab") ? "bc" : "b c";
    expect(tokenizer?.encode(text, { bos: true })).toEqual([3, 1, 2]);
    expect([...loaded.forward(tokenizer?.encode(text) ?? []).data]).toEqual(expected);
    expect(loaded.config.bos_token_id).toBe(3);
  });

  test("the added token that has no row is refused by its id when it is run", async () => {
    const folder = await folderOf({ "tokenizer.json": { ...base, added_tokens: [end, added(4, "[PAD]")] } });
    const { model: loaded, tokenizer } = await loadFolder(folder);
    expect(() => loaded.forward(tokenizer?.encode("b [PAD]") ?? [])).toThrow(
      "token 4 at position 1 of prompt 0 is not",
    );
  });

  test("vocab.json alone is none", async () => {
    expect((await loadFolder(await folderOf({ "vocab.json": vocab }))).tokenizer).toBeUndefined();
  });
});

test("a bos_token that the vocabulary lacks is refused when a text is to begin with it", async () => {
  const folder = await folderOf({ "tokenizer.json": sound, "tokenizer_config.json": { bos_token: "<s>" } });
  const { model: loaded, tokenizer, tokenizerFault } = await loadFolder(folder);
  expect(tokenizerFault).toBeUndefined();
  expect([...loaded.forward(tokenizer?.encode("b c") ?? []).data]).toEqual(expected);
  expect(tokenizer?.bos).toBeUndefined();
  expect(loaded.config.bos_token_id).toBeUndefined();
  expect(errorOf(() => toTokens(tokenizer as Tokenizer, "b c"))).toEqual({
    name: "InputError",
    message:
      'encode: the beginning-of-sequence token "<s>" that tokenizer_config.json names is not in the vocabulary. Name it when loading: loadTokenizer(json, { bos }).',
  });
});

describe("a tokenizer that cannot be used", () => {
  const larger = { ...base, model: { ...base.model, vocab: { ...vocab, d: 4, e: 5 } }, added_tokens: [end] };
  test.each<[string, Record<string, unknown>, string, RegExp]>([
    [
      "of another model",
      { "tokenizer.json": larger },
      "ConfigError",
      /has 6 tokens but the model's d_vocab is 4\. One of the two/,
    ],
    [
      "of a kind that is not read",
      {
        "tokenizer.json": { ...sound, pre_tokenizer: { type: "Nonsense" } },
      },
      "FormatError",
      /pre_tokenizer: the type "Nonsense" is not read; those read are/,
    ],
    ["that is no JSON", { "tokenizer.json": "{" }, "FormatError", /tokenizer\.json is not JSON/],
    [
      "whose configuration is none",
      { "tokenizer.json": sound, "tokenizer_config.json": [] },
      "FormatError",
      /tokenizer_config\.json is an array/,
    ],
    [
      "of GPT-2's files, with a merge too many",
      { "vocab.json": vocab, "merges.txt": "a b" },
      "FormatError",
      /merge 0 needs the token "ab"/,
    ],
  ])("%s", async (_name, files, name, message) => {
    const { model: loaded, tokenizer, tokenizerFault } = await loadFolder(await folderOf(files));
    expect([...loaded.forward([1, 2]).data]).toEqual(expected);
    expect(loaded.config.bos_token_id).toBeUndefined();
    expect(tokenizerFault?.name).toBe(name);
    expect(tokenizerFault?.message).toMatch(message);
    const asked: ((t: Tokenizer) => unknown)[] = [
      (t) => t.encode("a"),
      (t) => t.decode([0]),
      (t) => t.tokenString(0),
      (t) => t.tokenStrings("a"),
      (t) => t.toSingleToken("a"),
      (t) => t.tokenPosition("a", "a"),
      (t) => toTokens(t, "a"),
    ];
    for (const ask of asked) expect(() => ask(tokenizer as Tokenizer)).toThrow(tokenizerFault?.message);
  });
});

describe("given beside weights alone", () => {
  test.each<[string, unknown]>([
    ["parsed", config],
    ["as text", JSON.stringify(config)],
    ["as bytes", new TextEncoder().encode(JSON.stringify(config))],
  ])("a configuration %s, and a tokenizer in every form", async (_name, given) => {
    const folder = await folderOf({}, false);
    for (const tokenizer of [
      sound,
      JSON.stringify(sound),
      new TextEncoder().encode(JSON.stringify(sound)),
      loadTokenizer(sound),
    ]) {
      for (const path of [folder, join(folder, "model.safetensors")]) {
        const loaded = await loadFolder(path, { config: given, tokenizer });
        expect([...loaded.model.forward(loaded.tokenizer?.encode("b c") ?? []).data]).toEqual(expected);
        expect(loaded.config.bos_token_id).toBe(3);
      }
    }
  });

  test("they come before the folder's own", async () => {
    const folder = await folderOf({ "config.json": "{", "tokenizer.json": "{" });
    const loaded = await loadFolder(folder, { config, tokenizer: sound });
    expect(loaded.tokenizerFault).toBeUndefined();
    expect(loaded.tokenizer?.encode("c")).toEqual([2]);
    expect((await loadFolder(folder, { config, tokenizer: null })).tokenizer).toBeUndefined();
  });

  test("a tokenizer that cannot be read is refused at once", async () => {
    await expect(loadFolder(await folderOf({}), { tokenizer: "{" })).rejects.toThrow("tokenizer.json is not JSON");
    await expect(loadFolder(await folderOf({}), "config.json" as never)).rejects.toThrow("loadFolder: options is");
  });
});
