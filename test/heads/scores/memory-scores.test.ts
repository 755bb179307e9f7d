import { describe, expect, it } from "vitest";
import { memoryScores } from "../../../src/heads/index.ts";
import { neuronCosines } from "../../../src/circuits/index.ts";
import { parseConfig, Transformer, expectedWeights } from "../../../src/model/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";
import { randomModel } from "../../support/random-model.ts";
import { matrix, t } from "../../circuits/dense-reference.ts";

describe("memoryScores", () => {
  it("is (-1, 1) for a planted head with W_OV = -I that looks at itself", () => {
    const [d, d_vocab, n_ctx] = [9, 5, 4];
    const config = parseConfig({
      n_layers: 1,
      n_heads: 1,
      d_model: d,
      d_head: d,
      d_vocab,
      n_ctx,
      attn_only: true,
      positional_embedding_type: "shortformer",
      normalization_type: null,
      use_attn_scale: false,
    });
    const diagonal = (gain: (i: number) => number): number[][] =>
      Array.from({ length: d }, (_, i) => Array.from({ length: d }, (__, j) => (i === j ? gain(i) : 0)));
    const weights = new Map<string, Tensor>();
    for (const [name, { axes, shape }] of expectedWeights(config)) weights.set(name, Tensor.zeros(axes, shape));
    const onlyPositions = (i: number): number => (i < d_vocab ? 0 : 1);
    weights.set("embed.W_E", Tensor.fromNested("d_vocab d_model", diagonal(() => 1).slice(0, d_vocab)));
    weights.set("pos_embed.W_pos", Tensor.fromNested("pos d_model", diagonal(() => 60).slice(d_vocab)));
    weights.set("blocks.0.attn.W_Q", Tensor.fromNested("head d_model d_head", [diagonal(onlyPositions)]));
    weights.set("blocks.0.attn.W_K", Tensor.fromNested("head d_model d_head", [diagonal(onlyPositions)]));
    weights.set("blocks.0.attn.W_V", Tensor.fromNested("head d_model d_head", [diagonal(() => 1)]));
    weights.set("blocks.0.attn.W_O", Tensor.fromNested("head d_head d_model", [diagonal(() => -1)]));
    const model = Transformer.fromWeights(config, weights);
    const { OV, current } = memoryScores(model, [1, 2, 3, 4]);
    expectClose([OV.at(0, 0), current.at(0, 0)], [-1, 1], { atol: 1e-9 });
    // It removes what it reads: nothing of the embedding is left.
    const { cache } = model.run([1, 2, 3, 4]);
    expectClose(cache.get("blocks.0.hook_resid_post"), new Array<number>(4 * d).fill(0), { atol: 1e-6 });
  });
});

describe("neuronCosines", () => {
  it("is the cosine of a column of W_in and a row of W_out", () => {
    const model = randomModel({ mlp: "gelu" });
    const [W_in, W_out] = ["W_in", "W_out"].map((name) => matrix(model.weight(`blocks.1.mlp.${name}`)));
    const expected = t(W_in ?? []).map((read, m) => {
      const write = W_out?.[m] as readonly number[];
      const dot = read.reduce((s, x, i) => s + x * (write[i] as number), 0);
      return dot / Math.hypot(...read) / Math.hypot(...write);
    });
    expectClose(neuronCosines(model, 1), expected, { atol: 1e-12 });
  });

  it("is 0 where a neuron writes nothing, and refused without MLPs", () => {
    const model = randomModel({ mlp: "relu", n_layers: 1 });
    const silent = Transformer.fromWeights(
      model.config,
      new Map(
        [...model.weights].map(([name, W]) => [name, name.endsWith("W_out") ? Tensor.zeros(W.axes, W.shape) : W]),
      ),
    );
    expect([...neuronCosines(silent, 0).data].every((x) => x === 0)).toBe(true);
    expect(() => neuronCosines(randomModel(), 0)).toThrow(
      "neuronCosines: this model is attention-only; it has no neurons.",
    );
  });
});
