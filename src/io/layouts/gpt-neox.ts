/**
 * GPT-NeoX and Pythia as Hugging Face stores them: queries, keys and values interleaved head by head in one Linear,
 * rotary positions on a share of each head, attention and MLP side by side.
 */
import { parseConfig } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { Checkpoint, HeadsLayout, Taking } from "./checkpoint.ts";
import { ConfigFields } from "./config-fields.ts";
import { convertUnembedding, embeddingName } from "./gpt2.ts";
import type { Converted } from "./gpt2.ts";
import { ropeOf } from "./rope.ts";

/** Masks and rotation frequencies that follow from the configuration. */
const BUFFERS = [
  /(^|\.)layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/,
  /(^|\.)rotary_emb\.inv_freq$/,
];

/** Hugging Face's GPT-NeoX, with the prefix `gpt_neox.` or without. */
export function* convertGptNeoX(checkpoint: Checkpoint, json: unknown): Taking<Converted> {
  const fields = new ConfigFields(json, checkpoint.source, "Hugging Face's GPT-NeoX", "huggingface-gpt-neox");
  fields.requireTypes(["gpt_neox"]);
  const d_model = fields.size("d_model");
  const n_heads = fields.size("n_heads");
  const d_head = fields.headWidth(d_model, n_heads);
  const { share, base } = ropeOf(fields, checkpoint, 0.25);
  const config = parseConfig({
    n_layers: fields.size("n_layers"),
    n_heads,
    d_model,
    d_head,
    d_mlp: fields.size("d_mlp", 4 * d_model),
    n_ctx: fields.size("n_ctx"),
    d_vocab: fields.size("d_vocab"),
    act_fn: fields.activation("gelu"),
    eps: fields.number("eps", 1e-5),
    parallel_attn_mlp: fields.flag("use_parallel_residual", true),
    positional_embedding_type: "rotary",
    rotary_dim: Math.trunc(d_head * share),
    rotary_base: base,
  });
  checkpoint.notes.push(...fields.settle(config));
  const { n_layers, d_vocab, d_mlp = 0 } = config;
  const at = checkpoint.below("gpt_neox.");
  const isTied = fields.flag("tie_word_embeddings", false);
  // Called so by transformers 5 in memory, and in state dicts that it saves itself.
  const head = checkpoint.has("embed_out.weight") || !checkpoint.has("lm_head.weight") ? "embed_out" : "lm_head";
  const embedding = embeddingName(checkpoint, `${at}embed_in.weight`, `${head}.weight`, isTied);
  const weights = new Map<string, Tensor>([["embed.W_E", yield* checkpoint.take(embedding, [d_vocab, d_model])]]);
  const hasBias = fields.flag("attention_bias", true);
  for (let layer = 0; layer < n_layers; layer++) {
    const [from, to] = [`${at}layers.${layer}`, `blocks.${layer}`];
    for (const [norm, name] of [
      ["ln1", "input_layernorm"],
      ["ln2", "post_attention_layernorm"],
    ] as const) {
      weights.set(`${to}.${norm}.w`, yield* checkpoint.take(`${from}.${name}.weight`, [d_model]));
      weights.set(`${to}.${norm}.b`, yield* checkpoint.take(`${from}.${name}.bias`, [d_model]));
    }
    const layout: HeadsLayout = {
      order: "out in",
      n_heads,
      d_head,
      d_model,
      headStep: 3,
      start: 0,
      total: 3 * n_heads,
    };
    const [qkv, dense] = [`${from}.attention.query_key_value`, `${from}.attention.dense`];
    if (hasBias)
      for (const [name, size] of [
        [qkv, 3 * d_model],
        [dense, d_model],
      ] as const)
        yield* checkpoint.take(`${name}.bias`, [size]);
    for (const [start, kind] of ["Q", "K", "V"].entries()) {
      weights.set(`${to}.attn.W_${kind}`, yield* checkpoint.headMatrices(`${qkv}.weight`, { ...layout, start }));
      weights.set(`${to}.attn.b_${kind}`, yield* checkpoint.headBiases(`${qkv}.bias`, { ...layout, start }));
    }
    weights.set(`${to}.attn.W_O`, yield* checkpoint.outputMatrices(`${dense}.weight`, layout));
    weights.set(`${to}.attn.b_O`, yield* checkpoint.takeOrZeros(`${dense}.bias`, [d_model]));
    const [up, down] = [`${from}.mlp.dense_h_to_4h`, `${from}.mlp.dense_4h_to_h`];
    weights.set(`${to}.mlp.W_in`, yield* checkpoint.matrix(`${up}.weight`, [d_model, d_mlp], "out in"));
    weights.set(`${to}.mlp.b_in`, yield* checkpoint.take(`${up}.bias`, [d_mlp]));
    weights.set(`${to}.mlp.W_out`, yield* checkpoint.matrix(`${down}.weight`, [d_mlp, d_model], "out in"));
    weights.set(`${to}.mlp.b_out`, yield* checkpoint.take(`${down}.bias`, [d_model]));
  }
  weights.set("ln_final.w", yield* checkpoint.take(`${at}final_layer_norm.weight`, [d_model]));
  weights.set("ln_final.b", yield* checkpoint.take(`${at}final_layer_norm.bias`, [d_model]));
  weights.set(
    "unembed.W_U",
    yield* convertUnembedding(checkpoint, config, { own: `${head}.weight`, embedding, isTied }),
  );
  weights.set("unembed.b_U", yield* checkpoint.takeOrZeros(`${head}.bias`, [d_vocab]));
  checkpoint.finish(BUFFERS, "Hugging Face's GPT-NeoX");
  return { config, weights };
}
