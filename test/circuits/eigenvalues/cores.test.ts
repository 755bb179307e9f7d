/** The cores of spectra at sizes where float32 weights are multiplied in float32. */
import { describe, expect, it } from "vitest";
import { embeddingGram, unembedEmbed } from "../../../src/circuits/eigenvalues/cores.ts";
import { fullOVCircuit, ovSpectrum } from "../../../src/circuits/index.ts";
import { traceOf } from "../../../src/linear/index.ts";
import { randomModel } from "../../support/random-model.ts";

describe("products over a vocabulary of 20,000", () => {
  const [d, V] = [128, 20_000];
  const model = randomModel({ n_layers: 0, d_model: d, d_vocab: V, position: "none", seed: 3 });
  const W_E = model.weight("embed.W_E").data;
  const W_U = model.weight("unembed.W_U").data;
  // Float32 sums of 4,096 terms err by at most 272 roundings each, some ten in practice.
  const atol = (scale: number): number => 20 * 2 ** -24 * scale;

  it("W_U W_E and W_Eᵀ W_E are float64 sums to some float32 roundings, and are kept", () => {
    const [M, G] = [unembedEmbed(model, "test"), embeddingGram(model)];
    let worst = 0;
    for (let t = 0; t < 40; t++) {
      const [i, j] = [(t * 37) % d, (t * 101) % d];
      let [m, g, scaleM, scaleG] = [0, 0, 0, 0];
      for (let a = 0; a < V; a++) {
        const [u, e, f] = [W_U[i * V + a] as number, W_E[a * d + j] as number, W_E[a * d + i] as number];
        m += u * e;
        g += f * e;
        scaleM += Math.abs(u * e);
        scaleG += Math.abs(f * e);
      }
      worst = Math.max(worst, Math.abs((M[i * d + j] as number) - m));
      expect(Math.abs((M[i * d + j] as number) - m)).toBeLessThan(atol(scaleM));
      expect(Math.abs((G[i * d + j] as number) - g)).toBeLessThan(atol(scaleG));
    }
    expect(worst).toBeGreaterThan(0);
    expect(unembedEmbed(model, "test")).toBe(M);
    expect(embeddingGram(model)).toBe(G);
  });
});

it("cores of 16 heads of 64 in 512 dimensions: traces are those of the full circuits, to 1e-5 of the sum of moduli", () => {
  const model = randomModel({
    n_layers: 1,
    n_heads: 16,
    d_model: 512,
    d_head: 64,
    d_vocab: 60,
    position: "none",
    seed: 4,
  });
  const { trace, eigenvalues, score } = ovSpectrum(model);
  for (const { head, label } of model.heads.filter(({ head: h }) => h % 5 === 0)) {
    let moduli = 0;
    for (let i = 0; i < 64; i++) moduli += Math.hypot(eigenvalues.re.at(0, head, i), eigenvalues.im.at(0, head, i));
    expect(Math.abs(trace.at(0, head) - traceOf(fullOVCircuit(model, label)))).toBeLessThan(1e-5 * moduli);
    expect(Math.abs(score.at(0, head) - trace.at(0, head) / moduli)).toBeLessThan(1e-5);
  }
});
