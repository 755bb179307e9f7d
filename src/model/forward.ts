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
import { kernels, matrix, transposed } from "../kernels/index.ts";
import type { FloatArray, MatrixView } from "../kernels/index.ts";
import { add, causalAttention, causalSoftmax, matmul, softmax, sum, Tensor } from "../tensor/index.ts";
import { dataForResult, rawData, reshaped, rightOperand, viewOf } from "../tensor/internal.ts";
import type { AttentionLayer } from "./attention.ts";
import { withBias } from "./bias.ts";
import type { ActivationCache } from "./cache.ts";
import { resolveEdits } from "./edits.ts";
import type { EditsLike } from "./edits.ts";
import type { Norm } from "./norm.ts";
import { rotate } from "./rotary.ts";
import { mlpOutput } from "./mlp.ts";
import { HookSession } from "./session.ts";
import type { CacheRequest } from "./session.ts";
import { toTokenTensor } from "./tokens.ts";
import type { ModelConfig } from "./model-config.ts";

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

type Stream = Tensor<"batch pos d_model">;
type HeadStream = Tensor<"batch pos head d_model">;
type HeadVectors = Tensor<"batch pos head d_head">;
type Scores = Tensor<"batch head query_pos key_pos">;

/** What a pass reads of a model. */
interface Parts {
  readonly config: ModelConfig;
  readonly layers: readonly AttentionLayer[];
  readonly ln_final: Norm | undefined;
  readonly b_U: Tensor<"d_vocab">;
  /** Whether there are positions. */
  readonly W_pos: unknown;
  weight(name: string): Tensor;
}

/** Runs checked tokens through a model. */
export function forwardPass(model: Parts, tokens: Tensor<"batch pos">, options: RunOptions): Run {
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
  model: Parts,
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
  { inFloat32: model }: { readonly inFloat32: Parts },
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

function embedTokens(model: Parts, tokens: Tensor<"batch pos">): Stream {
  const W_E = model.weight("embed.W_E");
  const rows = rawData(W_E);
  const d = model.config.d_model;
  const ids = rawData(tokens);
  const out = dataForResult("float32", tokens.size * d);
  for (let i = 0; i < ids.length; i++)
    out.set(rows.subarray((ids[i] as number) * d, ((ids[i] as number) + 1) * d), i * d);
  return Tensor.from("batch pos d_model", [...tokens.shape, d], out);
}

/** The positional embedding repeated over the batch, as a view. */
function positionalEmbedding(model: Parts, tokens: Tensor<"batch pos">): Stream | undefined {
  if (model.W_pos === undefined) return undefined;
  const d = model.config.d_model;
  const W_pos = reshaped(model.weight("pos_embed.W_pos"), "pos d_model", [model.config.n_ctx, d]);
  return viewOf(W_pos, "batch pos d_model", {
    shape: [...tokens.shape, d],
    strides: [0, d, 1],
    offset: 0,
  });
}

function runLayer(
  model: Parts,
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
function afterHeads(model: Parts, layer: AttentionLayer, resid: Stream, z: HeadVectors, hooks: HookSession): Stream {
  const at = `blocks.${layer.layer}` as const;
  const attn_out = hooks.fire(`${at}.hook_attn_out`, writeOut(layer, z, hooks));
  return hooks.fire(`${at}.hook_resid_post`, throughMlp(model, layer, resid, attn_out, hooks));
}

/** The stream with what the layer's attention and, where there is one, its MLP add. */
function throughMlp(
  model: Parts,
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

/** The stream seen once for each head, as a view. */
function overHeads(x: Stream, heads: number): HeadStream {
  const [batch = 0, pos = 0, d = 0] = x.shape;
  const [sb = 0, sp = 0, sd = 0] = x.strides;
  return viewOf(x, "batch pos head d_model", {
    shape: [batch, pos, heads, d],
    strides: [sb, sp, 0, sd],
    offset: x.offset,
  });
}

function normalizePerHead(norm: Norm | undefined, x: HeadStream): HeadStream {
  if (norm === undefined) return x;
  const [batch = 0, pos = 0, heads = 0, d = 0] = x.shape;
  const rows = reshaped(x, "batch pos d_model", [batch, pos * heads, d]);
  const normalized = norm.apply(rows);
  return reshaped(normalized, "batch pos head d_model", x.shape);
}

const asFloats = (t: Tensor): FloatArray => rawData(t) as FloatArray;

/** Views of `[batch, pos, head, width]` data as one matrix `[pos, width]` per head, for one element of the batch. */
function perHead(t: HeadVectors | HeadStream, b: number): MatrixView {
  const [, pos = 0, heads = 0, width = 0] = t.shape;
  return matrix(asFloats(t), heads * width, width, b * pos * heads * width);
}

/** $x W + b$ for every head. */
function project(x: Stream | HeadStream, W: Tensor<"head d_model d_head">, b: Tensor<"head d_head">): HeadVectors {
  const [heads = 0, d_model = 0, d_head = 0] = W.shape;
  const [batch = 0, pos = 0] = x.shape;
  const rows = batch * pos;
  const out = dataForResult("float32", rows * heads * d_head) as FloatArray;
  const isPerHead = x.rank === 4;
  const a = isPerHead ? matrix(asFloats(x), heads * d_model, d_model) : matrix(asFloats(x), d_model);
  const view = matrix(out, heads * d_head, d_head);
  kernels().matmul({ batch: heads, m: rows, n: d_head, k: d_model, a, ...rightOperand(W, rows), out: view });
  return withBias(Tensor.from("batch pos head d_head", [batch, pos, heads, d_head], out), b);
}

function attentionScores(q: HeadVectors, k: HeadVectors, scale: number, isCausal: boolean): Scores {
  const [batch = 0, pos = 0, heads = 0, d_head = 0] = q.shape;
  const out = dataForResult("float32", batch * heads * pos * pos) as FloatArray;
  for (let b = 0; b < batch; b++) {
    const view = matrix(out, pos, pos * pos, b * heads * pos * pos);
    kernels().matmul({
      batch: heads,
      m: pos,
      n: pos,
      k: d_head,
      a: perHead(q, b),
      b: transposed(perHead(k, b)),
      out: view,
    });
  }
  const divisor = Math.fround(scale);
  for (let row = 0; row < batch * heads * pos; row++) {
    const seen = isCausal ? (row % pos) + 1 : pos;
    const start = row * pos;
    for (let j = start; j < start + seen; j++) out[j] = (out[j] as number) / divisor;
    out.fill(-Infinity, start + seen, start + pos);
  }
  return Tensor.from("batch head query_pos key_pos", [batch, heads, pos, pos], out);
}

function weightValues(pattern: Scores, v: HeadVectors): HeadVectors {
  const [batch = 0, pos = 0, heads = 0, d_head = 0] = v.shape;
  const out = dataForResult("float32", v.size) as FloatArray;
  for (let b = 0; b < batch; b++) {
    const a = matrix(asFloats(pattern), pos, pos * pos, b * heads * pos * pos);
    const view = { ...perHead(v, b), data: out };
    kernels().matmul({ batch: heads, m: pos, n: d_head, k: pos, a, b: perHead(v, b), out: view });
  }
  return Tensor.from("batch pos head d_head", [batch, pos, heads, d_head], out);
}

/** $z_h W_O^h$ for every head, without $b_O$. */
function headResults(layer: AttentionLayer, z: HeadVectors): HeadStream {
  const [batch = 0, pos = 0, heads = 0, d_head = 0] = z.shape;
  const d_model = layer.W_O.sizeOf("d_model");
  const rows = batch * pos;
  const out = dataForResult("float32", rows * heads * d_model) as FloatArray;
  const a = matrix(asFloats(z), heads * d_head, d_head);
  const view = matrix(out, heads * d_model, d_model);
  kernels().matmul({ batch: heads, m: rows, n: d_model, k: d_head, a, ...rightOperand(layer.W_O, rows), out: view });
  return Tensor.from("batch pos head d_model", [batch, pos, heads, d_model], out);
}

/** What the layer adds to the stream: the heads' results as one product, or their sum where an edit looks at them. */
function writeOut(layer: AttentionLayer, z: HeadVectors, hooks: HookSession): Stream {
  const name = `blocks.${layer.layer}.attn.hook_result` as const;
  if (hooks.edits(name)) return add(sum(hooks.fire(name, headResults(layer, z)), "head"), layer.b_O);
  hooks.keepLazily(name, () => headResults(layer, z));
  const [batch = 0, pos = 0, heads = 0, d_head = 0] = z.shape;
  const concatenated = reshaped(z, "batch pos head_and_d_head", [batch, pos, heads * d_head]);
  const W_O = reshaped(layer.W_O, "head_and_d_head d_model", [heads * d_head, layer.W_O.sizeOf("d_model")]);
  return withBias(matmul(concatenated, W_O), layer.b_O);
}
