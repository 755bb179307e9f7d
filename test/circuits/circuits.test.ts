import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  directPathCircuit,
  effectiveOVCircuit,
  fullOVCircuit,
  fullQKCircuit,
  kCompositionCircuit,
  qCompositionCircuit,
  virtualOVCircuit,
} from "../../src/circuits/index.ts";
import { diagonalTopK, toDense, transpose } from "../../src/linear/index.ts";
import type { Linear } from "../../src/linear/index.ts";
import { attentionCases, expectClose, loadGolden, mlpCases } from "../support/golden.ts";
import { plantedModel } from "../support/planted-model.ts";
import { randomModel } from "../support/random-model.ts";
import { embeddings, headMatrices, matrix, mul, plus, t } from "./dense-reference.ts";
import { modelOptions, runs } from "../support/model-arbitrary.ts";
import { changeHeadBases, rotated, stretched } from "../support/reparametrise.ts";

// TransformerLens multiplies in float32: two roundings of 6e-8 per product of up to 32 terms near 1.
const float32Oracle = { atol: 1e-5, rtol: 1e-5 };
const exact = { atol: 1e-10, rtol: 1e-10 };
const numbers = (f: Linear): ArrayLike<number> => toDense(f).data;

describe.each([...attentionCases, ...mlpCases] as const)("%s against TransformerLens (float32, 1e-5)", (name) => {
  const golden = loadGolden(name);
  const { model } = golden;
  it.each([
    ["circuit.QK", (h: number) => model.heads[h]?.W_QK],
    ["circuit.OV", (h: number) => model.heads[h]?.W_OV],
    ["circuit.full_OV", (h: number) => fullOVCircuit(model, model.heads[h] as never)],
    ["circuit.full_QK", (h: number) => fullQKCircuit(model, model.heads[h] as never)],
  ] as const)("%s", (key, circuit) => {
    const expected = golden.expected(key);
    const size = (expected.shape[2] as number) ** 2;
    for (const [h] of model.heads.entries()) {
      expectClose(numbers(circuit(h) as Linear), expected.data.subarray(h * size, (h + 1) * size), float32Oracle);
    }
  });

  it("the direct path", () => {
    expectClose(numbers(directPathCircuit(model)), golden.expected("bigram_logits_direct").data, float32Oracle);
  });
});

describe("circuits are the products that the paper names (random models, float64, 1e-10)", () => {
  it("direct path, full OV, full QK", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel(options);
        const { W_E, W_U } = embeddings(model);
        expectClose(numbers(directPathCircuit(model)), mul(W_E, W_U).flat(), exact);
        for (const head of model.heads) {
          const { OV, QK } = headMatrices(model, head);
          expectClose(numbers(fullOVCircuit(model, head)), mul(W_E, OV, W_U).flat(), exact);
          expectClose(numbers(fullQKCircuit(model, head)), mul(W_E, QK, t(W_E)).flat(), exact);
        }
      }),
      runs(101),
    );
  });

  it("composition circuits, virtual heads and effective OV circuits", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel({ ...options, n_layers: 2, n_heads: 2 });
        const { W_E, W_U } = embeddings(model);
        const [a, b] = [headMatrices(model, { layer: 0, head: 1 }), headMatrices(model, { layer: 1, head: 0 })];
        expectClose(numbers(kCompositionCircuit(model, "L0H1", "L1H0")), mul(W_E, b.QK, t(a.OV), t(W_E)).flat(), exact);
        expectClose(numbers(qCompositionCircuit(model, "L0H1", "L1H0")), mul(W_E, a.OV, b.QK, t(W_E)).flat(), exact);
        expectClose(numbers(virtualOVCircuit(model, "L0H1", "L1H0")), mul(W_E, a.OV, b.OV, W_U).flat(), exact);
        const both = effectiveOVCircuit(model, ["L0H1", "L1H0"]);
        expectClose(numbers(both), mul(W_E, plus(a.OV, b.OV), W_U).flat(), exact);
        expectClose(numbers(effectiveOVCircuit(model, ["L1H0"])), numbers(fullOVCircuit(model, "L1H0")), exact);
      }),
      runs(102),
    );
  });

  it("the paper's columns are the transposes of OV circuits, and QK circuits are the same matrix (P12)", () => {
    const model = randomModel({ seed: 3 });
    const { W_E, W_U } = embeddings(model);
    const { W_Q, W_K, W_V, W_O } = headMatrices(model, { layer: 1, head: 2 });
    // Column convention: every weight is transposed and products run right to left.
    const OV = mul(t(W_U), t(W_O), t(W_V), t(W_E));
    const QK = mul(t(t(W_E)), t(t(W_Q)), t(W_K), t(W_E));
    expectClose(numbers(fullOVCircuit(model, "L1H2")), t(OV).flat(), exact);
    expectClose(numbers(fullQKCircuit(model, "L1H2")), QK.flat(), exact);
  });

  it("keeps to factors: nothing is as large as the vocabulary squared", () => {
    const model = randomModel({ d_vocab: 4000, d_model: 8, n_ctx: 4 });
    const circuit = kCompositionCircuit(model, "L0H0", "L1H0");
    expect([circuit.rows, circuit.cols]).toEqual([4000, 4000]);
    for (const factor of circuit.factors) expect(factor.rows * factor.cols).toBeLessThanOrEqual(4000 * 8);
    expect(String(circuit)).toBe("Linear[d_vocab=4000 -> d_vocab*=4000] of rank at most 4");
  });

  it("has a rectangular OV circuit where output tokens are not the input tokens", () => {
    const model = randomModel({ d_vocab: 7, config: { d_vocab_out: 5 } });
    const { W_E, W_U } = embeddings(model);
    expectClose(
      numbers(fullOVCircuit(model, "L0H0")),
      mul(W_E, headMatrices(model, { layer: 0, head: 0 }).OV, W_U).flat(),
      exact,
    );
  });
});

describe("circuits say what the forward pass does (float32 run, 1e-4)", () => {
  // Logits and scores of order 1 to 10 after some dozens of float32 roundings.
  const run = { atol: 1e-4, rtol: 1e-4 };
  const tokens = [3, 1, 4, 1, 5, 9, 2];

  it("logits of one layer = direct path + Σ attention · full OV", () => {
    const model = randomModel({ n_layers: 1, position: "none", seed: 5 });
    const { logits, cache } = model.run(tokens);
    const pattern = cache.get("blocks.0.attn.hook_pattern");
    const direct = matrix(toDense(directPathCircuit(model)));
    const OV = model.heads.map((head) => matrix(toDense(fullOVCircuit(model, head))));
    const expected = tokens.map((token, i) =>
      direct[token]?.map((x, out) =>
        OV.reduce(
          (s, M, h) =>
            s + tokens.reduce((r, source, j) => r + pattern.at(0, h, i, j) * (M[source]?.[out] as number), 0),
          x,
        ),
      ),
    );
    expectClose(logits.data, expected.flat() as number[], run);
  });

  it("scores of the first layer = full QK / scale, without positions", () => {
    const model = randomModel({ n_layers: 1, position: "none", seed: 6 });
    const scores = model.run(tokens).cache.get("blocks.0.attn.hook_attn_scores");
    const QK = matrix(toDense(fullQKCircuit(model, "L0H1")));
    for (const [i, query] of tokens.entries()) {
      for (let j = 0; j <= i; j++) {
        const expected = (QK[query]?.[tokens[j] as number] as number) / 2;
        expectClose([scores.at(0, 1, i, j)], [expected], run);
      }
    }
  });

  it.each([
    { d_head: 4, config: {} },
    { d_head: 6, config: { rotary_dim: 4 } },
    { d_head: 6, config: { rotary_adjacent_pairs: true } },
    { d_head: 4, config: { attention_dir: "bidirectional" } },
  ])("scores of a rotary layer = full QK at offset i − j / scale: %o", ({ d_head, config }) => {
    const model = randomModel({ n_layers: 1, position: "rotary", d_head, config, seed: 7 });
    const scores = model.run(tokens).cache.get("blocks.0.attn.hook_attn_scores");
    for (let i = 0; i < tokens.length; i++) {
      const seen = model.config.attention_dir === "causal" ? i + 1 : tokens.length;
      for (let j = 0; j < seen; j++) {
        const QK = toDense(fullQKCircuit(model, "L0H2", { offset: i - j }));
        const expected = QK.at(tokens[i] as number, tokens[j] as number) / Math.sqrt(d_head);
        expectClose([scores.at(0, 2, i, j)], [expected], run);
      }
    }
    expectClose(numbers(fullQKCircuit(model, "L0H2", { offset: 0 })), numbers(fullQKCircuit(model, "L0H2")), exact);
  });
});

describe("invariances (float64 weights, 1e-9: products with inverses of condition 4)", () => {
  const close = { atol: 1e-9, rtol: 1e-9 };
  const options = { dtype: "float64", bias: true } as const;

  it("an invertible change of basis of the residual stream leaves OV circuits, virtual heads and the direct path as they are (P17)", () => {
    for (const seed of [1, 2, 3]) {
      const model = randomModel({ ...options, seed });
      const other = stretched(model, seed);
      expectClose(numbers(directPathCircuit(other)), numbers(directPathCircuit(model)), close);
      expectClose(numbers(fullOVCircuit(other, "L1H1")), numbers(fullOVCircuit(model, "L1H1")), close);
      expectClose(
        numbers(virtualOVCircuit(other, "L0H0", "L1H1")),
        numbers(virtualOVCircuit(model, "L0H0", "L1H1")),
        close,
      );
      expectClose(numbers(fullQKCircuit(other, "L1H1")), numbers(fullQKCircuit(model, "L1H1")), close);
      expectClose(
        numbers(kCompositionCircuit(other, "L0H0", "L1H1")),
        numbers(kCompositionCircuit(model, "L0H0", "L1H1")),
        close,
      );
    }
  });

  it("a rotation of the residual stream leaves all circuits as they are (P16)", () => {
    const model = randomModel({ ...options, seed: 4 });
    const other = rotated(model, 5);
    expectClose(numbers(fullQKCircuit(other, "L1H0")), numbers(fullQKCircuit(model, "L1H0")), close);
    expectClose(numbers(fullOVCircuit(other, "L1H0")), numbers(fullOVCircuit(model, "L1H0")), close);
  });

  it("other coordinates inside heads leave all circuits as they are (P18)", () => {
    const model = randomModel({ ...options, seed: 6 });
    const other = changeHeadBases(model, 7);
    for (const circuit of [fullQKCircuit, fullOVCircuit]) {
      expectClose(numbers(circuit(other, "L0H2")), numbers(circuit(model, "L0H2")), close);
    }
    expectClose(
      numbers(kCompositionCircuit(other, "L0H0", "L1H1")),
      numbers(kCompositionCircuit(model, "L0H0", "L1H1")),
      close,
    );
  });
});

describe("the planted model", () => {
  const model = plantedModel({ d_vocab: 12, n_ctx: 9, matchGain: 3, copyGain: 5 });
  const identity = (gain: number): number[] => Array.from({ length: 144 }, (_, i) => (i % 13 === 0 ? gain : 0));

  it("has K-composition circuit β₁ I, whose top-1 is 1 on both sides", () => {
    const circuit = kCompositionCircuit(model, "L0H0", "L1H0");
    expect(Array.from(numbers(circuit))).toEqual(identity(3));
    expect(diagonalTopK(circuit)).toBe(1);
    expect(diagonalTopK(transpose(circuit))).toBe(1);
  });

  it("has OV circuits g I and 0, and no Q-composition circuit", () => {
    expect(Array.from(numbers(fullOVCircuit(model, "L1H0")))).toEqual(identity(5));
    expect(Array.from(numbers(fullOVCircuit(model, "L0H0")))).toEqual(identity(0));
    expect(Array.from(numbers(qCompositionCircuit(model, "L0H0", "L1H0")))).toEqual(identity(0));
    expect(Array.from(numbers(virtualOVCircuit(model, "L0H0", "L1H0")))).toEqual(identity(0));
  });
});

describe("refusals", () => {
  const model = randomModel();
  it.each([
    [
      () => fullOVCircuit(model, "L2H0"),
      "head: there is no head L2H0 in this model of n_layers=2 and n_heads=3, both counted from 0.",
    ],
    [
      () => fullQKCircuit(model, "L0H0", { offset: 1 }),
      "fullQKCircuit: only rotary positions make the QK circuit depend on the offset; this model has positional_embedding_type=shortformer. Leave out offset.",
    ],
    [
      () => fullQKCircuit(randomModel({ position: "rotary" }), "L0H0", { offset: 0.5 }),
      "fullQKCircuit: offset is 0.5; give a whole number of positions from key to query.",
    ],
    [
      () => kCompositionCircuit(model, "L1H0", "L0H1"),
      "kCompositionCircuit: L1H0 does not come before L0H1: only a head of an earlier layer can write what a later one reads. Swap them?",
    ],
    [
      () => qCompositionCircuit(model, "L1H0", "L1H1"),
      "qCompositionCircuit: L1H0 does not come before L1H1: only a head of an earlier layer can write what a later one reads.",
    ],
    [
      () => virtualOVCircuit(model, "L1H0", "L0H1"),
      "virtualOVCircuit: L1H0 does not come before L0H1: only a head of an earlier layer can write what a later one reads. Swap them?",
    ],
    [() => effectiveOVCircuit(model, []), "effectiveOVCircuit: there are no heads. Give at least one."],
    [
      () => effectiveOVCircuit(model, "L0H1" as unknown as []),
      'effectiveOVCircuit: the heads are L0H1, which is no list. Write ["L0H1"].',
    ],
    [
      () => effectiveOVCircuit(model, undefined as unknown as []),
      'effectiveOVCircuit: the heads are undefined, which is no list. Write ["L0H5"].',
    ],
    [
      () => effectiveOVCircuit(model, ["L0H1", { layer: 0, head: 1 }]),
      "effectiveOVCircuit: head L0H1 is named twice; name each head once.",
    ],
  ])("%#", (call, text) => {
    expect(call).toThrow(expect.objectContaining({ message: text }));
  });
});
