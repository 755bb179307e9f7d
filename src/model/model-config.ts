/** The configuration of a transformer, checked: what parseConfig gives. */
import type { ActivationFunction } from "./activation.ts";

/**
 * Where positions enter: added to the residual stream (`standard`), added to the inputs of queries and keys only
 * (`shortformer`), by rotating queries and keys (`rotary`), or nowhere (`none`).
 * @category Model
 */
export type PositionalEmbeddingType = "standard" | "shortformer" | "rotary" | "none";

/**
 * The norm before each layer and before the unembedding: LayerNorm or RMSNorm, with weights or (`Pre`) without; `null`
 * is none.
 * @category Model
 */
export type NormalizationType = "LN" | "LNPre" | "RMS" | "RMSPre" | null;

/**
 * The configuration of a transformer; names and meanings are those of TransformerLens 3.x.
 * @category Model
 */
export interface ModelConfig {
  /** Whether there are no MLPs. */
  readonly attn_only: boolean;
  /** Neurons of each MLP; absent in an attention-only model. */
  readonly d_mlp?: number;
  /** What the neurons compute of their inputs; absent in an attention-only model. */
  readonly act_fn?: ActivationFunction;
  /**
   * Whether an MLP reads what the attention of its layer reads (GPT-NeoX), rather than the stream with that attention's
   * output (GPT-2); absent in an attention-only model.
   */
  readonly parallel_attn_mlp?: boolean;
  /**
   * Present, and true, where the activations of an MLP gate what its neurons read, $f(x W_{gate}) \odot (x W_{in})$
   * (llama).
   */
  readonly gated_mlp?: true;
  /** Layers; 0 is the bigram model. */
  readonly n_layers: number;
  /** Heads in each layer. */
  readonly n_heads: number;
  /**
   * Keys and values in each layer, where several heads share one (grouped-query attention); absent where each head has
   * its own.
   */
  readonly n_key_value_heads?: number;
  /** Width of the residual stream. */
  readonly d_model: number;
  /** Width of queries, keys and values. */
  readonly d_head: number;
  /** The longest prompt, in tokens. */
  readonly n_ctx: number;
  /** Number of tokens. */
  readonly d_vocab: number;
  /** Number of output tokens. */
  readonly d_vocab_out: number;
  readonly positional_embedding_type: PositionalEmbeddingType;
  readonly normalization_type: NormalizationType;
  /** Added to the variance inside the square root of a norm. */
  readonly eps: number;
  /** Whether the final norm is an RMSNorm where the others are LayerNorms; without norms it is none. */
  readonly final_rms: boolean;
  readonly attention_dir: "causal" | "bidirectional";
  /** Present, and true, where some layers see a window of positions alone. */
  readonly use_local_attn?: true;
  /** How many positions a query of a `local` layer sees, its own included; absent without such layers. */
  readonly window_size?: number;
  /** Which layers see a window (`local`) and which all positions before (`global`); absent where all do. */
  readonly attn_types?: readonly ("global" | "local")[];
  /** What scores are divided by; 1 where `use_attn_scale` is false. */
  readonly attn_scale: number;
  readonly use_attn_scale: boolean;
  /** Whether the scores of layer l are divided by l + 1 as well. */
  readonly scale_attn_by_inverse_layer_idx: boolean;
  /** How many coordinates of a head are rotated; `null` unless positions are rotary. */
  readonly rotary_dim: number | null;
  readonly rotary_base: number;
  /** Whether neighbours are rotated together (GPT-J) rather than halves (GPT-NeoX). */
  readonly rotary_adjacent_pairs: boolean;
  /** The token that begins every sequence, where the configuration or the tokenizer beside it names one. */
  readonly bos_token_id?: number;
}
