/**
 * Weight processing: TransformerLens's processed weights on the golden cases, and what no step may change, over every kind of model,
 * in float64 (weights stored as float64, a forward pass of its own): what is left is the rounding of some hundred float64 operations.
 */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fullOVCircuit, fullQKCircuit } from "../../src/circuits/index.ts";
import { ConfigError } from "../../src/errors.ts";
import { parseSafetensors } from "../../src/io/index.ts";
import { toDense } from "../../src/linear/index.ts";
import {
  centerUnembed,
  centerWritingWeights,
  dropKeyBiases,
  foldLayerNorm,
  foldValueBiases,
  processingReport,
  processWeights,
  refactorHeads,
} from "../../src/model/index.ts";
import type { Transformer } from "../../src/model/index.ts";
import { logSoftmax, map, mean, subtract } from "../../src/tensor/index.ts";
import type { Tensor } from "../../src/tensor/index.ts";
import { mlpModelOptions, modelOptions, runs } from "../support/model-arbitrary.ts";
import { expectClose, goldenFile, loadGolden } from "../support/golden.ts";
import { randomModel, withWeights } from "../support/random-model.ts";
import type { RandomModelOptions } from "../support/random-model.ts";
import { referenceRun } from "../support/reference-forward.ts";

describe.each(["attn-2l-ln", "gpt2-2l", "neox-2l"] as const)("%s against TransformerLens (1e-5)", (name) => {
  const golden = loadGolden(name);
  const file = golden.has("processed_log_probs") ? "expected.safetensors" : "processed.safetensors";
  const expected = parseSafetensors(readFileSync(goldenFile(name, file)));
  const processed = processWeights(golden.model);

  test("the processed weights are the oracle's, and no others", () => {
    const names = [...expected.tensors.keys()].flatMap((key) => /^processed\.(.*)$/.exec(key)?.[1] ?? []);
    expect([...processed.weights.keys()].sort()).toEqual(names.sort());
    for (const key of names) {
      expectClose(processed.weight(key).data, expected.read(`processed.${key}`).data, { atol: 1e-5, rtol: 1e-5 });
    }
  });

  test("and so are the log-probabilities, which are those of the model as it was", () => {
    const logProbs = logSoftmax(processed.forward(golden.tokens()), "d_vocab");
    expectClose(logProbs.data, expected.read("processed_log_probs").data, { atol: 1e-5, rtol: 1e-5 });
    const before = logSoftmax(golden.model.forward(golden.tokens()), "d_vocab");
    expectClose(logProbs, before, { atol: 1e-5, rtol: 1e-5 });
  });
});

const steps = {
  foldLayerNorm,
  centerWritingWeights,
  centerUnembed,
  foldValueBiases,
  dropKeyBiases,
  refactorHeads,
} as const;

const tokens = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];

/** Log-probabilities of a float64 forward pass written apart from the library's. */
function logProbs(model: Transformer): number[] {
  const prompts = tokens.map((row) => row.map((id) => id % model.config.d_vocab));
  return referenceRun(model, prompts).logits.flatMap((rows) =>
    rows.flatMap((row) => {
      const top = Math.max(...row);
      const norm = top + Math.log(row.reduce((s, x) => s + Math.exp(x - top), 0));
      return row.map((x) => x - norm);
    }),
  );
}

/** Whether a step must be refused. */
function isRefused(step: keyof typeof steps, { position, norm, bias, n_layers = 2 }: RandomModelOptions): boolean {
  if (step === "foldLayerNorm") return position === "shortformer" && (norm === "LN" || norm === "RMS");
  if (step === "centerWritingWeights") return norm !== "LN" && norm !== "LNPre";
  if (step === "dropKeyBiases") return position === "rotary" && bias === true && n_layers > 0;
  return step === "refactorHeads" && position === "rotary";
}

describe("no step changes a log-probability, or it is refused", () => {
  test.each(Object.keys(steps) as (keyof typeof steps)[])("%s (1e-9 nats in float64)", (step) => {
    let taken = 0;
    fc.assert(
      fc.property(fc.oneof(modelOptions, mlpModelOptions), (options) => {
        const model = randomModel({ ...options, dtype: "float64" });
        if (isRefused(step, options)) {
          expect(() => steps[step](model)).toThrow(ConfigError);
          return;
        }
        taken += 1;
        const after = steps[step](model);
        // Norms of near-constant streams divide rounding by little: then the scale of the stream is what counts.
        expectClose(logProbs(after), logProbs(model), { atol: 1e-9, rtol: 1e-9 });
      }),
      runs(71, 100),
    );
    expect(taken).toBeGreaterThan(15);
  });

  test("all steps in a row, with a final RMSNorm after LayerNorms", () => {
    const model = randomModel({
      ...{ norm: "LN", position: "standard", bias: true, mlp: "solu_ln", dtype: "float64" },
      config: { final_rms: true },
    });
    const after = processWeights(model, { centerWritingWeights: false, dropKeyBiases: true, refactorHeads: true });
    expectClose(logProbs(after), logProbs(model), { atol: 1e-9 });
    expect([...after.weights.keys()].filter((name) => /ln/.test(name))).toEqual([]);
    expect(after.config).toMatchObject({ normalization_type: "LNPre", final_rms: true });
  });
});

describe("what the steps are for", () => {
  const model = randomModel({ norm: "LN", position: "standard", bias: true, mlp: "gelu", dtype: "float64" });
  const largestMean = (of: Transformer, name: string, axis: string): number =>
    Math.max(...Array.from(mean(of.weight(name), axis).data, Math.abs));

  test("folded readers are centred over d_model, written weights and the unembedding over what they write", () => {
    const after = processWeights(model);
    for (const name of ["blocks.0.attn.W_Q", "blocks.1.mlp.W_in", "unembed.W_U"]) {
      expect(largestMean(model, name, "d_model"), name).toBeGreaterThan(1e-2);
      expect(largestMean(after, name, "d_model"), name).toBeLessThan(1e-14);
    }
    for (const name of [
      "embed.W_E",
      "pos_embed.W_pos",
      "blocks.0.attn.W_O",
      "blocks.1.mlp.W_out",
      "blocks.1.mlp.b_out",
    ]) {
      expect(largestMean(after, name, "d_model"), name).toBeLessThan(1e-14);
    }
    for (const name of ["unembed.W_U", "unembed.b_U"]) expect(largestMean(after, name, "d_vocab")).toBeLessThan(1e-14);
    expect(after.weight("blocks.0.attn.b_V").data.every((x) => x === 0)).toBe(true);
  });

  test("shortformer positions are not written to the stream, and are not centred", () => {
    const shortformer = randomModel({ norm: "LN", bias: true, dtype: "float64" });
    const after = centerWritingWeights(shortformer);
    expect(after.weight("pos_embed.W_pos").toNested()).toEqual(shortformer.weight("pos_embed.W_pos").toNested());
    expect(largestMean(after, "embed.W_E", "d_model")).toBeLessThan(1e-14);
  });

  test("refactored heads have orthogonal columns of W_V, W_Q, W_K by size and orthonormal rows of W_O; circuits are the same", () => {
    const plain = randomModel({ bias: true, n_heads: 2, d_head: 5, dtype: "float64" });
    const after = refactorHeads(plain);
    for (const head of after.heads) {
      const { data } = after.weight(`blocks.${head.layer}.attn.W_O`).select("head", head.head);
      const gram = (i: number, j: number): number =>
        Array.from({ length: 12 }, (_, c) => (data[i * 12 + c] as number) * (data[j * 12 + c] as number)).reduce(
          (a, b) => a + b,
        );
      for (let i = 0; i < 5; i++) {
        for (let j = 0; j < 5; j++) expect(gram(i, j)).toBeCloseTo(i === j ? 1 : 0, 12);
      }
      const V = after.weight(`blocks.${head.layer}.attn.W_V`).select("head", head.head).data;
      const lengths = [0, 1, 2, 3, 4].map((c) =>
        Math.hypot(...Array.from({ length: 12 }, (_, r) => V[r * 5 + c] as number)),
      );
      expect(lengths).toEqual([...lengths].sort((a, b) => b - a));
      for (const circuit of [fullOVCircuit, fullQKCircuit]) {
        expectClose(toDense(circuit(after, head)).data, toDense(circuit(plain, head.label)).data, { atol: 1e-9 });
      }
    }
  });

  test("heads wider than the stream keep zeros beyond their rank", () => {
    const wide = randomModel({ d_model: 3, d_head: 8, n_heads: 1, bias: true, dtype: "float64" });
    const after = refactorHeads(wide);
    expectClose(logProbs(after), logProbs(wide), { atol: 1e-9 });
    expect(
      after
        .weight("blocks.0.attn.W_O")
        .select("head", 0)
        .select("d_head", 7)
        .data.every((x) => x === 0),
    ).toBe(true);
  });

  test("weights stay in the type that they were stored in, and the model given is not changed", () => {
    const single = randomModel({ norm: "LN", position: "standard", bias: true });
    const before = [...single.weights].map(([name, t]) => [name, t.toNested()]);
    const after = processWeights(single);
    expect([...after.weights.values()].every((t) => t.dtype === "float32")).toBe(true);
    expect([...single.weights].map(([name, t]) => [name, t.toNested()])).toEqual(before);
  });
});

describe("refusals say why", () => {
  test.each<[string, (model: Transformer) => unknown, RandomModelOptions, string]>([
    [
      "folding with shortformer positions",
      foldLayerNorm,
      { norm: "LN" },
      "foldLayerNorm: refused, as it would change what the model computes: shortformer positions are added after the norm to what queries and keys are read from, so its weights in W_Q and W_K would scale the positions too. Take the model as it is.",
    ],
    [
      "centring without norms",
      centerWritingWeights,
      { norm: null },
      "centerWritingWeights: refused, as it would change what the model computes: without norms, the mean of the residual stream is read like any other direction.",
    ],
    [
      "centring with RMSNorm",
      centerWritingWeights,
      { norm: "RMSPre" },
      "centerWritingWeights: refused, as it would change what the model computes: RMSNorm does not take the mean of the residual stream out.",
    ],
    [
      "centring with a final RMSNorm",
      centerWritingWeights,
      { norm: "LN", config: { final_rms: true } },
      "centerWritingWeights: refused, as it would change what the model computes: the final norm is an RMSNorm, which does not take the mean of the residual stream out.",
    ],
    [
      "dropping rotated key biases",
      dropKeyBiases,
      { position: "rotary", bias: true },
      "dropKeyBiases: refused, as it would change what the model computes: b_K of layer 0 is rotated with the keys, so that what it adds to a score depends on the offset.",
    ],
    [
      "refactoring rotary heads",
      refactorHeads,
      { position: "rotary" },
      "refactorHeads: refused, as it would change what the model computes: rotary positions turn queries and keys coordinate by coordinate, so their coordinates may not be mixed: W_QK depends on the offset.",
    ],
  ])("%s", (_, step, options, text) => {
    const model = randomModel(options);
    expect(() => step(model)).toThrow(ConfigError);
    expect(() => step(model)).toThrow(text);
  });

  test("what is refused would have changed the predictions", () => {
    const changeBy = (model: Transformer, name: string, change: (t: Tensor) => Tensor): number => {
      const changed = withWeights(model, (each, t) => (each === name ? change(t) : t));
      const [a, b] = [logProbs(model), logProbs(changed)];
      return Math.max(...a.map((x, i) => Math.abs(x - (b[i] as number))));
    };
    const lessMean = (t: Tensor): Tensor => subtract(t, mean(t, "d_model") as never);
    for (const norm of [null, "RMS"] as const) {
      expect(changeBy(randomModel({ norm, position: "standard" }), "embed.W_E", lessMean)).toBeGreaterThan(1e-3);
    }
    const zero = (t: Tensor): Tensor => map(t, () => 0);
    const rotary = randomModel({ position: "rotary", bias: true });
    expect(changeBy(rotary, "blocks.0.attn.b_K", zero)).toBeGreaterThan(1e-4);
    expect(changeBy(randomModel({ position: "none", bias: true }), "blocks.0.attn.b_K", zero)).toBeLessThan(1e-9);
  });
});

describe("processingReport", () => {
  test("every step with the rounding that it brings, not zero and below 1e-4 nats", () => {
    const { model } = loadGolden("gpt2-2l");
    const { rows, model: processed } = processingReport(model, loadGolden("gpt2-2l").tokens());
    expect(rows.map(({ step }) => step)).toEqual(Object.keys(steps));
    for (const { maxChange, meanChange, maxChangeInAll, refused } of rows) {
      expect(refused).toBeNull();
      expect(maxChange).toBeGreaterThan(0);
      expect(maxChange).toBeLessThan(1e-4);
      expect(meanChange).toBeLessThan(maxChange ?? 0);
      expect(maxChangeInAll).toBeLessThan(1e-4);
    }
    expect(processed.config.normalization_type).toBe("LNPre");
  });

  test("what is refused is left out, with the reason", () => {
    const { model } = loadGolden("neox-2l");
    const { rows } = processingReport(model, [1, 2, 3]);
    const refusals = rows.filter(({ refused }) => refused !== null);
    expect(refusals.map(({ step }) => step)).toEqual(["dropKeyBiases", "refactorHeads"]);
    for (const { maxChange, meanChange, maxChangeInAll } of refusals) {
      expect([maxChange, meanChange, maxChangeInAll]).toEqual([null, null, null]);
    }
    expect(refusals[1]?.refused).toContain("W_QK depends on the offset");
  });

  test("a model without layers: nothing to do but to centre the unembedding", () => {
    const model = randomModel({ n_layers: 0, position: "none" });
    const { rows } = processingReport(model, [1, 2]);
    expect(rows.map(({ step, refused }) => [step, refused !== null])).toEqual(
      Object.keys(steps).map((step) => [step, step === "centerWritingWeights"]),
    );
    expect(rows[0]?.maxChange).toBe(0);
  });

  test("a signal cancels it", () => {
    const signal = AbortSignal.abort(new Error("enough"));
    expect(() => processingReport(randomModel(), [1, 2], { signal })).toThrow("enough");
  });
});
