import { describe, expect, it } from "vitest";
import { attentionByOffset, positionalPattern, positionalQKCircuit } from "../../../src/circuits/index.ts";
import { toDense } from "../../../src/linear/index.ts";
import { map, Tensor } from "../../../src/tensor/index.ts";
import { expectClose, loadGolden } from "../../support/golden.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel, withWeights } from "../../support/random-model.ts";
import { headMatrices, matrix, mul, t } from "../dense-reference.ts";

// One float32 rounding of a probability.
const float32 = { atol: 2e-7 };

describe("positionalQKCircuit", () => {
  it.each(["standard", "shortformer"] as const)(
    "is W_pos W_Q W_Kᵀ W_posᵀ, unscaled (%s, float64, 1e-12)",
    (position) => {
      const model = randomModel({ position, norm: position === "standard" ? "LN" : null, bias: true, seed: 2 });
      const W_pos = matrix(model.weight("pos_embed.W_pos"));
      const { QK } = headMatrices(model, { layer: 1, head: 1 });
      expectClose(toDense(positionalQKCircuit(model, "L1H1")).data, mul(W_pos, QK, t(W_pos)).flat(), {
        atol: 1e-12,
        rtol: 1e-12,
      });
    },
  );
});

describe("positionalPattern", () => {
  it.each(["causal", "bidirectional"])(
    "is the pattern of the first layer when tokens say nothing (%s, float32 run, 1e-6)",
    (direction) => {
      for (const position of ["standard", "shortformer"] as const) {
        const random = randomModel({ position, seed: 3, config: { attention_dir: direction, attn_scale: 1.5 } });
        const model = withWeights(random, (name, weight) => (name === "embed.W_E" ? map(weight, () => 0) : weight));
        const { cache } = model.run([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        const pattern = cache.get("blocks.0.attn.hook_pattern").select("batch", 0).select("head", 2);
        expectClose(positionalPattern(model, "L0H2"), pattern, { atol: 1e-6 });
      }
    },
  );

  it("divides once by the scale of its own layer", () => {
    const model = randomModel({ seed: 4, config: { scale_attn_by_inverse_layer_idx: true, attn_scale: 3 } });
    const scores = toDense(positionalQKCircuit(model, "L1H0"));
    const [a, b] = [scores.at(1, 0), scores.at(1, 1)].map((score) => Math.exp(score / 6)) as [number, number];
    expectClose(positionalPattern(model, "L1H0", 2).data, [1, 0, a / (a + b), b / (a + b)], float32);
  });

  it("has rows that sum to 1, nothing above the diagonal, and does not depend on the length asked for", () => {
    const model = randomModel({ n_ctx: 40, seed: 5 });
    const whole = positionalPattern(model, "L0H0");
    const part = positionalPattern(model, "L0H0", 9);
    expect([whole.shape, part.shape]).toEqual([
      [40, 40],
      [9, 9],
    ]);
    for (let i = 0; i < 40; i++) {
      const row = whole.select("query_pos", i).data;
      expect(Math.abs(Array.from(row).reduce((s, x) => s + x, 0) - 1)).toBeLessThan(1e-6);
      for (let j = i + 1; j < 40; j++) expect(row[j]).toBe(0);
    }
    expectClose(part.data, whole.slice("query_pos", 0, 9).slice("key_pos", 0, 9).data, float32);
  });

  it("finds the planted previous-token head: r(1) = 1, with scores of 40 to one", () => {
    const profile = attentionByOffset(positionalPattern(plantedModel(), "L0H0"));
    // Position 0 can only look at itself: r(0) = 1/21. Rivals get e^-40.
    expectClose(profile.data.slice(0, 3), [1 / 21, 1, 0], { atol: 1e-6 });
  });

  it("finds the previous-token heads of the trained model, whose measured scores are 0.95 and 0.99", () => {
    const { model } = loadGolden("bundled");
    expect(attentionByOffset(positionalPattern(model, "L0H5")).at(1)).toBeGreaterThan(0.9);
    expect(attentionByOffset(positionalPattern(model, "L0H7")).at(1)).toBeGreaterThan(0.9);
  });

  it("takes 2048 positions", () => {
    const model = randomModel({ n_ctx: 2048, n_layers: 1, n_heads: 1 });
    const pattern = positionalPattern(model, "L0H0");
    expect(pattern.shape).toEqual([2048, 2048]);
    const last = pattern.select("query_pos", 2047).data;
    expect(Math.abs(Array.from(last).reduce((s, x) => s + x, 0) - 1)).toBeLessThan(1e-5);
  });
});

describe("attentionByOffset", () => {
  it("averages the diagonals of a uniform causal pattern: r(δ) = mean of 1/(i+1) over i ≥ δ", () => {
    const pattern = Tensor.fromNested(
      "query_pos key_pos",
      [
        [1, 0, 0],
        [1 / 2, 1 / 2, 0],
        [1 / 3, 1 / 3, 1 / 3],
      ],
      "float64",
    );
    expectClose(attentionByOffset(pattern), [(1 + 1 / 2 + 1 / 3) / 3, (1 / 2 + 1 / 3) / 2, 1 / 3], { atol: 1e-15 });
  });
});

describe("refusals", () => {
  it.each([
    [
      () => positionalQKCircuit(randomModel({ position: "rotary" }), "L0H0"),
      "positionalQKCircuit: this model has no positional embedding: positional_embedding_type=rotary. For rotary positions there is fullQKCircuit with an offset.",
    ],
    [
      () => positionalPattern(randomModel({ position: "none" }), "L0H0"),
      "positionalPattern: this model has no positional embedding: positional_embedding_type=none.",
    ],
    [
      () => positionalPattern(randomModel(), "L0H0", 11),
      "positionalPattern: n is 11, but the model has positions for 1 to n_ctx=10 tokens.",
    ],
    [
      () => positionalPattern(randomModel(), "L0H0", 0),
      "positionalPattern: n is 0, but the model has positions for 1 to n_ctx=10 tokens.",
    ],
    [
      () => attentionByOffset(Tensor.zeros("query_pos key_pos", [2, 3])),
      "attentionByOffset: takes one square pattern [query_pos, key_pos]; this is [query_pos=2 key_pos=3].",
    ],
  ])("%#", (call, text) => {
    expect(call).toThrow(expect.objectContaining({ message: text }));
  });
});
