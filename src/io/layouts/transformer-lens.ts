/**
 * TransformerLens's own checkpoints: the state dict of `HookedTransformer` (2.x, 3.x), that of the oldest SoLU models,
 * and the flat Linear layers of the native model of 4.x.
 */
import type { ConfigError } from "../../errors.ts";
import { expectedWeights, parseConfig } from "../../model/index.ts";
import {
  readFields,
  requireAgreement,
  requireKnownFields,
  wrongField,
  finalNormKind,
  queryKeyValueNames,
} from "../../model/internal.ts";
import type { ModelConfig } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import type { Source } from "../bytes/fault.ts";
import type { Checkpoint, HeadsLayout, ListedTensors, Taking } from "./checkpoint.ts";
import { configObject, noteUnknown } from "./config-fields.ts";
import type { Converted } from "./gpt2.ts";
import { checkRotaryTable } from "./rotary-table.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What TransformerLens keeps among its weights though it follows from the configuration. */
const MASK_BUFFER = /^blocks\.[0-9]+\.attn\.(mask|IGNORE|causal_mask)$/;
const ROTARY_TABLE = /^blocks\.[0-9]+\.attn\.rotary_(sin|cos)$/;

function asFields(json: unknown, source: Source): Fields {
  return configObject(json, source, "TransformerLens's model", "kinds of positions and norms");
}

/** The state dict of a `HookedTransformer`; its names are the library's own. */
export function* convertTransformerLens(checkpoint: Checkpoint, json: unknown): Taking<Converted> {
  const stored = json === undefined ? yield* arenaConfig(checkpoint) : json;
  const given = asFields(stored, checkpoint.source);
  const config = parseConfig(given);
  const { d_model, d_head, n_heads, n_key_value_heads: groups = n_heads } = config;
  const names = queryKeyValueNames(config);
  checkpoint.notes.push(...noteUnknown(given, "transformer-lens"));
  const weights = new Map<string, Tensor>();
  for (const name of checkpoint.names) {
    if (MASK_BUFFER.test(name)) continue;
    if (ROTARY_TABLE.test(name)) {
      yield* checkRotaryTable(checkpoint, name, config);
      continue;
    }
    // The library names keys and values so wherever it is told how many there are, of as many as heads too.
    const [, at = "", kind] = /^(blocks\.\d+\.attn\.)_([Wb]_[KV])$/.exec(name) ?? [];
    if (kind === undefined) weights.set(name, yield* checkpoint.take(name));
    else {
      const shape = kind.startsWith("W") ? [groups, d_model, d_head] : [groups, d_head];
      weights.set(`${at}${names[kind as keyof typeof names]}`, yield* checkpoint.take(name, shape));
    }
  }
  return { config, weights: withBiasOfUnembedding(weights) };
}

/** A missing $b_U$ is zero, as in TransformerLens. */
function withBiasOfUnembedding(weights: Map<string, Tensor>): Map<string, Tensor> {
  const d_vocab = weights.get("unembed.W_U")?.shape.at(-1);
  if (d_vocab !== undefined && !weights.has("unembed.b_U")) {
    weights.set("unembed.b_U", Tensor.zeros("d_vocab", [d_vocab]));
  }
  return weights;
}

/**
 * The configuration of a checkpoint without one, as ARENA's `attn_only_2L_half.pth` comes: attention only, shortformer
 * positions, no norm and no trained bias. Sizes are read off the tensors. A model whose LayerNorm was folded away has
 * the same names, but its biases are not zero; so one bias that is not zero is enough to refuse.
 */
function* arenaConfig(checkpoint: Checkpoint): Taking<Fields> {
  const names = [...checkpoint.names];
  let isPlain =
    checkpoint.has("blocks.0.attn.W_Q") &&
    checkpoint.has("pos_embed.W_pos") &&
    !names.some((name) => /\.(ln\d?|ln_final|mlp)\.|^ln_final\.|\._W_K$/.test(name));
  for (const name of names) {
    if (isPlain && /\.b_[QKVOU]$/.test(name)) isPlain = (yield* checkpoint.take(name)).data.every((x) => x === 0);
  }
  if (!isPlain) return asFields(undefined, checkpoint.source);
  const [n_heads = 0, d_model = 0, d_head = 0] = (yield* checkpoint.take("blocks.0.attn.W_Q")).shape;
  const layers = names.flatMap((name) => /^blocks\.(\d+)\.attn\.W_Q$/.exec(name)?.[1] ?? []);
  return {
    attn_only: true,
    n_layers: layers.length,
    n_heads,
    d_model,
    d_head,
    n_ctx: (yield* checkpoint.take("pos_embed.W_pos")).shape[0],
    d_vocab: (yield* checkpoint.take("embed.W_E")).shape[0],
    d_vocab_out: (yield* checkpoint.take("unembed.W_U")).shape[1],
    positional_embedding_type: "shortformer",
    normalization_type: null,
  };
}

/**
 * The oldest SoLU models: norms are called `norm`, `W_pos` is stored transposed in models of up to 8 layers and every
 * other matrix in those of up to 6. The shapes say so themselves unless a matrix is square.
 */
export function* convertOldSolu(checkpoint: Checkpoint, json: unknown): Taking<Converted> {
  const given = asFields(json, checkpoint.source);
  const config = parseConfig(given);
  checkpoint.notes.push(...noteUnknown(given, "transformer-lens"));
  const weights = new Map<string, Tensor>();
  for (const old of checkpoint.names) {
    const name = old.replaceAll("norm", "ln").replace(/^ln\./, "ln_final.");
    if (!MASK_BUFFER.test(name)) weights.set(name, yield* checkpoint.take(old));
  }
  const expected = expectedWeights({ ...config, n_layers: Math.min(config.n_layers, weights.size) });
  for (const [name, tensor] of weights) {
    const shape = expected.get(name)?.shape;
    if (shape === undefined || tensor.rank < 2 || !name.includes("W_")) continue;
    const [rows = 0, cols = 0] = shape.slice(-2);
    const newest = name === "pos_embed.W_pos" ? 8 : 6;
    const isSwapped = tensor.shape.at(-1) === rows && tensor.shape.at(-2) === cols;
    if (isSwapped && (rows !== cols || config.n_layers <= newest)) weights.set(name, transposed(tensor));
  }
  return { config, weights: withBiasOfUnembedding(weights) };
}

function transposed(t: Tensor): Tensor {
  const order = [...t.names.slice(0, -2), t.names.at(-1) ?? "", t.names.at(-2) ?? ""].join(" ");
  const swapped = t.permute(order);
  return Tensor.from(order, swapped.shape, swapped.data);
}

/** Norms that 4.3 keeps without weights and earlier releases with them. */
const WITH_WEIGHTS: Readonly<Record<string, string>> = { LNPre: "LN", RMSPre: "RMS" };

/**
 * The configuration of the native model of TransformerLens 4.x as that model understands it: it rotates neighbours
 * together, always scales scores, has no other positions than learned and rotary ones, and passes over several switches
 * of the older model.
 */
function nativeConfig(checkpoint: Checkpoint, given: Fields): ModelConfig {
  const { operation } = checkpoint.source;
  requireKnownFields(given, "transformer-lens-4", operation);
  const refuse = (field: string, why: string, expected: string): ConfigError =>
    wrongField(field, given[field], expected, why, operation);
  const {
    normalization_type: norm,
    attn_scale,
    rotary_base,
    act_fn,
    final_rms,
    positional_embedding_type: kind,
  } = given;
  if (kind === "shortformer" || kind === "none") {
    throw refuse("positional_embedding_type", "this model has none such.", "standard, rotary");
  }
  const hasNormWeights = ["blocks.0.ln1.weight", "ln_final.weight"].some((name) => checkpoint.has(name));
  if (final_rms === true && (norm === null || norm === "none") && hasNormWeights) {
    throw refuse("final_rms", "a final norm with weights where there are no others is not supported.", "false");
  }
  if (act_fn === "solu_ln" && given["attn_only"] !== true && norm !== "LN" && norm !== undefined) {
    throw refuse(
      "act_fn",
      `a norm of neurons with weights beside normalization_type ${JSON.stringify(norm)} is not supported.`,
      "solu",
    );
  }
  const isScaled = given["use_attn_scale"] !== false && typeof attn_scale === "number" && attn_scale > 0;
  return parseConfig({
    ...readFields(given, "transformer-lens-4"),
    ...(typeof norm === "string" && hasNormWeights ? { normalization_type: WITH_WEIGHTS[norm] ?? norm } : {}),
    ...(act_fn === "swish" ? { act_fn: "silu" } : {}),
    ...(typeof rotary_base === "number" ? { rotary_base: Math.trunc(rotary_base) } : {}),
    use_attn_scale: true,
    attn_scale: isScaled ? attn_scale : -1,
    parallel_attn_mlp: false,
    rotary_adjacent_pairs: true,
  });
}

/** The native model of TransformerLens 4.x, from flat Linear layers. */
export function* convertTransformerLens4(checkpoint: Checkpoint, json: unknown): Taking<Converted> {
  const given = asFields(json, checkpoint.source);
  const config = nativeConfig(checkpoint, given);
  requireAgreement(given, "transformer-lens-4", config, checkpoint.source.operation);
  checkpoint.notes.push(...noteUnknown(given, "transformer-lens-4"));
  const { n_layers, n_heads, n_key_value_heads: groups = n_heads, d_head, d_model } = config;
  const { d_vocab, d_vocab_out, n_ctx, d_mlp } = config;
  const names = queryKeyValueNames(config);
  const weights = new Map<string, Tensor>([["embed.W_E", yield* checkpoint.take("embed.weight", [d_vocab, d_model])]]);
  if (config.positional_embedding_type === "standard") {
    weights.set("pos_embed.W_pos", yield* checkpoint.take("pos_embed.weight", [n_ctx, d_model]));
  }
  const norm4 = function* (name: string, width: number): Taking<void> {
    const kind =
      name === "ln_final" ? finalNormKind(config) : name.endsWith("mlp.ln") ? "LN" : config.normalization_type;
    if (kind === "LN" || kind === "RMS") weights.set(`${name}.w`, yield* checkpoint.take(`${name}.weight`, [width]));
    if (kind === "LN") weights.set(`${name}.b`, yield* checkpoint.take(`${name}.bias`, [width]));
  };
  for (let layer = 0; layer < n_layers; layer++) {
    const at = `blocks.${layer}`;
    yield* norm4(`${at}.ln1`, d_model);
    for (const kind of ["Q", "K", "V"] as const) {
      const stored = kind === "Q" ? n_heads : groups;
      const layout: HeadsLayout = {
        order: "out in",
        n_heads: stored,
        d_head,
        d_model,
        headStep: 1,
        start: 0,
        total: stored,
      };
      const name = `${at}.attn.${kind.toLowerCase()}`;
      weights.set(`${at}.attn.${names[`W_${kind}`]}`, yield* checkpoint.headMatrices(`${name}.weight`, layout));
      weights.set(`${at}.attn.${names[`b_${kind}`]}`, yield* checkpoint.headBiases(`${name}.bias`, layout));
    }
    const layout: HeadsLayout = { order: "out in", n_heads, d_head, d_model, headStep: 1, start: 0, total: n_heads };
    weights.set(`${at}.attn.W_O`, yield* checkpoint.outputMatrices(`${at}.attn.o.weight`, layout));
    weights.set(`${at}.attn.b_O`, yield* checkpoint.takeOrZeros(`${at}.attn.o.bias`, [d_model]));
    if (d_mlp === undefined) continue;
    yield* norm4(`${at}.ln2`, d_model);
    if (config.act_fn === "solu_ln") yield* norm4(`${at}.mlp.ln`, d_mlp);
    for (const [side, shape] of [
      ["in", [d_model, d_mlp]],
      ["out", [d_mlp, d_model]],
    ] as const) {
      const name = checkpoint.has(`${at}.mlp.fc_${side}.weight`) ? `${at}.mlp.fc_${side}` : `${at}.mlp.${side}`;
      weights.set(`${at}.mlp.W_${side}`, yield* checkpoint.matrix(`${name}.weight`, shape, "out in"));
      weights.set(`${at}.mlp.b_${side}`, yield* checkpoint.takeOrZeros(`${name}.bias`, [shape[1]]));
    }
  }
  yield* norm4("ln_final", d_model);
  weights.set("unembed.W_U", yield* checkpoint.matrix("unembed.weight", [d_model, d_vocab_out], "out in"));
  weights.set("unembed.b_U", yield* checkpoint.takeOrZeros("unembed.bias", [d_vocab_out]));
  checkpoint.finish([MASK_BUFFER, /^(blocks\.\d+\.attn\.)?rotary(_emb)?\./], "TransformerLens 4.x's native model");
  return { config, weights };
}

/** Whether a state dict with TransformerLens's names is that of an old SoLU model. */
export function isOldSolu(tensors: ListedTensors, json: unknown): boolean {
  if (typeof json !== "object" || json === null) return false;
  const { architecture, original_architecture, d_model, d_vocab } = json as Fields;
  if (architecture === "neel-solu-old" || original_architecture === "neel-solu-old") return true;
  for (const name of tensors.keys()) if (/(^|\.)norm\d?\.[wb]$/.test(name)) return true;
  const [rows, cols] = tensors.shapeOf("embed.W_E") ?? [];
  return d_model !== d_vocab && rows === d_model && cols === d_vocab;
}
