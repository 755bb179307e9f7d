/** A model whose heads share keys and values as one whose heads have their own. */
import { requireKind } from "../errors.ts";
import type { Tensor } from "../tensor/index.ts";
import { ofEachHead } from "./key-value-heads.ts";
import { Transformer } from "./transformer.ts";

/**
 * The same function with keys and values for each head: what several heads share is written down once for each of them
 * (TransformerLens's `ungroup_grouped_query_attention`). For what edits or cuts the keys or values of one head alone,
 * as edges of circuits do. A model whose heads share nothing comes back as it is.
 *
 * @returns a model of the same logits, with more weights.
 * @category Weight processing
 * @example
 * ```ts
 * import { Transformer, expectedWeights, maxAbsDifference, parseConfig } from "transformer-circuits";
 * import { ungroupAttention } from "transformer-circuits/model";
 * import { randomNormal } from "transformer-circuits/tensor";
 *
 * const config = parseConfig({
 *   n_layers: 1, n_heads: 4, n_key_value_heads: 2, d_model: 8, n_ctx: 16, d_vocab: 10, attn_only: true,
 * });
 * const weights = new Map(
 *   [...expectedWeights(config)].map(([name, { axes, shape }], seed) => [name, randomNormal(axes, shape, { seed })]),
 * );
 * const model = Transformer.fromWeights(config, weights);
 * const own = ungroupAttention(model);
 * console.log(String(model.weight("blocks.0.attn._W_K")), String(own.weight("blocks.0.attn.W_K")));
 * // Tensor[head=2 d_model=8 d_head=2] float32 Tensor[head=4 d_model=8 d_head=2] float32
 * console.log(maxAbsDifference(model.forward([1, 2, 3]), own.forward([1, 2, 3])) < 1e-5);
 * // true
 * ```
 */
export function ungroupAttention(model: Transformer): Transformer {
  requireKind("model", model, "model", "ungroupAttention");
  const { n_key_value_heads, ...config } = model.config;
  if (n_key_value_heads === undefined) return model;
  const weights = new Map<string, Tensor>();
  for (const [name, weight] of model.weights) {
    const [, before, own] = /^(blocks\.\d+\.attn\.)_([Wb]_[KV])$/.exec(name) ?? [];
    if (before === undefined || own === undefined) weights.set(name, weight);
    else weights.set(`${before}${own}`, ofEachHead(weight, config.n_heads));
  }
  return Transformer.fromWeights(Object.freeze(config), weights, { notes: model.notes });
}
