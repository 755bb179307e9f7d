/** The list of figures, and figures 1 to 11 on models of all kinds: made, or refused with the reason. */
import { openBundledModel } from "transformer-circuits/bundled";
import { figureEntries, figureEntry, figureJson, makeFigure } from "transformer-circuits/figures";
import { describe, expect, it } from "vitest";
import { Tensor } from "../../src/tensor/index.ts";
import { loadGolden } from "../support/golden.ts";
import { randomModel } from "../support/random-model.ts";
import { kinds, text } from "./kinds.ts";
import type { Kind } from "./kinds.ts";

const entries = figureEntries().filter(({ number }) => number <= 11);

/** A tokenizer of letters, the tokens "a", "b", … "aa", …. */
const letters = {
  bos: undefined,
  tokenString: (id: number) =>
    id < 4 ? "abcd".charAt(id) : "abcd".charAt(id % 4) + "abcd".charAt(Math.floor(id / 4) % 4),
  encode: (given: string) => Array.from(given, (letter) => "abcd".indexOf(letter)),
};

const all: readonly Kind[] = [...kinds, ["forty heads", { n_layers: 2, n_heads: 40, d_head: 2 }]];

describe.each(all)("%s", (kind, options) => {
  const model = randomModel({ n_ctx: 30, ...options });
  const ids = text.map((id) => id % model.config.d_vocab);
  it.each(entries.map((entry) => [entry.name, entry] as const))("%s", async (name, entry) => {
    const lacksLayers = entry.needs.includes("two layers") && model.config.n_layers < 2;
    const lacksPositions = entry.needs.includes("positions") && model.config.positional_embedding_type === "none";
    const made = makeFigure(name, { model, tokenizer: letters, text: ids });
    if (lacksLayers || lacksPositions) {
      await expect(made).rejects.toThrow(
        lacksLayers ? "this model has one layer (n_layers=1)" : "this model has none (positional_embedding_type=none)",
      );
      return;
    }
    const { figure, data } = await made;
    expect(figure.svg.length ?? 0, kind).toBeGreaterThan(500);
    const drawn = figure.svg.replace(/base64,[^"]*/g, "");
    expect(/="[^"]*(NaN|undefined|Infinity)[^"]*"/.exec(drawn)?.[0]).toBeUndefined();
    expect(figureJson(name, data)).toMatch(new RegExp(`^\\{"figure":"${name}","data":\\{`));
  });
});

const text24 = "interface Array<T> {\n    push(...items: T[]): number;\n    pop(): T | undefined;\n}\n";
/** What every figure says of the bundled model. */
const said: Readonly<Record<string, readonly RegExp[]>> = {
  "copying-table": [/>L1H2</, />copying score \+1\.00</],
  "split-token-table": [/in 1,296 ways/, />·callback</],
  "skip-trigrams": [/>L0H3</, /<title>docs: 3\.\d+<\/title>/],
  "head-dump": [/>L0H0</, />L1H7</],
  "positional-heads": [/>L0H5, pattern</, />All heads, mean attention by offset</],
  "skip-trigram-bugs": [/skip-trigrams\s+were read|tokens with/, />L0H\d</],
  "ov-eigenvalues": [/>L0H0</, />copying \+0\.99</],
  "copying-histogram": [/of 16 heads stand/, />copying score →</],
  "logit-expansion": [/>64 terms</, />direct path</],
  "qk-expansion": [/>L1H2, every term</, />K-composition</],
  composition: [/As corrected, 2023/, /L0H5→L1H2 K-composition: 0\.2/],
};

describe("on the bundled model, and on a small one of the reference", () => {
  it.each(entries.map(({ name }) => name))("%s says what it should", async (name) => {
    const { figure } = await makeFigure(name, { ...(await openBundledModel()), text: text24.repeat(3) });
    const svg = figure.svg;
    for (const pattern of said[name] ?? [/a figure without a check/])
      expect(pattern.test(svg), String(pattern)).toBe(true);
  });

  it.each(entries.filter(({ needs }) => !needs.includes("tokenizer")).map(({ name }) => name))(
    "%s without a tokenizer",
    async (name) => {
      const golden = loadGolden("attn-2l-ln");
      const { figure } = await makeFigure(name, { model: golden.model, text: golden.tokens()[0] });
      const isTable = figure.kind === "tokenTable";
      expect(figure.svg).toMatch(isTable ? />#\d+</ : /L1H\d|layer 1|heads/);
    },
  );
});

describe("the list", () => {
  const all = figureEntries();
  it("has names in small letters, each once, titles, sources and the papers' order within its parts", () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
    for (const { name, title, source, needs } of all) {
      expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
      expect([title.length > 10, /Framework|In-context Learning|ARENA|et al\.|EAP|arXiv/.test(source)], name).toEqual([
        true,
        true,
      ]);
      expect(new Set(needs).size).toBe(needs.length);
    }
    const numbers = all.map(({ number }) => number);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(new Set(numbers.filter((number) => number <= 11)).size).toBe(11);
  });

  it("names the nearest of a wrong name, or all where none is near", () => {
    expect(() => figureEntry("copying-tabel")).toThrow(
      'figureEntry: there is no figure "copying-tabel". Nearest: copying-table',
    );
    expect(() => figureEntry("eigenvalues")).toThrow("Nearest: ov-eigenvalues.");
    expect(() => figureEntry("zzzzzzzz")).toThrow('there is no figure "zzzzzzzz". There are copying-table, ');
    expect(() => figureEntry("toString")).toThrow('there is no figure "toString".');
  });
});

describe("refusals", () => {
  const model = randomModel();
  it.each([
    [
      "skip-trigram-bugs",
      { model },
      "skip-trigram-bugs: this figure runs the model on a text, and none was given. Give `text`, a text or token ids.",
    ],
    [
      "skip-trigram-bugs",
      { model, text: "abc" },
      "skipTrigramBugTable: a text was given, but there is no tokenizer. Give token ids, or a tokenizer.",
    ],
    [
      "skip-trigram-bugs",
      { model, text: [1, 99] },
      "token 1 of the text is 99, which is not a token id; this model has d_vocab=17, ids 0 to 16.",
    ],
    [
      "skip-trigram-bugs",
      { model, text: [1] },
      "the text has 1 token; a sequence of two or more is needed. Give a longer text.",
    ],
    [
      "skip-trigram-bugs",
      { model, text: [1, 2], bos: 17 },
      "bos is 17, which is not a token id; this model has d_vocab=17, ids 0 to 16.",
    ],
    [
      "split-token-table",
      { model },
      "split-token-table: this figure is about the texts of tokens, and the model has no tokenizer. Give one, as tokenizer.json.",
    ],
    [
      "ov-eigenvalues",
      { model: randomModel({ config: { d_vocab_out: 5 } }) },
      "ov-eigenvalues: this figure cannot be made of this model: it compares tokens with themselves, and this model's output tokens are others than its input tokens (d_vocab=17, d_vocab_out=5). Choose another figure or model.",
    ],
    [
      "positional-heads",
      { model: randomModel({ config: { attention_dir: "bidirectional" } }) },
      "it looks back from a token, and this model's heads see later tokens (attention_dir=bidirectional)",
    ],
    [
      "head-dump",
      { model: randomModel({ n_layers: 0 }) },
      "it shows attention heads, and this model has none (n_layers=0)",
    ],
    [
      "composition",
      { model: randomModel({ n_layers: 0 }) },
      "it shows what heads of two layers do together, and this model has no layer (n_layers=0)",
    ],
  ])("%s", async (name, input, message) => {
    await expect(makeFigure(name, input)).rejects.toThrow(message);
  });

  it("heads that the model does not have, by name", async () => {
    for (const name of [
      "copying-table",
      "head-dump",
      "skip-trigrams",
      "positional-heads",
      "ov-eigenvalues",
      "qk-expansion",
    ])
      await expect(makeFigure(name, { model }, { heads: ["L5H0"] })).rejects.toThrow(
        "there is no head L5H0 in this model",
      );
  });

  it("a signal that is aborted stops every figure that takes long", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    for (const { name } of entries)
      await expect(makeFigure(name, { model, tokenizer: letters, text }, { signal }), name).rejects.toThrow("enough");
  });

  it("progress goes to its end, in one scale", async () => {
    for (const { name } of entries) {
      const shares: number[] = [];
      await makeFigure(
        name,
        { model, tokenizer: letters, text },
        { onProgress: (done, total) => shares.push(done / total) },
      );
      expect(shares.length, name).toBeGreaterThan(0);
      expect(shares, name).toEqual([...shares].sort((a, b) => a - b));
      expect(shares[shares.length - 1], name).toBe(1);
    }
  });
});

it("figureJson writes tensors with axes, arrays as lists, and what JSON has not as null", () => {
  const data = {
    t: Tensor.from("layer head", [2, 1], [1, Infinity]),
    f: Float64Array.of(1, NaN),
    m: new Map([["a", 1]]),
    none: undefined,
  };
  expect(JSON.parse(figureJson("x", data))).toEqual({
    figure: "x",
    data: { t: { axes: "layer head", shape: [2, 1], data: [1, null] }, f: [1, null], m: [["a", 1]] },
  });
});
