import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { kCompositionAccuracy, kCompositionCircuit } from "../../../src/circuits/index.ts";
import { expectClose } from "../../support/golden.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel } from "../../support/random-model.ts";
import { embeddings, headMatrices, mul, plus, t } from "../dense-reference.ts";
import type { Matrix } from "../dense-reference.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";
import { toDense } from "../../../src/linear/index.ts";

/** The share of rows of which the diagonal is among the k largest, by sorting; ties to the lower column. */
function topShare(circuit: Matrix, k: number): number {
  const hits = circuit.filter((row, i) => {
    const order = row.map((_, j) => j).sort((a, b) => (row[b] as number) - (row[a] as number) || a - b);
    return order.slice(0, k).includes(i);
  });
  return hits.length / circuit.length;
}

describe("kCompositionAccuracy", () => {
  it("counts rows for queries and columns for keys, of one head and of the sum of several", () => {
    fc.assert(
      fc.property(modelOptions, fc.integer({ min: 1, max: 4 }), (options, k) => {
        const model = randomModel({ ...options, n_layers: 2, n_heads: 2 });
        const { W_E } = embeddings(model);
        const of = (layer: number, head: number): { OV: Matrix; QK: Matrix } => headMatrices(model, { layer, head });
        const circuit = (OV: Matrix): Matrix => mul(W_E, of(1, 0).QK, t(OV), t(W_E));
        const [one, both] = [circuit(of(0, 1).OV), circuit(plus(of(0, 0).OV, of(0, 1).OV))];
        expect(kCompositionAccuracy(model, "L0H1", "L1H0", { k })).toBe(topShare(one, k));
        expect(kCompositionAccuracy(model, "L0H1", "L1H0", { k, per: "key" })).toBe(topShare(t(one), k));
        expect(kCompositionAccuracy(model, ["L0H0", "L0H1"], "L1H0", { k })).toBe(topShare(both, k));
        expect(kCompositionAccuracy(model, ["L0H0", "L0H1"], "L1H0", { k, per: "key" })).toBe(topShare(t(both), k));
        const numbers = toDense(kCompositionCircuit(model, ["L0H0", "L0H1"], "L1H0")).data;
        expectClose(numbers, both.flat(), { atol: 1e-12, rtol: 1e-10 });
      }),
      runs(311, 20),
    );
  });

  it("is that of all entries on a vocabulary that is large enough for bounds", () => {
    const model = randomModel({ d_vocab: 600, n_layers: 2, n_heads: 2, seed: 4 });
    const { W_E } = embeddings(model);
    const { OV } = headMatrices(model, { layer: 0, head: 1 });
    const circuit = mul(W_E, headMatrices(model, { layer: 1, head: 0 }).QK, t(OV), t(W_E));
    for (const k of [1, 5]) {
      expect(kCompositionAccuracy(model, "L0H1", "L1H0", { k })).toBe(topShare(circuit, k));
      expect(kCompositionAccuracy(model, "L0H1", "L1H0", { k, per: "key" })).toBe(topShare(t(circuit), k));
    }
  });

  it("is 1 for the planted induction head, both ways", () => {
    const model = plantedModel({ d_vocab: 12, n_ctx: 9, matchGain: 3 });
    expect(kCompositionAccuracy(model, "L0H0", "L1H0")).toBe(1);
    expect(kCompositionAccuracy(model, "L0H0", "L1H0", { per: "key" })).toBe(1);
  });

  it("reports in tokens and stops when asked to", () => {
    const seen: number[] = [];
    kCompositionAccuracy(randomModel({ d_vocab: 300 }), "L0H0", "L1H0", {
      onProgress: (done, total) => seen.push(done, total),
    });
    expect(seen.slice(-2)).toEqual([300, 300]);
    const signal = AbortSignal.abort(new Error("never"));
    expect(() => kCompositionAccuracy(randomModel(), "L0H0", "L1H0", { signal })).toThrow("never");
  });

  const model = randomModel();
  it.each([
    [
      () => kCompositionAccuracy(model, "L0H0", "L1H0", { per: "rows" as never }),
      'kCompositionAccuracy: per is "rows"; the choices are query, key.',
    ],
    [
      () => kCompositionAccuracy(model, "L0H0", "L1H0", { k: 0 }),
      "kCompositionAccuracy: k is 0; ask for a positive whole number.",
    ],
    [() => kCompositionAccuracy(model, [], "L1H0"), "kCompositionCircuit: there are no heads. Give at least one."],
    [
      () => kCompositionAccuracy(model, ["L0H0", "L0H0"], "L1H0"),
      "kCompositionCircuit: head L0H0 is named twice; name each head once.",
    ],
    [
      () => kCompositionAccuracy(model, ["L0H0", "L1H1"], "L1H0"),
      "kCompositionCircuit: L1H1 does not come before L1H0: only a head of an earlier layer can write what a later one reads.",
    ],
  ])("refuses %#", (call, text) => {
    expect(call).toThrow(expect.objectContaining({ message: text }));
  });
});
