/** The data of score-sources, against a planted model and the score itself. */
import { describe, expect, it } from "vitest";
import { drawScoreSources, scoreSources, scoreSourcesOf } from "../../src/figures/index.ts";
import { attributeScore } from "../../src/paths/index.ts";
import { multiply } from "../../src/tensor/index.ts";
import { plantedModel } from "../support/planted-model.ts";
import { randomModel } from "../support/random-model.ts";

/** One previous-token head and one induction head; token 0 begins every prompt. */
const planted = { model: plantedModel({ d_vocab: 30, n_ctx: 41 }), bos: 0 };
const text = [5, 6, 7, 8, 9, 5, 6, 7];
const sum = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0);

describe("scoreSources", () => {
  it("shows the planted score by its two tokens and its two writers, above the mean of the row", () => {
    const { head, queryPosition, keyPosition, score, key, query, tokens, against } = scoreSources({ ...planted, text });
    expect([head, against, tokens[1]?.text]).toEqual([{ layer: 1, head: 0 }, "mean", "#5"]);
    // 40 where the copy is, 0 elsewhere, so that the mean of the others is 0.
    expect(score).toBeCloseTo(40, 4);
    expect(key.sources[(keyPosition ?? NaN) - 1]).toBeCloseTo(40, 4);
    expect(query.sources[queryPosition ?? NaN]).toBeCloseTo(40, 4);
    expect([key.writers[0]?.label, query.writers[0]?.label]).toEqual(["L0H0", "embed"]);
  });

  it("sides add up to the score by source and by writer, of any score that was taken apart", () => {
    for (const position of ["standard", "shortformer", "rotary", "none"] as const) {
      const model = randomModel({ position, norm: "LN", bias: true, mlp: "gelu", n_ctx: 12 });
      const run = model.run([1, 2, 3, 1, 2], { edits: { "blocks.0.hook_attn_out": (x) => multiply(x, 0.5) } });
      for (const query of [4, { token: 3, at: 4 }]) {
        const data = scoreSourcesOf(attributeScore(run, "L1H1", { query, key: 1, against: "softmax" }));
        for (const { sources, bias, writers } of [data.query, data.key]) {
          expect(sum(sources) + bias).toBeCloseTo(data.score, 5);
          expect(sum(writers.map(({ value }) => value))).toBeCloseTo(data.score, 5);
        }
        expect(drawScoreSources(data).svg).toContain(typeof query === "number" ? "(4)" : "a direction");
      }
    }
  });

  it("takes two positions or none", () => {
    const shown = scoreSources({ ...planted, text }, { query: 8, key: 4 });
    expect([shown.queryPosition, shown.keyPosition]).toEqual([8, 4]);
    expect(() => scoreSources({ ...planted, text }, { query: 8 })).toThrow("one of query and key was given");
  });
});
