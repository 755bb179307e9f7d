/**
 * The identities of the Framework paper on runs, over seeded random models. Library results in float64 from float32 patterns agree
 * to 1e-9 with float64 formulas; comparisons with a second float32 run allow 5e-5, some hundred roundings of numbers near 5.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decomposeResid,
  frozenAblationLoss,
  fullOVCircuit,
  firstOrderLoss,
  headTermImportance,
  layerTermImportance,
  logitAttribution,
  logitsByOrder,
  lossByMaxOrder,
  pathExpansion,
} from "../../src/circuits/index.ts";
import { InputError } from "../../src/errors.ts";
import { compose, toDense } from "../../src/linear/index.ts";
import { meanLoss, parseConfig, Transformer } from "../../src/model/index.ts";
import type { Edits, HeadRef, PositionalEmbeddingType } from "../../src/model/index.ts";
import { add, astype, batchMatmul, concat, map, matmul, maxAbsDifference, subtract, Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";
import { plantedModel } from "../support/planted-model.ts";
import { randomModel, withWeights } from "../support/random-model.ts";
import type { RandomModelOptions } from "../support/random-model.ts";
import { modelOptions, runs } from "./model-arbitrary.ts";

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const allPositions: readonly PositionalEmbeddingType[] = ["standard", "shortformer", "rotary", "none"];
const positions = fc.constantFrom(...allPositions);
const seeds = fc.integer({ min: 0, max: 1e6 });
type Options = Required<Pick<RandomModelOptions, "n_layers" | "position" | "bias" | "seed">>;
const withoutNorm: fc.Arbitrary<Options> = fc.record({ n_layers: fc.integer({ min: 1, max: 3 }), position: positions, bias: fc.boolean(), seed: seeds });
const second = { atol: 5e-5, rtol: 1e-5 };

type Pattern = Tensor<"batch head query_pos key_pos">;

/** Edits that force the patterns of a run. */
function frozenPatterns(model: Transformer, prompts = tokens): Edits {
  const { cache } = model.run(prompts, { cache: (name) => name.endsWith("hook_pattern") });
  return Object.fromEntries(
    model.layers.map(({ layer }) => {
      const name = `blocks.${layer}.attn.hook_pattern` as const;
      return [name, (): Pattern => cache.get(name)];
    }),
  );
}

describe("frozen attention", () => {
  test("with patterns forced, logits are affine in the embedding (P2): f(2x − y) = 2 f(x) − f(y)", () => {
    fc.assert(
      fc.property(withoutNorm, (options) => {
        const model = randomModel(options);
        const frozen = frozenPatterns(model);
        const f = (embed: Tensor<"batch pos d_model">): Tensor => model.run(tokens, { cache: [], edits: { ...frozen, hook_embed: () => embed } }).logits;
        const embedOf = (prompts: number[][]): Tensor<"batch pos d_model"> => model.run(prompts, { cache: ["hook_embed"] }).cache.get("hook_embed");
        const [x, y] = [embedOf(tokens), embedOf(tokens.map((row) => [...row].reverse()))];
        const twice = map(x, (v) => 2 * v);
        expectClose(f(subtract(twice, y)), subtract(map(f(x), (v) => 2 * v), f(y)), { atol: 2e-4, rtol: 1e-5 });
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
          v = add(written.reduce((a, b) => add(a, b), v), b_O);
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
          const map_ = toDense(compose(model.head(first).W_OV, model.head(then).W_OV));
          const W: Tensor<"d_model out"> = Tensor.from("d_model out", [12, 12], map_.data);
          const moved = matmul(batchMatmul(A, direct), W);
          expectClose(moved.data, term.resid.data, { atol: 1e-10 });
        }
      }),
      runs(6, 10),
    );
  });

  test("a product of patterns is causal and its rows sum to 1 (P7; 1e-6: rows of float32 patterns do so to 1e-7)", () => {
    const { cache } = randomModel({ norm: "LN" }).run(tokens);
    const [first, then] = [0, 1].map((layer) => astype(cache.get(`blocks.${layer as 0}.attn.hook_pattern`).select("head", 1), "float64"));
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
    const A = astype(planted.run([0, 5, 6, 7, 8, 9]).cache.get("blocks.0.attn.hook_pattern").select("head", 0), "float64");
    const two = batchMatmul(A.rename("key_pos", "mid_pos"), A.rename("query_pos", "mid_pos"));
    for (let i = 2; i < 6; i++) expect(Math.abs(two.at(0, i, i - 2) - 1)).toBeLessThan(1e-12);
  });

  test("a head that attends to itself and moves everything adds the direct path once more (P42, 1e-12)", () => {
    const base = randomModel({ n_layers: 1, n_heads: 1, d_model: 6, d_head: 6, position: "none" });
    const identity = (weight: Tensor, gain: number): Tensor =>
      Tensor.from(weight.axes, weight.shape, Float32Array.from({ length: 36 }, (_, i) => (i % 7 === 0 ? gain : 0)));
    const model = withWeights(base, (name, weight) => {
      if (/W_[VO]$/.test(name)) return identity(weight, 1);
      if (name.endsWith("W_E")) return Tensor.from(weight.axes, weight.shape, Float32Array.from({ length: weight.size }, (_, i) => (i % 6 === Math.floor(i / 6) ? 1 : 0)));
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
      fc.property(seeds, fc.constantFrom("shortformer" as const, "rotary" as const, "none" as const), (seed, position) => {
        const model = randomModel({ seed, position });
        const { attribution, labels } = logitAttribution(model, tokens);
        const pattern = model.run(tokens).cache.get("blocks.0.attn.hook_pattern");
        for (const head of model.layers[0]?.heads ?? []) {
          const OV = toDense(fullOVCircuit(model, head)).toNested() as number[][];
          const c = labels.indexOf(head.label);
          for (const [b, row] of tokens.entries()) {
            for (let i = 0; i + 1 < row.length; i++) {
              const expected = row.reduce((s, id, j) => s + pattern.at(b, head.head, i, j) * (OV[id]?.[row[i + 1] ?? 0] as number), 0);
              expect(Math.abs(attribution.at(c, b, i) - expected)).toBeLessThan(1e-5);
            }
          }
        }
      }),
      runs(7, 10),
    );
  });

  test("scores of a later head are the sum over all pairs of what wrote its query and its key (P4, P5; 2e-5)", () => {
    for (const position of ["shortformer", "standard", "none"] as const) {
      for (const bias of [false, true]) {
        const model = randomModel({ position, bias, n_layers: 2 });
        const run = model.run(tokens);
        const { components } = decomposeResid(model, run, { by: "head", layer: 1 });
        const parts = Array.from({ length: components.sizeOf("component") }, (_, c) => components.select("component", c));
        if (position === "shortformer") parts.push(run.cache.get("hook_pos_embed"));
        const { W_Q, W_K, b_Q, b_K, attnScale } = model.layer(1);
        const scores = run.cache.get("blocks.1.attn.hook_attn_scores");
        for (let h = 0; h < 3; h++) {
          const side = (W: Tensor<"head d_model d_head">, b: Tensor<"head d_head">): number[][][][] => {
            const vectors = parts.map((part) => matmul(astype(part, "float64"), W.select("head", h)).toNested() as number[][][]);
            return [...vectors, tokens.map((row) => row.map(() => [...b.select("head", h).data]))];
          };
          const [q, k] = [side(W_Q, b_Q), side(W_K, b_K)];
          for (let i = 0; i < 6; i++) {
            for (let j = 0; j <= i; j++) {
              let sum = 0;
              for (const y of q) for (const x of k) sum += (y[1]?.[i] ?? []).reduce((s, v, a) => s + v * (x[1]?.[j]?.[a] as number), 0) / attnScale;
              expect(Math.abs(sum - scores.at(1, h, i, j))).toBeLessThan(2e-5);
            }
          }
        }
      }
    }
  });
});

describe("orders of paths", () => {
  /** The paper's algorithm by hand: patterns forced, each layer adds what its heads computed in the run before. */
  function literally(model: Transformer): Tensor[] {
    const frozen = frozenPatterns(model);
    let saved = new Map<number, Tensor<"batch pos d_model">>();
    return Array.from({ length: model.config.n_layers + 1 }, () => {
      const outputs = new Map<number, Tensor<"batch pos d_model">>();
      const hold = Object.fromEntries(
        model.layers.map(({ layer }) => [
          `blocks.${layer}.hook_attn_out`,
          (out: Tensor<"batch pos d_model">): Tensor<"batch pos d_model"> => {
            outputs.set(layer, out);
            return saved.get(layer) ?? map(out, () => 0);
          },
        ]),
      );
      const { logits } = model.run(tokens, { cache: [], edits: { ...frozen, ...hold } });
      saved = outputs;
      return logits;
    });
  }

  test("cumulated, they are the runs of the paper's algorithm; the last is the model (P3)", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), positions, seeds, (n_layers, position, seed) => {
        const model = randomModel({ n_layers, position, seed });
        const byOrder = logitsByOrder(model, tokens);
        const { loss } = lossByMaxOrder(model, tokens);
        let sum: Tensor | undefined;
        for (const [order, logits] of literally(model).entries()) {
          const term: Tensor = byOrder.select("order", order);
          sum = sum === undefined ? term : add(sum, term);
          expectClose(sum.data, logits.data, second);
          const ids = Tensor.from("batch pos", [2, 6], tokens.flat(), "int32");
          expectClose([loss.at(order)], [meanLoss(logits as Tensor<"batch pos d_vocab">, ids)], { atol: 1e-5 });
        }
        expectClose(sum?.data ?? [], model.forward(tokens).data, second);
      }),
      runs(8, 12),
    );
  });

  test("gains sum to ln V less the model's loss, for every norm (P38; 1e-9 in float64, 1e-5 against the float32 loss)", () => {
    fc.assert(
      fc.property(modelOptions, (options) => {
        const model = randomModel(options);
        const prompts = tokens.map((row) => row.map((id) => id % options.d_vocab));
        const { loss, marginalGain, uniformLoss } = lossByMaxOrder(model, prompts);
        const last = loss.at(options.n_layers);
        expect(uniformLoss).toBe(Math.log(options.d_vocab));
        expect(Math.abs([...marginalGain.data].reduce((a, b) => a + b, 0) - (uniformLoss - last))).toBeLessThan(1e-9);
        const { logits, tokens: ids } = model.run(prompts, { cache: [] });
        expectClose([last], [meanLoss(logits, ids)], { atol: 2e-5, rtol: 1e-5 });
      }),
      runs(9, 30),
    );
  });

  test("a model whose output tokens outnumber its input tokens is measured against all of them", () => {
    const model = randomModel({ config: { d_vocab_out: 40 } });
    expect(lossByMaxOrder(model, tokens).uniformLoss).toBe(Math.log(40));
    expect(logitsByOrder(model, tokens).shape).toEqual([3, 2, 6, 40]);
    expect(pathExpansion(model, tokens).certificate().withinBound).toBe(true);
  });

  test("progress and cancelling", () => {
    const model = randomModel({ n_layers: 3 });
    const seen: string[] = [];
    logitsByOrder(model, tokens, { onProgress: (done, total) => seen.push(`${done}/${total}`) });
    expect(seen).toEqual(["1/3", "2/3", "3/3"]);
    const stop = new AbortController();
    const onProgress = (): void => { stop.abort(new Error("enough")); };
    expect(() => lossByMaxOrder(model, tokens, { signal: stop.signal, onProgress })).toThrow("enough");
    expect(() => headTermImportance(model, tokens, { signal: stop.signal })).toThrow("enough");
  });

  test("prompts of one token have no loss", () => {
    const text = "a prompt of one token has no next token, so there is no loss. Give at least two tokens.";
    const model = randomModel();
    expect(() => lossByMaxOrder(model, [1])).toThrow(InputError);
    expect(() => lossByMaxOrder(model, [1])).toThrow(`lossByMaxOrder: ${text}`);
    expect(() => firstOrderLoss(model, [1], { layers: [] })).toThrow(`firstOrderLoss: ${text}`);
    expect(() => frozenAblationLoss(model, [1], { layers: [] })).toThrow(`frozenAblationLoss: ${text}`);
    expect(() => headTermImportance(model, [1])).toThrow(`headTermImportance: ${text}`);
    expect(() => layerTermImportance(model, [1])).toThrow(`layerTermImportance: ${text}`);
    expect(logitsByOrder(model, [1]).shape).toEqual([3, 1, 1, 17]);
  });
});

describe("subsets of heads", () => {
  const zeroResults = (model: Transformer, heads: readonly HeadRef[]): Edits => {
    const out = new Set(heads.map((ref) => model.head(ref).label as string));
    return Object.fromEntries(
      model.layers.map(({ layer }) => [
        `blocks.${layer}.attn.hook_result`,
        (result: Tensor<"batch pos head d_model">) =>
          concat("head", Array.from({ length: result.sizeOf("head") }, (_, h) => {
            const one = result.slice("head", h, h + 1);
            return out.has(`L${layer}H${h}`) ? map(one, () => 0) : one;
          })),
      ]),
    );
  };

  test("removing heads with patterns frozen is the pattern-preserving ablation of a run (P6, 2e-5 nats)", () => {
    fc.assert(
      fc.property(withoutNorm, fc.subarray([0, 1, 2], { minLength: 1 }), (options, heads) => {
        const model = randomModel(options);
        const subset = heads.map((head) => ({ layer: options.n_layers - 1 - (head % options.n_layers), head }));
        const edits = { ...frozenPatterns(model), ...zeroResults(model, subset) };
        const { logits, tokens: ids } = model.run(tokens, { cache: [], edits });
        expectClose([frozenAblationLoss(model, tokens, { heads: subset })], [meanLoss(logits, ids)], { atol: 2e-5 });
      }),
      runs(10, 20),
    );
  });

  test("and the logits less every path through the head, where nothing else begins in a bias (P6, 1e-9 of float64 losses)", () => {
    for (const norm of [null, "LNPre", "RMS"] as const) {
      const model = randomModel({ norm, position: "standard", n_layers: 3, n_heads: 2 });
      const expansion = pathExpansion(model, tokens);
      const without = expansion.terms.filter(({ path }) => !path.some(({ layer, head }) => layer === 1 && head === 0));
      const logits = [...without, expansion.bias].map((term) => expansion.logits(term)).reduce((a, b) => add(a, b));
      const loss = meanLoss(logits, expansion.tokens);
      expectClose([frozenAblationLoss(model, tokens, { heads: ["L1H0"] })], [loss], { atol: 1e-6 });
    }
  });

  test("first-order losses are those of the sums of terms; nothing, one head, a layer, everything (1e-6: meanLoss is float32)", () => {
    const model = randomModel({ norm: "LN", position: "rotary", bias: true, n_layers: 2 });
    const expansion = pathExpansion(model, tokens);
    const lossOf = (labels: readonly string[]): number => {
      const kept = expansion.all.filter(({ label }) => label === "direct" || label === "bias" || labels.includes(label));
      return meanLoss(kept.map((term) => expansion.logits(term)).reduce((a, b) => add(a, b)), expansion.tokens);
    };
    const cases: [Parameters<typeof firstOrderLoss>[2], string[]][] = [
      [{ heads: [] }, []],
      [{ heads: ["L1H2"] }, ["L1H2"]],
      [{ layers: [0] }, ["L0H0", "L0H1", "L0H2"]],
      [{ layers: [1], heads: ["L0H1"] }, ["L0H1", "L1H0", "L1H1", "L1H2"]],
    ];
    for (const [subset, labels] of cases) expectClose([firstOrderLoss(model, tokens, subset)], [lossOf(labels)], { atol: 1e-6 });
    const { loss } = lossByMaxOrder(model, tokens);
    expectClose([firstOrderLoss(model, tokens, { layers: [] }), firstOrderLoss(model, tokens, { layers: [0, 1] })], [loss.at(0), loss.at(1)], { atol: 1e-12 });
  });

  test("headTermImportance: both ends of every head, as the losses of subsets have it (1e-12)", () => {
    const model = randomModel({ norm: "RMS", position: "standard", bias: true });
    const importance = headTermImportance(model, tokens);
    const { loss } = lossByMaxOrder(model, tokens);
    expectClose([importance.directLoss, importance.fullLoss], [loss.at(0), loss.at(2)], { atol: 1e-12 });
    for (const { layer, head, label } of model.heads) {
      const added = importance.directLoss - firstOrderLoss(model, tokens, { heads: [label] });
      const removed = frozenAblationLoss(model, tokens, { heads: [label] }) - importance.fullLoss;
      expectClose([importance.addedToDirect.at(layer, head), importance.removedFromFull.at(layer, head)], [added, removed], { atol: 1e-12 });
    }
    expect(frozenAblationLoss(model, tokens, { heads: [] })).toBeCloseTo(importance.fullLoss, 12);
  });

  test("layerTermImportance: gains over the direct path, and over it with the other layers (1e-12)", () => {
    const model = randomModel({ n_layers: 3, bias: true });
    const { addedToDirect, addedToOthers, directLoss, firstOrderLoss: all } = layerTermImportance(model, tokens);
    const lossOf = (layers: number[]): number => firstOrderLoss(model, tokens, { layers });
    expectClose([directLoss, all], [lossOf([]), lossOf([0, 1, 2])], { atol: 1e-12 });
    expectClose(addedToDirect.data, [0, 1, 2].map((l) => directLoss - lossOf([l])), { atol: 1e-12 });
    expectClose(addedToOthers.data, [[1, 2], [0, 2], [0, 1]].map((l) => lossOf(l) - all), { atol: 1e-12 });
  });

  test("what is not there is refused", () => {
    const model = randomModel();
    expect(() => firstOrderLoss(model, tokens, {})).toThrow(
      'firstOrderLoss: no heads are named. Pass { heads: ["L1H4"] } or { layers: [1] }; an empty list is none of them.',
    );
    expect(() => frozenAblationLoss(model, tokens, { heads: ["L2H0"] })).toThrow("there is no head L2H0");
    expect(() => firstOrderLoss(model, tokens, { layers: [2] })).toThrow("there is no layer 2");
  });
});

test("bidirectional models and scaled scores expand as exactly", () => {
  for (const config of [{ attention_dir: "bidirectional" }, { scale_attn_by_inverse_layer_idx: true }, { final_rms: true }]) {
    const model = randomModel({ norm: "LN", position: "standard", bias: true, config });
    expect(pathExpansion(model, tokens).certificate().withinBound).toBe(true);
    expect(logitAttribution(model, tokens).certificate.withinBound).toBe(true);
  }
  const config = parseConfig({ ...randomModel().config, attn_only: true, normalization_type: null, final_rms: true });
  const model = Transformer.fromWeights(config, new Map([...randomModel().weights]));
  expect(pathExpansion(model, tokens).certificate().withinBound).toBe(true);
  expect(maxAbsDifference(model.forward(tokens), randomModel().forward(tokens))).toBeGreaterThan(1e-2);
});
