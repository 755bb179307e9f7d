/** Weights against their configuration, and access to the parts of a model. */
import { describe, expect, test } from "vitest";
import { ConfigError, InputError } from "../../src/errors.ts";
import { allHeads, expectedWeights, headLabel, hookNames, parseHead, Transformer } from "../../src/model/index.ts";
import type { ModelConfig } from "../../src/model/index.ts";
import { Tensor } from "../../src/tensor/index.ts";
import { randomModel } from "../support/random-model.ts";

const model = randomModel({ n_layers: 2, norm: "LN", position: "standard" });

function changed(change: (weights: Map<string, Tensor>) => void): () => unknown {
  const weights = new Map(model.weights);
  change(weights);
  return () => Transformer.fromWeights(model.config, weights);
}

describe("Transformer.fromWeights refuses", () => {
  const note =
    "Note that the configuration has n_layers=2, normalization_type=LN, positional_embedding_type=standard; the weights have 2 layers, a ln1, a W_pos.";

  test("a missing weight, with what weights and configuration say", () => {
    const call = changed((weights) => weights.delete("blocks.1.attn.W_O"));
    expect(call).toThrow(ConfigError);
    expect(call).toThrow(
      `Transformer.fromWeights: the weights have no "blocks.1.attn.W_O" [3, 4, 12], which the configuration calls for. ${note}`,
    );
  });

  test("a weight left over", () => {
    const call = changed((weights) => weights.set("blocks.0.mlp.W_in", Tensor.zeros("d_model d_mlp", [12, 48])));
    expect(call).toThrow(ConfigError);
    expect(call).toThrow(
      `Transformer.fromWeights: the weights have a "blocks.0.mlp.W_in" that the configuration does not call for. ${note} And attn_only is true, but the weights have MLPs.`,
    );
  });

  test("an attention-only model's weights where MLPs are wanted", () => {
    const wanted = { ...model.config, attn_only: false, act_fn: "gelu", d_mlp: 48, parallel_attn_mlp: false } as const;
    expect(() => Transformer.fromWeights(wanted, model.weights)).toThrow(
      `Transformer.fromWeights: the weights have no "blocks.0.ln2.w" [12], which the configuration calls for. ${note} And attn_only is false, but the weights have no MLP.`,
    );
  });

  test.each([
    ["another size", [17, 11], "[17, 11]"],
    ["another rank", [17, 12, 1], "[17, 12, 1]"],
    ["its axes swapped", [12, 17], "[12, 17]"],
  ])("%s", (_, shape, shown) => {
    const axes = ["a", "b", "c"].slice(0, shape.length).join(" ");
    const call = changed((weights) => weights.set("embed.W_E", Tensor.zeros(axes, shape)));
    expect(call).toThrow(ConfigError);
    expect(call).toThrow(
      `Transformer.fromWeights: "embed.W_E" has shape ${shown} but the configuration calls for [17, 12] (d_vocab d_model). One of the two is wrong.`,
    );
  });

  test.each([NaN, Infinity, -Infinity])("%s among the numbers, naming the place", (value) => {
    const call = changed((weights) => {
      const data = Float32Array.from(model.weight("blocks.0.attn.W_Q").data);
      data[1 * 48 + 2 * 4 + 3] = value;
      weights.set("blocks.0.attn.W_Q", Tensor.from("head d_model d_head", [3, 12, 4], data));
    });
    expect(call).toThrow(InputError);
    expect(call).toThrow(
      `Transformer.fromWeights: "blocks.0.attn.W_Q" holds ${value} at [1, 2, 3]. A model with weights that are not finite computes nothing of use; the file is damaged or the training diverged.`,
    );
  });

  test("axis names other than ours are no error: shapes decide", () => {
    const weights = new Map(
      [...model.weights].map(([name, w]) => [
        name,
        Tensor.from(w.names.map((_, a) => `x${a}`).join(" "), w.shape, w.data) as Tensor,
      ]),
    );
    const renamed = Transformer.fromWeights(model.config, weights);
    expect(renamed.weight("embed.W_E").axes).toBe("d_vocab d_model");
    expect(renamed.forward([1, 2]).toNested()).toEqual(model.forward([1, 2]).toNested());
  });
});

describe("the parts of a model", () => {
  test("heads by place and label; W_QK and W_OV in factors", () => {
    expect(model.head("L1H2").label).toBe("L1H2");
    expect(model.head({ layer: 0, head: 1 }).toString()).toBe("AttentionHead L0H1");
    expect(model.heads.map(headLabel)).toEqual(allHeads(model.config).map(headLabel));
    expect([model.head("L0H0").W_QK.rows, model.head("L0H0").W_OV.cols]).toEqual([12, 12]);
    expect(model.head("L0H0").W_QK).toBe(model.head("L0H0").W_QK);
  });

  test("what is not there is refused", () => {
    expect(() => model.head("L2H0")).toThrow(
      "head: there is no head L2H0 in this model of n_layers=2 and n_heads=3, both counted from 0.",
    );
    expect(() => model.layer(2)).toThrow(
      "layer: this model has n_layers=2 layers, counted from 0; there is no layer 2.",
    );
    expect(() => model.layer(1).head(3)).toThrow("AttentionLayer.head: layer 1 has heads 0 to 2, not 3.");
    expect(() => model.weight("embed.W_e")).toThrow(
      'weight: there is no weight "embed.W_e" in this model; it has embed.W_E, pos_embed.W_pos,',
    );
    expect(() => parseHead("1:4")).toThrow('parseHead: "1:4" does not name a head; write it as L1H4 or 1.4.');
  });

  test("parameterCount counts every number of every weight", () => {
    const shapes = [...expectedWeights(model.config).values()].map(({ shape }) => shape.reduce((p, n) => p * n, 1));
    expect(model.parameterCount).toBe(shapes.reduce((a, b) => a + b, 0));
  });

  test("ARENA's two-layer model has 2 · 50278 · 768 + 2048 · 768 + 8 · 768² = 83,518,464 numbers beside biases", () => {
    const arena = { ...model.config, n_layers: 2, n_heads: 12, d_model: 768, d_head: 64, n_ctx: 2048 };
    const config = { ...arena, d_vocab: 50278, d_vocab_out: 50278, normalization_type: null };
    const shapes = [...expectedWeights({ ...config, positional_embedding_type: "shortformer" })];
    const matrices = shapes
      .filter(([name]) => /W_/.test(name))
      .map(([, { shape }]) => shape.reduce((p, n) => p * n, 1));
    expect(matrices.reduce((a, b) => a + b, 0)).toBe(83_518_464);
  });

  test.each([
    ["rotary", "LN", ["ln_final.w", "ln_final.b"], ["pos_embed.W_pos"]],
    ["none", "RMS", ["ln_final.w"], ["ln_final.b", "pos_embed.W_pos"]],
    ["shortformer", "LNPre", ["pos_embed.W_pos"], ["ln_final.w", "blocks.0.ln1.w"]],
    ["standard", null, ["pos_embed.W_pos"], ["ln_final.w"]],
  ] as const)("%s positions with norm %s call for their weights and no others", (position, norm, has, lacks) => {
    const names = [...randomModel({ position, norm }).weights.keys()];
    expect(names).toEqual(expect.arrayContaining([...has]));
    for (const name of lacks) expect(names).not.toContain(name);
  });
});

describe("configurations made by hand", () => {
  test.each(["n_layers", "n_heads", "d_model", "d_head", "d_vocab", "d_vocab_out", "n_ctx"] as const)(
    "%s that is no size is refused before weights and hooks are listed",
    (field) => {
      const { config } = randomModel();
      for (const wrong of [Infinity, NaN, -1, 1.5, "2", [2], null, undefined, ...(field === "n_layers" ? [1e9] : [])]) {
        const changed = { ...config, [field]: wrong } as unknown as ModelConfig;
        for (const [operation, list] of [
          ["expectedWeights", expectedWeights],
          ["hookNames", hookNames],
        ] as const) {
          expect(() => list(changed)).toThrow(
            `${operation}: ${field} is ${String(wrong)}; it is a size, a whole number from 0`,
          );
        }
      }
    },
  );
});

test("a run and its cache keep what they hold", () => {
  const run = randomModel().run([1, 2]) as unknown as Record<string, unknown>;
  for (const name of ["tokens", "logits", "cache"]) {
    expect(() => (run[name] = 5)).toThrow(TypeError);
  }
  expect(() => ((run.cache as Record<string, unknown>).get = 5)).toThrow(TypeError);
});
