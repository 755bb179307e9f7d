/** Tokenizers made of texts, against those that Hugging Face's trainer makes. */
import { describe, expect, test } from "vitest";
import { InputError } from "../../../src/errors.ts";
import { loadTokenizer, trainTokenizer } from "../../../src/io/index.ts";
import { readText } from "../../support/files.ts";

interface Case {
  readonly text: string;
  readonly vocabSize: number;
  readonly minFrequency: number;
  /** The tokens that merges made, in the order of their ids. */
  readonly vocab: readonly string[];
  readonly merges: readonly string[];
  readonly ids: readonly number[];
}

const cases = JSON.parse(readText("test/fixtures/tokenizers/trained.json")) as Case[];

const modelOf = (json: Readonly<Record<string, unknown>>) =>
  json["model"] as { readonly vocab: Readonly<Record<string, number>>; readonly merges: readonly [string, string][] };

describe("a tokenizer made of a text is Hugging Face's, to the last merge and id", () => {
  test.each(cases.map((given, i) => [i, given.vocabSize, given.minFrequency, given] as const))(
    "text %i, at most %i tokens, pairs that occur %i times",
    (_, vocabSize, minFrequency, { text, vocab, merges, ids }) => {
      const json = trainTokenizer(text, { vocabSize, minFrequency });
      const model = modelOf(json);
      expect(model.merges.map((pair) => pair.join("▁"))).toEqual(merges);
      const tokens = Object.entries(model.vocab).sort(([, a], [, b]) => a - b);
      expect(tokens.slice(257).map(([token]) => token)).toEqual(vocab);
      const tokenizer = loadTokenizer(json);
      expect(tokenizer.encode([...text].slice(0, 300).join(""))).toEqual(ids);
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      expect(tokenizer.bos).toBe(0);
    },
  );
});

test("several texts are one, words counted over all of them", () => {
  const [given] = cases;
  const text = given?.text ?? "";
  // Words do not reach over the blank line at which the text is cut.
  const at = text.indexOf("\n\n#") + 2;
  expect(at).toBeGreaterThan(10);
  const parts = trainTokenizer([text.slice(0, at), text.slice(at)], { vocabSize: 400 });
  const whole = trainTokenizer(text, { vocabSize: 400 });
  expect(modelOf(parts).merges.slice(0, 50)).toEqual(modelOf(whole).merges.slice(0, 50));
});

test("wrong texts, sizes and special tokens are refused", () => {
  const refused: [() => unknown, RegExp][] = [
    [() => trainTokenizer([]), /give a text/],
    [() => trainTokenizer([5] as never), /text is 5/],
    [() => trainTokenizer("a", { vocabSize: 256 }), /Raise it to 257/],
    [() => trainTokenizer("a", { special: ["a"] }), /all different/],
    [() => trainTokenizer("a", { minFrequency: 0 }), /minFrequency is 0/],
    [() => trainTokenizer("a", { vocabsize: 300 } as never), /Did you mean vocabSize/],
  ];
  for (const [call, text] of refused) {
    expect(call).toThrow(InputError);
    expect(call).toThrow(text);
  }
});
