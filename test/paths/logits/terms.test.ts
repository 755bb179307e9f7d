/** The terms of a path expansion: their attribution, and how they are picked, ranked and written. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { logitAttribution, pathExpansion } from "../../../src/paths/index.ts";
import type { PathTerm } from "../../../src/paths/index.ts";
import { add, sum, Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { randomModel } from "../../support/random-model.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const prompts = (d_vocab: number): number[][] => tokens.map((row) => row.map((id) => id % d_vocab));

describe("attribution", () => {
  test("of every term is its logit of the correct next token, and all sum to the model's (1e-5: float32 logits)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel(options);
        const rows = prompts(options.d_vocab);
        const expansion = pathExpansion(model, rows);
        const attribution = expansion.attribution({ precision: "float64" });
        expect(attribution.shape).toEqual([expansion.all.length, 2, 5]);
        // In float32, some roundings of the lengths of stream and direction.
        const size = Math.max(1, ...expansion.all.map(({ resid }) => Math.max(...[...resid.data].map(Math.abs))));
        expectClose(expansion.attribution({ precision: "float32" }), attribution, {
          atol: 3e-6 * size * options.d_model,
        });
        const next = (logits: Tensor<"batch pos d_vocab">): number[] =>
          rows.flatMap((row, b) => row.slice(1).map((id, p) => logits.at(b, p, id)));
        for (const [t, term] of expansion.all.entries()) {
          expectClose([...attribution.select("term", t).data], next(expansion.logits(term)), {
            atol: 1e-10,
            rtol: 1e-10,
          });
        }
        expectClose([...sum(attribution, "term").data], next(expansion.modelLogits), { atol: 2e-5, rtol: 1e-5 });
      }),
      runs(3, 25),
    );
  });

  const model = randomModel({ norm: "LN", position: "standard", bias: true });
  const expansion = pathExpansion(model, tokens);
  const logits = model.forward(tokens);

  test("of one token, of a token per position, and of a difference (1e-5: float32 logits)", () => {
    const total = (targets: Parameters<typeof expansion.attribution>[0]): Tensor =>
      sum(expansion.attribution(targets), "term");
    expectClose(total({ targets: 7 }).data, logits.select("d_vocab", 7).data, { atol: 1e-5, rtol: 1e-5 });
    const ids = tokens.map((row) => row.map((id) => (id + 3) % 17));
    const chosen = ids.flatMap((row, b) => row.map((id, p) => logits.at(b, p, id)));
    expectClose(total({ targets: ids }).data, chosen, { atol: 1e-5, rtol: 1e-5 });
    expectClose(total({ targets: Tensor.from("batch pos", [2, 6], ids.flat(), "int32") }).data, chosen, {
      atol: 1e-5,
      rtol: 1e-5,
    });
    const difference = chosen.map((x, i) => x - logits.at(Math.floor(i / 6), i % 6, 7));
    expectClose(total({ targets: { correct: ids, incorrect: 7 } }).data, difference, { atol: 1e-5, rtol: 1e-5 });
    const next = total({ targets: { correct: "next", incorrect: 7 } });
    expect(next.shape).toEqual([2, 5]);
    expectClose([next.at(0, 0)], [logits.at(0, 0, 1) - logits.at(0, 0, 7)], { atol: 1e-5 });
  });

  test("of a head is its own path and its virtual heads: logitAttribution splits into the paths that end there (P44, 1e-5)", () => {
    // A norm with a bias would send that through every head too; these have none.
    for (const norm of [null, "LNPre", "RMS"] as const) {
      const plain = randomModel({ norm, position: "rotary", bias: false });
      const paths = pathExpansion(plain, tokens);
      const direct = logitAttribution(plain, tokens);
      const attribution = paths.attribution();
      for (const head of plain.heads) {
        const ends = paths.select({ last: head });
        expect(ends).toHaveLength(head.layer === 0 ? 1 : 4);
        const parts = ends.map((term) => attribution.select("term", paths.terms.indexOf(term)));
        const c = direct.labels.indexOf(head.label);
        const summed = parts.reduce((a, b) => add(a, b));
        expectClose(summed.data, direct.attribution.select("component", c).data, { atol: 1e-5, rtol: 1e-5 });
      }
    }
  });

  test.each([
    [
      [[1, 2]],
      "attribution: targets are [1, 2] but the tokens are [batch=2 pos=6]; give an id for each position of each prompt.",
    ],
    [
      Tensor.zeros("batch pos", [2, 5], "int32"),
      "attribution: targets are [batch=2 pos=5] but the tokens are [batch=2 pos=6]; give an id for each position of each prompt.",
    ],
    [17, "attribution: target 17 at position 0 of prompt 0 is not an output token; this model has d_vocab_out=17."],
    [
      { correct: "next" as const, incorrect: -1 },
      "attribution: target -1 at position 0 of prompt 0 is not an output token",
    ],
  ])("refuses targets that do not fit: %#", (targets, text) => {
    expect(() => expansion.attribution({ targets })).toThrow(text);
  });

  test("refuses a prompt without next token, unless a target is given", () => {
    const one = pathExpansion(model, [3]);
    expect(() => one.attribution()).toThrow(
      "attribution: a prompt of one token has no next token to explain. Give more tokens, or targets.",
    );
    expect(one.attribution({ targets: 2 }).shape).toEqual([17, 1, 1]);
    expect(one.certificate().withinBound).toBe(true);
  });
});

describe("picking, ranking and writing terms", () => {
  const model = randomModel({ n_layers: 3, n_heads: 2 });
  const expansion = pathExpansion(model, tokens);
  const labels = (terms: readonly PathTerm[]): string[] => terms.map(({ label }) => label);

  test("terms come by order, then head by head", () => {
    expect(labels(expansion.terms).slice(0, 12)).toEqual([
      "direct",
      "L0H0",
      "L0H1",
      "L1H0",
      "L1H1",
      "L2H0",
      "L2H1",
      "L0H0→L1H0",
      "L0H0→L1H1",
      "L0H0→L2H0",
      "L0H0→L2H1",
      "L0H1→L1H0",
    ]);
    expect(expansion.labels.at(-1)).toBe("bias");
  });

  test("select: every condition must hold", () => {
    expect(labels(expansion.select({ order: 3, head: "L0H1", last: "L2H0" }))).toEqual([
      "L0H1→L1H0→L2H0",
      "L0H1→L1H1→L2H0",
    ]);
    expect(expansion.select({ layer: 1 })).toHaveLength(2 * 9);
    expect(expansion.select({ head: { layer: 1, head: 0 } })).toHaveLength(9);
    expect(labels(expansion.select({ order: 0 }))).toEqual(["direct"]);
    expect(expansion.select({ order: 4 })).toEqual([]);
    expect(expansion.select({})).toHaveLength(27);
  });

  test("rank: by mean attribution, norm or a function, largest absolute value first", () => {
    const attribution = expansion.attribution();
    const ranked = expansion.rank();
    expect(ranked).toHaveLength(28);
    const means = expansion.all.map((_, t) => [...attribution.select("term", t).data].reduce((a, b) => a + b, 0) / 10);
    expectClose(
      ranked.map(({ value }) => Math.abs(value)),
      means.map(Math.abs).sort((a, b) => b - a),
      { atol: 1e-12 },
    );
    expect(expansion.rank("norm", { k: 3 }).map(({ term }) => term.label)).toHaveLength(3);
    const byLength = expansion.rank((term) => -term.order);
    expect(byLength[0]?.term.order).toBe(3);
    const last = expansion.rank((_, values) => values.at(1, 4), { k: 1 })[0];
    const best = Math.max(...expansion.all.map((_, t) => Math.abs(attribution.at(t, 1, 4))));
    expect(Math.abs(last?.value ?? 0)).toBe(best);
  });

  test("rank: at some positions alone, of attributions, norms and what a function is given", () => {
    const attribution = expansion.attribution();
    const meanAt = (t: number, positions: readonly number[]): number =>
      positions.reduce((sum, p) => sum + attribution.at(t, 0, p) + attribution.at(t, 1, p), 0) / (2 * positions.length);
    for (const positions of [[4], [1, 3], [0, 1, 2, 3, 4]]) {
      const ranked = expansion.rank("attribution", { positions });
      const expected = expansion.all.map((_, t) => Math.abs(meanAt(t, positions))).sort((a, b) => b - a);
      expectClose(
        ranked.map(({ value }) => Math.abs(value)),
        expected,
        { atol: 1e-12 },
      );
      for (const { term, value } of ranked)
        expect(value).toBeCloseTo(meanAt(expansion.all.indexOf(term), positions), 12);
    }
    const [first] = expansion.rank((_, values) => values.size + values.at(1, 0), { positions: [2], k: 1 });
    expect(first?.value).toBeCloseTo(2 + attribution.at(expansion.all.indexOf(first?.term as never), 1, 2), 12);
    const [longest] = expansion.rank("norm", { positions: [5], k: 1 });
    const { resid } = longest?.term as (typeof expansion.all)[number];
    const norms = [0, 1].map((b) => Math.hypot(...resid.select("batch", b).select("pos", 5).data));
    expect(longest?.value).toBeCloseTo(((norms[0] ?? 0) + (norms[1] ?? 0)) / 2, 10);
  });

  test.each([
    [[5], "rank: position 5 has no value; there are values at the 5 positions 0 to 4."],
    [[1, -1], "rank: position -1 has no value; there are values at the 5 positions 0 to 4."],
    [[], "rank: positions is empty. Name one or more; there are values at the 5 positions 0 to 4."],
  ])("rank refuses the positions %j", (positions, message) => {
    expect(() => expansion.rank("attribution", { positions })).toThrow(message);
  });

  test("unknown metrics and formats are refused", () => {
    expect(() => expansion.rank("size" as "norm")).toThrow(
      'rank: metric is "size"; the choices are attribution, norm.',
    );
    expect(() => expansion.formula("html" as "text")).toThrow(
      'formula: format is "html"; the choices are text, latex.',
    );
  });

  test("formulas with row vectors: later patterns first, later OV matrices last", () => {
    const [term] = expansion.select({ order: 3 });
    expect(expansion.formula("text", term)).toBe("A[L2H0] A[L1H0] A[L0H0] T W_E W_OV[L0H0] W_OV[L1H0] W_OV[L2H0] W_U");
    expect(expansion.formula("latex", term)).toBe(
      "A^{2.0} A^{1.0} A^{0.0} T W_E W_{OV}^{0.0} W_{OV}^{1.0} W_{OV}^{2.0} W_U",
    );
    const one = pathExpansion(randomModel({ n_layers: 1, n_heads: 1 }), tokens);
    expect(one.formula()).toBe("logits = T W_E W_U + A[L0H0] T W_E W_OV[L0H0] W_U + bias");
    expect(one.formula("latex")).toBe("\\mathrm{logits} = T W_E W_U + A^{0.0} T W_E W_{OV}^{0.0} W_U + \\mathrm{bias}");
  });

  test("formulas name positions that enter the stream, norms, and the remainder", () => {
    const standard = pathExpansion(randomModel({ position: "standard", n_heads: 1 }), tokens, { maxOrder: 1 });
    expect(standard.formula()).toBe(
      "logits = (T W_E + W_pos) W_U + A[L0H0] (T W_E + W_pos) W_OV[L0H0] W_U + A[L1H0] (T W_E + W_pos) W_OV[L1H0] W_U + bias + (paths of order ≥ 2)",
    );
    const normed = pathExpansion(randomModel({ position: "standard", n_heads: 1, norm: "LN" }), tokens);
    const [term] = normed.select({ order: 2 });
    expect(normed.formula("text", normed.terms[0])).toBe("ln_final(T W_E + W_pos) W_U");
    expect(normed.formula("text", term)).toBe(
      "ln_final(A[L1H0] ln_1(A[L0H0] ln_0(T W_E + W_pos) W_OV[L0H0]) W_OV[L1H0]) W_U",
    );
    expect(normed.formula("latex", normed.select({ order: 1 })[0])).toBe(
      "\\mathrm{ln}_{final}\\left(A^{0.0} \\mathrm{ln}_{0}\\left(T W_E + W_{pos}\\right) W_{OV}^{0.0}\\right) W_U",
    );
    const split = pathExpansion(randomModel({ position: "standard", n_heads: 1 }), tokens, { splitPositions: true });
    expect(split.formula("text", split.select({ head: "L0H0", order: 1 })[1])).toBe("A[L0H0] W_pos W_OV[L0H0] W_U");
  });
});
