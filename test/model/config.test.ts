/** Configurations: defaults, and what is refused by name. */
import { describe, expect, test } from "vitest";
import { ConfigError } from "../../src/errors.ts";
import { parseConfig } from "../../src/model/index.ts";

const least = { n_layers: 1, d_model: 8, n_heads: 2, n_ctx: 16, d_vocab: 10, attn_only: true };

describe("defaults are TransformerLens's", () => {
  test("a minimal configuration", () => {
    expect(parseConfig(least)).toEqual({
      attn_only: true,
      n_layers: 1,
      d_model: 8,
      n_heads: 2,
      d_head: 4,
      n_ctx: 16,
      d_vocab: 10,
      d_vocab_out: 10,
      positional_embedding_type: "standard",
      normalization_type: "LN",
      eps: 1e-5,
      final_rms: false,
      attention_dir: "causal",
      attn_scale: 2,
      use_attn_scale: true,
      scale_attn_by_inverse_layer_idx: false,
      rotary_dim: null,
      rotary_base: 10000,
      rotary_adjacent_pairs: false,
    });
  });

  test.each([
    [{ d_head: 3 }, { d_head: 3, attn_scale: Math.sqrt(3) }],
    [{ n_heads: -1, d_head: 2 }, { n_heads: 4 }],
    [{ attn_scale: -1 }, { attn_scale: 2 }],
    [{ use_attn_scale: false }, { attn_scale: 1 }],
    [{ d_vocab_out: -1 }, { d_vocab_out: 10 }],
    [{ normalization_type: null }, { normalization_type: null }],
    [{ positional_embedding_type: null }, { positional_embedding_type: "none" }],
    [{ positional_embedding_type: "rotary" }, { rotary_dim: 4 }],
    [{ positional_embedding_type: "rotary", rotary_dim: 2 }, { rotary_dim: 2 }],
    [{ n_layers: 0 }, { n_layers: 0 }],
    [{ attn_types: ["global", "global"], use_local_attn: false, n_key_value_heads: 2 }, {}],
    [{ attn_scores_soft_cap: -1, output_logits_soft_cap: -1 }, {}],
    [{ bos_token_id: 9 }, { bos_token_id: 9 }],
    [{ layer_norm_eps: 1e-5, num_hidden_layers: 1, vocab_size: 9, clip_qkv: null }, {}],
    [{ transformers_version: "4.1", torch_dtype: "float16", dropout: 0.1, learning_rate: 1, unheard_of: true }, {}],
  ])("%j", (fields, expected) => {
    expect(parseConfig({ ...least, ...fields })).toMatchObject(expected);
  });

  test.each([
    [{}, { attn_only: false, d_mlp: 32, act_fn: "relu", parallel_attn_mlp: false }],
    [
      { d_mlp: 5, parallel_attn_mlp: true },
      { d_mlp: 5, parallel_attn_mlp: true },
    ],
    [{ act_fn: "solu_ln", gated_mlp: false, num_experts: null }, { act_fn: "solu_ln" }],
  ])("with MLPs: %j", (fields, expected) => {
    expect(parseConfig({ ...least, attn_only: undefined, act_fn: "relu", ...fields })).toMatchObject(expected);
  });

  test("an attention-only model has no neurons, whatever its file says of them", () => {
    const config = parseConfig({ ...least, d_mlp: 2048, act_fn: "solu_ln", parallel_attn_mlp: false });
    expect(Object.keys(config)).not.toContain("d_mlp");
    expect(config.act_fn).toBeUndefined();
  });

  test.each([null, 10, -1, 1.5, [0]])("bos_token_id %j names none of the ten tokens", (id) => {
    expect(parseConfig({ ...least, bos_token_id: id })).not.toHaveProperty("bos_token_id");
  });

  test("the result is frozen", () => {
    expect(Object.isFrozen(parseConfig(least))).toBe(true);
  });
});

describe("refuses", () => {
  test.each([null, 3, "text", [1]])("%j", (json) => {
    expect(() => parseConfig(json)).toThrow(ConfigError);
    expect(() => parseConfig(json)).toThrow(
      "parseConfig: the configuration is not an object of fields such as n_layers and d_model.",
    );
  });

  test.each([
    [
      { attn_only: false },
      '"act_fn" is missing: MLPs need it. A model without them says so with attn_only. Expected one of gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu, silu, solu, solu_ln.',
    ],
    [{ attn_only: undefined, act_fn: null }, '"act_fn" is null: MLPs need it.'],
    [{ attn_only: 1 }, '"attn_only" is 1: it is a switch. Expected true or false.'],
    [
      { attn_only: false, act_fn: "xielu" },
      '"act_fn" is "xielu": it is none of the kinds supported. Expected gelu, gelu_new,',
    ],
    [{ attn_only: false, act_fn: "gelu", d_mlp: 0 }, '"d_mlp" is 0: it is a size. Expected an integer of at least 1.'],
    [
      { attn_only: false, act_fn: "solu_ln", gated_mlp: true },
      '"gated_mlp" is true: an MLP whose neurons are normalised has no gate. Expected false.',
    ],
    [{ num_experts: 8 }, '"num_experts" is 8: mixtures of experts are not supported.'],
    [{ use_NTK_by_parts_rope: true }, '"use_NTK_by_parts_rope" is true: rescaled rotations are not supported.'],
    [{ rope_scaling: { factor: 2 } }, '"rope_scaling" is {"factor":2}: rescaled rotations are not supported.'],
    [{ d_model: undefined }, '"d_model" is missing: it is a size. Expected an integer of at least 1.'],
    [{ n_layers: -1 }, '"n_layers" is -1: it is a size. Expected an integer of at least 0.'],
    [{ d_vocab: 1.5 }, '"d_vocab" is 1.5: it is a size. Expected an integer of at least 1.'],
    [{ n_ctx: "16" }, '"n_ctx" is "16": it is a size.'],
    [
      { n_heads: 3 },
      '"d_head" is missing: d_model=8 is no multiple of n_heads=3, so that it does not follow from them. Expected the width of a head, or other numbers there.',
    ],
    [{ clip_qkv: 0.25 }, '"clip_qkv" is 0.25: clipped queries, keys and values are not supported.'],
    [{ use_logn_attn: true }, '"use_logn_attn" is true: scores scaled by the length of the prompt are not supported.'],
    [{ use_dynamic_ntk_rope: true }, '"use_dynamic_ntk_rope" is true: rescaled rotations are not supported.'],
    [{ layer_norm_eps: 0.1 }, '"layer_norm_eps" is 0.1: the model has eps=0.00001. The field is called eps here.'],
    [{ eps: 0.1, rms_norm_eps: 0.2 }, '"rms_norm_eps" is 0.2: the model has eps=0.1. The field is called eps here.'],
    [
      { num_attention_heads: 4 },
      '"num_attention_heads" is 4: the model has n_heads=2. The field is called n_heads here.',
    ],
    [{ n_layers: undefined, n_layer: 2 }, '"n_layer" is 2: no field of that name is read here. Did you mean n_layers?'],
    [
      { positional_embeding_type: "rotary" },
      '"positional_embeding_type" is "rotary": there is no such field. Did you mean positional_embedding_type?',
    ],
    [{ useQkNorm: true }, '"useQkNorm" is true: there is no such field. Did you mean use_qk_norm?'],
    [{ dHead: 2 }, '"dHead" is 2: there is no such field. Did you mean d_head?'],
    [{ n_heads: -1, d_head: 9 }, '"n_heads" is -1: d_model=8 holds no head of d_head=9. Expected at least 1.'],
    [
      { n_key_value_heads: 3 },
      '"n_key_value_heads" is 3: as many heads share each key and value, so that it divides n_heads. Expected a divisor of 2.',
    ],
    [
      { use_local_attn: true },
      '"attn_types" is missing: use_local_attn asks which layers see a window of positions. Expected "global" or "local" for each of 1 layers.',
    ],
    [
      { use_local_attn: true, window_size: 2, attn_types: ["local"], attention_dir: "bidirectional" },
      '"use_local_attn" is true: windows are of positions before a query; this model looks both ways. Expected false.',
    ],
    [{ attn_scores_soft_cap: 50 }, '"attn_scores_soft_cap" is 50: soft caps on attention scores are not supported.'],
    [{ output_logits_soft_cap: 30 }, '"output_logits_soft_cap" is 30: soft caps on logits are not supported.'],
    [{ post_embedding_ln: true }, '"post_embedding_ln" is true: norms after the embedding are not supported.'],
    [{ use_qk_norm: true }, '"use_qk_norm" is true: norms of queries and keys are not supported.'],
    [
      { use_normalization_before_and_after: true },
      '"use_normalization_before_and_after" is true: norms after a layer are not supported.',
    ],
    [
      { positional_embedding_type: "alibi" },
      '"positional_embedding_type" is "alibi": it is none of the kinds supported. Expected standard, shortformer, rotary, none.',
    ],
    [
      { normalization_type: "BN" },
      '"normalization_type" is "BN": it is none of the kinds supported. Expected LN, LNPre, RMS, RMSPre.',
    ],
    [{ attention_dir: "both" }, '"attention_dir" is "both": it is none of the kinds supported.'],
    [{ eps: -1 }, '"eps" is -1: it cannot be used. Expected a number in range.'],
    [{ attn_scale: 0 }, '"attn_scale" is 0: it cannot be used.'],
    [{ final_rms: 1 }, '"final_rms" is 1: it is a switch. Expected true or false.'],
    [
      { positional_embedding_type: "rotary", rotary_dim: 3 },
      '"rotary_dim" is 3: coordinates are rotated in pairs within a head. Expected an even number up to d_head=4.',
    ],
    [{ positional_embedding_type: "rotary", rotary_dim: 6 }, '"rotary_dim" is 6: coordinates are rotated in pairs'],
  ])("%j", (fields, text) => {
    const call = (): unknown => parseConfig({ ...least, ...fields });
    expect(call).toThrow(ConfigError);
    expect(call).toThrow(`parseConfig: ${text}`);
  });
});
