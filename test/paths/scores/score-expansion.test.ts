/**
 * Attention scores as sums of terms: against dense float64 loops, TransformerLens's cached queries, keys and scores, and the scores of the
 * run itself within the certificate's bound.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { attributeScore, scoreExpansion, ScoreExpansion } from "../../../src/paths/index.ts";
import { fullQKCircuit, kCompositionCircuit, qCompositionCircuit } from "../../../src/circuits/index.ts";
import type { ScoreTerm } from "../../../src/paths/index.ts";
import { InputError } from "../../../src/errors.ts";
import { toDense } from "../../../src/linear/index.ts";
import type { Transformer } from "../../../src/model/index.ts";
import { sum, Tensor } from "../../../src/tensor/index.ts";
import { attentionCases, expectClose, loadGolden } from "../../support/golden.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel, withWeights } from "../../support/random-model.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const prompts = (d_vocab: number): number[][] => tokens.map((row) => row.map((id) => id % d_vocab));
const withLayers = modelOptions.filter(({ n_layers }) => n_layers > 0);

describe("the sum over all terms", () => {
  test("is the scores of the run within the bound, for every model, head and way of taking apart (P4, P5)", () => {
    fc.assert(
      fc.property(withLayers, fc.constantFrom("head", "path", "order", "firstHead"), fc.nat(), (options, by, pick) => {
        const model = randomModel(options);
        const head = model.heads[pick % model.heads.length];
        if (head === undefined) throw new Error("the model has heads");
        const expansion = scoreExpansion(model, prompts(options.d_vocab), head, { by });
        const { withinBound, terms } = expansion.certificate();
        expect({ withinBound, terms }).toEqual({ withinBound: true, terms: expansion.labels.length ** 2 });
      }),
      runs(901, 80),
    );
  });

  test.each(attentionCases)("%s: queries, keys and scores of TransformerLens (float32, 2e-5)", (name) => {
    const golden = loadGolden(name);
    const close = { atol: 2e-5, rtol: 1e-5 };
    for (const head of golden.model.heads.filter(({ layer }) => layer === golden.model.config.n_layers - 1)) {
      const expansion = scoreExpansion(golden.model, golden.tokens(), head);
      const at = `cache.blocks.${head.layer}.attn`;
      const turned = golden.has(`${at}.hook_rot_q`) ? "hook_rot_" : "hook_";
      const vectors = (hook: string): ArrayLike<number> => {
        const all = golden.expected(`${at}.${hook}`);
        return Tensor.from("batch pos head d_head", all.shape, all.data).select("head", head.head).data;
      };
      expectClose(sum(expansion.queries, "component").data, vectors(`${turned}q`), close);
      expectClose(sum(expansion.keys, "component").data, vectors(`${turned}k`), close);
      const all = golden.expected(`${at}.hook_attn_scores`);
      const scores = Tensor.from("batch head query_pos key_pos", all.shape, all.data).select("head", head.head).data;
      const total = expansion.total();
      expectClose(
        [...scores].map((s, t) => (s === -Infinity ? s : (total.data[t] as number))),
        scores,
        close,
      );
      expect(expansion.certificate().withinBound).toBe(true);
    }
  });

  test("the bundled model: every head of layer 1 is certified", () => {
    const golden = loadGolden("bundled");
    for (const { label } of golden.model.layer(1).heads) {
      const { maxDeviation, bound, withinBound } = scoreExpansion(golden.model, golden.tokens(), label).certificate();
      expect(withinBound).toBe(true);
      expect(maxDeviation).toBeGreaterThan(1e-8);
      expect(bound).toBeLessThanOrEqual(20 * maxDeviation);
    }
  });

  test("a missing term, one given twice, and scores of another model are noticed", () => {
    const model = randomModel({ norm: "LN", position: "standard", bias: true });
    const expansion = scoreExpansion(model, tokens, "L1H2");
    expect(expansion.certificate().withinBound).toBe(true);
    for (const [t, term] of expansion.terms.entries()) {
      const others = expansion.terms.filter((_, other) => other !== t);
      expect(expansion.certificate(others).withinBound, term.label).toBe(false);
    }
    expect(expansion.certificate([...expansion.terms, expansion.terms[0] as ScoreTerm]).withinBound).toBe(false);
  });

  test("the paths of deeper models, cut at an order: the remainder stands for the rest", () => {
    const model = randomModel({ n_layers: 3, n_heads: 2, norm: "RMS", position: "rotary", bias: true });
    const whole = scoreExpansion(model, tokens, "L2H1", { by: "path" });
    expect(whole.labels.join(" ")).toBe("embed L0H0 L0H1 L1H0 L1H1 L0H0→L1H0 L0H0→L1H1 L0H1→L1H0 L0H1→L1H1 bias");
    const cut = scoreExpansion(model, tokens, "L2H1", { by: "path", maxOrder: 1 });
    expect(cut.labels.join(" ")).toBe("embed L0H0 L0H1 L1H0 L1H1 remainder bias");
    expect(cut.certificate()).toMatchObject({ withinBound: true, terms: 49 });
    const longer = whole.labels.filter((label) => label.includes("→"));
    const parts = longer.map((query) => [...whole.scores({ query, key: "embed" }).data]);
    const summed = parts.reduce((a, b) => a.map((x, t) => x + (b[t] as number)));
    expectClose(cut.scores({ query: "remainder", key: "embed" }).data, summed, { atol: 1e-10 });
  });
});

describe("terms", () => {
  /** y W_QK y'ᵀ / c by loops, y and y' embedding or a head's result in float64. */
  function byHand(model: Transformer, parts: readonly number[][][]): number[][][] {
    const { W_QK } = model.head("L1H1");
    const W = toDense(W_QK).toNested() as number[][];
    const scale = model.layer(1).attnScale;
    const [query = [], key = []] = parts;
    return [
      query.map((y) =>
        key.map(
          (x) =>
            y.reduce((s, a, r) => s + (W[r] ?? []).reduce((t, w, c) => t + w * a * (x[c] as number), 0), 0) / scale,
        ),
      ),
    ];
  }

  test("are y W_QK y'ᵀ / c of what embedding and heads wrote (1e-6: z is float32)", () => {
    const model = randomModel({ position: "none" });
    const prompt = [3, 1, 4, 1, 5, 9];
    const expansion = scoreExpansion(model, prompt, "L1H1");
    const { cache } = model.run(prompt);
    const rows = (label: string): number[][] =>
      label === "embed"
        ? (cache.get("hook_embed").select("batch", 0).toNested() as number[][])
        : (cache
            .get("blocks.0.attn.hook_result")
            .select("batch", 0)
            .select("head", Number(label.slice(3)))
            .toNested() as number[][]);
    expect(expansion.terms).toHaveLength(16);
    for (const term of expansion.terms) {
      const expected = byHand(model, [rows(term.query), rows(term.key)]);
      expectClose(expansion.scores(term).data, expected.flat(2), { atol: 5e-6, rtol: 1e-6 });
    }
  });

  test("decomposed: all pairs at once are the terms one by one (1e-12)", () => {
    const expansion = scoreExpansion(randomModel({ bias: true, norm: "LN" }), tokens, "L1H0");
    const all = expansion.decomposed(1);
    const count = expansion.labels.length;
    expect(all.shape).toEqual([count, count, 6, 6]);
    for (const [a, query] of expansion.labels.entries()) {
      for (const [b, key] of expansion.labels.entries()) {
        const one = all.select("query_component", a).select("key_component", b);
        expectClose(one.data, expansion.scores({ query, key }).select("batch", 1).data, { atol: 1e-12 });
      }
    }
  });

  test("fall into the paper's four families, (1 + H)² of them without positions and biases", () => {
    const expansion = scoreExpansion(randomModel({ position: "rotary" }), tokens, "L1H2");
    const count = (composition: ScoreTerm["composition"]): number => expansion.select({ composition }).length;
    expect(["none", "Q", "K", "both"].map((kind) => count(kind as ScoreTerm["composition"]))).toEqual([1, 3, 3, 9]);
    expect(expansion.select({ query: "embed", key: "L0H1" }).map(({ label }) => label)).toEqual(["embed · L0H1"]);
    // ARENA's 14² for 12 heads and shortformer positions.
    expect(scoreExpansion(randomModel({ n_heads: 12, d_model: 24, d_head: 2 }), tokens, "L1H0").terms).toHaveLength(
      196,
    );
  });

  test("with rotary positions a term depends on its tokens and on the offset alone (1e-10)", () => {
    const model = randomModel({ position: "rotary", n_layers: 1 });
    const scores = scoreExpansion(model, [5, 7, 5, 7, 5, 7], "L0H1").scores({ query: "embed", key: "embed" });
    expectClose([scores.at(0, 2, 1), scores.at(0, 3, 0)], [scores.at(0, 4, 3), scores.at(0, 5, 2)], { atol: 1e-10 });
    expect(Math.abs(scores.at(0, 2, 1) - scores.at(0, 4, 1))).toBeGreaterThan(1e-3);
  });

  test("formulas: what moved the query, what moved the key, the circuit between", () => {
    const formula = (model: Transformer, query: string, key: string, format?: "text" | "latex"): string => {
      const expansion = scoreExpansion(model, tokens, "L1H0");
      return expansion.formula(expansion.select({ query, key })[0] as ScoreTerm, format);
    };
    const model = randomModel({ bias: true });
    expect(formula(model, "embed", "embed")).toBe("Id ⊗ Id ⊗ W_E W_QK[L1H0] W_Eᵀ");
    expect(formula(model, "embed", "L0H2")).toBe("Id ⊗ A[L0H2] ⊗ W_E W_QK[L1H0] W_OV[L0H2]ᵀ W_Eᵀ");
    expect(formula(model, "L0H1", "pos_embed")).toBe("A[L0H1] ⊗ Id ⊗ W_E W_OV[L0H1] W_QK[L1H0] W_posᵀ");
    expect(formula(model, "bias", "embed", "latex")).toBe(
      "\\mathrm{Id} \\otimes \\mathrm{Id} \\otimes \\mathrm{bias} W_{QK}^{1.0} W_E^\\top",
    );
    expect(formula(model, "embed", "L0H2", "latex")).toBe(
      "\\mathrm{Id} \\otimes A^{0.2} \\otimes W_E W_{QK}^{1.0} (W_{OV}^{0.2})^\\top W_E^\\top",
    );
    expect(formula(randomModel({ position: "rotary" }), "embed", "embed")).toBe(
      "Id ⊗ Id ⊗ W_E W_Q[L1H0] R[i-j] W_K[L1H0]ᵀ W_Eᵀ",
    );
  });
});

describe("circuits of terms", () => {
  const circuit = (model: Transformer, query: string, key: string, offset?: number): Tensor => {
    const expansion = scoreExpansion(model, tokens, "L1H0");
    return toDense(expansion.circuit(expansion.select({ query, key })[0] as ScoreTerm, offset));
  };

  test("are the full QK circuit and those of Q- and K-composition, positions where they are a source", () => {
    const model = randomModel({ bias: true });
    expectClose(circuit(model, "embed", "embed").data, toDense(fullQKCircuit(model, "L1H0")).data, { atol: 1e-12 });
    expectClose(circuit(model, "embed", "L0H2").data, toDense(kCompositionCircuit(model, "L0H2", "L1H0")).data, {
      atol: 1e-12,
    });
    expectClose(circuit(model, "L0H2", "embed").data, toDense(qCompositionCircuit(model, "L0H2", "L1H0")).data, {
      atol: 1e-12,
    });
    expect(circuit(model, "embed", "pos_embed").shape).toEqual([17, 10]);
    expect(() => circuit(model, "embed", "bias")).toThrow(
      'circuit: the part "bias" is no token or position moved by heads, so that it has no circuit.',
    );
    expect(() => circuit(model, "embed", "embed", 0.5)).toThrow(
      "circuit: offset is 0.5; give a whole number of positions from key to query.",
    );
  });

  test("are one for every offset with rotary positions, and then their entries are the scores of the term (1e-10)", () => {
    const model = randomModel({ position: "rotary" });
    const offset = circuit(model, "embed", "embed", 3);
    expectClose(offset.data, toDense(fullQKCircuit(model, "L1H0", { offset: 3 })).data, { atol: 1e-12 });
    const scores = scoreExpansion(model, tokens, "L1H0").scores({ query: "embed", key: "embed" });
    expectClose([scores.at(0, 5, 2) * model.layer(1).attnScale], [offset.at(9, 4)], { atol: 1e-10 });
  });
});

describe("statistics", () => {
  const model = randomModel({ norm: "LN", bias: true, seed: 4 });
  const expansion = scoreExpansion(model, tokens, "L1H1");

  test("std is that of all entries, n − 1; shares of the variance and of a stripe sum to 1 (1e-9)", () => {
    const statistics = expansion.statistics();
    for (const { term, std, max } of statistics) {
      const values = [...expansion.scores(term).data];
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      const variance = values.reduce((s, x) => s + (x - mean) ** 2, 0) / (values.length - 1);
      expectClose([std], [Math.sqrt(variance)], { rtol: 1e-9 });
      const seen = values.filter((_, t) => t % 6 <= Math.floor(t / 6) % 6);
      expect(max).toBe(Math.max(...seen.map(Math.abs)));
    }
    const total = (shares: { readonly share: number }[]): number => shares.reduce((s, { share }) => s + share, 0);
    expect(Math.abs(total(statistics) - 1)).toBeLessThan(1e-9);
    const stripe = expansion.statistics({ entries: (query, key) => query === key + 2 });
    expect(Math.abs(total(stripe) - 1)).toBeLessThan(1e-9);
  });

  test("a part that gives a whole row the same has no share: it changes no pattern (1e-9)", () => {
    // Keys of position "bias" are the same everywhere.
    const plain = scoreExpansion(randomModel({ bias: true, position: "none" }), tokens, "L1H1");
    const constant = plain.statistics().filter(({ term }) => term.key === "bias");
    expect(constant.length).toBeGreaterThan(1);
    for (const { share, centeredStd, std } of constant) {
      expect(Math.abs(share)).toBeLessThan(1e-9);
      expect(centeredStd).toBeLessThan(1e-9);
      expect(std).toBeGreaterThan(0);
    }
  });

  test("planted: the stripe of the induction head is its K-composition with the previous-token head, all of it (1e-9)", () => {
    const planted = plantedModel({ d_vocab: 30 });
    const r = [7, 3, 12, 25, 18, 9, 21, 4, 16, 11];
    const found = scoreExpansion(planted, [0, ...r, ...r], "L1H0").statistics({
      entries: (query, key) => query > 10 && key === query - 9,
    });
    const term = found.find(({ term: { query, key } }) => query === "embed" && key === "L0H0");
    expect(term?.term.composition).toBe("K");
    expect(Math.abs((term?.share ?? 0) - 1)).toBeLessThan(1e-9);
    expect(toDense(kCompositionCircuit(planted, "L0H0", "L1H0")).at(4, 4)).toBe(40);
  });

  test("entries that pick nothing are refused; progress and cancelling, term by term", () => {
    expect(() => expansion.statistics({ entries: (query, key) => key > query })).toThrow(
      "statistics: entries picks none of the scores that a query may see. Pick at least one.",
    );
    for (const work of ["statistics", "certificate"] as const) {
      const stop = new AbortController();
      const seen: number[] = [];
      const options = {
        signal: stop.signal,
        onProgress: (done: number): void => {
          seen.push(done);
          if (done === 2) stop.abort(new Error("enough"));
        },
      };
      expect(() =>
        work === "statistics" ? expansion.statistics(options) : expansion.certificate(expansion.terms, options),
      ).toThrow("enough");
      expect(seen).toEqual([1, 2]);
    }
  });
});

describe("one score by source tokens", () => {
  test("both sides sum to the score, which is the run's (1e-9 of its scale; 2e-4 against float32)", () => {
    fc.assert(
      fc.property(
        withLayers,
        fc.nat(),
        fc.nat({ max: 5 }),
        fc.nat({ max: 5 }),
        fc.nat({ max: 1 }),
        (options, pick, a, b, prompt) => {
          const model = randomModel(options);
          const head = model.heads[pick % model.heads.length];
          if (head === undefined) throw new Error("the model has heads");
          const [query, key] = [Math.max(a, b), Math.min(a, b)];
          const rows = prompts(options.d_vocab);
          const found = attributeScore(model, rows, head, { query, key, prompt });
          const total = scoreExpansion(model, rows, head).total();
          const scale = Math.max(1, ...[...total.data].map(Math.abs));
          for (const side of [found.query, found.key]) {
            const parts = [...side.tokens.data, ...side.positions.data, side.bias];
            expectClose([parts.reduce((s, x) => s + x, 0)], [found.score], { atol: 1e-9 * scale });
          }
          expectClose([found.score], [total.at(prompt, query, key)], { atol: 2e-4 * scale });
          expect(found.pairs.shape).toEqual([6, 6]);
        },
      ),
      runs(902, 50),
    );
  });

  test("in the second layer they are the terms of the expansion moved along the patterns (1e-5: z is float32)", () => {
    const model = randomModel({ position: "none" });
    const prompt = [3, 1, 4, 1, 5, 9];
    const { cache } = model.run(prompt);
    const A = cache.get("blocks.0.attn.hook_pattern");
    const W = toDense(model.head("L1H1").W_QK).toNested() as number[][];
    const OV = model.layer(0).heads.map((head) => toDense(head.W_OV).toNested() as number[][]);
    const E = cache.get("hook_embed").select("batch", 0).toNested() as number[][];
    const times = (y: readonly number[], M: number[][]): number[] =>
      (M[0] ?? []).map((_, c) => y.reduce((s, a, r) => s + a * (M[r]?.[c] ?? 0), 0));
    /** What token u gives to the stream at position j: itself, and through each head. */
    const given = (u: number, j: number): number[] => {
      const own = E[u] ?? [];
      const through = OV.map((M, h) => times(own, M).map((x) => x * A.at(0, h, j, u)));
      return own.map((x, c) => (u === j ? x : 0) + through.reduce((s, v) => s + (v[c] as number), 0));
    };
    const found = attributeScore(model, prompt, "L1H1", { query: 4, key: 2 });
    for (let u = 0; u < 6; u++) {
      for (let v = 0; v < 6; v++) {
        const expected = times(given(u, 4), W).reduce((s, x, c) => s + x * (given(v, 2)[c] as number), 0) / 2;
        expect(Math.abs(found.pairs.at(u, v) - expected)).toBeLessThan(1e-5);
      }
    }
    expectClose(sum(found.pairs, "query_source").data, found.key.tokens.data, { atol: 1e-12 });
    expectClose(sum(found.pairs, "key_source").data, found.query.tokens.data, { atol: 1e-12 });
  });

  test("planted: the score of 40 comes from the query's own token and from the token before the key, nothing else (1e-9)", () => {
    const r = [7, 3, 12, 25, 18, 9, 21, 4, 16, 11];
    const { score, query, key, pairs } = attributeScore(plantedModel(), [0, ...r, ...r], "L1H0", { query: 14, key: 5 });
    expectClose([score, query.tokens.at(14), key.tokens.at(4), pairs.at(14, 4)], [40, 40, 40, 40], { atol: 1e-9 });
    expect([...query.positions.data, ...key.positions.data, query.bias, key.bias].every((x) => x === 0)).toBe(true);
  });
});

describe("what is refused", () => {
  const model = randomModel({ n_layers: 3, n_heads: 3 });
  test.each([
    [() => scoreExpansion(model, tokens, "L5H0"), "head: there is no head L5H0"],
    [
      () => scoreExpansion(model, tokens, "L2H0", { by: "layer" as "head" }),
      'scoreExpansion: by is "layer"; the choices are head, path, order, firstHead.',
    ],
    [
      () => scoreExpansion(model, tokens, "L2H0", { by: "path", maxOrder: -1 }),
      "scoreExpansion: maxOrder is -1; it counts the heads on a path to L2H0, from 0 to 2.",
    ],
    [
      () => scoreExpansion(model, tokens, "L2H0", { by: "path", maxTerms: 100 }),
      'scoreExpansion: queries and keys of L2H0 have up to 18 parts each, 324 terms, more than maxTerms=100. Take parts by head (by: "head") or by order (by: "order"), keep the short paths with maxOrder, or raise maxTerms.',
    ],
    [
      () => scoreExpansion(model, tokens, "L2H0").scores({ query: "L0H9", key: "embed" }),
      'scores: there is no part "L0H9" of the queries and keys; the parts are embed, pos_embed, L0H0, L0H1,',
    ],
    [
      () => scoreExpansion(model, tokens, "L2H0").decomposed(2),
      "decomposed: there is no prompt 2; there are 2, counted from 0.",
    ],
    [
      () => scoreExpansion(model, tokens, "L2H0").formula({} as ScoreTerm, "html" as "text"),
      'formula: format is "html"; the choices are text, latex.',
    ],
    [
      () => attributeScore(model, tokens, "L2H0", { query: 6, key: 0 }),
      "attributeScore: query is 6; there are 6, counted from 0.",
    ],
    [
      () => attributeScore(model, tokens, "L2H0", { query: 1, key: -1 }),
      "attributeScore: key is -1; there are 6, counted from 0.",
    ],
    [
      () => attributeScore(model, tokens, "L2H0", { query: 1, key: 0, prompt: 2 }),
      "attributeScore: prompt is 2; there are 2, counted from 0.",
    ],
  ])("%#", (call, text) => {
    expect(call).toThrow(InputError);
    expect(call).toThrow(text);
  });

  test("more numbers than fit, in words", () => {
    const wide = randomModel({ n_heads: 12, d_model: 4, d_head: 2, n_ctx: 900 });
    const long = Array.from({ length: 900 }, (_, i) => i % 17);
    expect(() => scoreExpansion(wide, long, "L1H0").decomposed()).toThrow(
      "decomposed: 14 x 14 parts of 900 x 900 scores are 158760000 numbers; at most 2^27 are made at once. Ask for single terms with scores.",
    );
  });
});

test("layer 0 has token, position and biases alone; a model with a dead reader has no bias part", () => {
  const model = randomModel({ bias: true });
  expect(scoreExpansion(model, tokens, "L0H0").labels).toEqual(["embed", "pos_embed", "bias"]);
  const dead = withWeights(model, (name, W) => (/b_[QKO]$/.test(name) ? Tensor.zeros(W.axes, W.shape) : W));
  expect(scoreExpansion(dead, tokens, "L0H0")).toBeInstanceOf(ScoreExpansion);
  expect(scoreExpansion(dead, tokens, "L0H0").labels).toEqual(["embed", "pos_embed"]);
});
