/** Term importance with errors, and what composition through queries and keys is worth. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  compositionImportance,
  headTermImportance,
  layerTermImportance,
  lossByMaxOrder,
  termImportance,
} from "../../../src/paths/index.ts";
import { repeatedTokens } from "../../../src/heads/index.ts";
import type { TermImportanceRow } from "../../../src/paths/index.ts";
import { editAt, combineEdits, meanLoss } from "../../../src/model/index.ts";
import type { Transformer } from "../../../src/model/index.ts";
import { stack } from "../../../src/tensor/index.ts";
import type { Tensor } from "../../../src/tensor/index.ts";
import { expectClose, loadGolden } from "../../support/golden.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel } from "../../support/random-model.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
  [9, 7, 9, 3, 2, 3],
];

describe("termImportance", () => {
  const find = (rows: readonly TermImportanceRow[], terms: string, relativeTo: string): number =>
    rows.find((row) => row.terms === terms && row.relativeTo === relativeTo)?.gain ?? NaN;

  test("its gains are those of orders, layers and heads (1e-9, float64)", () => {
    const model = randomModel({ norm: "LN", position: "standard", bias: true });
    const rows = termImportance(model, tokens, { resamples: 10 });
    expect(rows).toHaveLength(3 + 4 + 12);
    const { marginalGain } = lossByMaxOrder(model, tokens);
    const layers = layerTermImportance(model, tokens);
    const heads = headTermImportance(model, tokens);
    const pairs: [number, number][] = [
      ...[0, 1, 2].map((p): [number, number] => [
        find(rows, `order ${p}`, p === 0 ? "uniform" : "orders below"),
        marginalGain.at(p),
      ]),
      ...[0, 1].flatMap((l): [number, number][] => [
        [find(rows, `L${l}`, "direct"), layers.addedToDirect.at(l)],
        [find(rows, `L${l}`, "direct and other layers"), layers.addedToOthers.at(l)],
      ]),
      ...model.heads.flatMap(({ label, layer, head }): [number, number][] => [
        [find(rows, label, "direct"), heads.addedToDirect.at(layer, head)],
        [find(rows, label, "full"), heads.removedFromFull.at(layer, head)],
      ]),
    ];
    expectClose(
      pairs.map(([a]) => a),
      pairs.map(([, b]) => b),
      { atol: 1e-9 },
    );
  });

  test("its errors are those of a mean over texts: the bootstrap's is σ/√n to a tenth with 4,000 draws", () => {
    const model = randomModel({ seed: 5, n_ctx: 12 });
    const texts = repeatedTokens({ d_vocab: 17, n_ctx: 12 }, { length: 5, batch: 40, seed: 3, bos: 0 });
    const rows = termImportance(model, texts, { resamples: 4000, seed: 2, heads: false });
    // The gain of order 1 by hand, prompt by prompt.
    const gains = Array.from({ length: 40 }, (_, b) => lossByMaxOrder(model, [texts[b] ?? []]).marginalGain.at(1));
    const mean = gains.reduce((a, b) => a + b, 0) / 40;
    const sigma = Math.sqrt(gains.reduce((s, x) => s + (x - mean) ** 2, 0) / 40);
    const row = rows[1];
    expectClose([row?.gain ?? NaN], [mean], { atol: 1e-9 });
    expect(Math.abs((row?.error ?? NaN) / (sigma / Math.sqrt(40)) - 1)).toBeLessThan(0.1);
    const [low = NaN, high = NaN] = row?.interval ?? [];
    expect((high - low) / (2 * 1.96 * (row?.error ?? NaN))).toBeGreaterThan(0.9);
    expect((high - low) / (2 * 1.96 * (row?.error ?? NaN))).toBeLessThan(1.1);
    expect(low).toBeLessThan(mean);
    expect(high).toBeGreaterThan(mean);
  });

  test("one text has no error; the seed decides the draws; progress, cancelling and refusals", () => {
    const model = randomModel({ n_layers: 1 });
    expect(termImportance(model, [tokens[0] ?? []])[0]).toMatchObject({ error: NaN, interval: [NaN, NaN] });
    const errorOf = (seed: number): number => termImportance(model, tokens, { seed, resamples: 50 })[1]?.error ?? NaN;
    expect(errorOf(1)).toBe(errorOf(1));
    expect(errorOf(1)).not.toBe(errorOf(2));
    const seen: number[][] = [];
    termImportance(model, tokens, { resamples: 2, onProgress: (...at) => seen.push(at) });
    expect(seen).toHaveLength(2 + 2 + 6);
    expect(seen.at(-1)).toEqual([10, 10]);
    const stop = new AbortController();
    const onProgress = (): void => stop.abort(new Error("enough"));
    expect(() => termImportance(model, tokens, { signal: stop.signal, onProgress })).toThrow("enough");
    expect(() => termImportance(model, tokens, { resamples: 0 })).toThrow(
      "termImportance: samples is 0; draw a positive whole number of them.",
    );
    expect(() => termImportance(model, [1])).toThrow("termImportance: a prompt of one token has no next token");
  });
});

describe("composition through queries and keys", () => {
  /** The loss when some inputs of layer 1 are what enters layer 0, by edits of a run. */
  function byEdits(model: Transformer, sides: readonly ("q" | "k")[]): number {
    const { cache } = model.run(tokens);
    const first: Tensor<"batch pos d_model"> = cache.get("blocks.0.hook_resid_pre");
    const edits = sides.map((side) =>
      editAt(`blocks.1.hook_${side}_input`, (input) =>
        stack(
          "head",
          Array.from({ length: input.sizeOf("head") }, () => first),
        ).permute("batch pos head d_model"),
      ),
    );
    const { logits, tokens: ids } = model.run(tokens, { cache: [], edits: combineEdits(...edits) });
    return meanLoss(logits, ids);
  }

  test("of a two-layer model without norms and biases is an edit of what layer 1's queries or keys read (2e-5 nats: float32 runs)", () => {
    for (const position of ["standard", "shortformer", "rotary", "none"] as const) {
      for (const config of [{}, { attention_dir: "bidirectional" }]) {
        const model = randomModel({ position, seed: 12, config });
        const { Q, K, both } = compositionImportance(model, tokens);
        expectClose(
          [Q.at(0), K.at(0), both.at(0)],
          [byEdits(model, ["q"]), byEdits(model, ["k"]), byEdits(model, ["q", "k"])],
          { atol: 2e-5 },
        );
      }
    }
  });

  test("with all orders is the model's own loss, for every model (2e-5 relative to the float32 run)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel(options);
        const rows = tokens.map((row) => row.map((id) => id % options.d_vocab));
        const { logits, tokens: ids } = model.run(rows);
        const own = meanLoss(logits, ids);
        const { Q, K, both, fullLoss } = compositionImportance(model, rows);
        expect(Q.shape).toEqual([Math.max(1, options.n_layers)]);
        const last = Q.size - 1;
        expectClose([Q.at(last), K.at(last), both.at(last), fullLoss], [own, own, own, own], {
          atol: 3e-5,
          rtol: 3e-5,
        });
      }),
      runs(1001, 30),
    );
  });

  test("planted: everything goes through K-composition; without it the induction head rests, Q-composition is worth nothing", () => {
    const planted = plantedModel();
    const texts = repeatedTokens(planted.config, { length: 10, batch: 4, seed: 2, distinct: true });
    const { Q, K, fullLoss } = compositionImportance(planted, texts);
    expect(Q.at(0)).toBe(fullLoss);
    expect(K.at(0) - fullLoss).toBeGreaterThan(0.5);
    expect(lossByMaxOrder(planted, texts).marginalGain.at(2)).toBe(0);
  });

  test("of the bundled model: K-composition is worth more than 1 nat on repeated tokens, more than Q-composition", () => {
    const golden = loadGolden("bundled");
    const { Q, K, both, fullLoss } = compositionImportance(golden.model, golden.tokens("repeated_tokens"));
    expect(K.at(0) - fullLoss).toBeGreaterThan(1);
    expect(K.at(0)).toBeGreaterThan(Q.at(0));
    expect(both.at(0)).toBeGreaterThan(fullLoss);
  });

  test("progress, cancelling, prompts of one token", () => {
    const seen: number[] = [];
    compositionImportance(randomModel({ n_layers: 3 }), tokens, { onProgress: (done) => seen.push(done) });
    expect(seen).toEqual([1, 2, 3]);
    const stop = new AbortController();
    const onProgress = (): void => stop.abort(new Error("enough"));
    expect(() => compositionImportance(randomModel(), tokens, { signal: stop.signal, onProgress })).toThrow("enough");
    expect(() => compositionImportance(randomModel(), [1])).toThrow(
      "compositionImportance: a prompt of one token has no next token, so there is no loss. Give at least two tokens.",
    );
  });
});
