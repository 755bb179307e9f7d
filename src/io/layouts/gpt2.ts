/**
 * GPT-2 as Hugging Face stores it, and the block structure that nanoGPT and minGPT have under other names. Hugging
 * Face's Conv1D keeps matrices as `[in, out]`, the others' Linear as `[out, in]`; minGPT keeps queries, keys and values
 * apart.
 */
import { parseConfig } from "../../model/index.ts";
import type { ModelConfig } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { Checkpoint, HeadsLayout, MatrixOrder, Taking } from "./checkpoint.ts";
import { ConfigFields } from "./config-fields.ts";

/** What a layout makes of a checkpoint: TransformerLens's configuration and names. */
export interface Converted {
  readonly config: ModelConfig;
  readonly weights: Map<string, Tensor>;
}

/** The causal mask, which older files hold among the weights. */
export const MASKS = [/(^|\.)(h|blocks)\.\d+\.attn\.(bias|masked_bias|mask)$/];

/** Where the weights of a block are. */
export interface BlockNames {
  readonly at: (layer: number) => string;
  readonly order: MatrixOrder;
  readonly ln: readonly [string, string];
  readonly c_fc: string;
  readonly c_proj: string;
  /** Queries, keys and values: in one matrix, or in three. */
  readonly qkv: string | readonly [string, string, string];
  readonly out: string;
}

export function* convertBlocks(
  checkpoint: Checkpoint,
  config: ModelConfig,
  names: BlockNames,
  weights: Map<string, Tensor>,
): Taking<void> {
  const { n_heads, d_head, d_model, d_mlp = 0 } = config;
  for (let layer = 0; layer < config.n_layers; layer++) {
    const at = names.at(layer);
    const to = `blocks.${layer}`;
    for (const [i, ln] of names.ln.entries()) {
      weights.set(`${to}.ln${i + 1}.w`, yield* checkpoint.take(`${at}.${ln}.weight`, [d_model]));
      weights.set(`${to}.ln${i + 1}.b`, yield* checkpoint.takeOrZeros(`${at}.${ln}.bias`, [d_model]));
    }
    const isJoint = typeof names.qkv === "string";
    for (const [i, kind] of ["Q", "K", "V"].entries()) {
      const layout: HeadsLayout = {
        ...{ order: names.order, n_heads, d_head, d_model, headStep: 1 },
        start: isJoint ? i * n_heads : 0,
        total: isJoint ? 3 * n_heads : n_heads,
      };
      const name = `${at}.attn.${isJoint ? names.qkv : (names.qkv[i] ?? "")}`;
      weights.set(`${to}.attn.W_${kind}`, yield* checkpoint.headMatrices(`${name}.weight`, layout));
      weights.set(`${to}.attn.b_${kind}`, yield* checkpoint.headBiases(`${name}.bias`, layout));
    }
    const layout = { order: names.order, n_heads, d_head, d_model, headStep: 1, start: 0, total: n_heads };
    weights.set(`${to}.attn.W_O`, yield* checkpoint.outputMatrices(`${at}.attn.${names.out}.weight`, layout));
    weights.set(`${to}.attn.b_O`, yield* checkpoint.takeOrZeros(`${at}.attn.${names.out}.bias`, [d_model]));
    weights.set(
      `${to}.mlp.W_in`,
      yield* checkpoint.matrix(`${at}.${names.c_fc}.weight`, [d_model, d_mlp], names.order),
    );
    weights.set(`${to}.mlp.b_in`, yield* checkpoint.takeOrZeros(`${at}.${names.c_fc}.bias`, [d_mlp]));
    weights.set(
      `${to}.mlp.W_out`,
      yield* checkpoint.matrix(`${at}.${names.c_proj}.weight`, [d_mlp, d_model], names.order),
    );
    weights.set(`${to}.mlp.b_out`, yield* checkpoint.takeOrZeros(`${at}.${names.c_proj}.bias`, [d_model]));
  }
}

/** The name of the token embedding: of tied matrices some files keep the unembedding alone. */
export function embeddingName(checkpoint: Checkpoint, name: string, tiedTo: string, isTied: boolean): string {
  return isTied && !checkpoint.has(name) && checkpoint.has(tiedTo) ? tiedTo : name;
}

/** The unembedding: a matrix `[d_vocab, d_model]` of its own, or the token embedding again. */
export function* convertUnembedding(
  checkpoint: Checkpoint,
  config: ModelConfig,
  names: { readonly own: string; readonly embedding: string; readonly isTied: boolean | undefined },
): Taking<Tensor> {
  const { d_model, d_vocab_out, d_vocab } = config;
  const { own, embedding, isTied } = names;
  if (!checkpoint.has(own) && isTied !== false)
    return yield* checkpoint.matrix(embedding, [d_model, d_vocab], "out in");
  const W_U = yield* checkpoint.matrix(own, [d_model, d_vocab_out], "out in");
  if (isTied === true && differs((yield* checkpoint.take(own)).data, (yield* checkpoint.take(embedding)).data)) {
    throw checkpoint.fault(
      own,
      `it is not ${embedding}, though the configuration ties the two. One of them is wrong.`,
      "equal numbers",
      "other numbers",
    );
  }
  return W_U;
}

function differs(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return true;
  return a.length !== b.length;
}

/** The biases of a checkpoint must all be there, or none: a single missing one is a damaged file. */
export function requireBiases(checkpoint: Checkpoint, expected: boolean, names: Iterable<string>): void {
  for (const name of names) {
    if (checkpoint.has(name) === expected) continue;
    const why = expected
      ? "it is missing, though other biases are there."
      : "it is there, though the model has no biases.";
    throw checkpoint.fault(name, why, expected, !expected);
  }
}

/** The names of all biases. */
export function* biasNames(config: ModelConfig, names: BlockNames, final: string): Generator<string> {
  const { ln, c_fc, c_proj, qkv, out } = names;
  const attention = (typeof qkv === "string" ? [qkv, out] : [...qkv, out]).map((name) => `attn.${name}`);
  for (let layer = 0; layer < config.n_layers; layer++) {
    for (const name of [...ln, ...attention, c_fc, c_proj]) yield `${names.at(layer)}.${name}.bias`;
  }
  yield `${final}.bias`;
}

/** Hugging Face's GPT-2, with the prefix `transformer.` or without. */
export function* convertGpt2(checkpoint: Checkpoint, json: unknown): Taking<Converted> {
  const fields = new ConfigFields(json, checkpoint.source, "Hugging Face's GPT-2", "huggingface-gpt2");
  fields.requireTypes(["gpt2"]);
  if (fields.flag("add_cross_attention", false)) {
    throw fields.wrong("add_cross_attention", "cross-attention is not supported.", "false");
  }
  const d_model = fields.size("d_model");
  const n_heads = fields.size("n_heads");
  const config = parseConfig({
    n_layers: fields.size("n_layers"),
    n_heads,
    d_model,
    d_head: fields.headWidth(d_model, n_heads),
    d_mlp: fields.size("d_mlp", 4 * d_model),
    n_ctx: fields.size("n_ctx"),
    d_vocab: fields.size("d_vocab"),
    act_fn: fields.activation("gelu_new"),
    eps: fields.number("eps", 1e-5),
    use_attn_scale: fields.flag("scale_attn_weights", true),
    scale_attn_by_inverse_layer_idx: fields.flag("scale_attn_by_inverse_layer_idx", false),
  });
  checkpoint.notes.push(...fields.settle(config));
  const at = checkpoint.below("transformer.");
  const names: BlockNames = {
    at: (layer) => `${at}h.${layer}`,
    order: "in out",
    ...BLOCK,
  };
  const converted = yield* convertNanoStyle(checkpoint, config, names, at, fields.flag("tie_word_embeddings", true));
  requireBiases(checkpoint, true, biasNames(config, names, `${at}ln_f`));
  return converted;
}

export const BLOCK = {
  ln: ["ln_1", "ln_2"],
  c_fc: "mlp.c_fc",
  c_proj: "mlp.c_proj",
  qkv: "c_attn",
  out: "c_proj",
} as const;

export function* convertNanoStyle(
  checkpoint: Checkpoint,
  config: ModelConfig,
  names: BlockNames,
  at: string,
  isTied: boolean | undefined,
  masks = MASKS,
  library = "GPT-2",
): Taking<Converted> {
  const { d_model, d_vocab, n_ctx } = config;
  const weights = new Map<string, Tensor>();
  const embedding = embeddingName(checkpoint, `${at}wte.weight`, "lm_head.weight", isTied !== false);
  weights.set("embed.W_E", yield* checkpoint.take(embedding, [d_vocab, d_model]));
  weights.set("pos_embed.W_pos", yield* checkpoint.take(`${at}wpe.weight`, [n_ctx, d_model]));
  yield* convertBlocks(checkpoint, config, names, weights);
  weights.set("ln_final.w", yield* checkpoint.take(`${at}ln_f.weight`, [d_model]));
  weights.set("ln_final.b", yield* checkpoint.takeOrZeros(`${at}ln_f.bias`, [d_model]));
  weights.set(
    "unembed.W_U",
    yield* convertUnembedding(checkpoint, config, { own: "lm_head.weight", embedding, isTied }),
  );
  weights.set("unembed.b_U", yield* checkpoint.takeOrZeros("lm_head.bias", [d_vocab]));
  checkpoint.finish(masks, library);
  return { config, weights };
}
