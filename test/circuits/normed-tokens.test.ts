import { describe, expect, it } from "vitest";
import { fullOVCircuit, fullQKCircuit, normedTokens } from "../../src/circuits/index.ts";
import { toDense } from "../../src/linear/index.ts";
import { expectClose } from "../support/golden.ts";
import { randomModel } from "../support/random-model.ts";
import { embeddings, headMatrices, matrix, mul } from "./dense-reference.ts";

describe("normedTokens", () => {
  it.each(["LN", "LNPre", "RMS", "RMSPre"] as const)(
    "has the scores that the model's first layer has between tokens, %s (float32 run, 1e-5)",
    (norm) => {
      const model = randomModel({ norm, position: "none", seed: 3, config: { use_attn_scale: false, attn_scale: 1 } });
      const tokens = [5, 2, 9, 2, 0, 16];
      const { cache } = model.run(tokens);
      const scores = cache.get("blocks.0.attn.hook_attn_scores").select("batch", 0).select("head", 1);
      const QK = toDense(fullQKCircuit(normedTokens(model), "L0H1"));
      for (const [i, query] of tokens.entries())
        for (const [j, key] of tokens.slice(0, i + 1).entries())
          expect(Math.abs(scores.at(i, j) - QK.at(query, key))).toBeLessThan(1e-5);
    },
  );

  it("has the values of its own layer's norm, and the final norm's weights on the way out (float64, 1e-12)", () => {
    const model = randomModel({ norm: "LN", seed: 4, dtype: "float64" });
    const { W_E, W_U } = embeddings(model);
    const [w, b] = ["w", "b"].map((name) => Array.from(model.weight(`blocks.1.ln1.${name}`).data));
    const rows = W_E.map((row) => {
      const mean = row.reduce((sum, x) => sum + x, 0) / row.length;
      const scale = Math.sqrt(row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / row.length + model.config.eps);
      return row.map((x, j) => ((x - mean) / scale) * (w?.[j] ?? NaN) + (b?.[j] ?? NaN));
    });
    const out = W_U.map((row, i) => row.map((x) => x * (model.ln_final?.w?.at(i) ?? NaN)));
    const { OV } = headMatrices(model, { layer: 1, head: 2 });
    const found = toDense(fullOVCircuit(normedTokens(model, 1), "L1H2"));
    expectClose(matrix(found).flat(), mul(rows, OV, out).flat(), { atol: 1e-12, rtol: 1e-12 });
  });

  it("is the model itself without norms, and refuses layers that do not exist", () => {
    const model = randomModel();
    expect(normedTokens(model)).toBe(model);
    expect(() => normedTokens(randomModel({ norm: "LN" }), 2)).toThrow("2");
  });
});
