/**
 * The models of GGUF files, by llama.cpp's names: llama and Mistral, Qwen2, GPT-2, GPT-NeoX. What the header says of an
 * architecture and is not known here is refused, as it may ask for another function.
 */
import { parseConfig } from "../../model/index.ts";
import type { ModelConfig } from "../../model/index.ts";
import { queryKeyValueNames } from "../../model/internal.ts";
import { Tensor } from "../../tensor/index.ts";
import type { Checkpoint, HeadsLayout, Taking } from "./checkpoint.ts";
import { ConfigFields } from "./config-fields.ts";
import type { Converted } from "./gpt2.ts";

const ARCHITECTURES = ["llama", "qwen2", "gpt2", "gptneox"] as const;
type Architecture = (typeof ARCHITECTURES)[number];

/** What is read of an architecture's fields, and what is known to change nothing. */
const KNOWN: ReadonlySet<string> = new Set([
  ...["block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size"],
  ...["attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length"],
  ...["attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon", "attention.causal"],
  ...["rope.dimension_count", "rope.freq_base", "rope.scaling.type", "use_parallel_residual", "tensor_data_layout"],
  "expert_count",
]);

/** The fields of the architecture, which begin with its name. */
function fieldsOf(json: unknown, checkpoint: Checkpoint): { fields: ConfigFields; architecture: Architecture } {
  const whole = new ConfigFields(json, checkpoint.source, "A GGUF file's model");
  const given = whole.get("general.architecture");
  const architecture = ARCHITECTURES.find((name) => name === given);
  if (architecture === undefined) {
    throw whole.wrong("general.architecture", "this architecture is not supported.", ARCHITECTURES.join(", "));
  }
  for (const name of Object.keys(json as object)) {
    if (!name.startsWith(`${architecture}.`) || KNOWN.has(name.slice(architecture.length + 1))) continue;
    throw whole.wrong(name, "what it asks for is not known here.", "a file without it");
  }
  return { fields: whole, architecture };
}

function configOf(
  fields: ConfigFields,
  architecture: Architecture,
  [d_vocab, d_model]: readonly [number, number],
): ModelConfig {
  const at = (name: string): string => `${architecture}.${name}`;
  const refuse = (name: string, isHarmless: (value: unknown) => boolean, expected: string): void => {
    const value = fields.get(at(name));
    if (value !== undefined && !isHarmless(value)) throw fields.wrong(at(name), "this is not supported.", expected);
  };
  const n_heads = fields.sizeAt(at("attention.head_count"));
  const even = d_model % n_heads === 0 ? d_model / n_heads : undefined;
  const d_head = fields.sizeAt(at("attention.key_length"), even);
  const isRotary = architecture !== "gpt2";
  const rotary_dim = fields.sizeAt(at("rope.dimension_count"), d_head);
  refuse("attention.value_length", (value) => value === d_head, `${d_head}, as of keys`);
  refuse("attention.causal", (value) => value === true, "true");
  refuse("rope.scaling.type", (value) => value === "none", "none");
  refuse("expert_count", (value) => value === 0, "0");
  refuse("embedding_length", (value) => value === d_model, `${d_model}, as the embedding has`);
  if (architecture !== "gptneox") {
    refuse("rope.dimension_count", (value) => value === d_head, `${d_head}, all of a head`);
  }
  const common = {
    n_layers: fields.sizeAt(at("block_count")),
    n_heads,
    d_model,
    d_head,
    n_ctx: fields.sizeAt(at("context_length")),
    d_vocab,
    d_mlp: fields.sizeAt(at("feed_forward_length")),
    ...(isRotary
      ? { positional_embedding_type: "rotary", rotary_base: fields.numberAt(at("rope.freq_base"), 10000) }
      : {}),
  };
  if (architecture === "llama" || architecture === "qwen2") {
    return parseConfig({
      ...common,
      n_key_value_heads: fields.sizeAt(at("attention.head_count_kv"), n_heads),
      act_fn: "silu",
      gated_mlp: true,
      normalization_type: "RMS",
      eps: float32Of(fields.numberAt(at("attention.layer_norm_rms_epsilon"), 1e-5)),
    });
  }
  refuse("attention.head_count_kv", (value) => value === n_heads, `${n_heads}, as of queries`);
  const isNeoX = architecture === "gptneox";
  return parseConfig({
    ...common,
    act_fn: isNeoX ? "gelu" : "gelu_new",
    eps: float32Of(fields.numberAt(at("attention.layer_norm_epsilon"), 1e-5)),
    ...(isNeoX ? { rotary_dim, parallel_attn_mlp: fields.flag(at("use_parallel_residual"), true) } : {}),
  });
}

/** The decimal number that a header's float32 was written for: 1e-5 and not 9.999999747378752e-6. */
function float32Of(x: number): number {
  const short = Number(x.toPrecision(7));
  return Math.fround(short) === Math.fround(x) ? short : x;
}

/** The model of a GGUF file. */
export function* convertGguf(checkpoint: Checkpoint, json: unknown): Taking<Converted> {
  const { fields, architecture } = fieldsOf(json, checkpoint);
  const W_E = yield* checkpoint.take("token_embd.weight");
  const [d_vocab = 0, d_model = 0] = W_E.shape;
  if (W_E.rank !== 2) yield* checkpoint.take("token_embd.weight", [0, 0]);
  const config = configOf(fields, architecture, [d_vocab, d_model]);
  const weights = new Map<string, Tensor>([["embed.W_E", W_E]]);
  const isTied = !checkpoint.has("output.weight");
  weights.set(
    "unembed.W_U",
    yield* checkpoint.matrix(isTied ? "token_embd.weight" : "output.weight", [d_model, d_vocab], "out in"),
  );
  weights.set("unembed.b_U", Tensor.zeros("d_vocab", [d_vocab]));
  const hasBias = architecture === "gpt2" || architecture === "gptneox";
  if (architecture === "gpt2") {
    weights.set("pos_embed.W_pos", yield* checkpoint.take("position_embd.weight", [config.n_ctx, d_model]));
  }
  const norm = function* (from: string, to: string): Taking<void> {
    weights.set(`${to}.w`, yield* checkpoint.take(`${from}.weight`, [d_model]));
    if (hasBias) weights.set(`${to}.b`, yield* checkpoint.take(`${from}.bias`, [d_model]));
  };
  for (let layer = 0; layer < config.n_layers; layer++) {
    const [from, to] = [`blk.${layer}`, `blocks.${layer}`];
    yield* norm(`${from}.attn_norm`, `${to}.ln1`);
    yield* norm(`${from}.ffn_norm`, `${to}.ln2`);
    yield* convertAttention(checkpoint, config, architecture, { from, to }, weights);
    yield* convertMlp(checkpoint, config, hasBias, { from, to }, weights);
  }
  yield* norm("output_norm", "ln_final");
  checkpoint.finish([], `llama.cpp's ${architecture}`);
  return { config, weights };
}

interface Places {
  readonly from: string;
  readonly to: string;
}

function* convertAttention(
  checkpoint: Checkpoint,
  config: ModelConfig,
  architecture: Architecture,
  { from, to }: Places,
  weights: Map<string, Tensor>,
): Taking<void> {
  const { n_heads, n_key_value_heads: groups = n_heads, d_head, d_model } = config;
  const names = queryKeyValueNames(config);
  const isJoint = architecture === "gpt2" || architecture === "gptneox";
  for (const [i, kind] of (["Q", "K", "V"] as const).entries()) {
    const heads = kind === "Q" ? n_heads : groups;
    const sizes = { order: "out in", n_heads: heads, d_head, d_model, headStep: 1 } as const;
    const layout: HeadsLayout = isJoint
      ? { ...sizes, start: i * n_heads, total: 3 * n_heads }
      : { ...sizes, start: 0, total: heads };
    const name = isJoint ? `${from}.attn_qkv` : `${from}.attn_${kind.toLowerCase()}`;
    const needsBias = isJoint || architecture === "qwen2";
    if (needsBias) yield* checkpoint.take(`${name}.bias`, [layout.total * d_head]);
    const W = yield* checkpoint.headMatrices(`${name}.weight`, layout);
    const b = yield* checkpoint.headBiases(`${name}.bias`, layout);
    // llama.cpp lays the halves of a rotated head into each other for this architecture alone.
    const isPermuted = architecture === "llama" && kind !== "V";
    weights.set(`${to}.attn.${names[`W_${kind}`]}`, isPermuted ? halvesApart(W) : W);
    weights.set(`${to}.attn.${names[`b_${kind}`]}`, isPermuted ? halvesApart(b) : b);
  }
  const output: HeadsLayout = { order: "out in", n_heads, d_head, d_model, headStep: 1, start: 0, total: n_heads };
  weights.set(`${to}.attn.W_O`, yield* checkpoint.outputMatrices(`${from}.attn_output.weight`, output));
  if (isJoint) yield* checkpoint.take(`${from}.attn_output.bias`, [d_model]);
  weights.set(`${to}.attn.b_O`, yield* checkpoint.takeOrZeros(`${from}.attn_output.bias`, [d_model]));
}

/** Rows whose even places are the first half of what they hold and whose odd places are the second, put apart. */
function halvesApart(t: Tensor): Tensor {
  const d = t.shape.at(-1) ?? 0;
  const mixed = t.data;
  const data = Float32Array.from(mixed);
  for (let start = 0; start < data.length; start += d) {
    for (let i = 0; i < d / 2; i++) {
      data[start + i] = mixed[start + 2 * i] as number;
      data[start + d / 2 + i] = mixed[start + 2 * i + 1] as number;
    }
  }
  return Tensor.from(t.axes, t.shape, data);
}

function* convertMlp(
  checkpoint: Checkpoint,
  { d_model, d_mlp = 0, gated_mlp }: ModelConfig,
  hasBias: boolean,
  { from, to }: Places,
  weights: Map<string, Tensor>,
): Taking<void> {
  const [up, down] = [`${from}.ffn_up`, `${from}.ffn_down`];
  if (gated_mlp === true) {
    const gate = yield* checkpoint.matrix(`${from}.ffn_gate.weight`, [d_model, d_mlp], "out in");
    weights.set(`${to}.mlp.W_gate`, gate);
  }
  weights.set(`${to}.mlp.W_in`, yield* checkpoint.matrix(`${up}.weight`, [d_model, d_mlp], "out in"));
  weights.set(`${to}.mlp.W_out`, yield* checkpoint.matrix(`${down}.weight`, [d_mlp, d_model], "out in"));
  for (const [name, bias, size] of [
    [up, "b_in", d_mlp],
    [down, "b_out", d_model],
  ] as const) {
    const own = hasBias ? yield* checkpoint.take(`${name}.bias`, [size]) : Tensor.zeros("dim0", [size]);
    weights.set(`${to}.mlp.${bias}`, own);
  }
}
