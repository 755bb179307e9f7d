/**
 * Tokenizers in GGUF files: ids and texts of `tokenizers` and `sentencepiece`, which test/fixtures/gguf/tokenizers.py
 * asked.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FormatError } from "../../../src/errors.ts";
import { openCheckpoint, tokenizerFromCheckpoint } from "../../../src/io/index.ts";
import { loadFolder } from "../../../src/io/node.ts";

const folder = new URL("../../fixtures/gguf/", import.meta.url);
const bytesOf = (file: string): Uint8Array => new Uint8Array(readFileSync(new URL(file, folder)));
const expected = JSON.parse(new TextDecoder().decode(bytesOf("tokenizers.json"))) as Record<
  string,
  { text: string; ids: number[]; decoded: string }[]
>;

describe.each(Object.entries(expected))("%s", async (name, cases) => {
  const checkpoint = await openCheckpoint(bytesOf(`tokenizer-${name}.gguf`));
  const tokenizer = tokenizerFromCheckpoint(checkpoint);

  test.each(cases)("$text", ({ text, ids, decoded }) => {
    expect(tokenizer?.encode(text)).toEqual(ids);
    expect(tokenizer?.decode(ids)).toBe(decoded);
  });

  test("the token that begins sequences is that of the header", () => {
    expect(tokenizer?.bos).toBe(name === "llama" ? 1 : 0);
  });
});

describe("refused", () => {
  test.each([
    ["model", "bert"],
    ["pre", "deepseek-coder"],
    ["tokens", ["a", "a"]],
    ["tokens", "text"],
    ["token_type", [1]],
    ["merges", [1]],
    ["bos_token_id", -1],
  ])("tokenizer.ggml.%s of %j", async (field, value) => {
    const checkpoint = await openCheckpoint(bytesOf("tokenizer-gpt-2.gguf"));
    const changed = { ...checkpoint, values: { ...checkpoint.values, [`tokenizer.ggml.${field}`]: value } };
    expect(() => tokenizerFromCheckpoint(changed)).toThrow(FormatError);
    expect(() => tokenizerFromCheckpoint(changed)).toThrow(`tokenizer.ggml.${field}`);
  });

  test("scores that are missing", async () => {
    const checkpoint = await openCheckpoint(bytesOf("tokenizer-llama.gguf"));
    const changed = { ...checkpoint, values: { ...checkpoint.values, "tokenizer.ggml.scores": [1] } };
    expect(() => tokenizerFromCheckpoint(changed)).toThrow(/scores/);
  });

  test("a file without one, and of another format", async () => {
    expect(tokenizerFromCheckpoint(await openCheckpoint(bytesOf("llama.gguf")))).toBeUndefined();
    expect(tokenizerFromCheckpoint(await openCheckpoint(bytesOf("packed.safetensors")))).toBeUndefined();
    const { model, tokenizer } = await loadFolder(new URL("llama.gguf", folder));
    expect([model.config.n_layers, tokenizer]).toEqual([2, undefined]);
  });
});
