import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { copyingScores, inductionPositivity, kCompositionCircuit } from "../../../src/circuits/index.ts";
import { eigenvaluesOf } from "../../../src/linear/index.ts";
import { dense, eigenvalues } from "../../../src/linalg/index.ts";
import { randomNormal, Tensor } from "../../../src/tensor/index.ts";
import { expectClose, loadGolden } from "../../support/golden.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel } from "../../support/random-model.ts";
import { embeddings, fro, headMatrices, mul, plus, t, trace } from "../dense-reference.ts";
import type { Matrix } from "../dense-reference.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";
import { multisetDistance, pairs } from "../../paths/multiset.ts";
import { changeHeadBases, rotated, stretched } from "../../support/reparametrise.ts";

describe("inductionPositivity", () => {
  it("of the planted model is (1, 1) at L1H0, exactly, with trace β₁ v", () => {
    const model = plantedModel({ d_vocab: 7, n_ctx: 6, matchGain: 3 });
    const { OV, QK } = inductionPositivity(model, { previous: ["L0H0"] });
    expect([OV.score.at(1, 0), QK.score.at(1, 0)]).toEqual([1, 1]);
    expect(QK.trace.at(1, 0)).toBe(21);
    expect([QK.score.at(0, 0), QK.trace.at(0, 0)]).toEqual([0, 0]);
  });

  it("weights previous heads: half the weight is half the trace and the same score", () => {
    const model = plantedModel({ d_vocab: 7, n_ctx: 6, matchGain: 3 });
    const { QK } = inductionPositivity(model, { previous: Tensor.fromNested("layer head", [[0.5], [0.25]]) });
    expect([QK.score.at(1, 0), QK.trace.at(1, 0)]).toEqual([1, 10.5]);
  });

  it("is read from W_E W_QK (Σ p W_OV)ᵀ W_Eᵀ over heads of earlier layers (dense, 1e-7 of its norm)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel({ ...options, n_layers: 3, n_heads: 2, d_vocab: 11, d_model: 6, d_head: 4 });
        const weights = randomNormal("layer head", [3, 2], { seed: options.seed, dtype: "float64" });
        const { OV, QK } = inductionPositivity(model, { previous: weights });
        expect(OV.score.data).toEqual(copyingScores(model).data);
        const { W_E } = embeddings(model);
        for (const reader of model.heads) {
          const zero: Matrix = Array.from({ length: 6 }, () => Array<number>(6).fill(0));
          const moved = model.heads
            .filter((head) => head.layer < reader.layer)
            .reduce(
              (sum, head) =>
                plus(
                  sum,
                  headMatrices(model, head).OV.map((row) => row.map((x) => x * weights.at(head.layer, head.head))),
                ),
              zero,
            );
          const circuit = mul(W_E, headMatrices(model, reader).QK, t(moved), t(W_E));
          const found = pairs(
            QK.eigenvalues.re.select("layer", reader.layer).select("head", reader.head).data,
            QK.eigenvalues.im.select("layer", reader.layer).select("head", reader.head).data,
          );
          const { re, im } = eigenvalues(dense(11, 11, circuit.flat()));
          expect(multisetDistance(found, pairs(re, im).slice(0, found.length))).toBeLessThanOrEqual(
            1e-7 * fro(circuit),
          );
          expect(Math.abs(QK.trace.at(reader.layer, reader.head) - trace(circuit))).toBeLessThanOrEqual(
            1e-10 * fro(circuit),
          );
          if (reader.layer === 0) expect(QK.score.at(0, reader.head)).toBe(0);
        }
      }),
      runs(601, 30),
    );
  });

  it("with one previous head has the eigenvalues of its K-composition circuit (1e-9)", () => {
    const model = randomModel({ seed: 4 });
    const { QK } = inductionPositivity(model, { previous: ["L0H2"] });
    const { re, im } = eigenvaluesOf(kCompositionCircuit(model, "L0H2", "L1H1"));
    const found = pairs(
      QK.eigenvalues.re.select("layer", 1).select("head", 1).data,
      QK.eigenvalues.im.select("layer", 1).select("head", 1).data,
    );
    expect(multisetDistance(found, pairs(re.data, im.data))).toBeLessThan(1e-9);
  });

  it("a list of heads is the sum of them, each with weight 1", () => {
    const model = randomModel({ seed: 5 });
    const list = inductionPositivity(model, { previous: ["L0H0", "L0H2"] }).QK;
    const weights = inductionPositivity(model, {
      previous: Tensor.fromNested("layer head", [
        [1, 0, 1],
        [0, 0, 0],
      ]),
    }).QK;
    expect(list.score.data).toEqual(weights.score.data);
    expect(list.eigenvalues.re.data).toEqual(weights.eigenvalues.re.data);
  });

  it("does not depend on coordinates, of the stream or within heads (P16, P17, P18; 1e-8)", () => {
    const model = randomModel({ seed: 6, dtype: "float64" });
    const { QK } = inductionPositivity(model, { previous: ["L0H1"] });
    for (const other of [rotated(model, 7), stretched(model, 8), changeHeadBases(model, 9)]) {
      expectClose(inductionPositivity(other, { previous: ["L0H1"] }).QK.score, QK.score, { atol: 1e-8 });
    }
  });

  it("of random weights scatters around (0, 0): 64 heads of width 16, mean within 4 standard errors of 0.1", () => {
    const model = randomModel({ d_model: 64, d_head: 16, n_heads: 64, d_vocab: 300, seed: 10 });
    const scores = inductionPositivity(model, { previous: ["L0H0"] }).QK.score.select("layer", 1).data;
    const mean = Array.from(scores).reduce((s, x) => s + x, 0) / 64;
    expect(Math.abs(mean)).toBeLessThan((4 * 0.1) / 8);
    expect(Math.max(...scores)).toBeLessThan(0.5);
  });

  it("puts the trained model's induction heads into the corner, and only them", () => {
    const { OV, QK } = inductionPositivity(loadGolden("bundled").model, { previous: ["L0H5", "L0H7"] });
    const inCorner = Array.from({ length: 8 }, (_, h) => h).filter(
      (h) => OV.score.at(1, h) > 0.9 && QK.score.at(1, h) > 0.9,
    );
    expect(inCorner).toEqual(expect.arrayContaining([1, 2, 3, 4, 7]));
    for (const h of [5, 6]) expect(QK.score.at(1, h)).toBeLessThan(0.5);
  });

  it("has empty spectra without layers and reports heads of both spectra", () => {
    const weights = Tensor.zeros("layer head", [0, 3]);
    expect(inductionPositivity(randomModel({ n_layers: 0 }), { previous: weights }).QK.score.shape).toEqual([0, 3]);
    const seen: number[][] = [];
    inductionPositivity(randomModel({ n_heads: 1 }), {
      previous: ["L0H0"],
      onProgress: (done, total) => seen.push([done, total]),
    });
    expect(seen).toEqual([
      [1, 4],
      [2, 4],
      [3, 4],
      [4, 4],
    ]);
  });

  const model = randomModel();
  it.each([
    [() => inductionPositivity(model, { previous: [] }), "inductionPositivity: there are no heads. Give at least one."],
    [
      () => inductionPositivity(model, { previous: ["L0H0", "L0H0"] }),
      "inductionPositivity: head L0H0 is named twice; name each head once.",
    ],
    [
      () => inductionPositivity(model, { previous: Tensor.zeros("layer head", [2, 4]) }),
      "inductionPositivity: weights of the previous heads are [layer=2 head=3] for this model; these are [layer=2 head=4].",
    ],
    [
      () =>
        inductionPositivity(model, {
          previous: Tensor.fromNested("layer head", [
            [0, 1, 0],
            [0, NaN, 0],
          ]),
        }),
      "inductionPositivity: the weight of head L1H1 is NaN; weights are finite numbers.",
    ],
  ])("refuses what is not a choice of heads (%#)", (call, text) => {
    expect(call).toThrow(expect.objectContaining({ message: text }));
  });
});
