/**
 * The forward pass, in float32.
 *
 * Per layer, with row vectors: $q = \mathrm{ln}(x) W_Q + b_Q$ and so on; scores $q k^\top / \text{scale}$, −Infinity
 * where a key lies after its query; pattern = softmax; $z = \text{pattern} \cdot v$; the layer adds
 * $\sum_h z_h W_O^h + b_O$. Shortformer positions join the inputs of q and k alone, after the norm; rotary ones turn q
 * and k. An MLP reads the stream with the attention's output, or in parallel models what the attention read, through a
 * norm of its own, and adds $f(x W_{in} + b_{in}) W_{out} + b_{out}$. Where heads share keys and values these pass
 * their hooks once; where a layer sees a window, keys before it score −Infinity too.
 */
import { withRecycling } from "../kernels/index.ts";
import { add, causalAttention, causalSoftmax, softmax, sum } from "../tensor/index.ts";
import type { Tensor } from "../tensor/index.ts";
import type { AttentionLayer } from "./attention.ts";
import { hidePaddedKeys } from "./attention-mask.ts";
import { embedTokens, positionalEmbedding } from "./embedding.ts";
import type { RunningModel } from "./embedding.ts";
import {
  attentionScores,
  causalPattern,
  headResults,
  normalizePerHead,
  overHeads,
  project,
  weightValues,
  writeHeads,
} from "./head-products.ts";
import type { HeadStream, HeadVectors, Scores, Stream } from "./head-products.ts";
import { isWindowed, ofEachHead } from "./key-value-heads.ts";
import { rotate, rotateTo } from "./rotary.ts";
import { mlpOutput } from "./mlp.ts";
import { planOf } from "./plan.ts";
import type { Plan, Start } from "./plan.ts";
import { toRun } from "./run.ts";
import type { AllRunOptions, AnyRun } from "./run.ts";
import type { HookSession } from "./session.ts";
import { toTokenTensor } from "./tokens.ts";
import { unembedded } from "./unembedding.ts";

/** Bytes of what is computed on the way that is held in the kernels' memory at once, of two layers at most. */
const MOST_RECYCLED = 256 * 2 ** 20;

/** The logits of checked tokens; of what is computed on the way nothing is kept, and its memory serves again. */
export function logitsOf(model: RunningModel, tokens: Tensor<"batch pos">): Tensor<"batch pos d_vocab"> {
  const plan = planOf(model, tokens, { cache: [] });
  return withRecycling(({ keep, turn }) => {
    const final = beforeUnembedding(plan, layersPassed(plan, undefined, turn));
    return keep(() => unembedded(plan.parts, final));
  }, MOST_RECYCLED);
}

/** Runs checked tokens through a model. */
export function forwardPass(model: RunningModel, tokens: Tensor<"batch pos">, options: AllRunOptions): AnyRun {
  const plan = planOf(model, tokens, options);
  const { hooks, mask } = plan;
  const outcome = hooks.run(() => finished(plan, layersPassed(plan, options.signal)));
  const { positions, directions } = plan.logits;
  const trace = {
    model,
    mask,
    isWhole: plan.start === undefined,
    isUnembedded: outcome !== undefined && "logits" in outcome && (positions ?? directions) === undefined,
    waits: hooks.waits,
    before: hooks.before,
  };
  return toRun({ tokens, cache: hooks.cache(), edited: hooks.edited, trace, ...outcome });
}

/** The stream before the unembedding, or where the run stops between layers. */
function layersPassed(plan: Plan, signal: AbortSignal | undefined, afterLayer?: () => void): Stream {
  const { parts, start, stopLayer } = plan;
  let at = start === undefined ? fromTokens(plan) : fromStart(plan, start);
  for (const layer of parts.layers.slice(at.layer, stopLayer)) {
    signal?.throwIfAborted();
    at = { ...at, layer: layer.layer + 1, resid: runLayer(plan, layer, at.resid, at.shortformer) };
    afterLayer?.();
  }
  signal?.throwIfAborted();
  return at.resid;
}

/** Where a run stands before a layer. */
interface Before {
  readonly layer: number;
  readonly resid: Stream;
  /** Positions that queries and keys of every layer read beside the stream. */
  readonly shortformer: Stream | undefined;
}

function fromTokens({ parts, hooks, tokens, mask }: Plan): Before {
  const fired = hooks.fire("hook_tokens", tokens);
  const ids = hooks.edits("hook_tokens") ? toTokenTensor(parts.config, fired, "run") : fired;
  const embed = hooks.fire("hook_embed", embedTokens(parts, ids));
  const positions = positionalEmbedding(parts, ids, mask);
  const pos_embed = positions === undefined ? undefined : hooks.fire("hook_pos_embed", positions);
  const isStandard = parts.config.positional_embedding_type === "standard";
  const resid = isStandard && pos_embed !== undefined ? add(embed, pos_embed) : embed;
  return { layer: 0, resid, shortformer: isStandard ? undefined : pos_embed };
}

/** Where a run stands after what it takes from an earlier one. */
function fromStart(plan: Plan, { layer: index, hook, resid, value, shortformer }: Start): Before {
  const { parts, hooks } = plan;
  if (hook === undefined) return { layer: index, resid, shortformer };
  const layer = parts.layers[index] as AttentionLayer;
  const after = (stream: Stream): Before => ({ layer: index + 1, resid: stream, shortformer });
  if (hook === "attn.hook_z") {
    const z = hooks.fire(`blocks.${index}.attn.hook_z`, value as HeadVectors);
    return after(afterHeads(plan, layer, resid, z));
  }
  if (hook === "hook_attn_out") return after(afterAttention(plan, layer, resid, value as Stream));
  if (hook === "hook_resid_mid") return after(afterMid(plan, layer, value as Stream));
  return after(hooks.fire(`blocks.${index}.hook_resid_post`, value as Stream));
}

/** The end of the pass, after the layers. */
function finished(
  plan: Plan,
  resid: Stream,
): { readonly resid: Stream } | { readonly logits: Tensor<"batch pos d_vocab"> } {
  const { parts, hooks, stopLayer, logits } = plan;
  if (stopLayer !== undefined) return { resid };
  const final = beforeUnembedding(plan, resid);
  return { logits: hooks.fire("unembed.hook_out", unembedded(parts, final, logits)) };
}

/** What the unembedding reads: the stream after the layers, through the final norm. */
function beforeUnembedding({ parts, hooks }: Plan, resid: Stream): Stream {
  return hooks.fire("unembed.hook_in", hooks.throughNorm(parts.ln_final, resid, "ln_final"));
}

function runLayer(plan: Plan, layer: AttentionLayer, resid_pre: Stream, shortformer: Stream | undefined): Stream {
  const { parts, hooks, mask } = plan;
  const at = `blocks.${layer.layer}` as const;
  const resid = hooks.fire(`${at}.hook_resid_pre`, resid_pre);
  const inputs = layerInputs(layer, resid, shortformer, hooks);
  const q = hooks.fire(`${at}.attn.hook_q`, project(inputs.q, layer.W_Q, layer.b_Q));
  const { W_K, b_K, W_V, b_V } = layer.stored;
  const k = hooks.fire(`${at}.attn.hook_k`, project(inputs.k, W_K, b_K));
  const values = (): HeadVectors => hooks.fire(`${at}.attn.hook_v`, project(inputs.v, W_V, b_V));
  // A run that ends with patterns has no use for values.
  const needsValues = hooks.sees(`${at}.attn.hook_v`) || !hooks.endsBefore(`${at}.attn.hook_z`);
  const heads = layer.heads.length;
  const v = needsValues ? ofEachHead(values(), heads) : q;
  const isRotary = parts.config.positional_embedding_type === "rotary";
  const turned = (x: HeadVectors): HeadVectors =>
    mask === undefined ? rotate(x, parts.config) : rotateTo(x, parts.config, mask.places);
  const query = isRotary ? hooks.fire(`${at}.attn.hook_rot_q`, turned(q)) : q;
  const key = ofEachHead(isRotary ? hooks.fire(`${at}.attn.hook_rot_k`, turned(k)) : k, heads);
  const isCausal = parts.config.attention_dir === "causal" && !isWindowed(layer, key.sizeOf("pos"));
  const isUnseen = !hooks.sees(`${at}.attn.hook_attn_scores`) && !hooks.sees(`${at}.attn.hook_pattern`);
  // Patterns are float32 whatever the weights are; in one pass float64 vectors would give float64 ones.
  const areFloat32 = [query, key, v].every(({ dtype }) => dtype === "float32");
  const weighted =
    isCausal && isUnseen && areFloat32 && mask === undefined
      ? causalAttention(query, key, v, { scale: layer.attnScale })
      : weightValues(patternOf(plan, layer, query, key), v);
  const z = hooks.fire(`${at}.attn.hook_z`, weighted);
  return afterHeads(plan, layer, resid, z);
}

/** The stream after a layer whose heads give `z`. */
function afterHeads(plan: Plan, layer: AttentionLayer, resid: Stream, z: HeadVectors): Stream {
  return afterAttention(plan, layer, resid, writeOut(layer, z, plan.hooks));
}

/** The stream after a layer whose attention writes `attn_out`. */
function afterAttention(plan: Plan, layer: AttentionLayer, resid: Stream, attn_out: Stream): Stream {
  const { parts, hooks } = plan;
  const at = `blocks.${layer.layer}` as const;
  const sum = add(resid, hooks.fire(`${at}.hook_attn_out`, attn_out));
  if (layer.mlp === undefined) return hooks.fire(`${at}.hook_resid_post`, sum);
  if (parts.config.parallel_attn_mlp !== true) return afterMid(plan, layer, sum);
  return hooks.fire(`${at}.hook_resid_post`, add(sum, mlpOutput(layer.mlp, resid, hooks)));
}

/** The stream after a layer with the stream before its MLP, where there is one between. */
function afterMid({ hooks }: Plan, { layer, mlp }: AttentionLayer, sum: Stream): Stream {
  const resid_mid = hooks.fire(`blocks.${layer}.hook_resid_mid`, sum);
  const written = mlp === undefined ? resid_mid : add(resid_mid, mlpOutput(mlp, resid_mid, hooks));
  return hooks.fire(`blocks.${layer}.hook_resid_post`, written);
}

/**
 * Scores and pattern as they are where someone looks at them; {@link causalAttention} gives the same `z`, to the bit.
 */
function patternOf({ parts, hooks, mask }: Plan, layer: AttentionLayer, query: HeadVectors, key: HeadVectors): Scores {
  const at = `blocks.${layer.layer}.attn` as const;
  const isCausal = parts.config.attention_dir === "causal";
  const areFloat32 = query.dtype === "float32" && key.dtype === "float32";
  const isPlain = isCausal && mask === undefined && !isWindowed(layer, key.sizeOf("pos"));
  if (isPlain && areFloat32 && !hooks.sees(`${at}.hook_attn_scores`)) {
    return hooks.fire(`${at}.hook_pattern`, causalPattern(query, key, layer.attnScale));
  }
  const computed = attentionScores(query, key, layer.attnScale, isCausal, layer.window);
  if (mask !== undefined) hidePaddedKeys(computed, mask);
  const scores = hooks.fire(`${at}.hook_attn_scores`, computed);
  const isUntouched = isCausal && !hooks.edits(`${at}.hook_attn_scores`);
  return hooks.fire(`${at}.hook_pattern`, isUntouched ? causalSoftmax(scores) : softmax(scores, "key_pos"));
}

interface LayerInputs {
  readonly q: Stream | HeadStream;
  readonly k: Stream | HeadStream;
  readonly v: Stream | HeadStream;
}

/** The input of queries, keys and values: shared by all heads, unless an edit splits it. */
function layerInputs(
  layer: AttentionLayer,
  resid: Stream,
  shortformer: Stream | undefined,
  hooks: HookSession,
): LayerInputs {
  const at = `blocks.${layer.layer}` as const;
  const heads = layer.heads.length;
  const groups = layer.stored.W_K.sizeOf("head");
  const perHead = overHeads(resid, heads);
  // Queries of all heads, and keys and values that some of them share, have no input in common.
  const attn_in = groups === heads ? hooks.fire(`${at}.hook_attn_in`, perHead) : perHead;
  const split = (["q", "k", "v"] as const).map((side) => {
    const name = `${at}.hook_${side}_input` as const;
    const input = hooks.fire(name, side === "q" || groups === heads ? attn_in : overHeads(resid, groups));
    return hooks.edits(name) || hooks.edits(`${at}.hook_attn_in`) ? input : undefined;
  });
  const shared = hooks.throughNorm(layer.ln1, resid, `${at}.ln1`);
  const [q, k, v] = split.map((input) => (input === undefined ? shared : normalizePerHead(layer.ln1, input)));
  const withPositions = (x: Stream | HeadStream): Stream | HeadStream =>
    shortformer === undefined ? x : (add(x as Tensor, shortformer as Tensor) as Stream | HeadStream);
  const ofQueries = withPositions(q ?? shared);
  const ofKeys = k === q ? ofQueries : withPositions(k ?? shared);
  return { q: ofQueries, k: ofKeys, v: v ?? shared };
}

/** The layer's output: the heads' results as one product, or their sum where an edit looks at them. */
function writeOut(layer: AttentionLayer, z: HeadVectors, hooks: HookSession): Stream {
  const name = `blocks.${layer.layer}.attn.hook_result` as const;
  if (hooks.edits(name)) return add(sum(hooks.fire(name, headResults(layer, z)), "head"), layer.b_O);
  hooks.keepLazily(name, () => headResults(layer, z));
  return writeHeads(layer, z);
}
