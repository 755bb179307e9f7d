/** Checkpoints of other layouts made from random models, index by index: what a reader must bring back to the bit. */
import { expect } from "vitest";
import { transformerFromTensors } from "../../../src/io/index.ts";
import type { Transformer } from "../../../src/model/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { randomModel } from "../../support/random-model.ts";

/** Index by index: `entry(i, j, …)` of a tensor of the given shape. */
export function filled(shape: readonly number[], entry: (...index: number[]) => number): Tensor {
  const axes = shape.map((_, i) => `dim${i}`).join(" ");
  const size = shape.reduce((a, b) => a * b, 1);
  const at = (flat: number): number => {
    const index: number[] = [];
    let rest = flat;
    for (const n of [...shape].reverse()) {
      index.unshift(rest % n);
      rest = Math.floor(rest / n);
    }
    return entry(...index);
  };
  return Tensor.from(
    axes,
    shape,
    Float32Array.from({ length: size }, (_, i) => at(i)),
  );
}

export function same(model: Transformer, original: Transformer): void {
  expect([...model.weights.keys()].sort()).toEqual([...original.weights.keys()].sort());
  for (const [name, weight] of original.weights) expect(model.weight(name).toNested(), name).toEqual(weight.toNested());
  expect(model.config).toEqual(original.config);
}

export const sizes = { n_layers: 2, n_heads: 3, d_model: 12, d_head: 4, d_vocab: 17, n_ctx: 10 };
export const gptLike = randomModel({
  ...sizes,
  norm: "LN",
  position: "standard",
  bias: true,
  mlp: "gelu",
  config: { d_mlp: 48 },
});
export const headOf = (row: number): [number, number] => [Math.floor(row / 4), row % 4];

/** A weight's number, by name and index. */
export const w =
  (model: Transformer, name: string) =>
  (...index: number[]): number =>
    model.weight(name).at(...index);

/** nanoGPT's state dict of a model. */
export function nanoGpt(model: Transformer, prefix = "transformer."): Map<string, Tensor> {
  const { d_model, d_vocab, n_ctx, n_layers, d_mlp = 0 } = model.config;
  const out = new Map<string, Tensor>();
  const put = (name: string, shape: readonly number[], entry: (...index: number[]) => number): unknown =>
    out.set(name, filled(shape, entry));
  put(`${prefix}wte.weight`, [d_vocab, d_model], w(model, "embed.W_E"));
  put(`${prefix}wpe.weight`, [n_ctx, d_model], w(model, "pos_embed.W_pos"));
  for (let l = 0; l < n_layers; l++) {
    const [from, to] = [`blocks.${l}`, `${prefix}h.${l}`];
    for (const i of [1, 2]) {
      put(`${to}.ln_${i}.weight`, [d_model], w(model, `${from}.ln${i}.w`));
      put(`${to}.ln_${i}.bias`, [d_model], w(model, `${from}.ln${i}.b`));
    }
    const kind = (row: number): string => "QKV"[Math.floor(row / d_model)] ?? "";
    put(`${to}.attn.c_attn.weight`, [3 * d_model, d_model], (row, m) => {
      const [h, i] = headOf(row % d_model);
      return w(model, `${from}.attn.W_${kind(row)}`)(h, m, i);
    });
    put(`${to}.attn.c_attn.bias`, [3 * d_model], (row) =>
      w(model, `${from}.attn.b_${kind(row)}`)(...headOf(row % d_model)),
    );
    put(`${to}.attn.c_proj.weight`, [d_model, d_model], (m, row) => w(model, `${from}.attn.W_O`)(...headOf(row), m));
    put(`${to}.attn.c_proj.bias`, [d_model], w(model, `${from}.attn.b_O`));
    put(`${to}.mlp.c_fc.weight`, [d_mlp, d_model], (n, m) => w(model, `${from}.mlp.W_in`)(m, n));
    put(`${to}.mlp.c_fc.bias`, [d_mlp], w(model, `${from}.mlp.b_in`));
    put(`${to}.mlp.c_proj.weight`, [d_model, d_mlp], (m, n) => w(model, `${from}.mlp.W_out`)(n, m));
    put(`${to}.mlp.c_proj.bias`, [d_model], w(model, `${from}.mlp.b_out`));
  }
  put(`${prefix}ln_f.weight`, [d_model], w(model, "ln_final.w"));
  put(`${prefix}ln_f.bias`, [d_model], w(model, "ln_final.b"));
  put("lm_head.weight", [d_vocab, d_model], (t, m) => w(model, "unembed.W_U")(m, t));
  return out;
}

/** The model with everything zero that a layout cannot hold. */
export function without(model: Transformer, pattern: RegExp): Transformer {
  const weights = new Map(
    [...model.weights].map(([name, t]) => [name, pattern.test(name) ? Tensor.zeros(t.axes, t.shape) : t]),
  );
  return transformerFromTensors({ layout: "transformer-lens", tensors: weights, config: model.config });
}
