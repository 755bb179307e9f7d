import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loadTokenizer } from "../../../src/io/index.ts";
import { goldenFile } from "../../support/golden.ts";
import { encodeBpe } from "./bpe.ts";
import { errorOf } from "../bytes.ts";

const text = readFileSync(goldenFile("bundled", "tokenizer.json"), "utf8");
const json = JSON.parse(text) as Parameters<typeof encodeBpe>[0] & { added_tokens: Record<string, unknown>[] };
const tokenizer = loadTokenizer(json);

const samples = [
  "declare function parseInt(string: string, radix?: number): number;",
  "interface Array<T> {\n    /** Gets the length. */\n    readonly length: number;\n\n}\n",
  "  two  spaces,\ttabs\r\nand trailing   ",
  "it's we'll they've I'm you're he'd don't",
  "caf\u00e9 na\u00efve \u00fcber",
  "\u6f22\u5b57 \u304b\u306a \ud55c\uae00",
  "emoji \u{1f600}\u{1f468}\u200d\u{1f469}\u200d\u{1f467} and \ufeff marks",
  "x1234567890 0x1F 1_000",
  "",
];

describe("encoding", () => {
  test.each(samples)("%j is split as plain byte-level BPE splits it", (sample) => {
    expect(tokenizer.encode(sample)).toEqual(encodeBpe(json, sample));
  });

  test("any text, 300 runs of seed 11", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 40 }), (sample) => {
        expect(tokenizer.encode(sample)).toEqual(encodeBpe(json, sample));
      }),
      { seed: 11, numRuns: 300 },
    );
  });

  test("bos only where asked for; spelled out, it is one token", () => {
    expect(tokenizer.bos).toBe(0);
    expect(tokenizer.vocabSize).toBe(1024);
    const plain = tokenizer.encode("declare");
    expect(tokenizer.encode("declare", { bos: true })).toEqual([0, ...plain]);
    expect(tokenizer.encode("declare", { bos: false })).toEqual(plain);
    expect(tokenizer.encode("<|endoftext|>declare<|endoftext|>")).toEqual([0, ...plain, 0]);
    expect(tokenizer.encode("", { bos: true })).toEqual([0]);
  });

  test("the same from text, bytes and the parsed object", () => {
    const [sample] = samples;
    for (const form of [text, new TextEncoder().encode(text), Buffer.from(text)]) {
      expect(loadTokenizer(form).encode(sample ?? "")).toEqual(tokenizer.encode(sample ?? ""));
    }
  });
});

describe("decoding", () => {
  test.each(samples)("%j comes back", (sample) => {
    expect(tokenizer.decode(tokenizer.encode(sample))).toBe(sample);
  });

  test("any text comes back, 300 runs of seed 12", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 40 }), (sample) => {
        expect(tokenizer.decode(tokenizer.encode(sample))).toBe(sample);
      }),
      { seed: 12, numRuns: 300 },
    );
  });

  test("a lone surrogate, which is not text, comes back as U+FFFD", () => {
    expect(tokenizer.decode(tokenizer.encode("a\ud800b"))).toBe("a\ufffdb");
  });

  test("no cleaning up: spaces before punctuation stay", () => {
    expect(tokenizer.decode(tokenizer.encode("a , b . c ' s n't"))).toBe("a , b . c ' s n't");
  });

  test("special tokens are spelled out, no ids give no text, typed arrays are ids too", () => {
    const ids = tokenizer.encode("declare", { bos: true });
    expect(tokenizer.decode(ids)).toBe("<|endoftext|>declare");
    expect(tokenizer.decode([])).toBe("");
    expect(tokenizer.decode(Int32Array.from(ids))).toBe("<|endoftext|>declare");
  });

  test("bigints are the ids that they are", () => {
    const ids = tokenizer.encode("declare function");
    const big = BigInt64Array.from(ids, BigInt);
    expect(tokenizer.decode(big)).toBe("declare function");
    expect(tokenizer.tokenStrings([...big] as never)).toEqual(["declare", " function"]);
    expect(tokenizer.tokenString(big[1] as never)).toBe(" function");
    expect(tokenizer.tokenPosition(big[1] as never, big as never)).toBe(1);
  });

  test("each token by itself, spaces and line ends included", () => {
    expect(tokenizer.tokenStrings("declare function\n", { bos: true })).toEqual([
      "<|endoftext|>",
      "declare",
      " function",
      "\n",
    ]);
    expect(tokenizer.tokenStrings(tokenizer.encode(" return"))).toEqual([" re", "turn"]);
    expect(tokenizer.tokenStrings("")).toEqual([]);
    expect(tokenizer.tokenString(0)).toBe("<|endoftext|>");
    expect(tokenizer.tokenString(1)).toBe("!");
  });

  test("bytes of a character that tokens share are U+FFFD each", () => {
    const ids = tokenizer.encode("\u6f22");
    expect(ids.length).toBe(3);
    expect(tokenizer.tokenStrings(ids)).toEqual(["\ufffd", "\ufffd", "\ufffd"]);
    expect(tokenizer.decode(ids)).toBe("\u6f22");
  });

  test("the strings of tokens that are whole characters join to the text", () => {
    const sample = samples[1] ?? "";
    expect(tokenizer.tokenStrings(sample).join("")).toBe(sample);
  });
});

describe("single tokens and positions", () => {
  test("found", () => {
    const id = tokenizer.toSingleToken(" function");
    expect(tokenizer.tokenString(id)).toBe(" function");
    const sample = "a function b function c";
    expect(tokenizer.tokenStrings(sample)).toEqual(["a", " function", " b", " function", " c"]);
    expect(tokenizer.tokenPosition(" function", sample)).toBe(1);
    expect(tokenizer.tokenPosition(" function", sample, { bos: true })).toBe(2);
    expect(tokenizer.tokenPosition(id, tokenizer.encode(sample), { mode: "last" })).toBe(3);
  });

  test("not one token", () => {
    expect(errorOf(() => tokenizer.toSingleToken(" function number"))).toEqual({
      name: "InputError",
      message:
        'toSingleToken: " function number" is not one token but 2: " function", " number". Mind the space: " the" and "the" are two tokens.',
    });
    expect(errorOf(() => tokenizer.toSingleToken("")).message).toBe(
      'toSingleToken: "" is not one token but 0. Mind the space: " the" and "the" are two tokens.',
    );
    expect(errorOf(() => tokenizer.tokenPosition("\u6f22", "a")).message).toMatch(
      /^tokenPosition: "\u6f22" is not one token but 3: /,
    );
  });

  test("not there", () => {
    expect(errorOf(() => tokenizer.tokenPosition("!", "declare"))).toEqual({
      name: "InputError",
      message: 'tokenPosition: token 1 "!" does not occur among the 1 tokens of the input.',
    });
    expect(errorOf(() => tokenizer.tokenPosition(1, [0], { bos: true })).message).toBe(
      "tokenPosition: bos is for texts; token ids are taken as they are. Put tokenizer.bos before them yourself.",
    );
  });
});

describe("refusals", () => {
  test.each([[1024], [-1], [1.5], [NaN]])("id %d", (id) => {
    const error = { name: "InputError", message: `tokenString: ${id} is not a token id; they are 0 to 1023.` };
    expect(errorOf(() => tokenizer.tokenString(id))).toEqual(error);
    expect(errorOf(() => tokenizer.decode([5, id])).message).toBe(
      `decode: ${id} at position 1 is not a token id; they are 0 to 1023.`,
    );
    expect(errorOf(() => tokenizer.tokenPosition(id, "a")).message).toBe(
      `tokenPosition: ${id} is not a token id; they are 0 to 1023.`,
    );
  });

  test("a text that is not a string", () => {
    expect(errorOf(() => tokenizer.encode(5 as never))).toEqual({
      name: "InputError",
      message: "encode: the text must be a string, not 5.",
    });
  });

  test("a text that the vocabulary does not cover", () => {
    const words = loadTokenizer({ model: { vocab: { a: 0, b: 1 } }, pre_tokenizer: { type: "Whitespace" } });
    expect(words.encode("a b")).toEqual([0, 1]);
    expect(errorOf(() => words.encode("a c")).message).toBe(
      'encode: the tokenizer has no token for "c", at position 1 of the text\'s tokens.',
    );
  });

  test("characters are left out where Hugging Face leaves them out; merges without a type are BPE", () => {
    const tiny = loadTokenizer({ model: { vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] } });
    expect(tiny.encode("abxba")).toEqual([2, 1, 0]);
  });

  const model = { type: "BPE", vocab: { a: 0, b: 1 }, merges: [] };
  test.each<[unknown, string]>([
    ["nonsense", "tokenizer.json is not JSON: "],
    [Uint8Array.of(0xff), "tokenizer.json is not UTF-8 text."],
    [[], 'tokenizer.json: it is an array, not an object with a "model".'],
    [null, 'tokenizer.json: it is null, not an object with a "model".'],
    [{}, 'tokenizer.json: "model" is undefined, not an object with a "vocab".'],
    [{ model: {} }, 'tokenizer.json: "model.vocab" is undefined, not tokens with their ids.'],
    [{ model: { vocab: ["a"] } }, 'tokenizer.json: "model.vocab" is an array, not tokens with their ids.'],
    [{ model: { ...model, vocab: {} } }, "tokenizer.json: it has no tokens."],
    [{ model: { ...model, vocab: { a: -1 } } }, 'tokenizer.json: token "a" has id -1; ids are integers from 0.'],
    [{ model: { ...model, vocab: { a: "0" } } }, 'tokenizer.json: token "a" has id "0"; ids are integers from 0.'],
    [
      { model: { ...model, vocab: { a: 4e9 } } },
      'tokenizer.json: token "a" has id 4000000000; ids are integers from 0.',
    ],
    [{ model: { ...model, vocab: { a: 1, b: 1 } } }, 'tokenizer.json: tokens "a" and "b" have the same id 1.'],
    [{ model, added_tokens: {} }, 'tokenizer.json: "added_tokens" is an object, not a list.'],
    [{ model, added_tokens: [{ id: 2 }] }, 'tokenizer.json: an added token is an object without "content".'],
    [{ model, added_tokens: [{ id: 0, content: "c" }] }, 'tokenizer.json: tokens "a" and "c" have the same id 0.'],
    [
      { model: { ...model, type: "Nonsense", vocab: { a: 0 } }, pre_tokenizer: { type: "Nonsense" } },
      'tokenizer.json: pre_tokenizer: the type "Nonsense" is not read; those read are BertPreTokenizer, ',
    ],
  ])("a tokenizer.json %j", (broken, what) => {
    const { name, message } = errorOf(() => loadTokenizer(broken));
    expect(name).toBe("FormatError");
    expect(message.startsWith(`loadTokenizer: ${what}`)).toBe(true);
  });

  test("a vocabulary that holds __proto__ pollutes nothing", () => {
    const proto = loadTokenizer('{"model":{"type":"BPE","vocab":{"__proto__":0,"b":1},"merges":[]}}');
    expect(proto.vocabSize).toBe(2);
    expect(proto.tokenString(0)).toBe("__proto__");
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});

describe("where sequences begin", () => {
  const withTokens = (...contents: string[]): object => ({
    ...json,
    added_tokens: [...json.added_tokens, ...contents.map((content, i) => ({ id: 1024 + i, content, special: true }))],
  });

  test("by the usual names, the most telling first", () => {
    expect(loadTokenizer(withTokens("<s>", "<|BOS|>")).bos).toBe(1025);
    expect(loadTokenizer(withTokens("<s>")).bos).toBe(1024);
    expect(loadTokenizer({ model: { type: "BPE", vocab: { "<s>": 0 }, merges: [] } }).bos).toBeUndefined();
  });

  test("as tokenizer_config.json says, in either form", () => {
    const files = withTokens("<start>");
    expect(loadTokenizer(files, { config: { bos_token: "<start>" } }).bos).toBe(1024);
    expect(loadTokenizer(files, { config: '{"bos_token":{"content":"<start>"}}' }).bos).toBe(1024);
    expect(loadTokenizer(files, { config: { bos_token: null } }).bos).toBe(0);
  });

  test("as told, by text or id", () => {
    expect(loadTokenizer(json, { bos: "!" }).bos).toBe(1);
    expect(loadTokenizer(json, { bos: 7, config: { bos_token: "!" } }).bos).toBe(7);
  });

  test("not a token", () => {
    expect(errorOf(() => loadTokenizer(json, { bos: "<start>" }))).toEqual({
      name: "InputError",
      message: 'loadTokenizer: bos "<start>" is not a token of the tokenizer.',
    });
    expect(errorOf(() => loadTokenizer(json, { bos: 1024 })).message).toBe(
      "loadTokenizer: bos 1024 is not a token id; they are 0 to 1023.",
    );
    expect(errorOf(() => loadTokenizer(json, { config: [] })).message).toBe(
      "loadTokenizer: tokenizer_config.json is an array, not an object.",
    );
  });

  test("none", () => {
    const none = loadTokenizer({ model: { type: "BPE", vocab: { a: 0 }, merges: [] } });
    expect(errorOf(() => none.encode("a", { bos: true }))).toEqual({
      name: "InputError",
      message:
        "encode: the tokenizer has no beginning-of-sequence token. Name it when loading: loadTokenizer(json, { bos }).",
    });
  });
});
