/**
 * Sweeps against TransformerLens: golden `patching.*` and `ablation.*` of every case. Both sides are float32 runs;
 * logit differences of logits near 10 agree to 5e-5, mean losses to 2e-5.
 */
import { describe, expect, it } from "vitest";
import { sweep } from "../../../src/interventions/index.ts";
import { crossEntropy, logitDifference } from "../../../src/model/index.ts";
import { attentionCases, expectClose, loadGolden, mlpCases } from "../../support/golden.ts";

interface PatchingMetric {
  readonly clean: number;
  readonly corrupted: number;
  readonly answer: number;
  readonly wrong: number;
}

describe.each([...attentionCases, ...mlpCases, "bundled"] as const)("%s", (name) => {
  const golden = loadGolden(name);
  const [clean = [], corrupted = []] = golden.tokens();
  const { answer, wrong, ...ends } = golden.labels["patching_metric"] as PatchingMetric;
  const metric = logitDifference({ answer, wrong });

  it.each([
    ["resid_pre", { at: "resid_pre", over: "layer pos" }],
    ["head_out_all_pos", { at: "z", over: "layer head" }],
    ["head_out_by_pos", { at: "z", over: "layer pos head" }],
    ["head_pattern", { at: "pattern", over: "layer head" }],
    ["head_v", { at: "v", over: "layer head" }],
  ] as const)("patching.%s (logit difference, 5e-5)", (key, what) => {
    const { values, base, other } = sweep(golden.model, { clean, corrupted }, { ...what, metric });
    expectClose(values, golden.expected(`patching.${key}`), { atol: 5e-5 });
    expect(Math.abs(base - ends.corrupted)).toBeLessThan(5e-5);
    expect(Math.abs((other ?? NaN) - ends.clean)).toBeLessThan(5e-5);
  });

  it.each(["zero", "mean"] as const)("ablation.%s_delta_loss (2e-5)", (put) => {
    const tokens = golden.tokens("repeated_tokens");
    const count = (tokens[0]?.length ?? 0) - 1;
    // The predictions of the second copy.
    const mask = tokens.map(() => Array.from({ length: count }, (_, p) => Number(p >= count / 2)));
    const metric = crossEntropy(tokens, { mask });
    // The stored means are of results; b_O aside, that of z is the same.
    const ablation = sweep(golden.model, tokens, { at: "z", over: "layer head", put, metric });
    expectClose(ablation.change(), golden.expected(`ablation.${put}_delta_loss`), { atol: 2e-5 });
    const results = sweep(golden.model, tokens, { at: "result", over: "layer head", put, metric });
    expectClose(results.change(), golden.expected(`ablation.${put}_delta_loss`), { atol: 2e-5 });
  });
});
