/** What a model shows of itself. */
import type { Showing } from "../show/index.ts";
import type { ModelConfig } from "./model-config.ts";

const NORMS = {
  LN: "LayerNorm",
  LNPre: "LayerNorm, weights folded",
  RMS: "RMSNorm",
  RMSPre: "RMSNorm, weights folded",
};

/** A card of a model: its sizes and kinds in the field's words. */
export function modelShowing(config: ModelConfig, parameterCount: number, notes: readonly string[]): Showing {
  const { n_layers, n_heads, normalization_type: norm } = config;
  const size = (...names: ("d_model" | "d_head" | "d_mlp" | "d_vocab" | "d_vocab_out" | "n_ctx")[]): string =>
    names.map((name) => `${name}=${config[name]}`).join(" ");
  const facts: (readonly [string, string])[] = [
    [
      "sizes",
      size(
        "d_model",
        "d_head",
        "d_vocab",
        ...(config.d_vocab_out === config.d_vocab ? [] : (["d_vocab_out"] as const)),
        "n_ctx",
      ),
    ],
    ["positions", config.positional_embedding_type],
    ["norm", norm === null ? "none" : NORMS[norm]],
    ["MLPs", config.attn_only ? "none: attention-only" : `${size("d_mlp")}, ${config.act_fn}`],
    ["attention", config.attention_dir],
    ...notes.map((note) => ["note", note] as const),
  ];
  const title = `Transformer of ${n_layers} layers of ${n_heads} heads, ${parameterCount.toLocaleString("en")} weights`;
  return { title, parts: () => [{ kind: "facts", facts }] };
}
