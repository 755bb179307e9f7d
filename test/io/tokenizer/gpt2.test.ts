/** GPT-2's old files, against transformers' GPT2Tokenizer: test/fixtures/tokenizers/gpt2.py. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadGpt2Tokenizer, tokenizerFromFiles } from "../../../src/io/index.ts";
import { errorOf } from "../bytes.ts";

interface Case {
  readonly name: string;
  readonly end: boolean;
  readonly vocab: Record<string, number> | null;
  readonly merges: string;
  readonly files: Record<string, unknown>;
  readonly bos: number;
  readonly size: number;
  readonly ids: number[][];
  readonly decoded: string[];
}

const file = new URL("../../fixtures/tokenizers/gpt2.json", import.meta.url);
const fixture = JSON.parse(readFileSync(file, "utf8")) as { texts: string[]; vocab: string[]; cases: Case[] };
const { texts, cases } = fixture;

function vocabOf({ vocab, end }: Case): Record<string, number> {
  const tokens = end ? [...fixture.vocab, "<|endoftext|>"] : fixture.vocab;
  return vocab ?? Object.fromEntries(tokens.map((token, id) => [token, id]));
}

const bytes = (content: unknown): Uint8Array =>
  new TextEncoder().encode(typeof content === "string" ? content : JSON.stringify(content));

describe.each(cases.map((entry) => [entry.name, entry] as const))("%s", (_, entry) => {
  test("by function", () => {
    const { tokenizer_config: config, added_tokens: addedTokens, special_tokens_map: specialTokens } = entry.files;
    const files = { vocab: vocabOf(entry), merges: entry.merges, addedTokens, specialTokens };
    const tokenizer = loadGpt2Tokenizer(files, { config });
    expect(texts.map((text) => tokenizer.encode(text))).toEqual(entry.ids);
    expect(entry.ids.map((ids) => tokenizer.decode(ids))).toEqual(entry.decoded);
    expect([tokenizer.bos, tokenizer.vocabSize]).toEqual([entry.bos, entry.size]);
    const lines = loadGpt2Tokenizer(
      { ...files, vocab: bytes(files.vocab), merges: entry.merges.split("\n") },
      { config },
    );
    expect(texts.map((text) => lines.encode(text))).toEqual(entry.ids);
  });

  test("by the files of a folder, ends of line of either kind", async () => {
    const folder = new Map([["vocab.json", bytes(vocabOf(entry))]]);
    for (const [name, content] of Object.entries(entry.files)) folder.set(`${name}.json`, bytes(content));
    for (const merges of [entry.merges, entry.merges.replaceAll("\n", "\r\n")]) {
      const tokenizer = await tokenizerFromFiles(folder.set("merges.txt", bytes(merges)));
      expect(texts.map((text) => tokenizer?.encode(text))).toEqual(entry.ids);
      expect(tokenizer?.bos).toBe(entry.bos);
    }
  });
});

test("a bos of the caller's comes first; what is none is refused", () => {
  const vocab = { a: 0, b: 1, "<|endoftext|>": 2 };
  expect(loadGpt2Tokenizer({ vocab, merges: "" }, { bos: "b" }).encode("a", { bos: true })).toEqual([1, 0]);
  expect(errorOf(() => loadGpt2Tokenizer({ vocab, merges: "" }, { bos: "c" })).name).toBe("InputError");
});

test.each<[unknown, string]>([
  [{ vocab: [], merges: "" }, "vocab.json: it is an array, not an object of ids by token."],
  [{ vocab: "{", merges: "" }, "vocab.json is not JSON: "],
  [{ vocab: { a: 0 }, merges: 5 }, "merges.txt: it is 5, not lines of text."],
  [{ vocab: { a: 0 }, merges: Uint8Array.of(0xff) }, "merges.txt: it is an object, not lines of text."],
  [{ vocab: { a: 0 }, merges: "", addedTokens: [] }, "added_tokens.json: it is an array, not ids by token."],
])("%j", (files, message) => {
  const error = errorOf(() => loadGpt2Tokenizer(files as never));
  expect(error.name).toBe("FormatError");
  expect(error.message.startsWith(`loadGpt2Tokenizer: ${message}`)).toBe(true);
});

test("a merge of tokens that the vocabulary lacks is refused by name", () => {
  expect(errorOf(() => loadGpt2Tokenizer({ vocab: { a: 0, b: 1 }, merges: "a b" })).message).toContain(
    'merge 0 needs the token "ab", which the vocabulary lacks.',
  );
});

test("files that hold no tokenizer", async () => {
  expect(await tokenizerFromFiles(new Map([["vocab.json", bytes({ a: 0 })]]))).toBeUndefined();
  expect(await tokenizerFromFiles(new Map())).toBeUndefined();
  await expect(tokenizerFromFiles([] as never)).rejects.toThrow(
    "tokenizerFromFiles: files is an array, not a Map of files by name.",
  );
});
