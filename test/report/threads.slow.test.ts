/** Whole questions on several threads: the same to the bit, whatever their number. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { headAblation, headScores, repeatedTokens } from "../../src/heads/index.ts";
import { attributionPatching, sweep } from "../../src/interventions/index.ts";
import { crossEntropy } from "../../src/model/index.ts";
import { logitAttribution, pathExpansion, pathTotals, scoreExpansion, termImportance } from "../../src/paths/index.ts";
import { analyse } from "../../src/report/index.ts";
import { kernelInfo, useThreads } from "../../src/tensor/index.ts";
import { randomModel } from "../support/random-model.ts";

const COUNTS = [1, 2, 3] as const;

/** Wide enough that its products, attention and losses are shared between threads. */
const model = randomModel({
  ...{ n_layers: 2, d_model: 96, n_heads: 4, d_head: 24, d_vocab: 4001, n_ctx: 128 },
  ...{ position: "standard", norm: "LN", bias: true, mlp: "gelu" },
});
const tokens = repeatedTokens(model.config, { length: 50, batch: 2, seed: 3 });
const short = tokens.slice(0, 1).map((prompt) => prompt.slice(0, 24));
const metric = crossEntropy(tokens);

/** Questions, each to what it finds as numbers in text. */
const questions: Readonly<Record<string, () => unknown>> = {
  forward: () => Array.from(model.forward(tokens).slice("pos", 95).data),
  "head scores": () => Array.from(headScores(model, { tokens, period: 50 }).induction.data),
  ablation: () => Array.from(headAblation(model, tokens).rise.data),
  sweep: () => Array.from(sweep(model, tokens, { at: "z", over: "layer head", put: "zero", metric }).values.data),
  "attribution patching": () =>
    Array.from(attributionPatching(model, tokens, { at: "z", over: "layer head", put: "zero", metric }).values.data),
  "logit attribution": () => Array.from(logitAttribution(model, tokens).attribution.data),
  "path totals": () => pathTotals(model, tokens),
  "path expansion": () => {
    const expansion = pathExpansion(model, short, { maxOrder: 1 });
    const ranked = expansion.rank("attribution").map(({ term: { label }, value }) => [label, value]);
    const { maxDeviation, bound } = expansion.certificate();
    return [ranked, maxDeviation, bound];
  },
  "score expansion": () => Array.from(scoreExpansion(model, tokens, "L1H2").total().data),
  "term importance": () => termImportance(model, short, { heads: false, resamples: 10 }),
};

afterAll(async () => {
  await useThreads(1);
});

describe("on one, two and three threads", () => {
  const found = new Map<string, Set<string>>();
  beforeAll(async () => {
    for (const count of COUNTS) {
      await useThreads(count);
      expect(kernelInfo().threads).toBe(count);
      for (const [name, ask] of Object.entries(questions)) {
        const text = JSON.stringify(ask());
        found.set(name, (found.get(name) ?? new Set()).add(text));
      }
    }
  });

  test.each(Object.keys(questions))("%s is one and the same", (name) => {
    const [text = "", ...others] = found.get(name) ?? [];
    expect(others).toEqual([]);
    // numbers, and not all of them alike
    expect(new Set(text.match(/-?\d+\.\d+/g)).size).toBeGreaterThan(1);
  });

  test("so is the report", async () => {
    const ids = Array.from({ length: 600 }, (_, i) => (i * i * 7 + 13 * i) % 4001);
    const reports = new Set<string>();
    for (const count of COUNTS) {
      await useThreads(count);
      reports.add(JSON.stringify(await analyse(model, undefined, ids, { maxTokens: 128 })));
    }
    expect(reports.size).toBe(1);
  });
});
