/**
 * The forward pass, in float32.
 *
 * Per layer, with row vectors: $q = \mathrm{ln}(x) W_Q + b_Q$ and so on; scores $q k^\top / \text{scale}$, −Infinity
 * where a key lies after its query; pattern = softmax; $z = \text{pattern} \cdot v$; the layer adds
 * $\sum_h z_h W_O^h + b_O$. Shortformer positions join the inputs of q and k alone, after the norm; rotary ones turn q
 * and k. An MLP reads the stream with the attention's output, or in parallel models what the attention read, through a
 * norm of its own, and adds $f(x W_{in} + b_{in}) W_{out} + b_{out}$.
 */
import { requireObject } from "../errors.ts";
import { add, causalAttention, causalSoftmax, matmul, softmax, sum } from "../tensor/index.ts";
import type { Tensor } from "../tensor/index.ts";
import type { AttentionLayer } from "./attention.ts";
import { withBias } from "./bias.ts";
import type { ActivationCache } from "./cache.ts";
import { resolveEdits } from "./edits.ts";
import type { EditsLike } from "./edits.ts";
import { embedTokens, positionalEmbedding } from "./embedding.ts";
import type { ModelParts } from "./embedding.ts";
import {
  attentionScores,
  headResults,
  normalizePerHead,
  overHeads,
  project,
  weightValues,
  writeHeads,
} from "./head-products.ts";
import type { HeadStream, HeadVectors, Scores, Stream } from "./head-products.ts";
import { rotate } from "./rotary.ts";
import { mlpOutput } from "./mlp.ts";
import { HookSession } from "./session.ts";
import type { CacheRequest } from "./session.ts";
import { toTokenTensor } from "./tokens.ts";

/**
 * What a run keeps and changes.
 * @category Model
 */
export interface RunOptions {
  /** Which activations to keep; all by default. What can be computed from others is, when asked for. */
  readonly cache?: CacheRequest;
  /** Changes of activations as they pass: by hook name, as edits of `/interventions`, or a list of such. */
  readonly edits?: EditsLike;
  /** Cancels the run between layers. */
  readonly signal?: AbortSignal;
}

/**
 * The outcome of a run.
 * @category Model
 */
export interface Run {
  /** The tokens that went in, `[batch, pos]`. */
  readonly tokens: Tensor<"batch pos">;
  /** The logits, `[batch, pos, d_vocab]`. */
  readonly logits: Tensor<"batch pos d_vocab">;
  /** The activations that were kept. */
  readonly cache: ActivationCache;
}

/** Runs checked tokens through a model. */
export function forwardPass(model: ModelParts, tokens: Tensor<"batch pos">, options: RunOptions): Run {
  requireObject(options, "options", "run");
  const hooks = new HookSession(model.config, options.cache ?? "all", resolveEdits(model.config, options.edits));
  const fired = hooks.fire("hook_tokens", tokens);
  const ids = hooks.edits("hook_tokens") ? toTokenTensor(model.config, fired, "run") : fired;
  const embed = hooks.fire("hook_embed", embedTokens(model, ids));
  const positions = positionalEmbedding(model, ids);
  const pos_embed = positions === undefined ? undefined : hooks.fire("hook_pos_embed", positions);
  const isStandard = model.config.positional_embedding_type === "standard";
  const resid = isStandard && pos_embed !== undefined ? add(embed, pos_embed) : embed;
  return finished(model, tokens, { layer: 0, resid, shortformer: isStandard ? undefined : pos_embed }, hooks, options);
}

/** Where a run stands before a layer. */
interface Before {
  readonly layer: number;
  readonly resid: Stream;
  /** Positions that queries and keys of every layer read beside the stream. */
  readonly shortformer: Stream | undefined;
}

/** The rest of a run. */
function finished(
  model: ModelParts,
  tokens: Tensor<"batch pos">,
  { layer: first, resid: before, shortformer }: Before,
  hooks: HookSession,
  { signal }: RunOptions,
): Run {
  let resid = before;
  for (const layer of model.layers.slice(first)) {
    signal?.throwIfAborted();
    resid = runLayer(model, layer, resid, shortformer, hooks);
  }
  const normalized = hooks.throughNorm(model.ln_final, resid, "ln_final");
  const final = hooks.fire("unembed.hook_in", normalized);
  const logits = hooks.fire(
    "unembed.hook_out",
    withBias(matmul(final, model.weight("unembed.W_U") as Tensor<"d_model d_vocab">), model.b_U),
  );
  return Object.freeze({ tokens, logits, cache: hooks.cache() });
}

/**
 * A run that goes on from what the heads of a layer give, everything before it as an earlier run of the same tokens had
 * it: the numbers are those of a whole run in which an edit gives these, to the bit.
 *
 * @param from - the layer, the stream before it, and the heads' outputs in place of their own; they pass no hook.
 */
export function resumePass(
  { inFloat32: model }: { readonly inFloat32: ModelParts },
  tokens: Tensor<"batch pos">,
  from: { readonly layer: number; readonly resid: Stream; readonly z: HeadVectors },
  options: RunOptions,
): Run {
  const hooks = new HookSession(model.config, options.cache ?? "all", resolveEdits(model.config, options.edits));
  const layer = model.layers[from.layer] as AttentionLayer;
  options.signal?.throwIfAborted();
  const isStandard = model.config.positional_embedding_type === "standard";
  const before: Before = {
    layer: from.layer + 1,
    resid: afterHeads(model, layer, from.resid, from.z, hooks),
    shortformer: isStandard ? undefined : positionalEmbedding(model, tokens),
  };
  return finished(model, tokens, before, hooks, options);
}

function runLayer(
  model: ModelParts,
  layer: AttentionLayer,
  resid_pre: Stream,
  shortformer: Stream | undefined,
  hooks: HookSession,
): Stream {
  const at = `blocks.${layer.layer}` as const;
  const resid = hooks.fire(`${at}.hook_resid_pre`, resid_pre);
  const inputs = layerInputs(layer, resid, shortformer, hooks);
  const q = hooks.fire(`${at}.attn.hook_q`, project(inputs.q, layer.W_Q, layer.b_Q));
  const k = hooks.fire(`${at}.attn.hook_k`, project(inputs.k, layer.W_K, layer.b_K));
  const v = hooks.fire(`${at}.attn.hook_v`, project(inputs.v, layer.W_V, layer.b_V));
  const isRotary = model.config.positional_embedding_type === "rotary";
  const query = isRotary ? hooks.fire(`${at}.attn.hook_rot_q`, rotate(q, model.config)) : q;
  const key = isRotary ? hooks.fire(`${at}.attn.hook_rot_k`, rotate(k, model.config)) : k;
  const isCausal = model.config.attention_dir === "causal";
  const isUnseen = !hooks.sees(`${at}.attn.hook_attn_scores`) && !hooks.sees(`${at}.attn.hook_pattern`);
  // Patterns are float32 whatever the weights are; in one pass float64 vectors would give float64 ones.
  const areFloat32 = [query, key, v].every(({ dtype }) => dtype === "float32");
  const weighted =
    isCausal && isUnseen && areFloat32
      ? causalAttention(query, key, v, { scale: layer.attnScale })
      : weightValues(patternOf(layer, query, key, isCausal, hooks), v);
  const z = hooks.fire(`${at}.attn.hook_z`, weighted);
  return afterHeads(model, layer, resid, z, hooks);
}

/** The stream after a layer whose heads give `z`. */
function afterHeads(
  model: ModelParts,
  layer: AttentionLayer,
  resid: Stream,
  z: HeadVectors,
  hooks: HookSession,
): Stream {
  const at = `blocks.${layer.layer}` as const;
  const attn_out = hooks.fire(`${at}.hook_attn_out`, writeOut(layer, z, hooks));
  return hooks.fire(`${at}.hook_resid_post`, throughMlp(model, layer, resid, attn_out, hooks));
}

/** The stream with what the layer's attention and, where there is one, its MLP add. */
function throughMlp(
  model: ModelParts,
  { layer, mlp }: AttentionLayer,
  resid: Stream,
  attn_out: Stream,
  hooks: HookSession,
): Stream {
  const sum = add(resid, attn_out);
  if (mlp === undefined) return sum;
  if (model.config.parallel_attn_mlp === true) return add(sum, mlpOutput(mlp, resid, hooks));
  const resid_mid = hooks.fire(`blocks.${layer}.hook_resid_mid`, sum);
  return add(resid_mid, mlpOutput(mlp, resid_mid, hooks));
}

/**
 * Scores and pattern as they are where someone looks at them; {@link causalAttention} gives the same `z`, to the bit.
 */
function patternOf(
  layer: AttentionLayer,
  query: HeadVectors,
  key: HeadVectors,
  isCausal: boolean,
  hooks: HookSession,
): Scores {
  const at = `blocks.${layer.layer}.attn` as const;
  const scores = hooks.fire(`${at}.hook_attn_scores`, attentionScores(query, key, layer.attnScale, isCausal));
  const isUntouched = isCausal && !hooks.edits(`${at}.hook_attn_scores`);
  return hooks.fire(`${at}.hook_pattern`, isUntouched ? causalSoftmax(scores) : softmax(scores, "key_pos"));
}

interface LayerInputs {
  readonly q: Stream | HeadStream;
  readonly k: Stream | HeadStream;
  readonly v: Stream | HeadStream;
}

/** What queries, keys and values are read from: shared by all heads, unless an edit splits it. */
function layerInputs(
  layer: AttentionLayer,
  resid: Stream,
  shortformer: Stream | undefined,
  hooks: HookSession,
): LayerInputs {
  const at = `blocks.${layer.layer}` as const;
  const heads = layer.heads.length;
  const attn_in = hooks.fire(`${at}.hook_attn_in`, overHeads(resid, heads));
  const split = (["q", "k", "v"] as const).map((side) => {
    const name = `${at}.hook_${side}_input` as const;
    const input = hooks.fire(name, attn_in);
    return hooks.edits(name) || hooks.edits(`${at}.hook_attn_in`) ? input : undefined;
  });
  const shared = hooks.throughNorm(layer.ln1, resid, `${at}.ln1`);
  const [q, k, v] = split.map((input) => (input === undefined ? shared : normalizePerHead(layer.ln1, input)));
  const withPositions = (x: Stream | HeadStream): Stream | HeadStream =>
    shortformer === undefined ? x : (add(x as Tensor, shortformer as Tensor) as Stream | HeadStream);
  return { q: withPositions(q ?? shared), k: withPositions(k ?? shared), v: v ?? shared };
}

/** What the layer adds to the stream: the heads' results as one product, or their sum where an edit looks at them. */
function writeOut(layer: AttentionLayer, z: HeadVectors, hooks: HookSession): Stream {
  const name = `blocks.${layer.layer}.attn.hook_result` as const;
  if (hooks.edits(name)) return add(sum(hooks.fire(name, headResults(layer, z)), "head"), layer.b_O);
  hooks.keepLazily(name, () => headResults(layer, z));
  return writeHeads(layer, z);
}
