import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bigramFit } from "../../src/circuits/index.ts";
import { parseConfig, Transformer } from "../../src/model/index.ts";
import { Random, Tensor } from "../../src/tensor/index.ts";
import { expectClose, loadGolden } from "../support/golden.ts";
import { randomModel } from "../support/random-model.ts";
import { modelOptions, runs } from "../support/model-arbitrary.ts";

/** A model without layers whose table is what one wishes: W_E = I, W_U = the table. */
function tableModel(table: readonly (readonly number[])[], dtype: "float32" | "float64" = "float64"): Transformer {
  const d_vocab = table.length;
  const config = parseConfig({
    n_layers: 0,
    n_heads: 1,
    d_model: d_vocab,
    d_head: 1,
    d_vocab,
    n_ctx: 8,
    attn_only: true,
    positional_embedding_type: "none",
    normalization_type: null,
  });
  const identity = table.map((_, i) => table.map((__, j) => (i === j ? 1 : 0)));
  return Transformer.fromWeights(
    config,
    new Map<string, Tensor>([
      ["embed.W_E", Tensor.fromNested("d_vocab d_model", identity, dtype)],
      ["unembed.W_U", Tensor.fromNested("d_model d_vocab", table as number[][], dtype)],
      ["unembed.b_U", Tensor.zeros("d_vocab", [d_vocab], dtype)],
    ]),
  );
}

const logSoftmax = (row: readonly number[]): number[] => {
  const largest = Math.max(...row);
  const log = Math.log(row.reduce((s, x) => s + Math.exp(x - largest), 0)) + largest;
  return row.map((x) => x - log);
};

/** KL, cross entropy and entropy by the definitions, over a dense table of smoothed shares. */
function dense(
  texts: readonly (readonly number[])[],
  logits: (a: number) => readonly number[],
  smoothing: number,
  V: number,
): { contexts: number[]; divergence: number[]; loss: number; entropy: number } {
  const counts = Array.from({ length: V }, () => new Array<number>(V).fill(0));
  for (const text of texts)
    for (let i = 1; i < text.length; i++) {
      const row = counts[text[i - 1] as number] as number[];
      const next = text[i] as number;
      row[next] = (row[next] ?? 0) + 1;
    }
  const total = counts.flat().reduce((a, b) => a + b, 0);
  const next = Array.from({ length: V }, (_, b) => counts.reduce((s, row) => s + (row[b] as number), 0));
  const contexts = counts.flatMap((row, a) => (row.some((n) => n > 0) ? [a] : []));
  let [loss, entropy] = [0, 0];
  const divergence = contexts.map((a) => {
    const seen = (counts[a] as number[]).reduce((s, n) => s + n, 0);
    const p = next.map((n, b) => ((counts[a]?.[b] ?? 0) + (smoothing * (n + 1)) / (total + V)) / (seen + smoothing));
    const log = logSoftmax(logits(a));
    const cross = -p.reduce((s, x, b) => s + x * (log[b] as number), 0);
    const own = -p.reduce((s, x) => s + (x === 0 ? 0 : x * Math.log(x)), 0);
    loss += (seen / total) * cross;
    entropy += (seen / total) * own;
    return cross - own;
  });
  return { contexts, divergence, loss, entropy };
}

describe("bigramFit", () => {
  it("by hand: after 0 come 1 and 2 as often, a flat table loses ln 3 and diverges by ln 3 - ln 2", () => {
    const flat = [
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ];
    const fit = bigramFit(
      tableModel(flat),
      [
        [0, 1],
        [0, 2],
      ],
      { smoothing: 0 },
    );
    expect([...fit.contexts]).toEqual([0]);
    expect([...fit.counts]).toEqual([2]);
    expect(fit.pairs).toBe(2);
    expectClose([fit.loss, fit.entropy, fit.meanDivergence], [Math.log(3), Math.log(2), Math.log(1.5)], {
      atol: 1e-12,
    });
    expectClose([fit.unigramLoss], [Math.log(2)], { atol: 1e-12 });
  });

  it("P39: a table of log p has no divergence, and its loss is the conditional entropy, whatever is added to its rows", () => {
    const p = [
      [0.5, 0.25, 0.25],
      [0.125, 0.75, 0.125],
      [0.25, 0.25, 0.5],
    ];
    // Each context's counts are p times 8.
    const pairs = p.flatMap((row, a) => row.flatMap((x, b) => Array.from({ length: 8 * x }, () => [a, b])));
    const table = p.map((row, a) => row.map((x) => Math.log(x) + a));
    const fit = bigramFit(tableModel(table), pairs, { smoothing: 0 });
    const entropy = -p.flat().reduce((s, x) => s + (x * Math.log(x)) / 3, 0);
    expectClose([fit.loss, fit.entropy], [entropy, entropy], { atol: 1e-12 });
    expectClose(fit.divergence, [0, 0, 0], { atol: 1e-12 });
  });

  it("equals the definitions over a dense table, with and without smoothing, several texts and all norms (float32 logits: 1e-5)", () => {
    fc.assert(
      fc.property(
        modelOptions,
        fc.array(fc.array(fc.nat(1_000), { minLength: 2, maxLength: 30 }), { minLength: 1, maxLength: 3 }),
        fc.constantFrom(0, 0.5, 1, 20),
        (options, raw, smoothing) => {
          const model = randomModel({ ...options, n_layers: 0, position: "none", dtype: "float64" });
          const V = model.config.d_vocab;
          const texts = raw.map((text) => text.map((id) => id % V));
          const fit = bigramFit(model, texts, { smoothing });
          // Without layers and positions, the model's own logits of a one-token prompt are the direct path.
          const own = dense(texts, (a) => (model.forward([a]).toNested() as number[][][])[0]?.[0] ?? [], smoothing, V);
          expect([...fit.contexts]).toEqual(own.contexts);
          expectClose(fit.divergence, own.divergence, { atol: 2e-5, rtol: 2e-5 });
          expectClose([fit.loss, fit.entropy], [own.loss, own.entropy], { atol: 2e-5, rtol: 2e-5 });
          expectClose([fit.meanDivergence], [fit.loss - fit.entropy], { atol: 1e-12 });
        },
      ),
      runs(501),
    );
  });

  it("on the bundled model: TransformerLens's direct-path logits give the same divergences (1e-4 of float32 logits)", () => {
    const golden = loadGolden("bundled");
    // Stored are rows of W_E W_U; the bias is the model's own.
    const b_U = golden.model.b_U.data;
    const rows = (golden.expected("bigram_logits_direct").toNested() as number[][]).map((row) =>
      row.map((x, b) => x + (b_U[b] as number)),
    );
    const random = new Random(7);
    const text = Array.from({ length: 500 }, () => random.int(64));
    const fit = bigramFit(golden.model, text, { smoothing: 2 });
    const own = dense([text], (a) => rows[a] as number[], 2, golden.model.config.d_vocab);
    expectClose(fit.divergence, own.divergence, { atol: 1e-4 });
  });

  it("keeps memory linear in a vocabulary of 50,000 and reports in contexts", () => {
    const model = randomModel({ n_layers: 0, d_model: 8, d_vocab: 50_000, position: "none" });
    const random = new Random(3);
    const text = Array.from({ length: 300 }, () => random.int(50_000));
    let last: readonly [number, number] = [0, 0];
    const fit = bigramFit(model, text, { onProgress: (done, total) => (last = [done, total]) });
    expect(last).toEqual([fit.contexts.length, fit.contexts.length]);
    expect(fit.divergence.every((x) => x >= 0)).toBe(true);
  });

  it("stops when aborted", () => {
    const abort = new AbortController();
    const model = randomModel({ n_layers: 0 });
    expect(() =>
      bigramFit(model, [0, 1, 2, 3, 4], {
        signal: abort.signal,
        onProgress: () => {
          abort.abort(new Error("enough"));
        },
      }),
    ).toThrow("enough");
  });

  it.each([
    [[[3]], {}, "bigramFit: no text has two tokens, so there is no bigram. Give more tokens."],
    [[0, 99], {}, "bigramFit: a token is 99; token ids of this model are 0 to 16."],
    [
      Tensor.from("batch pos", [1, 2], [0, 1]),
      {},
      "bigramFit: texts are no lists of token ids. Give the ids of one text or a list of texts; of a tensor, its toNested().",
    ],
    [undefined, {}, "bigramFit: texts are no lists of token ids."],
    [[[0, 1], null], {}, "bigramFit: texts are no lists of token ids."],
    [[0, 1], { smoothing: -1 }, "bigramFit: smoothing is -1; it is a number of pairs, 0 or more."],
  ] as const)("refuses %j %j", (texts, options, message) => {
    expect(() => bigramFit(randomModel(), texts as unknown as readonly number[], options)).toThrow(message);
  });
});
