import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compositionBaseline,
  compositionScores,
  kComposition,
  qComposition,
  sampleCompositionBaseline,
  vComposition,
} from "../../../src/circuits/index.ts";
import { map, Tensor } from "../../../src/tensor/index.ts";
import type { Transformer } from "../../../src/model/index.ts";
import { attentionCases, expectClose, loadGolden, mlpCases } from "../../support/golden.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel, withWeights } from "../../support/random-model.ts";
import { compositionByDefinition, fro, headMatrices, mul, randomOrthogonal, t } from "../dense-reference.ts";
import type { Matrix } from "../dense-reference.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";
import { changeHeadBases, rotated, stretched } from "../../support/reparametrise.ts";

const kinds = ["Q", "K", "V"] as const;
const pairwise = { Q: qComposition, K: kComposition, V: vComposition };

// TransformerLens composes in float32 through SVDs: some roundings of 6e-8 on scores below 1.
describe.each([...attentionCases, ...mlpCases, "bundled"] as const)(
  "%s against TransformerLens (float32, 1e-6)",
  (name) => {
    const golden = loadGolden(name);
    const scores = compositionScores(golden.model);
    it.each(kinds)("composition.%s", (kind) => {
      expectClose(scores[kind].data, golden.expected(`composition.${kind}`).data, { atol: 1e-6 });
    });
  },
);

describe("compositionScores", () => {
  it("is the three ratios of norms of the definition, 0 unless the writer is earlier (P15; float64 weights 1e-12, float32 1e-6)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel(options);
        const scores = compositionScores(model);
        for (const writer of model.heads) {
          for (const reader of model.heads) {
            const found = kinds.map((kind) => scores[kind].at(writer.layer, writer.head, reader.layer, reader.head));
            if (writer.layer >= reader.layer) expect(found).toEqual([0, 0, 0]);
            else {
              const expected = compositionByDefinition(model, writer, reader);
              expectClose(found, expected, { atol: options.dtype === "float64" ? 1e-12 : 1e-6 });
              expectClose(
                kinds.map((kind) => pairwise[kind](writer, reader)),
                expected,
                { atol: 1e-10 },
              );
            }
          }
        }
      }),
      runs(401, 40),
    );
  });

  it("lies between 0 and 1 (P31)", () => {
    for (const kind of kinds) {
      const { data } = compositionScores(randomModel({ n_layers: 3, d_head: 2, seed: 5 }))[kind];
      expect(Math.min(...data)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...data)).toBeLessThanOrEqual(1);
    }
  });

  it("is the cosine between the directions written and read when both maps have rank 1 (P31)", () => {
    const model = randomModel({ d_head: 1, n_heads: 1, seed: 6, dtype: "float64" });
    const [writer, reader] = [headMatrices(model, { layer: 0, head: 0 }), headMatrices(model, { layer: 1, head: 0 })];
    const cosine = (a: Matrix, b: Matrix): number => Math.abs(mul(a, b)[0]?.[0] as number) / (fro(a) * fro(b));
    const expected = [reader.W_Q, reader.W_K, reader.W_V].map((read) => cosine(writer.W_O, read));
    const { Q, K, V } = compositionScores(model);
    expectClose(
      [Q, K, V].map((score) => score.at(0, 0, 1, 0)),
      expected,
      { atol: 1e-14 },
    );
  });

  it("reaches 1 for rank-1 maps that are aligned", () => {
    const model = withWeights(randomModel({ d_head: 1, n_heads: 1, dtype: "float64" }), (name, W) =>
      map(W, (x) => (name.startsWith("blocks") ? (name.includes("attn.W_") ? 1 : 0) : x)),
    );
    const { Q, K, V } = compositionScores(model);
    expectClose(
      [Q, K, V].map((score) => score.at(0, 0, 1, 0)),
      [1, 1, 1],
      { atol: 1e-15 },
    );
  });

  it("of the planted model: K = 1/√v to 1e-7 (float32 weights), Q = V = 0 exactly", () => {
    const { Q, K, V, zeroHeads } = compositionScores(plantedModel({ d_vocab: 30 }));
    expectClose([K.at(0, 0, 1, 0)], [1 / Math.sqrt(30)], { atol: 1e-7 });
    expect([Q.at(0, 0, 1, 0), V.at(0, 0, 1, 0)]).toEqual([0, 0]);
    expect(zeroHeads).toEqual({ W_OV: [], W_QK: [] });
  });

  it("never cycles the norm: ‖W_O W_QK W_V‖ and the like are other numbers (the paper's erratum)", () => {
    const model = randomModel({ seed: 7, dtype: "float64" });
    const [writer, reader] = [headMatrices(model, { layer: 0, head: 0 }), headMatrices(model, { layer: 1, head: 0 })];
    const scale = fro(writer.OV) * fro(reader.QK);
    const found = compositionScores(model).K.at(0, 0, 1, 0);
    const right = fro(mul(writer.W_V, writer.W_O, reader.W_K, t(reader.W_Q))) / scale;
    const cycled = [
      fro(mul(writer.W_O, reader.W_K, t(reader.W_Q), writer.W_V)) / scale,
      fro(mul(t(reader.W_Q), writer.W_V, writer.W_O, reader.W_K)) / scale,
    ];
    expectClose([found], [right], { atol: 1e-12 });
    for (const wrong of cycled) expect(Math.abs(found - wrong)).toBeGreaterThan(0.02);
  });

  it("gives heads of zero weights 0 and says which they are", () => {
    const model = withWeights(randomModel({ n_heads: 2 }), (name, W) => {
      if (name === "blocks.0.attn.W_V")
        return Tensor.from(
          W.axes,
          W.shape,
          W.data.map((x, i) => (i < W.size / 2 ? 0 : x)),
        );
      return name === "blocks.1.attn.W_K" ? map(W, () => 0) : W;
    });
    const scores = compositionScores(model);
    const { Q, K, V, zeroHeads } = scores;
    expect(zeroHeads).toEqual({
      W_OV: [{ layer: 0, head: 0 }],
      W_QK: [
        { layer: 1, head: 0 },
        { layer: 1, head: 1 },
      ],
    });
    expect([Q.at(0, 1, 1, 0), K.at(0, 1, 1, 1), V.at(0, 0, 1, 1)]).toEqual([0, 0, 0]);
    expect(V.at(0, 1, 1, 0)).toBeGreaterThan(0);
    expect([qComposition, kComposition].map((score) => score(model.head("L0H1"), model.head("L1H0")))).toEqual([0, 0]);
    expect(vComposition(model.head("L0H0"), model.head("L1H0"))).toBe(0);
    // A pair without a score is not far below chance either; of the others, V of two heads whose W_OV is not zero.
    const { excess, zScores: z } = scores;
    for (const maps of [excess, z]) {
      expect([maps.Q.data, maps.K.data].every((all) => all.every((x) => x === 0))).toBe(true);
      expect([maps.V.at(0, 0, 1, 0), maps.V.at(0, 0, 1, 1)]).toEqual([0, 0]);
    }
    expectClose([excess.V.at(0, 1, 1, 0)], [V.at(0, 1, 1, 0) - 1 / Math.sqrt(12)], { atol: 1e-14 });
  });

  it("has empty scores for no layers and zeros for one", () => {
    expect(compositionScores(randomModel({ n_layers: 0 })).Q.shape).toEqual([0, 3, 0, 3]);
    expect(compositionScores(randomModel({ n_layers: 1 })).V.data.every((x) => x === 0)).toBe(true);
  });

  it("does not lose weights that are tiny or huge", () => {
    const model = randomModel({ dtype: "float64", seed: 9 });
    const scaled = withWeights(model, (name, W) =>
      name.endsWith("W_V") ? map(W, (x) => x * 1e-160) : name.endsWith("W_Q") ? map(W, (x) => x * 1e150) : W,
    );
    for (const kind of kinds)
      expectClose(compositionScores(scaled)[kind], compositionScores(model)[kind], { atol: 1e-12 });
  });

  it("reports progress in bands of 48 of d_model rows and stops when asked to", () => {
    const controller = new AbortController();
    const seen: number[][] = [];
    const onProgress = (done: number, total: number): void => {
      seen.push([done, total]);
      if (done === 2) controller.abort(new Error("enough"));
    };
    const model = randomModel({ n_layers: 4, d_model: 250 });
    expect(() => compositionScores(model, { signal: controller.signal, onProgress })).toThrow("enough");
    expect(seen).toEqual([
      [1, 6],
      [2, 6],
    ]);
  });
});

describe("invariances (float64 weights, 1e-12)", () => {
  const model = randomModel({ dtype: "float64", bias: true, seed: 10, n_layers: 3 });
  const expectSame = (other: Transformer): void => {
    for (const kind of kinds)
      expectClose(compositionScores(other)[kind], compositionScores(model)[kind], { atol: 1e-12 });
  };

  it("a rotation of the residual stream (P16)", () => expectSame(rotated(model, 11)));
  it("other coordinates inside heads (P18)", () => expectSame(changeHeadBases(model, 12)));
  it("scaling of any weight", () =>
    expectSame(withWeights(model, (name, W) => (/attn\.W_[QO]$/.test(name) ? map(W, (x) => -3 * x) : W))));

  it("but not a general change of basis, though the model's function is the same (P17)", () => {
    const other = stretched(model, 13);
    const tokens = [1, 2, 3, 4, 5, 6];
    expectClose(other.forward(tokens), model.forward(tokens), { atol: 1e-3 });
    for (const kind of kinds) {
      const [a, b] = [compositionScores(other)[kind].at(0, 0, 1, 0), compositionScores(model)[kind].at(0, 0, 1, 0)];
      expect(Math.abs(a - b)).toBeGreaterThan(1e-3);
    }
  });
});

describe("the baseline", () => {
  it("E score² = 1/d_model over rotations of what a head writes (P30; 2,000 draws, four standard errors)", () => {
    const model = randomModel({ d_model: 16, d_head: 4, n_heads: 1, seed: 14 });
    const [writer, reader] = [
      headMatrices(model, { layer: 0, head: 0 }).OV,
      headMatrices(model, { layer: 1, head: 0 }).QK,
    ];
    const scale = fro(writer) * fro(reader);
    const squares = Array.from(
      { length: 2000 },
      (_, i) => (fro(mul(mul(writer, randomOrthogonal(16, i)), reader)) / scale) ** 2,
    );
    const mean = squares.reduce((s, x) => s + x, 0) / squares.length;
    const error = Math.sqrt(squares.reduce((s, x) => s + (x - mean) ** 2, 0)) / squares.length;
    expect(error).toBeLessThan(1e-3);
    expect(Math.abs(mean - 1 / 16)).toBeLessThan(4 * error);
    expectClose([compositionBaseline({ d_model: 16, d_head: 4 }).mean ** 2], [1 / 16], { rtol: 1e-15 });
  });

  it("a random model's heads score at the baseline", () => {
    const model = randomModel({ d_model: 64, d_head: 8, n_heads: 8, seed: 16 });
    const { K, baseline } = compositionScores(model);
    const scores = K.data.filter((x) => x > 0);
    const mean = Array.from(scores).reduce((s, x) => s + x, 0) / scores.length;
    expect(scores.length).toBe(64);
    expect(Math.abs(mean - baseline.mean)).toBeLessThan(baseline.std);
  });

  it("is drawn again by its seed", () => {
    const draw = (seed: number): Float64Array =>
      sampleCompositionBaseline({ d_model: 8, d_head: 2 }, { samples: 9, seed }).samples.data as Float64Array;
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });

  it("above the mean and in standard deviations, pairs that cannot compose staying 0", () => {
    const model = randomModel({ n_layers: 3, n_heads: 2, seed: 17 });
    const scores = compositionScores(model, { baseline: { mean: 0.25, std: 0.125 } });
    const { excess, zScores: z } = scores;
    for (const kind of kinds) {
      expectClose(
        [excess[kind].at(0, 1, 2, 0), z[kind].at(1, 0, 2, 1)],
        [scores[kind].at(0, 1, 2, 0) - 0.25, (scores[kind].at(1, 0, 2, 1) - 0.25) * 8],
        { atol: 1e-14 },
      );
      for (const at of [
        [0, 0, 0, 1],
        [1, 0, 1, 0],
        [2, 1, 0, 0],
      ])
        expect([excess[kind].at(...at), z[kind].at(...at)]).toEqual([0, 0]);
    }
    const own = compositionScores(model).excess.Q.at(0, 0, 1, 0);
    expectClose([own], [scores.Q.at(0, 0, 1, 0) - 1 / Math.sqrt(12)], { atol: 1e-14 });
  });

  it("the trained model's induction heads K-compose with its previous-token heads far beyond chance", () => {
    const { K } = compositionScores(loadGolden("bundled").model).zScores;
    for (const reader of [1, 2, 3, 4, 7]) expect(K.at(0, 5, 1, reader)).toBeGreaterThan(10);
  });
});

describe("refusals", () => {
  const model = randomModel();
  const [early, late] = [model.head("L0H1"), model.head("L1H2")];
  it.each([
    [
      () => qComposition(late, early),
      "qComposition: L1H2 does not come before L0H1: only a head of an earlier layer can write what a later one reads. Swap them?",
    ],
    [
      () => kComposition(early, early),
      "kComposition: L0H1 does not come before L0H1: only a head of an earlier layer can write what a later one reads.",
    ],
    [
      () => vComposition(late, early),
      "vComposition: L1H2 does not come before L0H1: only a head of an earlier layer can write what a later one reads. Swap them?",
    ],
    [
      () => compositionScores(model, { norms: "both" as "raw" }),
      'compositionScores: norms is "both"; the choices are raw, folded.',
    ],
    [
      () => compositionBaseline({ d_model: 0, d_head: 4 }),
      "compositionBaseline: d_model is 0; it is a positive whole number.",
    ],
    [
      () => sampleCompositionBaseline({ d_model: 8, d_head: 1.5 }),
      "sampleCompositionBaseline: d_head is 1.5; it is a positive whole number.",
    ],
    [
      () => sampleCompositionBaseline({ d_model: 8, d_head: 2 }, { samples: -1 }),
      "sampleCompositionBaseline: samples is -1; draw a positive whole number of them.",
    ],
    [
      () => sampleCompositionBaseline({ d_model: 8, d_head: 2 }, { init: "xavier" as never }),
      'sampleCompositionBaseline: init is "xavier"; the choices are normal, kaiming-uniform.',
    ],
    [
      () => compositionScores(model, { baseline: { mean: 0, std: 0 } }),
      "compositionScores: the baseline's std is 0; scores are divided by it. Draw more than one sample.",
    ],
  ])("%#", (call, text) => {
    expect(call).toThrow(expect.objectContaining({ message: text }));
  });

  it("heads of models of different widths", () => {
    expect(() => vComposition(randomModel({ d_model: 8 }).head("L0H0"), late)).toThrow(
      expect.objectContaining({ name: "ShapeError" }),
    );
  });
});
