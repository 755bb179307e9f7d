/**
 * One function for each layout, for who knows what a checkpoint is: only what stands before the names is told by them.
 */
import { requireObject } from "../../errors.ts";
import type { Transformer } from "../../model/index.ts";
import { takeFrom } from "./checkpoint.ts";
import { building, listed, namesOfLayout } from "./detect.ts";
import type { CheckpointLayout, TransformerTensors } from "./detect.ts";

function from(layout: CheckpointLayout, operation: string, given: TransformerTensors): Transformer {
  requireObject(given, "given", operation);
  const source = { operation, name: given.name ?? "the weights" };
  const detected = namesOfLayout(listed(given.tensors, operation), layout, source, given);
  return takeFrom(given.tensors, building(detected, given.config, source, given));
}

/**
 * Makes a model of the state dict of a `HookedTransformer` of TransformerLens 2.x or 3.x (`embed.W_E`,
 * `blocks.0.attn.W_Q`, …).
 *
 * Mask buffers are not read, rotary tables are compared with the configuration and dropped, a missing `unembed.b_U` is
 * zero; keys and values that groups of heads share (`_W_K`, `n_key_value_heads`) are repeated for each head. Without a
 * configuration, a checkpoint that has no norms, no MLPs and no bias other than 0 is taken for one like ARENA's
 * `attn_only_2L_half.pth`: shortformer positions, sizes as the tensors have them.
 *
 * @throws {@link ConfigError} when the configuration cannot be used or contradicts the tensors, naming the tensor;
 * {@link InputError} when a weight is not finite.
 * @category Files
 * @example
 * ```ts
 * import { transformerLensFromTensors } from "transformer-circuits/io";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const again = transformerLensFromTensors({ tensors: model.weights, config: model.config });
 * console.log(again.parameterCount === model.parameterCount);
 * // true
 * ```
 */
export function transformerLensFromTensors(given: TransformerTensors): Transformer {
  return from("transformer-lens", "transformerLensFromTensors", given);
}

/**
 * Makes a model of a state dict of the native model of TransformerLens 4.x (`embed.weight`, `blocks.0.attn.q.weight`, …
 * as flat Linear layers `[out, in]`). As that model does, it rotates neighbouring coordinates together, always scales
 * scores and passes over `scale_attn_by_inverse_layer_idx`, `parallel_attn_mlp` and other switches of the older model.
 * Norms without weights may have weights, as they had before 4.3.
 *
 * @throws {@link ConfigError} and {@link InputError} as {@link transformerLensFromTensors}.
 * @category Files
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { transformerLens4FromTensors } from "transformer-circuits/io";
 *
 * const tensors = new Map<string, Tensor>([
 *   ["embed.weight", Tensor.zeros("a b", [5, 4])],
 *   ["pos_embed.weight", Tensor.zeros("a b", [8, 4])],
 *   ["unembed.weight", Tensor.zeros("a b", [5, 4])],
 * ]);
 * for (const side of ["q", "k", "v", "o"]) tensors.set(`blocks.0.attn.${side}.weight`, Tensor.zeros("a b", [4, 4]));
 * const sizes = { n_layers: 1, n_heads: 2, d_model: 4, n_ctx: 8, d_vocab: 5 };
 * const config = { ...sizes, attn_only: true, normalization_type: null };
 * console.log(String(transformerLens4FromTensors({ tensors, config }).head("L0H1").W_OV));
 * // Linear[d_model=4 -> d_model=4] of rank at most 2
 * ```
 */
export function transformerLens4FromTensors(given: TransformerTensors): Transformer {
  return from("transformer-lens-4", "transformerLens4FromTensors", given);
}

/**
 * Makes a model of the state dict of one of the oldest SoLU models, whose norms are called `norm` and whose matrices
 * are stored transposed in models of up to 6 layers, `W_pos` in those of up to 8.
 *
 * @throws {@link ConfigError} and {@link InputError} as {@link transformerLensFromTensors}.
 * @category Files
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { oldSoluFromTensors } from "transformer-circuits/io";
 *
 * const tensors = new Map<string, Tensor>([
 *   ["embed.W_E", Tensor.zeros("a b", [4, 5])],
 *   ["pos_embed.W_pos", Tensor.zeros("a b", [4, 8])],
 *   ["norm.w", Tensor.zeros("a", [4])],
 *   ["norm.b", Tensor.zeros("a", [4])],
 *   ["unembed.W_U", Tensor.zeros("a b", [5, 4])],
 * ]);
 * const sizes = { n_layers: 0, n_heads: 2, d_model: 4, d_mlp: 16, n_ctx: 8, d_vocab: 5 };
 * const config = { ...sizes, act_fn: "solu_ln", normalization: "LN" };
 * console.log(String(oldSoluFromTensors({ tensors, config }).W_E));
 * // Linear[d_vocab=5 -> d_model=4] of rank at most 4
 * ```
 */
export function oldSoluFromTensors(given: TransformerTensors): Transformer {
  return from("solu-old", "oldSoluFromTensors", given);
}

/**
 * Makes a model of Hugging Face's GPT-2: `transformer.h.0.attn.c_attn.weight` and so on, with the prefix or without, as
 * Conv1D layers `[in, out]`. The unembedding is the token embedding unless there is an `lm_head.weight`.
 *
 * @throws {@link ConfigError} when the configuration cannot be used or contradicts the tensors, naming the tensor;
 * {@link InputError} when a weight is not finite.
 * @category Files
 * @example
 * ```ts
 * import { ConfigError } from "transformer-circuits/tensor";
 * import { gpt2FromTensors } from "transformer-circuits/io";
 *
 * const config = { n_layer: 12, n_head: 12, n_embd: 768, n_positions: 1024, vocab_size: 50257 };
 * try {
 *   gpt2FromTensors({ tensors: new Map(), config });
 * } catch (error) {
 *   if (error instanceof ConfigError) console.log(error.argument);
 * }
 * // wte.weight
 * ```
 */
export function gpt2FromTensors(given: TransformerTensors): Transformer {
  return from("huggingface-gpt2", "gpt2FromTensors", given);
}

/**
 * Makes a model of Hugging Face's GPT-NeoX, such as Pythia: `gpt_neox.layers.0.attention.query_key_value.weight` and so
 * on, with the prefix or without.
 *
 * @throws {@link ConfigError} and {@link InputError} as {@link gpt2FromTensors}.
 * @category Files
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { gptNeoXFromTensors } from "transformer-circuits/io";
 *
 * const shapes = {
 *   embed_in: [6, 8], "layers.0.attention.query_key_value": [24, 8], "layers.0.attention.dense": [8, 8],
 *   "layers.0.mlp.dense_h_to_4h": [32, 8], "layers.0.mlp.dense_4h_to_h": [8, 32], embed_out: [6, 8],
 *   "layers.0.input_layernorm": [8], "layers.0.post_attention_layernorm": [8], final_layer_norm: [8],
 * };
 * const tensors = new Map<string, Tensor>();
 * for (const [name, [out = 0, ...rest]] of Object.entries(shapes)) {
 *   tensors.set(`${name}.weight`, Tensor.zeros(["a", ...rest.map(() => "b")].join(" "), [out, ...rest]));
 *   if (!name.startsWith("embed")) tensors.set(`${name}.bias`, Tensor.zeros("a", [out]));
 * }
 * const config = {
 *   num_hidden_layers: 1, num_attention_heads: 2, hidden_size: 8, intermediate_size: 32,
 *   max_position_embeddings: 16, vocab_size: 6, rotary_pct: 0.5,
 * };
 * const model = gptNeoXFromTensors({ tensors, config });
 * console.log(model.config.rotary_dim, model.config.parallel_attn_mlp);
 * // 2 true
 * ```
 */
export function gptNeoXFromTensors(given: TransformerTensors): Transformer {
  return from("huggingface-gpt-neox", "gptNeoXFromTensors", given);
}

/**
 * Makes a model of nanoGPT's checkpoint: GPT-2's names with Linear layers `[out, in]`, biases all there or none. The
 * configuration is `model_args`, or the whole checkpoint's fields. Its GELU, which the file does not say, is told by
 * its age and noted in the model's `notes`: exact since June 2023, `gelu_new` in older versions and in minGPT since it
 * has these names. `act_fn` says it for certain.
 *
 * @throws {@link ConfigError} and {@link InputError} as {@link gpt2FromTensors}.
 * @category Files
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { nanoGPTFromTensors } from "transformer-circuits/io";
 *
 * const shapes = {
 *   wte: [5, 4], wpe: [8, 4], "h.0.ln_1": [4], "h.0.attn.c_attn": [12, 4], "h.0.attn.c_proj": [4, 4],
 *   "h.0.ln_2": [4], "h.0.mlp.c_fc": [16, 4], "h.0.mlp.c_proj": [4, 16], ln_f: [4],
 * };
 * const tensors = new Map(
 *   Object.entries(shapes).map(([name, shape]) => {
 *     const zeros: Tensor = Tensor.zeros(shape.map((_, i) => `dim${i}`).join(" "), shape);
 *     return [`transformer.${name}.weight`, zeros];
 *   }),
 * );
 * const config = { n_layer: 1, n_head: 2, n_embd: 4, block_size: 8, vocab_size: 5, bias: false };
 * console.log(nanoGPTFromTensors({ tensors, config }).config.act_fn);
 * // gelu
 * ```
 */
export function nanoGPTFromTensors(given: TransformerTensors): Transformer {
  return from("nanogpt", "nanoGPTFromTensors", given);
}

/**
 * Makes a model of the checkpoints of minGPT's first versions, as Othello-GPT has them: `tok_emb.weight`, `pos_emb`,
 * `blocks.0.attn.query.weight`, `blocks.0.mlp.0.weight`, `head.weight`. The configuration has minGPT's names or
 * TransformerLens's; the GELU is exact, as it was in these versions, unless `act_fn` says otherwise.
 *
 * @throws {@link ConfigError} and {@link InputError} as {@link gpt2FromTensors}.
 * @category Files
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { minGPTFromTensors } from "transformer-circuits/io";
 *
 * const shapes = {
 *   "ln_f.weight": [4], "ln_f.bias": [4], "tok_emb.weight": [5, 4], pos_emb: [1, 8, 4], "head.weight": [5, 4],
 *   "blocks.0.ln1.weight": [4], "blocks.0.ln1.bias": [4], "blocks.0.ln2.weight": [4], "blocks.0.ln2.bias": [4],
 *   "blocks.0.mlp.0.weight": [16, 4], "blocks.0.mlp.0.bias": [16],
 *   "blocks.0.mlp.2.weight": [4, 16], "blocks.0.mlp.2.bias": [4],
 * };
 * const tensors = new Map<string, Tensor>();
 * const set = (name: string, shape: number[]) =>
 *   tensors.set(name, Tensor.zeros(shape.map((_, i) => `dim${i}`).join(" "), shape));
 * for (const [name, shape] of Object.entries(shapes)) set(name, shape);
 * for (const side of ["query", "key", "value", "proj"]) {
 *   set(`blocks.0.attn.${side}.weight`, [4, 4]);
 *   set(`blocks.0.attn.${side}.bias`, [4]);
 * }
 * const config = { n_layer: 1, n_head: 2, n_embd: 4, block_size: 8, vocab_size: 5 };
 * console.log(String(minGPTFromTensors({ tensors, config }).W_pos));
 * // Linear[pos=8 -> d_model=4] of rank at most 4
 * ```
 */
export function minGPTFromTensors(given: TransformerTensors): Transformer {
  return from("mingpt", "minGPTFromTensors", given);
}
