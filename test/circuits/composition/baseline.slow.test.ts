/** The drawn baseline of composition scores, against values measured elsewhere and the formula. */
import { describe, expect, it } from "vitest";
import { compositionBaseline, sampleCompositionBaseline } from "../../../src/circuits/index.ts";

describe("the baseline", () => {
  // Measured elsewhere with 1,000 draws; 300 draws know a mean to std/17 and a std to 4 %.
  it.each([
    [128, 16, 0.0881, 0.0045],
    [64, 8, 0.1244, 0.012],
  ])("d = %i, k = %i: mean %f, std %f, for both distributions", (d_model, d_head, mean, std) => {
    for (const init of ["normal", "kaiming-uniform"] as const) {
      const found = sampleCompositionBaseline({ d_model, d_head }, { init, samples: 300, seed: 15 });
      expect(Math.abs(found.mean - mean)).toBeLessThan(std / 3);
      expect(found.std / std).toBeGreaterThan(0.8);
      expect(found.std / std).toBeLessThan(1.25);
      const analytic = compositionBaseline({ d_model, d_head });
      expect(Math.abs(found.mean - analytic.mean)).toBeLessThan(std / 2);
      expect(analytic.std / found.std).toBeGreaterThan(0.6);
      expect(analytic.std / found.std).toBeLessThan(1.2);
    }
  });

  it("GPT-2's sizes: 0.0361 ± 0.0004 with ARENA's factors (60 draws: four standard errors), 1 / sqrt(768) by the formula", () => {
    const sizes = { d_model: 768, d_head: 64 };
    const { mean, std } = sampleCompositionBaseline(sizes, { init: "kaiming-uniform", samples: 60, seed: 17 });
    expect(Math.abs(mean - 0.03608)).toBeLessThan((4 * 0.00042) / Math.sqrt(60));
    expect(Math.abs(std - 0.00042)).toBeLessThan(0.00042 * (4 / Math.sqrt(2 * 59)));
    const analytic = compositionBaseline(sizes);
    expect(Math.abs(analytic.mean - 0.03608)).toBeLessThan(1e-5);
    expect(Math.abs(analytic.std - 0.0004)).toBeLessThan(5e-5);
  });
});
