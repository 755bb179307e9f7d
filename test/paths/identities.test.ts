/**
 * The identities of the Framework paper on runs, over seeded random models. Library results in float64 from float32 patterns agree
 * to 1e-9 with float64 formulas; other tolerances are stated where they are used.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decomposeResid, logitAttribution, pathExpansion } from "../../src/paths/index.ts";
import { fullOVCircuit } from "../../src/circuits/index.ts";
import { compose, toDense } from "../../src/linear/index.ts";
import type { PositionalEmbeddingType } from "../../src/model/index.ts";
import { add, astype, batchMatmul, map, matmul, subtract, Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";
import { plantedModel } from "../support/planted-model.ts";
import { randomModel, withWeights } from "../support/random-model.ts";
import type { RandomModelOptions } from "../support/random-model.ts";
import { frozenPatterns } from "./frozen-patterns.ts";
import { runs } from "../support/model-arbitrary.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const allPositions: readonly PositionalEmbeddingType[] = ["standard", "shortformer", "rotary", "none"];
const positions = fc.constantFrom(...allPositions);
const seeds = fc.integer({ min: 0, max: 1e6 });
type Options = Required<Pick<RandomModelOptions, "n_layers" | "position" | "bias" | "seed">>;
const withoutNorm: fc.Arbitrary<Options> = fc.record({
  n_layers: fc.integer({ min: 1, max: 3 }),
  position: positions,
  bias: fc.boolean(),
  seed: seeds,
});

describe("frozen attention", () => {
  test("with patterns forced, logits are affine in the embedding (P2): f(2x − y) = 2 f(x) − f(y)", () => {
    fc.assert(
      fc.property(withoutNorm, (options) => {
        const model = randomModel(options);
        const frozen = frozenPatterns(model, tokens);
        const f = (embed: Tensor<"batch pos d_model">): Tensor =>
          model.run(tokens, { cache: [], edits: { ...frozen, hook_embed: () => embed } }).logits;
        const embedOf = (prompts: number[][]): Tensor<"batch pos d_model"> =>
          model.run(prompts, { cache: ["hook_embed"] }).cache.get("hook_embed");
        const [x, y] = [embedOf(tokens), embedOf(tokens.map((row) => [...row].reverse()))];
        const twice = map(x, (v) => 2 * v);
        expectClose(
          f(subtract(twice, y)),
          subtract(
            map(f(x), (v) => 2 * v),
            f(y),
          ),
          { atol: 2e-4, rtol: 1e-5 },
        );
      }),
      runs(4, 15),
    );
  });

  test("biases with patterns frozen are one logit vector, the same at every position of every prompt (P29, 1e-6 of row sums)", () => {
    fc.assert(
      fc.property(withoutNorm, (options) => {
        const model = randomModel({ ...options, bias: true });
        const expansion = pathExpansion(model, tokens);
        const logits = expansion.logits(expansion.bias);
        // v ← v (I + Σ W_OV) + b_O + Σ b_V W_O, layer by layer.
        let v: Tensor<"pos d_model"> = Tensor.zeros("pos d_model", [1, model.config.d_model], "float64");
        for (const { heads, b_O } of model.layers) {
          const written = heads.map((head) => {
            const b_V: Tensor<"pos d_head"> = Tensor.from("pos d_head", [1, head.b_V.size], head.b_V.data, "float64");
            const W_V = Tensor.from("d_model d_head", [head.W_V.rows, head.W_V.cols], toDense(head.W_V).data);
            const W_O = Tensor.from("d_head d_model", [head.W_O.rows, head.W_O.cols], toDense(head.W_O).data);
            return matmul(add(matmul(v, W_V), b_V), W_O);
          });
          v = add(
            written.reduce((a, b) => add(a, b), v),
            b_O,
          );
        }
        const W_U = model.weight("unembed.W_U") as Tensor<"d_model d_vocab">;
        const expected = add(matmul(v, W_U), model.b_U).data;
        for (let row = 0; row < 12; row++) {
          expectClose(logits.data.subarray(row * 17, (row + 1) * 17), expected, { atol: 1e-5, rtol: 1e-6 });
        }
      }),
      runs(5, 20),
    );
  });

  test("adding a number of each query's own to its scores leaves patterns as they are (P19, 1e-6)", () => {
    const model = randomModel();
    const before = model.run(tokens).cache.get("blocks.0.attn.hook_pattern");
    const { cache } = model.run(tokens, {
      edits: {
        "blocks.0.attn.hook_attn_scores": (scores) => {
          const shift = Float32Array.from({ length: scores.size }, (_, i) => 3 * Math.sin(Math.floor(i / 6)));
          return add(scores, Tensor.from(scores.axes, scores.shape, shift));
        },
      },
    });
    expectClose(cache.get("blocks.0.attn.hook_pattern"), before, { atol: 1e-6 });
  });
});

describe("virtual heads", () => {
  test("a path through two heads is the virtual head (A₂A₁) ⊗ (W_OV¹ W_OV²): one pattern, one map (P9, 1e-10 float64)", () => {
    fc.assert(
      fc.property(seeds, positions, (seed, position) => {
        const model = randomModel({ seed, position });
        const { cache } = model.run(tokens);
        const expansion = pathExpansion(model, tokens);
        const direct = (expansion.terms[0]?.resid ?? Tensor.zeros("batch pos d_model", [1])).rename("pos", "key_pos");
        const pattern = (layer: number, head: number): Tensor<"batch query_pos key_pos"> =>
          astype(cache.get(`blocks.${layer as 0}.attn.hook_pattern`).select("head", head), "float64");
        for (const term of expansion.select({ order: 2 })) {
          const [first, then] = term.path as [{ layer: number; head: number }, { layer: number; head: number }];
          const A = batchMatmul(
            pattern(then.layer, then.head).rename("key_pos", "mid_pos"),
            pattern(first.layer, first.head).rename("query_pos", "mid_pos"),
          );
          const matrix = toDense(compose(model.head(first).W_OV, model.head(then).W_OV));
          const W: Tensor<"d_model out"> = Tensor.from("d_model out", [12, 12], matrix.data);
          const moved = matmul(batchMatmul(A, direct), W);
          expectClose(moved.data, term.resid.data, { atol: 1e-10 });
        }
      }),
      runs(6, 10),
    );
  });

  test("a product of patterns is causal and its rows sum to 1 (P7; 1e-6: rows of float32 patterns do so to 1e-7)", () => {
    const { cache } = randomModel({ norm: "LN" }).run(tokens);
    const [first, then] = [0, 1].map((layer) =>
      astype(cache.get(`blocks.${layer as 0}.attn.hook_pattern`).select("head", 1), "float64"),
    );
    if (first === undefined || then === undefined) throw new Error("two layers");
    const A = batchMatmul(then.rename("key_pos", "mid_pos"), first.rename("query_pos", "mid_pos"));
    for (let row = 0; row < 12; row++) {
      const entries = [...A.data.subarray(row * 6, (row + 1) * 6)];
      expect(Math.abs(entries.reduce((a, b) => a + b, 0) - 1)).toBeLessThan(1e-6);
      expect(entries.slice((row % 6) + 1).every((x) => x === 0)).toBe(true);
    }
  });

  test("previous token after previous token looks two back (P8, 1e-12: the planted head's pattern is 1 to e^-40)", () => {
    const planted = plantedModel();
    const A = astype(
      planted.run([0, 5, 6, 7, 8, 9]).cache.get("blocks.0.attn.hook_pattern").select("head", 0),
      "float64",
    );
    const two = batchMatmul(A.rename("key_pos", "mid_pos"), A.rename("query_pos", "mid_pos"));
    for (let i = 2; i < 6; i++) expect(Math.abs(two.at(0, i, i - 2) - 1)).toBeLessThan(1e-12);
  });

  test("a head that attends to itself and moves everything adds the direct path once more (P42, 1e-12)", () => {
    const base = randomModel({ n_layers: 1, n_heads: 1, d_model: 6, d_head: 6, position: "none" });
    const identity = (weight: Tensor, gain: number): Tensor =>
      Tensor.from(
        weight.axes,
        weight.shape,
        Float32Array.from({ length: 36 }, (_, i) => (i % 7 === 0 ? gain : 0)),
      );
    const model = withWeights(base, (name, weight) => {
      if (/W_[VO]$/.test(name)) return identity(weight, 1);
      if (name.endsWith("W_E"))
        return Tensor.from(
          weight.axes,
          weight.shape,
          Float32Array.from({ length: weight.size }, (_, i) => (i % 6 === Math.floor(i / 6) ? 1 : 0)),
        );
      return /W_[QK]$/.test(name) ? identity(weight, 20) : weight;
    });
    const expansion = pathExpansion(model, [0, 1, 2, 3]);
    const [direct, head] = expansion.terms;
    expectClose(head?.resid.data ?? [], direct?.resid.data ?? [], { atol: 1e-12 });
  });
});

describe("attribution of layer 0 and of scores", () => {
  test("a layer-0 head's attribution is Σ_j A_ij OV[t_j, t_(i+1)], entries of the full OV circuit (P21, 1e-6: z is float32)", () => {
    fc.assert(
      fc.property(
        seeds,
        fc.constantFrom("shortformer" as const, "rotary" as const, "none" as const),
        (seed, position) => {
          const model = randomModel({ seed, position });
          const { attribution, labels } = logitAttribution(model, tokens);
          const pattern = model.run(tokens).cache.get("blocks.0.attn.hook_pattern");
          for (const head of model.layers[0]?.heads ?? []) {
            const OV = toDense(fullOVCircuit(model, head)).toNested() as number[][];
            const c = labels.indexOf(head.label);
            for (const [b, row] of tokens.entries()) {
              for (let i = 0; i + 1 < row.length; i++) {
                const expected = row.reduce(
                  (s, id, j) => s + pattern.at(b, head.head, i, j) * (OV[id]?.[row[i + 1] ?? 0] as number),
                  0,
                );
                expect(Math.abs(attribution.at(c, b, i) - expected)).toBeLessThan(1e-5);
              }
            }
          }
        },
      ),
      runs(7, 10),
    );
  });

  test("scores of a later head are the sum over all pairs of what wrote its query and its key (P4, P5; 2e-5)", () => {
    for (const position of ["shortformer", "standard", "none"] as const) {
      for (const bias of [false, true]) {
        const model = randomModel({ position, bias, n_layers: 2 });
        const run = model.run(tokens);
        const { components } = decomposeResid(model, run, { by: "head", layer: 1 });
        const parts = Array.from({ length: components.sizeOf("component") }, (_, c) =>
          components.select("component", c),
        );
        if (position === "shortformer") parts.push(run.cache.get("hook_pos_embed"));
        const { W_Q, W_K, b_Q, b_K, attnScale } = model.layer(1);
        const scores = run.cache.get("blocks.1.attn.hook_attn_scores");
        for (let h = 0; h < 3; h++) {
          const side = (W: Tensor<"head d_model d_head">, b: Tensor<"head d_head">): number[][][][] => {
            const vectors = parts.map(
              (part) => matmul(astype(part, "float64"), W.select("head", h)).toNested() as number[][][],
            );
            return [...vectors, tokens.map((row) => row.map(() => [...b.select("head", h).data]))];
          };
          const [q, k] = [side(W_Q, b_Q), side(W_K, b_K)];
          for (let i = 0; i < 6; i++) {
            for (let j = 0; j <= i; j++) {
              let sum = 0;
              for (const y of q)
                for (const x of k)
                  sum += (y[1]?.[i] ?? []).reduce((s, v, a) => s + v * (x[1]?.[j]?.[a] as number), 0) / attnScale;
              expect(Math.abs(sum - scores.at(1, h, i, j))).toBeLessThan(2e-5);
            }
          }
        }
      }
    }
  });
});

test("bidirectional models and scaled scores expand as exactly", () => {
  for (const config of [
    { attention_dir: "bidirectional" },
    { scale_attn_by_inverse_layer_idx: true },
    { final_rms: true },
  ]) {
    const model = randomModel({ norm: "LN", position: "standard", bias: true, config });
    expect(pathExpansion(model, tokens).certificate().withinBound).toBe(true);
    expect(logitAttribution(model, tokens).certificate.withinBound).toBe(true);
  }
});
