/**
 * What the fields of a configuration are to the model that is made of it, in one table for every library whose
 * checkpoints are read: read, known to change nothing, or refused where they ask for another function than the one
 * computed. What a library's own model passes over changes nothing in its configurations.
 */
import type { ModelConfig } from "./model-config.ts";

/** Whose fields a configuration has. */
export type ConfigDialect =
  | "transformer-lens"
  | "transformer-lens-4"
  | "huggingface-gpt2"
  | "huggingface-gpt-neo"
  | "huggingface-gpt-neox"
  | "huggingface-llama"
  | "nanogpt";

export type Fields = Readonly<Record<string, unknown>>;

export interface Names {
  /** By dialect, the name to use first; `nanogpt` stands for minGPT as well. */
  readonly names: Readonly<Partial<Record<ConfigDialect, readonly string[]>>>;
  /** Where else the property is met under which name. */
  readonly elsewhere: readonly string[];
}

const LENS = (...names: string[]): Names["names"] => ({ "transformer-lens": names, "transformer-lens-4": names });

/** The properties of a model that libraries name differently, by TransformerLens's name. */
export const PROPERTIES = {
  n_layers: {
    names: {
      ...LENS("n_layers"),
      "huggingface-gpt2": ["n_layer", "num_hidden_layers"],
      "huggingface-gpt-neo": ["num_layers", "num_hidden_layers"],
      "huggingface-llama": ["num_hidden_layers"],
      "huggingface-gpt-neox": ["num_hidden_layers"],
      nanogpt: ["n_layer", "n_layers"],
    },
    elsewhere: ["num_layers", "n_blocks"],
  },
  n_heads: {
    names: {
      ...LENS("n_heads"),
      "huggingface-gpt2": ["n_head", "num_attention_heads"],
      "huggingface-gpt-neo": ["num_heads", "num_attention_heads"],
      "huggingface-llama": ["num_attention_heads"],
      "huggingface-gpt-neox": ["num_attention_heads"],
      nanogpt: ["n_head", "n_heads"],
    },
    elsewhere: ["num_heads"],
  },
  d_model: {
    names: {
      ...LENS("d_model"),
      "huggingface-gpt2": ["n_embd", "hidden_size"],
      "huggingface-gpt-neo": ["hidden_size"],
      "huggingface-llama": ["hidden_size"],
      "huggingface-gpt-neox": ["hidden_size"],
      nanogpt: ["n_embd", "d_model"],
    },
    elsewhere: ["n_embed", "embed_dim", "embedding_dim"],
  },
  d_head: {
    names: { ...LENS("d_head"), "huggingface-llama": ["head_dim"] },
    elsewhere: ["head_size"],
  },
  d_mlp: {
    names: {
      ...LENS("d_mlp"),
      "huggingface-gpt2": ["n_inner"],
      "huggingface-gpt-neo": ["intermediate_size"],
      "huggingface-llama": ["intermediate_size"],
      "huggingface-gpt-neox": ["intermediate_size"],
      nanogpt: ["d_mlp"],
    },
    elsewhere: ["ffn_dim", "d_ff", "mlp_dim"],
  },
  n_ctx: {
    names: {
      ...LENS("n_ctx"),
      "huggingface-gpt2": ["n_positions", "n_ctx", "max_position_embeddings"],
      "huggingface-gpt-neo": ["max_position_embeddings"],
      "huggingface-llama": ["max_position_embeddings"],
      "huggingface-gpt-neox": ["max_position_embeddings"],
      nanogpt: ["block_size", "n_ctx"],
    },
    elsewhere: ["context_length", "max_seq_len"],
  },
  d_vocab: {
    names: {
      ...LENS("d_vocab"),
      "huggingface-gpt2": ["vocab_size"],
      "huggingface-gpt-neo": ["vocab_size"],
      "huggingface-llama": ["vocab_size"],
      "huggingface-gpt-neox": ["vocab_size"],
      nanogpt: ["vocab_size", "d_vocab"],
    },
    elsewhere: [],
  },
  act_fn: {
    names: {
      ...LENS("act_fn"),
      "huggingface-gpt2": ["activation_function"],
      "huggingface-gpt-neo": ["activation_function"],
      "huggingface-llama": ["hidden_act"],
      "huggingface-gpt-neox": ["hidden_act"],
      nanogpt: ["act_fn", "activation_function"],
    },
    elsewhere: ["hidden_activation", "activation"],
  },
  eps: {
    names: {
      ...LENS("eps"),
      "huggingface-gpt2": ["layer_norm_epsilon"],
      "huggingface-gpt-neo": ["layer_norm_epsilon"],
      "huggingface-llama": ["rms_norm_eps"],
      "huggingface-gpt-neox": ["layer_norm_eps"],
      nanogpt: ["eps"],
    },
    elsewhere: [
      ...["rms_norm_eps", "norm_eps", "norm_epsilon", "layernorm_eps", "layernorm_epsilon", "ln_eps"],
      ...["ln_epsilon", "epsilon", "variance_epsilon", "rms_eps", "rmsnorm_eps"],
    ],
  },
  rotary_base: {
    names: {
      ...LENS("rotary_base"),
      "huggingface-gpt-neox": ["rotary_emb_base", "rope_theta"],
      "huggingface-llama": ["rope_theta"],
    },
    elsewhere: ["rope_base"],
  },
  parallel_attn_mlp: {
    names: { ...LENS("parallel_attn_mlp"), "huggingface-gpt-neox": ["use_parallel_residual"] },
    elsewhere: ["parallel_residual"],
  },
} as const satisfies Partial<Record<keyof ModelConfig, Names>>;

/** What else is read, by dialect. */
export const READ: Readonly<Record<ConfigDialect, readonly string[]>> = {
  "transformer-lens": [
    ...["attn_only", "d_vocab_out", "positional_embedding_type", "normalization_type", "final_rms", "attention_dir"],
    ...["attn_scale", "use_attn_scale", "scale_attn_by_inverse_layer_idx", "rotary_dim", "rotary_adjacent_pairs"],
    ...["n_key_value_heads", "normalization", "shortformer_pos", "architecture", "original_architecture"],
    ...["gated_mlp", "use_local_attn", "attn_types", "window_size"],
  ],
  "transformer-lens-4": [
    ...["attn_only", "d_vocab_out", "positional_embedding_type", "normalization_type", "final_rms", "attention_dir"],
    ...["attn_scale", "use_attn_scale", "rotary_dim", "n_key_value_heads"],
  ],
  "huggingface-gpt2": [
    "scale_attn_weights",
    "scale_attn_by_inverse_layer_idx",
    "tie_word_embeddings",
    "model_type",
    "add_cross_attention",
  ],
  "huggingface-gpt-neox": [
    ...["rotary_pct", "partial_rotary_factor", "rope_parameters", "rope_scaling", "attention_bias"],
    ...["tie_word_embeddings", "model_type"],
  ],
  "huggingface-gpt-neo": [
    ...["attention_types", "attention_layers", "window_size", "tie_word_embeddings", "model_type"],
  ],
  "huggingface-llama": [
    ...["num_key_value_heads", "rope_parameters", "rope_scaling", "attention_bias", "mlp_bias", "tie_word_embeddings"],
    ...["model_type", "sliding_window", "use_sliding_window", "max_window_layers", "layer_types"],
  ],
  nanogpt: ["bias", "d_vocab_out", "model_type", "model_args", "model"],
};

/** Fields of TransformerLens's configuration that the native model of 4.x passes over. */
export const PASSED_OVER_BY_4: ReadonlySet<string> = new Set([
  ...["scale_attn_by_inverse_layer_idx", "parallel_attn_mlp", "rotary_adjacent_pairs", "use_qk_norm", "use_local_attn"],
  ...["attn_types", "post_embedding_ln", "num_experts", "use_normalization_before_and_after", "use_NTK_by_parts_rope"],
  ...["scale_embedding", "rmsnorm_uses_offset", "per_layer_head_dim", "per_layer_num_key_value_heads"],
  ...["qk_norm_after_rope", "rotary_interleaved_cos_sin", "is_stateful", "is_multimodal", "original_architecture"],
]);

export type Refusal = readonly [field: string, harmless: (value: unknown, fields: Fields) => boolean, what: string];

const off = (value: unknown): boolean => value === false || value === 0;
const only =
  (...values: readonly unknown[]) =>
  (value: unknown): boolean =>
    values.includes(value);
const allAre =
  (...kinds: readonly string[]) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.every((kind) => kinds.includes(kind as string));
/** A soft cap that is not positive is none. */
const noCap = (value: unknown): boolean => typeof value === "number" && value <= 0;

/** Rotations as they are, under the two names that Hugging Face has for their kind. */
function plainRotation(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { rope_type, type } = value as Fields;
  return (rope_type ?? type ?? "") === "default";
}

/** Fields that ask for another function, with the values that do not; null and what is left out never do. */
const REFUSED: readonly Refusal[] = [
  ["use_local_attn", off, "local attention windows"],
  ["attn_types", allAre("global"), "local attention windows"],
  ["attention_layers", allAre("global"), "local attention windows"],
  ["sliding_window", off, "local attention windows"],
  ["use_sliding_window", off, "local attention windows"],
  ["attention_chunk_size", off, "local attention windows"],
  ["layer_types", allAre("full_attention"), "local attention windows"],
  ["is_causal", only(true), "attention in both directions under this name"],
  ["attn_scores_soft_cap", noCap, "soft caps on attention scores"],
  ["attn_logit_softcapping", noCap, "soft caps on attention scores"],
  ["output_logits_soft_cap", noCap, "soft caps on logits"],
  ["final_logit_softcapping", noCap, "soft caps on logits"],
  ["post_embedding_ln", off, "norms after the embedding"],
  ["use_qk_norm", off, "norms of queries and keys"],
  ["qk_layernorm", off, "norms of queries and keys"],
  ["use_normalization_before_and_after", off, "norms after a layer"],
  ["rmsnorm_uses_offset", off, "norms whose weights are counted from 1"],
  ["clip_qkv", () => false, "clipped queries, keys and values"],
  ["use_logn_attn", off, "scores scaled by the length of the prompt"],
  ["use_attention_sinks", off, "attention sinks"],
  ["alibi", off, "biases by distance"],
  ["use_alibi", off, "biases by distance"],
  ["position_embedding_type", only("absolute", "learned"), "other positions under this name"],
  ["gated_mlp", off, "gated MLPs"],
  ["rope_interleaved", off, "rotations of neighbours under this name"],
  ["attention_types", () => false, "local attention windows"],
  ["use_mrope", off, "rotations of several kinds of positions"],
  ["num_experts", off, "mixtures of experts"],
  ["num_local_experts", off, "mixtures of experts"],
  ["n_routed_experts", off, "mixtures of experts"],
  ["use_NTK_by_parts_rope", off, "rescaled rotations"],
  ["use_yarn_rope", off, "rescaled rotations"],
  ["use_dynamic_ntk_rope", off, "rescaled rotations"],
  ["use_dynamic_ntk", off, "rescaled rotations"],
  ["rotary_scaling_factor", only(1), "rescaled rotations"],
  ["rotary_interleaved_cos_sin", off, "tables of rotations in another order"],
  ["rope_scaling", plainRotation, "rescaled rotations"],
  ["rope_parameters", plainRotation, "rescaled rotations"],
  ["partial_rotary_factor", only(1), "rotations of a share of each head under this name"],
  ["rotary_pct", only(1), "rotations of a share of each head under this name"],
  ["num_key_value_heads", (v, f) => [f["n_heads"], f["n_head"], f["num_attention_heads"]].includes(v), "shared keys"],
  ["multi_query", off, "shared keys and values"],
  ["per_layer_head_dim", () => false, "heads of different widths"],
  ["per_layer_num_key_value_heads", () => false, "shared keys and values"],
  ["per_layer_config", () => false, "layers of different kinds"],
  ["add_cross_attention", off, "cross-attention"],
  ["scale_embedding", off, "scaled embeddings"],
  ["embedding_multiplier", only(1), "scaled embeddings"],
  ["attention_multiplier", () => false, "attention scales under this name"],
  ["query_pre_attn_scalar", () => false, "attention scales under this name"],
  ["residual_multiplier", only(1), "scaled layers"],
  ["logit_scale", only(1), "scaled logits"],
  ["logits_scaling", only(1), "scaled logits"],
  ["parallel_attn", off, "attention and MLP side by side under this name"],
  ["load_in_4bit", off, "quantized weights"],
  ["load_in_8bit", off, "quantized weights"],
  ["quantization_config", () => false, "quantized weights"],
  ["is_audio_model", off, "models of sound"],
  ["is_visual_model", off, "models of images"],
];

/** The names of the fields that may be refused. */
export const refusedFields: readonly string[] = REFUSED.map(([field]) => field);

/** Why a field may be refused, and which of its values are not. */
export function refusalNamed(field: string): Refusal | undefined {
  return REFUSED.find(([name]) => name === field);
}

/** Fields that say how a model was made, trained, stored or is spoken to. */
export const NOTHING: ReadonlySet<string> = new Set([
  // Switches of TransformerLens that act beside one of those above, or on hooks.
  ...["window_size", "train_seq_length", "rotary_base_local", "experts_per_token", "norm_topk_prob"],
  ...["NTK_by_parts_low_freq_factor", "NTK_by_parts_high_freq_factor", "NTK_by_parts_factor", "NTK_original_ctx_len"],
  ...["yarn_factor", "yarn_attention_factor", "yarn_beta_fast", "yarn_beta_slow", "yarn_truncate"],
  ...["yarn_original_max_position_embeddings", "yarn_global_attn_only", "qk_norm_after_rope"],
  ...["use_attn_result", "use_split_qkv_input", "use_hook_mlp_in", "use_attn_in", "use_hook_tokens"],
  ...["ungroup_grouped_query_attention", "layer_norm_folding", "uses_rms_norm", "split_attention_weights"],
  ...["relative_attention_max_distance", "relative_attention_num_buckets", "attn_implementation"],
  ...["is_stateful", "is_multimodal", "vision_hidden_size", "vision_num_layers", "vision_num_heads"],
  "mm_tokens_per_image",
  // Where a model comes from and how it is kept.
  ...["model_name", "model_type", "architectures", "architecture", "original_architecture", "name", "auto_map"],
  ...["_name_or_path", "name_or_path", "_commit_hash", "_attn_implementation", "transformers_version", "license"],
  ...["dtype", "torch_dtype", "use_bfloat16", "device", "n_devices", "n_params", "trust_remote_code"],
  ...["from_checkpoint", "checkpoint_index", "checkpoint_label_type", "checkpoint_value", "quantization_method"],
  ...["tie_word_embeddings", "tie_encoder_decoder", "pruned_heads", "torchscript", "tf_legacy_loss"],
  // Training.
  ...["init_mode", "init_weights", "initializer_range", "seed", "gradient_checkpointing"],
  ...["dropout", "attn_pdrop", "embd_pdrop", "resid_pdrop", "attention_dropout", "hidden_dropout"],
  ...["classifier_dropout", "embed_pdrop", "embed_dropout", "resid_dropout", "pretraining_tp", "is_llama_config"],
  // Tokens and generation.
  ...["tokenizer_name", "tokenizer_class", "tokenizer_prepends_bos", "tokenizer_appends_eos", "default_prepend_bos"],
  ...["default_padding_side", "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "decoder_start_token_id"],
  ...["unk_token_id", "prefix", "task_specific_params", "use_cache", "output_past", "do_sample", "max_length"],
  // Hugging Face's own business, and heads beside the language model.
  ...["return_dict", "output_hidden_states", "output_attentions", "chunk_size_feed_forward", "is_encoder_decoder"],
  ...["is_decoder", "cross_attention_hidden_size", "reorder_and_upcast_attn", "summary_type", "summary_use_proj"],
  ...["summary_activation", "summary_proj_to_labels", "summary_first_dropout", "id2label", "label2id", "num_labels"],
  ...["problem_type", "finetuning_task"],
]);
