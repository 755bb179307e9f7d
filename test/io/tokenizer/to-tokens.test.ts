/** Texts as batches, with TransformerLens's rules for the BOS token. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { InputError } from "../../../src/errors.ts";
import { isSingleToken, loadTokenizer, toTokens } from "../../../src/io/index.ts";
import { goldenFile, loadGolden } from "../../support/golden.ts";

const tokenizer = loadTokenizer(readFileSync(goldenFile("bundled", "tokenizer.json")));
const bos = tokenizer.bos ?? NaN;

describe("toTokens", () => {
  test("a text becomes a batch of one that begins with BOS, unless told otherwise", () => {
    const ids = tokenizer.encode("declare function");
    expect(toTokens(tokenizer, "declare function").toNested()).toEqual([[bos, ...ids]]);
    expect(toTokens(tokenizer, "declare function", { prependBos: false }).toNested()).toEqual([ids]);
  });

  test("a text that spells BOS out gets another, as in TransformerLens", () => {
    expect(toTokens(tokenizer, "<|endoftext|>declare").toNested()).toEqual([
      [bos, bos, tokenizer.toSingleToken("declare")],
    ]);
  });

  test("BOS alone is a prompt; nothing at all is not", () => {
    expect(toTokens(tokenizer, "").toNested()).toEqual([[bos]]);
    expect(() => toTokens(tokenizer, "", { prependBos: false })).toThrow(
      "toTokens: text 0 has no tokens. A run needs at least one.",
    );
    expect(() => toTokens(tokenizer, [])).toThrow("toTokens: there is no text. Give one, or a list of them.");
  });

  test("shorter texts are filled up at the end, and that changes no logit before it", () => {
    const texts = ["interface Array<T> {", "declare"];
    const tokens = toTokens(tokenizer, texts, { padToken: 7 });
    const [long = [], short = []] = texts.map((text) => [bos, ...tokenizer.encode(text)]);
    expect(tokens.toNested()).toEqual([long, [...short, ...new Array<number>(long.length - short.length).fill(7)]]);
    const { model } = loadGolden("bundled");
    const padded = model.forward(tokens).slice("batch", 1, 2).slice("pos", 0, short.length);
    expect(padded.toNested()).toEqual(model.forward(short).toNested());
  });

  test("different lengths without a pad token are refused, with the lengths", () => {
    const call = (): unknown => toTokens(tokenizer, ["declare function", "declare"]);
    expect(call).toThrow(InputError);
    expect(call).toThrow(
      "toTokens: text 1 has 2 tokens and another has 3. Texts of one run have equal length: pass padToken, or cut them with maxLength.",
    );
  });

  test("longer texts are cut at the end, BOS counted", () => {
    const tokens = toTokens(tokenizer, ["declare function", "declare"], { maxLength: 2 });
    expect(tokens.toNested()).toEqual(["declare", "declare"].map((text) => [bos, tokenizer.toSingleToken(text)]));
    expect(() => toTokens(tokenizer, "declare", { maxLength: 0 })).toThrow(
      "toTokens: maxLength is 0; it is how many tokens a text may have, at least 1.",
    );
  });

  test("a tokenizer without BOS says so, and serves without", () => {
    const json = JSON.parse(readFileSync(goldenFile("bundled", "tokenizer.json"), "utf8")) as {
      added_tokens: { special: boolean }[];
    };
    const plain = loadTokenizer({ ...json, added_tokens: json.added_tokens.map((t) => ({ ...t, special: false })) });
    expect(plain.bos).toBeUndefined();
    expect(() => toTokens(plain, "declare")).toThrow("the tokenizer has no beginning-of-sequence token.");
    expect(toTokens(plain, "declare", { prependBos: false }).shape).toEqual([1, 1]);
  });
});

test("a forgotten tokenizer is what is missing", () => {
  for (const call of [
    () => toTokens("hello" as never, undefined as never),
    () => toTokens("hello" as never, tokenizer as never),
  ])
    expect(call).toThrow(
      'toTokens: the tokenizer is missing; the first argument is "hello". Write toTokens(tokenizer, text), with a tokenizer of loadTokenizer.',
    );
  expect(() => toTokens(undefined as never, "hello")).toThrow("toTokens: tokenizer is undefined, not a Tokenizer.");
  expect(() => toTokens(["hello"] as never, undefined as never)).toThrow(
    "toTokens: tokenizer is an array, not a Tokenizer.",
  );
  expect(() => toTokens(tokenizer, undefined as never)).toThrow("toTokens: input is undefined, not a list.");
});

test("isSingleToken counts the space before a word", () => {
  expect(isSingleToken(tokenizer, " function")).toBe(true);
  expect(isSingleToken(tokenizer, "declare function")).toBe(false);
  expect(isSingleToken(tokenizer, "")).toBe(false);
});
