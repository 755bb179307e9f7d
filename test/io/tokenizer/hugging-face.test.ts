/** Ids and texts against Hugging Face's `tokenizers`, part by part of `tokenizer.json`: test/fixtures/tokenizers/make.py. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadTokenizer } from "../../../src/io/index.ts";
import { errorOf } from "../bytes.ts";

interface Case {
  readonly name: string;
  readonly json: { readonly model: { readonly type: string; readonly vocab: readonly string[] } };
  /** Hugging Face's refuses to load it. */
  readonly raises?: true;
  /** Unless given the common ones; `rows` alone are decoded where it is absent. */
  readonly texts?: readonly string[] | null;
  readonly ids: readonly (number | null)[];
  readonly decoded?: readonly number[];
  readonly pieces?: readonly (readonly [number, number])[];
}

const file = new URL("../../fixtures/tokenizers/expected.json", import.meta.url);
const { cases, texts, rows, strings, bytes, words } = JSON.parse(readFileSync(file, "utf8")) as {
  cases: Case[];
  texts: string[];
  rows: number[][];
  strings: string[];
  bytes: string[];
  words: string[];
};

/** What is refused though Hugging Face's loads it, and the words that say why. */
const refused = new Map([
  ["model BPE bytes {'dropout': 1.0}", 'model BPE: "dropout" is 1, by which ids are drawn by chance.'],
  [
    "added, id after a gap",
    'the added token "b" has id 7, but Hugging Face\'s tokenizers gives it 2, the next that is free.',
  ],
  [
    "added, another id than the vocabulary",
    'the added token "b" has id 3, but Hugging Face\'s tokenizers gives it 2, as',
  ],
  [
    "pre_tokenizer UnicodeScripts",
    'pre_tokenizer: the type "UnicodeScripts" is not read; those read are BertPreTokenizer,',
  ],
  ...["\\R", "\\X", "(?m:a.)", "(?x) a b", "\\p{^L}", "(?i)ab", "\\G.", "\\K", "(?i:st)", "(?i:[^s])"].map(
    (regex) =>
      [
        `pre_tokenizer regex ${regex}`,
        `pre_tokenizer Split: the regular expression ${JSON.stringify(regex)} `,
      ] as const,
  ),
]);

function whole({ json }: Case): unknown {
  if (json.model.type === "Unigram") return json;
  const expand = (token: string): readonly string[] =>
    token === "BYTES" ? bytes : token === "WORDS" ? words : [token];
  const vocab = Object.fromEntries(json.model.vocab.flatMap(expand).map((token, id) => [token, id]));
  return { ...json, model: { ...json.model, vocab } };
}

const loaded = cases.filter(({ name, raises }) => raises !== true && !refused.has(name));

test("the cases are those of the script", () => {
  expect(cases.length).toBe(321);
  expect(loaded.length).toBe(296);
});

test.each(loaded.map((entry) => [entry.name, entry] as const))("%s", (_, entry) => {
  const tokenizer = loadTokenizer(whole(entry));
  const right = entry.ids.map((row) => (row === null ? "no ids" : (rows[row] ?? [])));
  if (entry.texts !== undefined) {
    const encode = (text: string): number[] | string => {
      try {
        return tokenizer.encode(text);
      } catch (error) {
        return (error as Error).name === "InputError" ? "no ids" : String(error);
      }
    };
    expect((entry.texts ?? texts).map(encode)).toEqual(right);
  }
  if (entry.decoded === undefined) return;
  const decode = (ids: number[] | string): string | undefined =>
    typeof ids === "string" ? undefined : tokenizer.decode(ids);
  expect(right.map(decode)).toEqual(entry.decoded.map((at) => strings[at]));
  const pieces = entry.pieces ?? [];
  expect(tokenizer.tokenStrings(pieces.map(([id]) => id))).toEqual(pieces.map(([, at]) => strings[at]));
});

describe("refused by name when loaded", () => {
  test.each([...refused])("%s", (name, what) => {
    const entry = cases.find((each) => each.name === name);
    const error = errorOf(() => loadTokenizer(entry === undefined ? {} : whole(entry)));
    expect(error.name).toBe("FormatError");
    expect(error.message.startsWith(`loadTokenizer: tokenizer.json: ${what}`)).toBe(true);
  });

  test.each(cases.filter(({ raises }) => raises).map((entry) => [entry.name, entry] as const))(
    "%s, as Hugging Face's refuses it",
    (_, entry) => {
      const { name, message } = errorOf(() => loadTokenizer(whole(entry)));
      expect(name).toBe("FormatError");
      expect(message).toMatch(/^loadTokenizer: tokenizer\.json: (model|decoder|pre_tokenizer|normalizer)/);
    },
  );
});

test("half a character is U+FFFD, as text that became bytes has it", () => {
  const [entry] = loaded.filter(({ name }) => name === "model BPE bytes {}");
  const tokenizer = loadTokenizer(entry === undefined ? {} : whole(entry));
  for (const half of ["\ud83d", "\ude00", "a\ud83db", "\ude00\ud83d"]) {
    expect(tokenizer.encode(half)).toEqual(tokenizer.encode(half.replace(/\p{Surrogate}/gu, "\ufffd")));
  }
});

test.each(["(?s:a.)", "(?-i:a)", "(?im:a)", "x(?m:.)", "(?m)a."])(
  "the modifier in %s is refused on every engine, also where JavaScript gives it another meaning",
  (regex) => {
    const tokenizer = {
      added_tokens: [],
      pre_tokenizer: { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false },
      model: { type: "WordLevel", vocab: { a: 0, "[UNK]": 1 }, unk_token: "[UNK]" },
    };
    const { name, message } = errorOf(() => loadTokenizer(tokenizer));
    expect(name).toBe("FormatError");
    expect(message).toContain("of modifiers only (?i: is read");
  },
);
