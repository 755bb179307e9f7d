import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { copyingEvaluator } from "../../../src/heads/index.ts";
import { copyingScores } from "../../../src/circuits/index.ts";
import { map } from "../../../src/tensor/index.ts";
import { expectClose, loadGolden } from "../../support/golden.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel, withWeights } from "../../support/random-model.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";

describe("copyingEvaluator", () => {
  it("OV = +I with one-hot embeddings scores 1, OV = -I scores -1, a head that moves nothing into the logits 0", () => {
    // L1H0 of the planted model copies token to token; L0H0 writes where the unembedding does not read.
    const model = plantedModel({ d_vocab: 12, n_ctx: 10 });
    const scores = copyingEvaluator(model, { samples: 2 });
    expect(scores.at(1, 0)).toBeCloseTo(1, 12);
    expect(scores.at(0, 0)).toBe(0);
    const negative = withWeights(model, (name, W) => (name === "blocks.1.attn.W_O" ? map(W, (x) => -x) : W));
    expect(copyingEvaluator(negative, { samples: 2 }).at(1, 0)).toBe(-1);
  });

  it("lies between -1 and 1, the same for the same seed, unchanged when W_O is scaled (every norm and kind of position)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel({ ...options, d_vocab: Math.max(3, options.d_vocab) });
        const scores = copyingEvaluator(model, { length: 2, samples: 3, seed: 5 });
        expect(scores.data.every((x) => x >= -1 && x <= 1)).toBe(true);
        expect([...copyingEvaluator(model, { length: 2, samples: 3, seed: 5 }).data]).toEqual([...scores.data]);
        // The last layer alone: what is downstream sees other streams.
        const last = model.config.n_layers - 1;
        if (last < 0) return;
        const scaled = withWeights(model, (name, W) => (name === `blocks.${last}.attn.W_O` ? map(W, (x) => 4 * x) : W));
        const again = copyingEvaluator(scaled, { length: 2, samples: 3, seed: 5 });
        expectClose(again.select("layer", last), scores.select("layer", last), { atol: 1e-9 });
      }),
      runs(503, 40),
    );
  });

  it("goes with the eigenvalues on the bundled model: high for the heads that copy, low for the others", () => {
    const { model } = loadGolden("bundled");
    const scores = copyingEvaluator(model, { samples: 4 });
    const byEigenvalues = copyingScores(model);
    const [x, y] = [[...scores.data], [...byEigenvalues.data]];
    const mean = (v: number[]): number => v.reduce((a, b) => a + b, 0) / v.length;
    const covariance = (a: number[], b: number[]): number =>
      mean(a.map((u, i) => (u - mean(a)) * ((b[i] as number) - mean(b))));
    expect(covariance(x, y) / Math.sqrt(covariance(x, x) * covariance(y, y))).toBeGreaterThan(0.8);
  });

  it("refuses output tokens that are not the input tokens, and no samples", () => {
    expect(() => copyingEvaluator(randomModel({ config: { d_vocab_out: 5 } }))).toThrow(
      "copyingEvaluator: copying is asked of models whose output tokens are their input tokens; this one has d_vocab=17 and d_vocab_out=5.",
    );
    expect(() => copyingEvaluator(randomModel(), { samples: 0 })).toThrow(
      "copyingEvaluator: samples is 0; draw a positive whole number of them.",
    );
  });
});
