import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bareOVSpectrum,
  bareQKSpectrum,
  copyingScore,
  copyingScores,
  matchingScores,
  ovSpectrum,
  qkSpectrum,
  scoreNull,
} from "../../../src/circuits/index.ts";
import type { Spectrum } from "../../../src/circuits/index.ts";
import { singularValuesOf } from "../../../src/linear/index.ts";
import { dense, eigenvalues } from "../../../src/linalg/index.ts";
import { map, Tensor } from "../../../src/tensor/index.ts";
import type { Transformer } from "../../../src/model/index.ts";
import { attentionCases, expectClose, loadGolden, mlpCases } from "../../support/golden.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { randomModel, withWeights } from "../../support/random-model.ts";
import { embeddings, fro, headMatrices, mul, t, trace } from "../dense-reference.ts";
import type { Matrix } from "../dense-reference.ts";
import { modelOptions, runs } from "../../support/model-arbitrary.ts";
import { multisetDistance, pairs } from "../../paths/multiset.ts";
import { changeHeadBases, rotated, stretched } from "../../support/reparametrise.ts";

type Z = readonly [number, number];

function eigenvaluesAt(spectrum: Spectrum, layer: number, head: number): Z[] {
  const { re, im } = spectrum.eigenvalues;
  return pairs(
    re.select("layer", layer).select("head", head).data,
    im.select("layer", layer).select("head", head).data,
  );
}

const largest = (values: readonly Z[]): number => Math.max(...values.map((z) => Math.hypot(...z)));

describe.each([...attentionCases, ...mlpCases, "bundled"] as const)("%s against float64 results", (name) => {
  const golden = loadGolden(name);
  const { model } = golden;

  it.each([
    ["ov", ovSpectrum(model)],
    ["qk", qkSpectrum(model)],
  ] as const)(
    "%s.eigenvalues as multisets (1e-9 of the largest: condition numbers of some thousands)",
    (key, spectrum) => {
      const expected = golden.expected(`${key}.eigenvalues`);
      const { n_heads } = model.config;
      for (const { layer, head } of model.heads) {
        const at = (layer * n_heads + head) * model.config.d_head * 2;
        const wanted = Array.from({ length: model.config.d_head }, (_, i): Z => [
          expected.data[at + 2 * i] as number,
          expected.data[at + 2 * i + 1] as number,
        ]);
        expect(multisetDistance(eigenvaluesAt(spectrum, layer, head), wanted)).toBeLessThan(1e-9 * largest(wanted));
      }
    },
  );

  it("copying and matching scores (1e-9)", () => {
    expectClose(copyingScores(model), golden.expected("ov.copying_score"), { atol: 1e-9 });
    // Of one head the products with the vocabulary are float32.
    const alone = model.heads.map((head) => copyingScore(model, head));
    const { n_layers, n_heads } = model.config;
    const scores = Tensor.from("layer head", [n_layers, n_heads], Float64Array.from(alone));
    expectClose(scores, golden.expected("ov.copying_score"), { atol: 2e-5 });
    expectClose(matchingScores(model), golden.expected("qk.matching_score"), { atol: 1e-9 });
  });

  it("ov.singular_values of W_OV (1e-9 of the largest)", () => {
    const expected = golden.expected("ov.singular_values").data;
    const { d_head } = model.config;
    for (const [h, head] of model.heads.entries()) {
      const wanted = expected.slice(h * d_head, (h + 1) * d_head);
      expectClose(singularValuesOf(head.W_OV), wanted, { atol: 1e-9 * Math.max(...wanted) });
    }
  });
});

describe("identities (random models over norm, position, bias, layers, sizes)", () => {
  /** Of each head the four spectra, all heads' of a kind in one, with the head's dense circuit. */
  const circuitsOf = (model: Transformer): { layer: number; head: number; found: Spectrum; circuit: Matrix }[] => {
    const { W_E, W_U } = embeddings(model);
    const spectra = [ovSpectrum, qkSpectrum, bareOVSpectrum, bareQKSpectrum].map((of) => of(model));
    return model.heads.flatMap(({ layer, head }) => {
      const { OV, QK } = headMatrices(model, { layer, head });
      const circuits = [mul(W_E, OV, W_U), mul(W_E, QK, t(W_E)), OV, QK];
      return spectra.map((found, i) => ({ layer, head, found, circuit: circuits[i] as Matrix }));
    });
  };

  it("Σλ = trace = sum of the diagonal of the dense circuit (P13; 1e-10 of its norm)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel(options);
        for (const { layer, head, found, circuit } of circuitsOf(model)) {
          const sum = eigenvaluesAt(found, layer, head).reduce((s, [re]) => s + re, 0);
          const scale = 1e-10 * fro(circuit);
          expect(Math.abs(sum - trace(circuit))).toBeLessThanOrEqual(scale);
          expect(Math.abs(found.trace.at(layer, head) - trace(circuit))).toBeLessThanOrEqual(scale);
        }
      }),
      runs(201),
    );
  });

  it("nonzero eigenvalues are those of the dense vocabulary-sized circuit (P14)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel({ ...options, d_vocab: 15, d_model: 6, d_head: 3, position: "shortformer" });
        for (const { layer, head, found: spectrum, circuit } of circuitsOf(model)) {
          const found = eigenvaluesAt(spectrum, layer, head);
          const { re, im } = eigenvalues(dense(circuit.length, circuit.length, circuit.flat()));
          const expected = pairs(re, im);
          const zeros = expected.slice(found.length);
          // A zero of multiplicity m is found only to ε^(1/m); it does not enter the comparison of the others.
          expect(largest(zeros)).toBeLessThan(1e-5 * fro(circuit));
          expect(multisetDistance(found, expected.slice(0, found.length))).toBeLessThan(1e-7 * fro(circuit));
        }
      }),
      runs(202),
    );
  });

  it("scores lie in [−1, 1], turn their sign with W_OV and ignore its scale (P40)", () => {
    fc.assert(
      fc.property(modelOptions, fc.double({ min: 0.01, max: 100, noNaN: true }), (options, gain) => {
        const model = randomModel({ ...options, dtype: "float64" });
        const times = (by: number): Transformer =>
          withWeights(model, (name, W) => (name.endsWith("W_O") ? map(W, (x) => by * x) : W));
        const scores = copyingScores(model).data;
        expect(scores.every((x) => x >= -1 && x <= 1)).toBe(true);
        if (scores.length === 0) return;
        expectClose(
          copyingScores(times(-1)).data,
          scores.map((x) => -x),
          { atol: 1e-7 },
        );
        expectClose(copyingScores(times(gain)).data, scores, { atol: 1e-7 });
      }),
      runs(203),
    );
  });
});

describe("invariances (float64 weights; 1e-8, eigenvalues of nonsymmetric matrices)", () => {
  const close = { atol: 1e-8 };
  const model = randomModel({ dtype: "float64", bias: true, seed: 8, d_model: 10, d_head: 5 });

  it("a rotation of the residual stream leaves all scores as they are (P16)", () => {
    const other = rotated(model, 9);
    for (const spectrum of [ovSpectrum, qkSpectrum, bareOVSpectrum, bareQKSpectrum]) {
      expectClose(spectrum(other).score, spectrum(model).score, close);
      expectClose(spectrum(other).trace, spectrum(model).trace, close);
    }
  });

  it("an invertible change of basis leaves those of OV maps and of full circuits as they are, not that of the bare W_QK (P17)", () => {
    const other = stretched(model, 10);
    for (const spectrum of [ovSpectrum, qkSpectrum, bareOVSpectrum])
      expectClose(spectrum(other).score, spectrum(model).score, close);
    // A bilinear form changes by congruence, which keeps no eigenvalue.
    expect(Math.abs(bareQKSpectrum(other).score.at(0, 0) - bareQKSpectrum(model).score.at(0, 0))).toBeGreaterThan(1e-3);
  });

  it("other coordinates inside heads leave all scores as they are (P18)", () => {
    const other = changeHeadBases(model, 11);
    for (const spectrum of [ovSpectrum, qkSpectrum, bareOVSpectrum, bareQKSpectrum]) {
      expectClose(spectrum(other).score, spectrum(model).score, close);
    }
  });
});

describe("exact cases and edges", () => {
  it("the planted model copies with score 1, and its other head, which the unembedding does not read, has 0", () => {
    const found = ovSpectrum(plantedModel({ d_vocab: 6, n_ctx: 8, copyGain: 5 }));
    expect(found.score.toNested()).toEqual([[0], [1]]);
    expect(found.trace.toNested()).toEqual([[0], [30]]);
    expect(eigenvaluesAt(found, 1, 0)).toEqual([...Array<Z>(6).fill([5, 0]), ...Array<Z>(2).fill([0, 0])]);
  });

  it("a head that erases what it reads has bare score −1", () => {
    const model = withWeights(plantedModel({ d_vocab: 6, n_ctx: 8 }), (name, W) =>
      name === "blocks.1.attn.W_O" ? map(W, (x) => -x) : W,
    );
    expect(bareOVSpectrum(model).score.at(1, 0)).toBe(-1);
    expect(copyingScores(model).at(1, 0)).toBe(-1);
    expect(copyingScore(model, "L1H0")).toBeCloseTo(-1, 6);
  });

  it("a zeroed head scores 0, not NaN", () => {
    const model = withWeights(randomModel(), (name, W) =>
      name === "blocks.0.attn.W_V" || name === "blocks.1.attn.W_K" ? map(W, () => 0) : W,
    );
    expect(copyingScores(model).select("layer", 0).toNested()).toEqual([0, 0, 0]);
    expect(copyingScore(model, "L0H1")).toBe(0);
    expect(matchingScores(model).select("layer", 1).toNested()).toEqual([0, 0, 0]);
    expect(bareQKSpectrum(model).score.at(1, 0)).toBe(0);
  });

  it("a model without layers has empty spectra", () => {
    const { eigenvalues: values, score } = ovSpectrum(randomModel({ n_layers: 0 }));
    expect([values.re.shape, score.shape]).toEqual([
      [0, 3, 4],
      [0, 3],
    ]);
  });

  it("d_head wider than d_model gives d_model eigenvalues", () => {
    expect(ovSpectrum(randomModel({ d_model: 3, d_head: 8 })).eigenvalues.re.shape).toEqual([2, 3, 3]);
  });

  it("a vocabulary of 50,278 tokens costs no more than W_U W_E", () => {
    const model = randomModel({ d_vocab: 50_278, d_model: 8, n_heads: 1 });
    const { W_E, W_U } = embeddings(model);
    const { OV } = headMatrices(model, { layer: 0, head: 0 });
    const expected = trace(mul(OV, mul(W_U, W_E)));
    expectClose([ovSpectrum(model).trace.at(0, 0)], [expected], { rtol: 1e-9 });
  });

  it("reports progress in heads and stops when asked to", () => {
    const controller = new AbortController();
    const seen: [number, number][] = [];
    const onProgress = (done: number, total: number): void => {
      seen.push([done, total]);
      if (done === 2) controller.abort(new Error("enough"));
    };
    expect(() => ovSpectrum(randomModel(), { signal: controller.signal, onProgress })).toThrow("enough");
    expect(seen).toEqual([
      [1, 6],
      [2, 6],
    ]);
  });

  it("refuses output tokens that are not the input tokens", () => {
    const model = randomModel({ d_vocab: 7, config: { d_vocab_out: 5 } });
    const text = (operation: string): string =>
      `${operation}: the full OV circuit has eigenvalues only where input and output tokens are the same; this model has d_vocab=7 and d_vocab_out=5. Use bareOVSpectrum.`;
    expect(() => ovSpectrum(model)).toThrow(expect.objectContaining({ message: text("ovSpectrum") }));
    expect(() => copyingScores(model)).toThrow(expect.objectContaining({ message: text("copyingScores") }));
    expect(() => copyingScore(model, "L0H0")).toThrow(
      "copyingScore: copying is asked of models whose output tokens are their input tokens; this one has d_vocab=7 and d_vocab_out=5.",
    );
    expect(bareOVSpectrum(model).score.shape).toEqual([2, 3]);
    expect(qkSpectrum(model).score.shape).toEqual([2, 3]);
  });
});

describe("scoreNull", () => {
  // Published spread of the real Ginibre ensemble: 0.092 for 16, 0.046 for 32; 400 draws know it to 4 %.
  it.each([
    [16, 0.092],
    [32, 0.046],
  ])("ginibre of %i: mean 0, std %f", (d_head, std) => {
    const found = scoreNull(randomModel({ d_model: 64, d_head }), { kind: "ginibre", samples: 400, seed: 3 });
    expect(Math.abs(found.mean)).toBeLessThan(4 * (std / 20));
    expect(found.std / std).toBeGreaterThan(0.85);
    expect(found.std / std).toBeLessThan(1.15);
  });

  it("random heads see this model's embeddings: with W_U = W_Eᵀ nothing changes on average, with a zero embedding there is nothing", () => {
    const model = randomModel({ seed: 5 });
    const tied = withWeights(model, (name, W) =>
      name === "unembed.W_U" ? model.weight("embed.W_E").permute("d_model d_vocab") : W,
    );
    // The middle is then W_Eᵀ W_E, that of QK circuits: the same draws give the same scores.
    expectClose(
      scoreNull(tied, { samples: 50, seed: 6 }).samples,
      scoreNull(tied, { samples: 50, seed: 6, circuit: "QK" }).samples,
      { atol: 1e-6 },
    );
    const silent = withWeights(model, (name, W) => (name === "embed.W_E" ? map(W, () => 0) : W));
    expect(() => scoreNull(silent)).toThrow(
      expect.objectContaining({
        message: "scoreNull: the embedding or the unembedding is zero, so that every circuit is.",
      }),
    );
  });

  it("is drawn again by its seed, sorted, with quantiles between samples", () => {
    const model = randomModel();
    const [a, b, c] = [1, 1, 2].map((seed) => scoreNull(model, { samples: 21, seed }));
    expect(a?.samples.data).toEqual(b?.samples.data);
    expect(a?.samples.data).not.toEqual(c?.samples.data);
    const sorted = Array.from(a?.samples.data ?? []);
    expect(sorted).toEqual([...sorted].sort((x, y) => x - y));
    expect(a?.quantile(0)).toBe(sorted[0]);
    expect(a?.quantile(0.5)).toBe(sorted[10]);
    expect(a?.quantile(1)).toBe(sorted[20]);
    expectClose([a?.quantile(0.025) as number], [((sorted[0] as number) + (sorted[1] as number)) / 2], { atol: 1e-15 });
  });

  it("refuses what it cannot draw", () => {
    const model = randomModel();
    expect(() => scoreNull(model, { samples: 0 })).toThrow(
      expect.objectContaining({ message: "scoreNull: samples is 0; draw a positive whole number of them." }),
    );
    expect(() => scoreNull(model, { samples: 3 }).quantile(50)).toThrow(
      expect.objectContaining({ message: "quantile: 50 is not a share; give a number from 0 to 1." }),
    );
    expect(() => scoreNull(model, { kind: "haar" as never })).toThrow(
      expect.objectContaining({ message: 'scoreNull: kind is "haar"; the choices are ginibre, random-head.' }),
    );
    expect(() => scoreNull(model, { circuit: "ov" as never })).toThrow(
      expect.objectContaining({ message: 'scoreNull: circuit is "ov"; the choices are OV, QK.' }),
    );
    expect(() => scoreNull(model, { signal: AbortSignal.abort(new Error("no")) })).toThrow("no");
  });
});

it("the trained model's induction heads copy beyond all chance", () => {
  const { model } = loadGolden("bundled");
  const chance = scoreNull(model, { samples: 200, seed: 1 });
  for (const h of [1, 2, 3, 4, 7]) expect(copyingScores(model).at(1, h)).toBeGreaterThan(chance.quantile(1));
});
