import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { copyingAccuracy, ovDiagonal } from "../../../src/circuits/index.ts";
import { map } from "../../../src/tensor/index.ts";
import { attentionCases, expectClose, loadGolden, mlpCases } from "../../support/golden.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel, withWeights } from "../../support/random-model.ts";
import { embeddings, headMatrices, mul, plus } from "../dense-reference.ts";
import type { Matrix } from "../dense-reference.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";

/** The share of rows of which the diagonal is among the k largest, by sorting; ties to the lower column. */
function topShare(circuit: Matrix, k: number): number {
  const hits = circuit.filter((row, i) => {
    const order = row.map((_, j) => j).sort((a, b) => (row[b] as number) - (row[a] as number) || a - b);
    return order.slice(0, k).includes(i);
  });
  return hits.length / circuit.length;
}

describe.each([...attentionCases, ...mlpCases, "bundled"] as const)(
  "%s: copying accuracies are TransformerLens's counts",
  (name) => {
    const golden = loadGolden(name);
    const { model } = golden;
    it.each([1, 5] as const)("top-%i (shares stored in float32, 1e-6)", (k) => {
      const shares = model.heads.map((head) => copyingAccuracy(model, head, { k }));
      expectClose(shares, golden.expected(`ov.copying_top${k}`).data, { atol: 1e-6 });
    });
  },
);

describe("copyingAccuracy", () => {
  it("counts as sorting the dense circuit does", () => {
    fc.assert(
      fc.property(modelOptions, fc.integer({ min: 1, max: 6 }), (options, k) => {
        const model = randomModel({ ...options, n_layers: 1, n_heads: 2 });
        const { W_E, W_U } = embeddings(model);
        const [a, b] = [0, 1].map((head) => headMatrices(model, { layer: 0, head }).OV) as [Matrix, Matrix];
        expect(copyingAccuracy(model, "L0H1", { k })).toBe(topShare(mul(W_E, b, W_U), k));
        expect(copyingAccuracy(model, ["L0H0", "L0H1"], { k })).toBe(topShare(mul(W_E, plus(a, b), W_U), k));
      }),
      runs(301),
    );
  });

  it("is 1 for the planted copier, and k / d_vocab by ties for its other head, whose circuit is zero", () => {
    const model = plantedModel({ d_vocab: 10, n_ctx: 8 });
    expect(copyingAccuracy(model, "L1H0")).toBe(1);
    expect(copyingAccuracy(model, "L0H0", { k: 3 })).toBe(0.3);
    expect(copyingAccuracy(model, ["L0H0", "L1H0"])).toBe(1);
  });

  it("answers for several k at once, on a vocabulary that is large enough for bounds", () => {
    const model = randomModel({ d_vocab: 700, n_layers: 1, n_heads: 2, seed: 12 });
    // Output directions are those of the embedding, so that the circuit is a form on tokens.
    const copier = withWeights(model, (name, W) => {
      if (name === "unembed.W_U") {
        return map(model.weight("embed.W_E").permute("d_model d_vocab"), (x) => x) as typeof W;
      }
      return W;
    });
    const { W_E, W_U } = embeddings(copier);
    const [a, b] = [0, 1].map((head) => headMatrices(copier, { layer: 0, head }).OV) as [Matrix, Matrix];
    const [one, both] = [mul(W_E, b, W_U), mul(W_E, plus(a, b), W_U)];
    expect(copyingAccuracy(copier, "L0H1", { k: [1, 5, 64] })).toEqual([1, 5, 64].map((k) => topShare(one, k)));
    expect(copyingAccuracy(copier, ["L0H0", "L0H1"], { k: [5, 1] })).toEqual([5, 1].map((k) => topShare(both, k)));
    expect(copyingAccuracy(copier, "L0H0", { k: [] })).toEqual([]);
  });

  it("is 0 for a head that lowers what it reads", () => {
    const model = withWeights(plantedModel({ d_vocab: 10, n_ctx: 8 }), (name, W) =>
      name === "blocks.1.attn.W_O" ? map(W, (x) => -x) : W,
    );
    expect(copyingAccuracy(model, "L1H0", { k: 5 })).toBe(0);
  });

  it("streams a vocabulary of 5,000 and reports in source tokens", () => {
    const model = randomModel({ d_vocab: 5000, n_layers: 1, n_heads: 1 });
    const seen: number[] = [];
    const share = copyingAccuracy(model, "L0H0", { onProgress: (done, total) => seen.push(done, total) });
    expect(share).toBeLessThan(0.05);
    expect(seen.slice(-2)).toEqual([5000, 5000]);
  });

  it("stops when asked to", () => {
    const controller = new AbortController();
    const onProgress = (): void => controller.abort(new Error("enough"));
    expect(() => copyingAccuracy(randomModel(), "L0H0", { signal: controller.signal, onProgress })).toThrow("enough");
    expect(() => copyingAccuracy(randomModel(), "L0H0", { signal: AbortSignal.abort(new Error("never")) })).toThrow(
      "never",
    );
  });

  it("refuses impossible requests", () => {
    const model = randomModel({ d_vocab: 7, config: { d_vocab_out: 5 } });
    expect(() => copyingAccuracy(model, [])).toThrow(
      expect.objectContaining({ message: "effectiveOVCircuit: there are no heads. Give at least one." }),
    );
    expect(() => copyingAccuracy(model, "L0H0")).toThrow(expect.objectContaining({ name: "ShapeError" }));
    expect(() => copyingAccuracy(randomModel(), "L0H0", { k: 0 })).toThrow(
      expect.objectContaining({ name: "InputError" }),
    );
  });
});

describe("ovDiagonal", () => {
  it("is the diagonal of the dense circuit (float64, 1e-12), its mean and its share above 0", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel({ ...options, n_layers: 1 });
        const { W_E, W_U } = embeddings(model);
        const circuit = mul(W_E, headMatrices(model, { layer: 0, head: 0 }).OV, W_U);
        const wanted = circuit.map((row, i) => row[i] as number);
        const { diagonal, meanDiagonal, fractionPositive } = ovDiagonal(model, "L0H0");
        expectClose(diagonal.data, wanted, { atol: 1e-12, rtol: 1e-12 });
        expectClose([meanDiagonal], [wanted.reduce((s, x) => s + x, 0) / wanted.length], { atol: 1e-12, rtol: 1e-12 });
        expect(fractionPositive).toBe(wanted.filter((x) => x > 0).length / wanted.length);
      }),
      runs(302),
    );
  });

  it("of the planted copier is its gain everywhere", () => {
    const { diagonal, meanDiagonal, fractionPositive } = ovDiagonal(
      plantedModel({ d_vocab: 4, n_ctx: 5, copyGain: 3 }),
      "L1H0",
    );
    expect([diagonal.toNested(), meanDiagonal, fractionPositive]).toEqual([[3, 3, 3, 3], 3, 1]);
  });
});
