/**
 * GPT-Neo as Hugging Face stores it: the blocks of GPT-2 in Linear layers, with queries, keys and values apart, scores
 * that are not scaled, and layers that by turns see all positions and a window of them.
 */
import { parseConfig } from "../../model/index.ts";
import type { Checkpoint, Taking } from "./checkpoint.ts";
import { ConfigFields } from "./config-fields.ts";
import { convertNanoStyle } from "./gpt2.ts";
import type { BlockNames, Converted } from "./gpt2.ts";

/** The masks that older files hold among the weights. */
const MASKS = [/(^|\.)h\.\d+\.attn\.attention\.(bias|masked_bias)$/];

/** The attention of each layer: listed, or as kinds by turns with how often they come. */
function kindsOf(fields: ConfigFields, n_layers: number): unknown[] {
  const listed = fields.get("attention_layers");
  const turns = fields.get("attention_types") ?? [[["global", "local"], n_layers / 2]];
  const spelled = (Array.isArray(turns) ? turns : []).flatMap((turn: unknown) => {
    const [kinds, times] = Array.isArray(turn) ? (turn as readonly unknown[]) : [];
    const isRead = Array.isArray(kinds) && Number.isInteger(times) && (times as number) >= 0 && kinds.length > 0;
    if (!isRead || kinds.length * (times as number) > n_layers) return [undefined];
    return Array.from({ length: times as number }, () => kinds as unknown[]).flat();
  });
  const found = listed === undefined ? spelled : listed;
  const name = listed === undefined ? "attention_types" : "attention_layers";
  const isKind = (kind: unknown): boolean => kind === "global" || kind === "local";
  if (!Array.isArray(found) || found.length !== n_layers || !found.every(isKind)) {
    throw fields.wrong(name, "it says what each layer sees.", `"global" or "local" for ${n_layers} layers`);
  }
  return found;
}

/** Hugging Face's GPT-Neo, with the prefix `transformer.` or without. */
export function* convertGptNeo(checkpoint: Checkpoint, json: unknown): Taking<Converted> {
  const fields = new ConfigFields(json, checkpoint.source, "Hugging Face's GPT-Neo", "huggingface-gpt-neo");
  fields.requireTypes(["gpt_neo"]);
  const d_model = fields.size("d_model");
  const n_heads = fields.size("n_heads");
  const n_layers = fields.size("n_layers");
  const n_ctx = fields.size("n_ctx");
  const size = fields.sizeAt("window_size", 256);
  const attn_types = kindsOf(fields, n_layers);
  const config = parseConfig({
    n_layers,
    n_heads,
    d_model,
    d_head: fields.headWidth(d_model, n_heads),
    d_mlp: fields.size("d_mlp", 4 * d_model),
    n_ctx,
    d_vocab: fields.size("d_vocab"),
    act_fn: fields.activation("gelu_new"),
    eps: fields.number("eps", 1e-5),
    use_attn_scale: false,
    ...(size < n_ctx ? { use_local_attn: true, window_size: size, attn_types } : {}),
  });
  checkpoint.notes.push(...fields.settle(config));
  const at = checkpoint.below("transformer.");
  const names: BlockNames = {
    at: (layer) => `${at}h.${layer}`,
    order: "out in",
    ln: ["ln_1", "ln_2"],
    c_fc: "mlp.c_fc",
    c_proj: "mlp.c_proj",
    qkv: ["attention.q_proj", "attention.k_proj", "attention.v_proj"],
    out: "attention.out_proj",
  };
  for (let layer = 0; layer < n_layers; layer++) {
    for (const name of ["ln_1", "ln_2", "mlp.c_fc", "mlp.c_proj", "attn.attention.out_proj"]) {
      yield* checkpoint.take(`${names.at(layer)}.${name}.bias`);
    }
  }
  yield* checkpoint.take(`${at}ln_f.bias`, [d_model]);
  return yield* convertNanoStyle(
    checkpoint,
    config,
    names,
    at,
    fields.flag("tie_word_embeddings", true),
    MASKS,
    "GPT-Neo",
  );
}
