/**
 * nanoGPT and minGPT. Their GELU is not in their files, and it changed: minGPT's was exact while its names were
 * `tok_emb` and `blocks`, and has been the tanh form since it took GPT-2's names in June 2022; nanoGPT began with the
 * tanh form in December 2022, got its option `bias` in January 2023, let embeddings decay in May and has had the exact
 * one since June 2023 (histories of karpathy/minGPT, karpathy/nanoGPT).
 */
import { InputError } from "../../errors.ts";
import { parseConfig } from "../../model/index.ts";
import type { ModelConfig } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { Checkpoint, Taking } from "./checkpoint.ts";
import { ConfigFields } from "./config-fields.ts";
import { BLOCK, MASKS, biasNames, convertBlocks, convertNanoStyle, requireBiases } from "./gpt2.ts";
import type { BlockNames, Converted } from "./gpt2.ts";
import type { Known, LayoutOptions } from "./names.ts";

/** Sizes under nanoGPT's and minGPT's names or TransformerLens's. */
function nanoConfig(fields: ConfigFields, gelu: string): ModelConfig {
  const d_model = fields.size("d_model");
  const n_heads = fields.size("n_heads");
  const d_vocab = fields.size("d_vocab");
  return parseConfig({
    n_layers: fields.size("n_layers"),
    n_heads,
    d_model,
    d_head: fields.headWidth(d_model, n_heads),
    d_mlp: fields.size("d_mlp", 4 * d_model),
    n_ctx: fields.size("n_ctx"),
    d_vocab,
    d_vocab_out: fields.sizeAt("d_vocab_out", d_vocab),
    act_fn: fields.activation(gelu),
    eps: fields.number("eps", 1e-5),
  });
}

/** The configuration with what is said twice settled and the activation function that the caller chose. */
function settled(checkpoint: Checkpoint, fields: ConfigFields, gelu: string, { act_fn }: LayoutOptions): ModelConfig {
  const config = nanoConfig(fields, gelu);
  checkpoint.notes.push(...fields.settle(config));
  if (act_fn === undefined || act_fn === config.act_fn) return config;
  if (fields.get("act_fn") === undefined && fields.get("activation_function") === undefined) {
    return parseConfig({ ...config, act_fn });
  }
  throw new InputError(`the option act_fn is ${JSON.stringify(act_fn)}, but the configuration says ${config.act_fn}.`, {
    operation: checkpoint.source.operation,
    argument: "act_fn",
    expected: config.act_fn,
    actual: act_fn,
  });
}

/**
 * The fields of the model, which nanoGPT keeps as `model_args` in its checkpoint, minGPT as `model` in its
 * configuration.
 */
function modelFields(json: unknown, checkpoint: Checkpoint, library: string): ConfigFields {
  const whole = new ConfigFields(json, checkpoint.source, library);
  const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;
  const inner = [whole.get("model_args"), whole.get("model")].find(isObject);
  return new ConfigFields(inner ?? json, checkpoint.source, library, "nanogpt");
}

/**
 * The GELU of a checkpoint with GPT-2's names in Linear layers, by what tells its age, with a note where that leaves a
 * doubt.
 *
 * @param optimizer - the optimizer's state, where the checkpoint has it: before embeddings decayed, its first group had
 * four matrices a layer.
 */
function geluOf(
  fields: ConfigFields,
  hasBias: boolean,
  optimizer: unknown,
): { readonly gelu: string; readonly note?: string } {
  const doubt = (gelu: string, why: string): { gelu: string; note: string } => ({
    gelu,
    note: `act_fn is taken to be ${gelu}: ${why} The file does not say it; where that is wrong, give the option act_fn.`,
  });
  const type = fields.get("model_type");
  const isMinGpt =
    ["attn_pdrop", "embd_pdrop", "resid_pdrop"].some((name) => fields.get(name) !== undefined) ||
    (typeof type === "string" && /gpt/.test(type));
  if (isMinGpt) return { gelu: "gelu_new" };
  if (fields.get("bias") === undefined && hasBias) {
    return doubt(
      "gelu_new",
      'there is no "bias" in the configuration, as nanoGPT had none until January 2023 nor minGPT ever.',
    );
  }
  const decaying = (optimizer as { param_groups?: { params?: unknown[] }[] } | undefined)?.param_groups?.[0]?.params
    ?.length;
  if (decaying === 4 * fields.size("n_layers")) return { gelu: "gelu_new" };
  return doubt("gelu", "nanoGPT has had the exact GELU since June 2023, from January to then gelu_new.");
}

/** nanoGPT's checkpoint; its configuration is `model_args`, of which the rest of the file may be around. */
export function* convertNanoGpt(checkpoint: Checkpoint, json: unknown, options: Known): Taking<Converted> {
  const fields = modelFields(json, checkpoint, "nanoGPT");
  const at = checkpoint.below("transformer.");
  const optimizer = options.optimizer ?? new ConfigFields(json, checkpoint.source, "nanoGPT").get("optimizer");
  const { gelu, note } = geluOf(fields, checkpoint.has(`${at}ln_f.bias`), optimizer);
  const config = settled(checkpoint, fields, gelu, options);
  const isSaid = [options.act_fn, fields.get("act_fn"), fields.get("activation_function")].some((v) => v !== undefined);
  if (note !== undefined && !isSaid) checkpoint.notes.push(note);
  const names: BlockNames = { at: (layer) => `${at}h.${layer}`, order: "out in", ...BLOCK };
  const hasBias = fields.flag("bias", checkpoint.has(`${at}ln_f.bias`));
  const converted = yield* convertNanoStyle(checkpoint, config, names, at, undefined);
  requireBiases(checkpoint, hasBias, biasNames(config, names, `${at}ln_f`));
  return converted;
}

/** minGPT's older checkpoint, as Othello-GPT has it. */
export function* convertMinGpt(checkpoint: Checkpoint, json: unknown, options: LayoutOptions): Taking<Converted> {
  const config = settled(checkpoint, modelFields(json, checkpoint, "minGPT"), "gelu", options);
  const { d_model, d_vocab, n_ctx, d_vocab_out } = config;
  const names: BlockNames = {
    at: (layer) => `blocks.${layer}`,
    order: "out in",
    ln: ["ln1", "ln2"],
    c_fc: "mlp.0",
    c_proj: "mlp.2",
    qkv: ["query", "key", "value"],
    out: "proj",
  };
  const weights = new Map<string, Tensor>();
  weights.set("embed.W_E", yield* checkpoint.take("tok_emb.weight", [d_vocab, d_model]));
  const W_pos = yield* checkpoint.take("pos_emb", [1, n_ctx, d_model]);
  weights.set("pos_embed.W_pos", W_pos.select(W_pos.names[0] ?? "", 0));
  yield* convertBlocks(checkpoint, config, names, weights);
  weights.set("ln_final.w", yield* checkpoint.take("ln_f.weight", [d_model]));
  weights.set("ln_final.b", yield* checkpoint.take("ln_f.bias", [d_model]));
  weights.set("unembed.W_U", yield* checkpoint.matrix("head.weight", [d_model, d_vocab_out], "out in"));
  weights.set("unembed.b_U", yield* checkpoint.takeOrZeros("head.bias", [d_vocab_out]));
  checkpoint.finish(MASKS, "minGPT");
  requireBiases(checkpoint, true, biasNames(config, names, "ln_f"));
  return { config, weights };
}
