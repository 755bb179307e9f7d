/**
 * Attribution patching against what it estimates, where the estimate is exact: where the metric is linear in what is
 * changed, and, with integrated gradients, over the whole embedding. Runs and gradients are float32: 1e-5 of the effects
 * is some hundred roundings.
 */
import { describe, expect, test } from "vitest";
import { attributionPatching, sweep } from "../../../src/interventions/index.ts";
import { gradients, logitDifference, logProbability } from "../../../src/model/index.ts";
import type { HookName } from "../../../src/model/index.ts";
import { rawData } from "../../../src/tensor/internal.ts";
import type { Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { randomModel } from "../../support/random-model.ts";

const prompts = {
  clean: [
    [0, 3, 9, 3, 7],
    [5, 5, 1, 2, 0],
  ],
  corrupted: [
    [0, 8, 9, 1, 7],
    [5, 6, 1, 2, 4],
  ],
};
const metric = logitDifference({ answer: [[1, 2], 3], wrong: 4, pos: [-1, 3] });

describe("without a final norm the metric is linear in the last layer", () => {
  const model = randomModel({ norm: null, bias: true, seed: 11 });

  test.each([
    ["resid_post", "layer pos"],
    ["attn_out", "pos"],
    ["result", "layer head pos"],
    ["z", "head"],
    ["v", "head pos"],
    ["pattern", "head query_pos key_pos"],
  ] as const)("at %s over %s the estimate is what a sweep measures, within 1e-5", (at, over) => {
    for (const direction of ["denoising", "noising"] as const) {
      const options = { at, over, metric, direction, layers: [1] };
      const estimate = attributionPatching(model, prompts, options);
      const exact = sweep(model, prompts, options);
      expectClose(estimate.values, exact.values, { atol: 1e-5 });
      expectClose(estimate.perPrompt, exact.perPrompt, { atol: 1e-5 });
      expect(estimate.labels).toEqual(exact.labels);
      expectClose([estimate.base, estimate.other ?? NaN], [exact.base, exact.other ?? NaN], { atol: 1e-6 });
    }
  });

  test("so it is of ablations", () => {
    for (const put of ["zero", "mean", "meanOverAll", "resample"] as const) {
      const options = { at: "z", over: "head pos", metric, put, layers: [1], seed: 3 } as const;
      const estimate = attributionPatching(model, prompts.clean, options);
      expectClose(estimate.values, sweep(model, prompts.clean, options).values, { atol: 1e-5 });
    }
  });
});

describe("anywhere", () => {
  const model = randomModel({ position: "rotary", norm: "LN", bias: true, mlp: "gelu", seed: 12 });
  const nonlinear = logProbability({ answer: [3, 9] });

  test("the estimate is the sum of gradient times difference, within 1e-6", () => {
    const options = { at: ["q", "z", "mlp_out", "attn_scores"], over: "layer pos", metric: nonlinear } as const;
    const estimate = attributionPatching(model, prompts, options);
    for (const [i, site] of options.at.entries()) {
      for (const layer of [0, 1]) {
        const name = `blocks.${layer}.${site === "mlp_out" ? "" : "attn."}hook_${site}` as HookName;
        const slope: Tensor = gradients(model, prompts.corrupted, nonlinear, { at: [name] }).at(name);
        const [to, from] = [prompts.corrupted, prompts.clean].map((ids) => model.run(ids).cache.get(name) as Tensor);
        const isScores = site === "attn_scores";
        const sums = new Float64Array(5);
        for (const [at, g] of rawData(slope).entries()) {
          const p = isScores ? Math.floor(at / 5) % 5 : Math.floor(at / (slope.size / 10)) % 5;
          if (g !== 0) sums[p] = (sums[p] ?? 0) + g * ((from?.data[at] ?? 0) - (to?.data[at] ?? 0));
        }
        const found = estimate.change().select("hook", i).select("layer", layer);
        expectClose(found, sums, { atol: 1e-6, rtol: 1e-5 });
      }
    }
  });

  test("integrated gradients at the embedding add up to the whole difference, the better the more steps", () => {
    const gap = (steps: number): number => {
      const options = { at: "resid_pre", over: "layer", layers: [0], metric: nonlinear, steps } as const;
      const { other = NaN, values } = attributionPatching(model, prompts, options);
      return Math.abs(values.at(0) - other);
    };
    expect(gap(64)).toBeLessThan(2e-3);
    expect(gap(1)).toBeGreaterThan(10 * gap(64));
  });

  test("the estimates of a layer's heads sum to that of all of them", () => {
    const heads = attributionPatching(model, prompts, { at: "z", over: "layer head", metric: nonlinear }).change();
    const layers = attributionPatching(model, prompts, { at: "z", over: "layer", metric: nonlinear }).change();
    for (const layer of [0, 1]) {
      const parts = Array.from(heads.select("layer", layer).data).reduce((a, b) => a + b, 0);
      expectClose([parts], [layers.at(layer)], { atol: 1e-9 });
    }
  });

  test.each<[string, () => unknown, string]>([
    [
      "steps without corrupted prompts",
      () => attributionPatching(model, prompts.clean, { at: "z", over: "head", metric, put: "zero", steps: 4 }),
      "integrated gradients go from one run to another",
    ],
    [
      "a function without gradient",
      () => attributionPatching(model, prompts, { at: "z", over: "head", metric: (l) => l.at(0, 0, 0) }),
      "has no gradient",
    ],
    ["no steps", () => attributionPatching(model, prompts, { at: "z", over: "head", metric, steps: 0 }), "steps is 0"],
  ])("refuses %s", (_, make, text) => {
    expect(make).toThrow(text);
  });
});
