/**
 * The llama family as Hugging Face stores it: llama, SmolLM, Mistral, Qwen2. Keys and values that heads share, a gated
 * MLP, RMSNorm, rotary positions on halves of each head; Mistral and Qwen2 may see windows of positions, and Qwen2 has
 * biases of queries, keys and values.
 */
import { parseConfig } from "../../model/index.ts";
import type { ModelConfig } from "../../model/index.ts";
import { queryKeyValueNames } from "../../model/internal.ts";
import { Tensor } from "../../tensor/index.ts";
import type { Checkpoint, HeadsLayout, Taking } from "./checkpoint.ts";
import { ConfigFields } from "./config-fields.ts";
import { convertUnembedding, embeddingName } from "./gpt2.ts";
import type { Converted } from "./gpt2.ts";
import { ropeOf } from "./rope.ts";

/** Rotation frequencies that follow from the configuration. */
const BUFFERS = [/(^|\.)rotary_emb\.inv_freq$/];

/** What Hugging Face's classes take for granted where a configuration says nothing. */
const DEFAULTS = {
  llama: { groups: undefined, window: undefined },
  mistral: { groups: 8, window: 4096 },
  qwen2: { groups: 32, window: 4096 },
} as const;
type Type = keyof typeof DEFAULTS;

/** Which layers see a window of positions, and of how many; none where it is no shorter than the longest prompt. */
function windowsOf(fields: ConfigFields, type: Type, n_layers: number, n_ctx: number): object {
  const given = fields.has("sliding_window") ? fields.get("sliding_window") : DEFAULTS[type].window;
  const isOn = type === "mistral" || (type === "qwen2" && fields.flag("use_sliding_window", false));
  if (!isOn || given === undefined) return {};
  const size = fields.sizeAt("sliding_window", DEFAULTS[type].window);
  const first = type === "qwen2" ? fields.countAt("max_window_layers", 28) : 0;
  const kinds = fields.get("layer_types") ?? Array.from({ length: n_layers }, (_, i) => i >= first && SLIDING);
  if (!Array.isArray(kinds) || kinds.length !== n_layers) {
    throw fields.wrong("layer_types", "it names the attention of each layer.", `${n_layers} kinds`);
  }
  const attn_types = kinds.map((kind: unknown) => {
    if (kind !== SLIDING && kind !== FULL && kind !== false) {
      throw fields.wrong("layer_types", "of these kinds of attention one is not supported.", `${FULL}, ${SLIDING}`);
    }
    return kind === SLIDING ? "local" : "global";
  });
  return size < n_ctx ? { use_local_attn: true, window_size: size, attn_types } : {};
}

const SLIDING = "sliding_attention";
const FULL = "full_attention";

function configOf(fields: ConfigFields, checkpoint: Checkpoint, type: Type): ModelConfig {
  const d_model = fields.size("d_model");
  const n_heads = fields.size("n_heads");
  const n_layers = fields.size("n_layers");
  const n_ctx = fields.size("n_ctx");
  const isSaid = fields.get("head_dim") !== undefined;
  const { share, base } = ropeOf(fields, checkpoint, 1);
  if (share !== 1) {
    throw fields.wrong("rope_parameters", "rotations of a share of each head are not supported here.", "a share of 1");
  }
  return parseConfig({
    n_layers,
    n_heads,
    n_key_value_heads: fields.sizeAt("num_key_value_heads", DEFAULTS[type].groups ?? n_heads),
    d_model,
    d_head: isSaid ? fields.size("d_head") : fields.headWidth(d_model, n_heads),
    d_mlp: fields.size("d_mlp"),
    n_ctx,
    d_vocab: fields.size("d_vocab"),
    act_fn: fields.activation("silu"),
    gated_mlp: true,
    eps: fields.number("eps", 1e-6),
    normalization_type: "RMS",
    positional_embedding_type: "rotary",
    rotary_base: base,
    ...windowsOf(fields, type, n_layers, n_ctx),
  });
}

/** Hugging Face's llama, Mistral and Qwen2, with the prefix `model.` or without. */
export function* convertLlama(checkpoint: Checkpoint, json: unknown): Taking<Converted> {
  const fields = new ConfigFields(json, checkpoint.source, "Hugging Face's llama", "huggingface-llama");
  const type = fields.requireTypes(["llama", "mistral", "qwen2"]);
  const config = configOf(fields, checkpoint, type);
  checkpoint.notes.push(...fields.settle(config));
  const at = checkpoint.below("model.");
  const isTied = fields.flag("tie_word_embeddings", false);
  const attentionBias = type === "llama" && fields.flag("attention_bias", false);
  const hasBias = {
    qkv: attentionBias || type === "qwen2",
    out: attentionBias,
    mlp: type === "llama" && fields.flag("mlp_bias", false),
  };
  const embedding = embeddingName(checkpoint, `${at}embed_tokens.weight`, "lm_head.weight", isTied);
  const { d_model, d_vocab } = config;
  const weights = new Map<string, Tensor>([["embed.W_E", yield* checkpoint.take(embedding, [d_vocab, d_model])]]);
  for (let layer = 0; layer < config.n_layers; layer++) {
    yield* convertLayer(checkpoint, config, `${at}layers.${layer}`, hasBias, weights, `blocks.${layer}`);
  }
  weights.set("ln_final.w", yield* checkpoint.take(`${at}norm.weight`, [d_model]));
  weights.set(
    "unembed.W_U",
    yield* convertUnembedding(checkpoint, config, { own: "lm_head.weight", embedding, isTied }),
  );
  weights.set("unembed.b_U", Tensor.zeros("d_vocab", [d_vocab]));
  checkpoint.finish(BUFFERS, "Hugging Face's llama family");
  return { config, weights };
}

interface Biases {
  readonly qkv: boolean;
  readonly out: boolean;
  readonly mlp: boolean;
}

function* convertLayer(
  checkpoint: Checkpoint,
  config: ModelConfig,
  from: string,
  hasBias: Biases,
  weights: Map<string, Tensor>,
  to: string,
): Taking<void> {
  const { n_heads, n_key_value_heads: groups = n_heads, d_head, d_model, d_mlp = 0 } = config;
  const bias = function* (name: string, isThere: boolean, size: number): Taking<Tensor> {
    return isThere ? yield* checkpoint.take(`${name}.bias`, [size]) : Tensor.zeros("dim0", [size]);
  };
  const names = queryKeyValueNames(config);
  weights.set(`${to}.ln1.w`, yield* checkpoint.take(`${from}.input_layernorm.weight`, [d_model]));
  weights.set(`${to}.ln2.w`, yield* checkpoint.take(`${from}.post_attention_layernorm.weight`, [d_model]));
  for (const kind of ["Q", "K", "V"] as const) {
    const heads = kind === "Q" ? n_heads : groups;
    const sizes = { n_heads: heads, d_head, d_model, headStep: 1, start: 0, total: heads };
    const layout: HeadsLayout = { order: "out in", ...sizes };
    const name = `${from}.self_attn.${kind.toLowerCase()}_proj`;
    weights.set(`${to}.attn.${names[`W_${kind}`]}`, yield* checkpoint.headMatrices(`${name}.weight`, layout));
    if (hasBias.qkv) yield* checkpoint.take(`${name}.bias`, [heads * d_head]);
    const b = hasBias.qkv
      ? yield* checkpoint.headBiases(`${name}.bias`, layout)
      : Tensor.zeros("head d_head", [heads, d_head]);
    weights.set(`${to}.attn.${names[`b_${kind}`]}`, b);
  }
  const output: HeadsLayout = { order: "out in", n_heads, d_head, d_model, headStep: 1, start: 0, total: n_heads };
  weights.set(`${to}.attn.W_O`, yield* checkpoint.outputMatrices(`${from}.self_attn.o_proj.weight`, output));
  weights.set(`${to}.attn.b_O`, yield* bias(`${from}.self_attn.o_proj`, hasBias.out, d_model));
  const mlp = `${from}.mlp`;
  weights.set(`${to}.mlp.W_gate`, yield* checkpoint.matrix(`${mlp}.gate_proj.weight`, [d_model, d_mlp], "out in"));
  weights.set(`${to}.mlp.W_in`, yield* checkpoint.matrix(`${mlp}.up_proj.weight`, [d_model, d_mlp], "out in"));
  weights.set(`${to}.mlp.W_out`, yield* checkpoint.matrix(`${mlp}.down_proj.weight`, [d_mlp, d_model], "out in"));
  for (const name of ["gate_proj", "up_proj"]) {
    const own = yield* bias(`${mlp}.${name}`, hasBias.mlp, d_mlp);
    if (own.data.some((x) => x !== 0)) {
      throw checkpoint.fault(
        `${mlp}.${name}.bias`,
        "biases of what a gated MLP reads are not supported, but where they are zero.",
        "zeros",
        "other numbers",
      );
    }
  }
  weights.set(`${to}.mlp.b_in`, Tensor.zeros("d_mlp", [d_mlp]));
  weights.set(`${to}.mlp.b_out`, yield* bias(`${mlp}.down_proj`, hasBias.mlp, d_model));
}
