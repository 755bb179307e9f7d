/** The spread of copying scores of random heads, against numpy and an integral. */
import { describe, expect, it } from "vitest";
import { scoreNull } from "../../../src/circuits/index.ts";
import { dense, svd } from "../../../src/linalg/index.ts";
import type { Transformer } from "../../../src/model/index.ts";
import { astype, matmul } from "../../../src/tensor/index.ts";
import type { Tensor } from "../../../src/tensor/index.ts";
import { loadGolden } from "../../support/golden.ts";
import { randomModel } from "../../support/random-model.ts";

/** $I$ of {@link scoreNull}: the mean modulus of the eigenvalues over the radius of their disk. */
function meanModulus(model: Transformer, circuit: "OV" | "QK"): number {
  const W_E = model.weight("embed.W_E") as Tensor<"d_vocab d_model">;
  const other = circuit === "OV" ? model.weight("unembed.W_U") : W_E.permute("d_model d_vocab");
  const { d_model, d_head } = model.config;
  const columns = W_E.rename("d_model", "column");
  const middle = matmul(astype(other as Tensor<"d_model d_vocab">, "float64"), columns);
  const squares = svd(dense(d_model, d_model, middle.data)).S.map((x) => x * x);
  const mean = squares.reduce((a, b) => a + b) / d_model;
  const steps = 400;
  let sum = 0;
  for (let i = 0; i < steps; i++) {
    const F = (i + 0.5) / steps;
    const y = (d_head / d_model) * (1 - F);
    let [low, high] = [-40, 60];
    for (let halving = 0; halving < 60; halving++) {
      const w = Math.exp((low + high) / 2);
      const share = squares.reduce((a, m) => a + (m * w) / (mean + m * w), 0) / d_model;
      if (share < y) low = (low + high) / 2;
      else high = (low + high) / 2;
    }
    sum += Math.sqrt((F * y) / Math.exp(low)) / steps;
  }
  return sum;
}

describe("scoreNull", () => {
  // d_head times the spread, of 3,000 heads drawn by numpy with eigenvalues of LAPACK; test/fixtures/analysis/score-null.py.
  it.each([
    ["bundled", "OV", 1.93],
    ["bundled", "QK", 1.82],
    ["attn-2l-ln", "OV", 1.72],
    ["attn-2l-ln", "QK", 1.69],
    ["attn-3l-rotary", "OV", 1.72],
    ["neox-2l", "QK", 1.67],
  ] as const)(
    "random heads of %s, %s: %f / d_head, which the documented integral gives (8 %: 1,000 draws, d_head of 8)",
    (name, circuit, std) => {
      const { model } = loadGolden(name);
      const found = scoreNull(model, { circuit, samples: 1000, seed: 4 });
      const { d_head } = model.config;
      expect(Math.abs(found.mean)).toBeLessThan((4 * std) / (d_head * Math.sqrt(1000)));
      for (const expected of [std, 1 / meanModulus(model, circuit)]) {
        expect(Math.abs((found.std * d_head) / expected - 1)).toBeLessThan(0.08);
      }
    },
  );

  // Products of random matrices of these sizes, by numpy with 1,500 draws and by I² = F Π (F + ν) / (1 + ν): 1.58 to 1.97.
  it.each([
    [16, 128, 600, 1.6],
    [16, 32, 200, 1.94],
    [12, 48, 200, 1.7],
    [8, 64, 512, 1.58],
  ])(
    "random heads of %i dimensions in a random model of %i, %i tokens: %f / d_head (8 %%)",
    (d_head, d_model, d_vocab, std) => {
      const model = randomModel({ n_layers: 1, n_heads: 1, d_model, d_head, d_vocab });
      const found = scoreNull(model, { samples: 1000, seed: 5 });
      expect(Math.abs((found.std * d_head) / std - 1)).toBeLessThan(0.08);
    },
  );
});
