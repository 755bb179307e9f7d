import { describe, expect, it } from "vitest";
import { fullQKCircuit, meanRotaryPattern } from "../../../src/circuits/index.ts";
import { toDense } from "../../../src/linear/index.ts";
import { map, Tensor } from "../../../src/tensor/index.ts";
import { expectClose, loadGolden } from "../../support/golden.ts";
import { randomModel, withWeights } from "../../support/random-model.ts";

const rotary = { position: "rotary", d_head: 4, n_ctx: 12 } as const;

describe("meanRotaryPattern", () => {
  it("is the softmax of the mean entries of the full QK circuits of all offsets (float64, 1e-12)", () => {
    const model = randomModel({ ...rotary, seed: 3, dtype: "float64" });
    const mean = (offset: number): number => {
      const data = Array.from(toDense(fullQKCircuit(model, "L1H2", { offset })).data);
      return data.reduce((sum, x) => sum + x, 0) / data.length / 2;
    };
    const pattern = meanRotaryPattern(model, "L1H2", 5);
    for (let i = 0; i < 5; i++) {
      const weights = Array.from({ length: i + 1 }, (_, j) => Math.exp(mean(i - j)));
      const total = weights.reduce((a, b) => a + b, 0);
      const expected = Array.from({ length: 5 }, (_, j) => (weights[j] ?? 0) / total);
      expectClose(pattern.select("query_pos", i).data, expected, { atol: 1e-12 });
    }
  });

  it.each(["LN", "RMS", "LNPre", null] as const)(
    "is the first layer's pattern where all tokens are alike, with norm %s and biases (float32 run, 1e-5)",
    (norm) => {
      const random = randomModel({ ...rotary, norm, bias: true, seed: 4 });
      // every token is embedded as token 0 is
      const model = withWeights(random, (name, weight) => {
        if (name !== "embed.W_E") return weight;
        const [rows = 0, cols = 0] = weight.shape;
        const first = weight.data.slice(0, cols);
        return Tensor.from(weight.axes, [rows, cols], Array.from({ length: rows }, () => Array.from(first)).flat());
      });
      const { cache } = model.run([1, 2, 3, 4, 5, 6, 7, 8]);
      const pattern = cache.get("blocks.0.attn.hook_pattern").select("batch", 0).select("head", 1);
      expectClose(meanRotaryPattern(model, "L0H1", 8), pattern, { atol: 1e-5 });
    },
  );

  it("looks both ways where the model does", () => {
    const model = randomModel({ ...rotary, config: { attention_dir: "bidirectional" } });
    const pattern = meanRotaryPattern(model, "L0H0", 6);
    for (let i = 0; i < 6; i++) {
      const row = Array.from(pattern.select("query_pos", i).data);
      expect(Math.abs(row.reduce((a, b) => a + b, 0) - 1)).toBeLessThan(1e-12);
      expect(Math.min(...row)).toBeGreaterThan(0);
    }
  });

  it("is flat where queries are zero, and has the model's context for its length", () => {
    const { model } = loadGolden("attn-3l-rotary");
    const silent = withWeights(model, (name, weight) => (/W_Q|b_Q/.test(name) ? map(weight, () => 0) : weight));
    const pattern = meanRotaryPattern(silent, "L2H1");
    const n = model.config.n_ctx;
    expect(pattern.shape).toEqual([n, n]);
    expect(pattern.at(n - 1, 0)).toBeCloseTo(1 / n, 12);
  });

  it("refuses other positions and lengths", () => {
    expect(() => meanRotaryPattern(randomModel(), "L0H0")).toThrow(
      "meanRotaryPattern: this model's positions are not rotary: positional_embedding_type=shortformer. Use positionalPattern.",
    );
    expect(() => meanRotaryPattern(randomModel(rotary), "L0H0", 13)).toThrow(
      "n is 13, but the model has positions for 1 to n_ctx=12 tokens.",
    );
    expect(() => meanRotaryPattern(randomModel(rotary), "L9H0", 3)).toThrow("there is no head L9H0");
  });
});
