/** `accumulatedResid` with a norm against `accumulated_resid(apply_ln=True)` of TransformerLens 3.9; the fixture's script stands beside it. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseSafetensors } from "../../../src/io/index.ts";
import { parseConfig, Transformer } from "../../../src/model/index.ts";
import { accumulatedResid } from "../../../src/paths/index.ts";
import type { Tensor } from "../../../src/tensor/index.ts";
import { expectClose, goldenFile, loadGolden } from "../../support/golden.ts";
import type { GoldenCase } from "../../support/golden.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";
import { randomModel } from "../../support/random-model.ts";

const file = parseSafetensors(readFileSync(new URL("../../fixtures/analysis/lens.safetensors", import.meta.url)), {
  name: "lens.safetensors",
});

/** A golden model under another norm, with the weights that this norm has. */
function underNorm(name: GoldenCase, normalization_type: string): Transformer {
  const { config } = loadGolden(name);
  const weights = parseSafetensors(readFileSync(goldenFile(name, "model.safetensors")), { name });
  const isPre = normalization_type.endsWith("Pre");
  const isKept = (weight: string): boolean =>
    !/\.ln\d\.|^ln_final\./.test(weight) || (!isPre && (normalization_type === "LN" || weight.endsWith(".w")));
  const kept = [...weights.tensors.keys()].filter(isKept);
  return Transformer.fromWeights(
    parseConfig({ ...config, normalization_type }),
    new Map(kept.map((weight) => [weight, weights.read(weight)])),
  );
}

describe("the logit lens", () => {
  expect(file.tensors.size).toBe(6);

  test.each([...file.tensors.keys()])("%s (2e-5: float32 on both sides)", (key) => {
    const [name, norm] = key.split(".") as [GoldenCase, string];
    const model = underNorm(name, norm);
    const expected = file.read(key);
    const run = model.run(loadGolden(name).tokens().slice(0, 1));
    const includeMid = expected.shape[0] === 2 * model.config.n_layers + 1;
    const { components } = accumulatedResid(model, run, { applyNorm: "full", includeMid });
    expectClose(components.data, expected.data, { atol: 2e-5, rtol: 1e-5 });
  });

  test("each stream has mean 0 (LayerNorm) and size sqrt(d_model), and unembeds to the logits at the end", () => {
    fc.assert(
      fc.property(
        modelOptions.filter(({ norm }) => norm !== null),
        (options) => {
          const model = randomModel(options);
          const run = model.run([[0, 1, 1, 0]]);
          const { components } = accumulatedResid(model, run, { applyNorm: "scale" });
          const raw = accumulatedResid(model, run).components;
          const [d, isCentered] = [options.d_model, options.norm?.startsWith("LN") === true];
          const rows = components.size / d;
          for (let row = 0; row < rows; row++) {
            const of = (t: Tensor): number[] => Array.from(t.data.subarray(row * d, (row + 1) * d));
            const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / d;
            const x = of(raw);
            const centered = isCentered ? x.map((each) => each - mean(x)) : x;
            const scale = Math.sqrt(mean(centered.map((each) => each * each)) + model.config.eps);
            const close = { atol: 1e-4 * Math.max(1, ...x.map(Math.abs)) * Math.max(1, 0.01 / scale) };
            expectClose(
              of(components),
              centered.map((each) => each / scale),
              close,
            );
          }
          const last = accumulatedResid(model, run, { applyNorm: "full" }).components;
          const at = last.select("component", options.n_layers);
          expectClose(at, run.cache.get("unembed.hook_in") as Tensor, { atol: 1e-5, rtol: 1e-5 });
        },
      ),
      runs(77),
    );
  });
});
