/** Models and texts at the edges: the analysis says what it can and refuses the rest in words. */
import { describe, expect, test } from "vitest";
import type { Transformer } from "../../src/model/index.ts";
import { analyse, renderReport, summarise } from "../../src/report/index.ts";
import type { AnalyseOptions, ReportData } from "../../src/report/index.ts";
import { plantedModel } from "../support/planted-model.ts";
import { randomModel } from "../support/random-model.ts";
import type { RandomModelOptions } from "../support/random-model.ts";

const idsFor = (model: Transformer, count = 40): number[] =>
  Array.from({ length: count }, (_, i) => (i * 7 + ((i * i) >> 2)) % model.config.d_vocab);

const analyseIds = (model: Transformer, options: AnalyseOptions = {}): Promise<ReportData> =>
  analyse(model, undefined, idsFor(model), { bos: 0, ...options });

const cases: readonly (readonly [string, RandomModelOptions])[] = [
  ["no layers", { n_layers: 0 }],
  ["one layer", { n_layers: 1 }],
  ["three rotary layers", { n_layers: 3, position: "rotary" }],
  ["LayerNorm with biases", { norm: "LN", bias: true }],
  ["RMSNorm without positions", { norm: "RMS", position: "none", bias: true }],
  ["standard positions", { position: "standard", bias: true }],
  ["two tokens", { d_vocab: 2 }],
  ["one token", { d_vocab: 1 }],
  ["two positions", { n_ctx: 2 }],
  ["one head of one dimension", { n_heads: 1, d_head: 1 }],
  ["heads wider than the stream", { d_model: 6, d_head: 9 }],
  ["MLPs after the attention", { mlp: "gelu_new", norm: "LN", position: "standard", bias: true }],
  ["MLPs beside the attention", { mlp: "solu_ln", norm: "LN", position: "rotary", parallel: true }],
  ["more paths than can be written out", { n_layers: 6, n_heads: 4 }],
];

/** Paths of numbers that JSON would lose. */
function notFinite(value: unknown, path = ""): string[] {
  if (typeof value === "number") return Number.isFinite(value) ? [] : [path];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => notFinite(inner, `${path}.${key}`));
}

describe("analyse on any model", () => {
  test.each(cases)("%s", async (_, options) => {
    const model = randomModel(options);
    const data = await analyseIds(model);
    expect(notFinite(data)).toEqual([]);
    expect(data.expansion.withinBound).toBe(true);
    expect(data.heads).toHaveLength(model.heads.length);
    const text = renderReport(data).replace(/<script[^]*?<\/script>/g, "");
    expect(text).not.toMatch(/undefined|NaN|\[object/);
    expect(text.match(/<section /g)).toHaveLength(12);
    expect(summarise(data)).not.toMatch(/undefined|NaN/);
  });

  test("a model without a tokenizer shows tokens as numbers", async () => {
    const data = await analyseIds(randomModel());
    expect(data.text.hasTokenizer).toBe(false);
    expect(data.samples[0]?.tokens.every(({ text }) => /^#\d+$/.test(text))).toBe(true);
  });

  test("finds the heads that were planted, with K-composition 1/√30 (A Mathematical Framework's mechanism, exact)", async () => {
    const data = await analyse(
      plantedModel(),
      undefined,
      idsFor(plantedModel()).map((id) => id || 1),
      { bos: 0 },
    );
    expect(data.found.previousToken).toEqual(["L0H0"]);
    expect(data.found.induction).toEqual(["L1H0"]);
    const [head] = data.induction?.heads ?? [];
    expect(Math.abs((head?.partners[0]?.k ?? 0) - 1 / Math.sqrt(30))).toBeLessThan(1e-5);
    // Σλ of a circuit that is a positive multiple of the identity on all tokens is Σ|λ|
    expect(Math.abs((head?.qkPositivity ?? 0) - 1)).toBeLessThan(1e-6);
    expect(Math.abs((head?.copying ?? 0) - 1)).toBeLessThan(1e-6);
  });

  test("a model with MLPs: they are sources of paths, and the page says so", async () => {
    for (const parallel of [false, true]) {
      const model = randomModel({ mlp: "gelu", parallel, norm: "LN", position: "standard", n_heads: 2 });
      const data = await analyse(model, undefined, idsFor(model), { bos: 0 });
      // 1 + 4 + 4 from the embedding, 3 + 1 from the MLPs; the bias is one term more
      expect(data.expansion).toMatchObject({ paths: 13, terms: 14, withinBound: true });
      const page = renderReport(data)
        .replace(/<[^>]*>/g, " ")
        .replace(/\s+/g, " ");
      expect(page).toContain("This two-layer transformer with MLPs of");
      expect(page).toContain(
        parallel
          ? "which reads what the heads of its layer read"
          : "which reads the residual stream after the heads of its layer",
      );
      expect(page).toContain("each with an MLP of 15 neurons (gelu)");
      expect(page).toContain(
        "what each MLP wrote, and one term for every chain of heads through the layers that begins in either, 13 paths",
      );
      expect(page).not.toMatch(/[Aa]ttention-only transformer of/);
      expect(page).not.toContain("nothing else");
    }
  });

  test("long texts are run in windows, each begun with BOS, and the page says what was left out", async () => {
    const model = randomModel({ n_ctx: 10 });
    const data = await analyse(model, undefined, idsFor(model, 400), { bos: 0, maxTokens: 50 });
    expect(data.text).toMatchObject({ windows: 5, windowLength: 10, bos: 0, tokens: 45 });
    expect(data.notes.join(" ")).toContain("Of the 45 windows that the text makes, 5 were run");
    expect(renderReport(data)).toContain("Of the 45 windows");
  });

  test("a long text is cut at lines, without encoding the rest", async () => {
    const model = randomModel({ d_vocab: 30, n_ctx: 8 });
    let encoded = 0;
    const tokenizer = {
      bos: 0,
      tokenString: (id: number) => String.fromCharCode(96 + id),
      encode: (text: string) => {
        encoded += text.length;
        return Array.from(text, (character) => (character === "\n" ? 29 : character.charCodeAt(0) - 96));
      },
    };
    const data = await analyse(model, tokenizer, "abcdefgh\n".repeat(5000), { maxTokens: 40 });
    expect(encoded).toBeLessThan(2000);
    expect(data.text).toMatchObject({ characters: 45000, windows: 5, tokens: 35 });
    expect(data.samples[0]?.tokens.slice(1, 3).map(({ text }) => text)).toEqual(["a", "b"]);
  });
});

describe("cancelling", () => {
  test("stops at the next step, with the signal's reason", async () => {
    const cancel = new AbortController();
    const steps = new Set<string>();
    const run = analyseIds(randomModel(), {
      signal: cancel.signal,
      onProgress: ({ step }) => {
        steps.add(step);
        if (step === "composition") cancel.abort(new Error("enough"));
      },
    });
    await expect(run).rejects.toThrow("enough");
    expect(steps.has("term importance")).toBe(false);
  });

  test("timers have their turn while it works", async () => {
    const cancel = new AbortController();
    setTimeout(() => cancel.abort(new Error("by a timer")), 0);
    await expect(analyseIds(randomModel(), { signal: cancel.signal })).rejects.toThrow("by a timer");
  });
});

describe("what analyse refuses", () => {
  const model = randomModel();
  const refusals: readonly (readonly [string, () => Promise<unknown>, string, string])[] = [
    [
      "an empty text",
      () => analyse(model, undefined, " \n"),
      "InputError",
      "analyse: the text is empty. Give at least a line of what the model was trained on.",
    ],
    [
      "no token ids",
      () => analyse(model, undefined, []),
      "InputError",
      "analyse: there are no token ids. Give at least a line of what the model was trained on.",
    ],
    [
      "a text without a tokenizer",
      () => analyse(model, undefined, "a"),
      "InputError",
      "analyse: a text was given, but the model has no tokenizer. Give token ids, or a folder with a tokenizer.json.",
    ],
    [
      "one token without BOS",
      () => analyse(model, undefined, [3]),
      "InputError",
      "analyse: the text is one token, and the model begins with no BOS token: there is nothing to predict. Give a longer text.",
    ],
    [
      "an id out of range",
      () => analyse(model, undefined, [1, 17]),
      "InputError",
      "analyse: token 1 of a window is 17, which is not a token id; this model has d_vocab=17, ids 0 to 16.",
    ],
    [
      "a BOS out of range",
      () => analyse(model, undefined, [1, 2], { bos: 99 }),
      "InputError",
      "analyse: bos is 99, which is not a token id; this model has d_vocab=17, ids 0 to 16.",
    ],
    [
      "no tokens at most",
      () => analyse(model, undefined, [1, 2], { maxTokens: 0 }),
      "InputError",
      "analyse: maxTokens is 0; give a whole number of at least 1.",
    ],
    [
      "a sample of one",
      () => analyse(model, undefined, [1, 2], { sampleLength: 1 }),
      "InputError",
      "analyse: sampleLength is 1; give a whole number of at least 2.",
    ],
    [
      "one position",
      () => analyse(randomModel({ n_ctx: 1 }), undefined, [1]),
      "ConfigError",
      "analyse: the report is about predicting the next token, but this model has n_ctx=1: there is no next position.",
    ],
    [
      "other output tokens",
      () => analyse(randomModel({ config: { d_vocab_out: 5 } }), undefined, [1, 2]),
      "ConfigError",
      "analyse: the report is about predicting the next token, but this model has d_vocab=17 and d_vocab_out=5: its output tokens are others than its input tokens.",
    ],
    [
      "attention to both sides",
      () => analyse(randomModel({ config: { attention_dir: "bidirectional" } }), undefined, [1, 2]),
      "ConfigError",
      "analyse: the report is about predicting the next token, but this model's attention_dir is bidirectional: it sees the next token.",
    ],
  ];
  test.each(refusals)("%s", async (_, call, name, message) => {
    await expect(call()).rejects.toMatchObject({ name, message });
  });
});
