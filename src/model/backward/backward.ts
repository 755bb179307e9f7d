/**
 * The backward pass: the forward pass of forward.ts in reverse, by hand. The residual stream makes it short: the
 * gradient by the stream goes down unchanged, and every layer adds what it has read.
 *
 * Products are those of the kernels, with operands transposed by their strides; long sums (norms, biases) are float64.
 * What heads read of the stream is never made one by one unless it is asked for.
 */
import { gradientKernels, referenceGradientKernels } from "../../kernels/index.ts";
import { add } from "../../tensor/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { AttentionLayer } from "../attention.ts";
import type { HookName } from "../hooks.ts";
import { backThroughHeads, isInOnePass } from "./attention.ts";
import type { SeesHook } from "./attention.ts";
import type { PaddingMask } from "../attention-mask.ts";
import type { ModelParts } from "../embedding.ts";
import { backThroughMlp } from "./mlp.ts";
import { backThroughNorm } from "./norm.ts";
import type { Backward } from "./pass.ts";
import { addInto } from "./products.ts";
import { backThroughUnembedding } from "./unembedding.ts";
import type { LogitGradient } from "./unembedding.ts";

/** The hooks whose activations a backward pass reads, down to a layer. */
export function activationsFor(
  { config, layers }: ModelParts,
  firstLayer: number,
  run: { readonly pos: number; readonly mask: PaddingMask | undefined; readonly sees: SeesHook },
): HookName[] {
  const names: HookName[] = ["hook_tokens", "unembed.hook_in"];
  const hasNorm = config.normalization_type !== null;
  const isRotary = config.positional_embedding_type === "rotary";
  if (hasNorm) names.push("ln_final.hook_scale", "ln_final.hook_normalized");
  if (config.positional_embedding_type === "shortformer") names.push("hook_pos_embed");
  if (config.n_layers === 0)
    names.push("hook_embed", ...(config.positional_embedding_type === "standard" ? (["hook_pos_embed"] as const) : []));
  for (const own of layers.slice(firstLayer)) {
    const at = `blocks.${own.layer}` as const;
    names.push(`${at}.hook_resid_pre`, `${at}.attn.hook_v`, `${at}.attn.hook_z`);
    if (!isInOnePass(own, run)) names.push(`${at}.attn.hook_pattern`);
    names.push(`${at}.attn.hook_${isRotary ? "rot_q" : "q"}`, `${at}.attn.hook_${isRotary ? "rot_k" : "k"}`);
    names.push(`${at}.hook_resid_post`);
    if (hasNorm) names.push(`${at}.ln1.hook_scale`, `${at}.ln1.hook_normalized`);
    if (config.attn_only) continue;
    names.push(`${at}.hook_mlp_in`, `${at}.mlp.hook_pre`, `${at}.mlp.hook_post`);
    if (config.gated_mlp === true) names.push(`${at}.mlp.hook_pre_linear`);
    if (hasNorm) names.push(`${at}.ln2.hook_scale`, `${at}.ln2.hook_normalized`);
    if (config.act_fn !== "solu_ln") continue;
    names.push(`${at}.mlp.hook_mid`, `${at}.mlp.ln.hook_scale`, `${at}.mlp.ln.hook_normalized`);
  }
  return names;
}

/** Goes back from the logits, where a gradient is given there, to the embedding, or to the first layer asked for. */
export function runBackward(
  pass: Backward,
  atLogits: LogitGradient | undefined,
  firstLayer: number,
  signal: AbortSignal | undefined,
): void {
  const { model, hooks, take, batch, pos } = pass;
  const { d_model, n_layers, positional_embedding_type } = model.config;
  const size = batch * pos * d_model;
  const atPositions = positional_embedding_type === "shortformer" ? take(size).fill(0) : undefined;
  const last = (): Tensor => pass.activation(`blocks.${n_layers - 1}.hook_resid_post`);
  const input = n_layers > 0 ? last : (): Tensor => embedded(pass);
  const atFinal = backThroughUnembedding(pass, atLogits);
  // A copy: every layer adds to it, and what a hook gave may be someone else's.
  let atResid = take(size);
  atResid.set(backThroughNorm(pass, model.ln_final, "ln_final", input, atFinal));
  for (const layer of [...model.layers].reverse()) {
    if (layer.layer < firstLayer) return;
    signal?.throwIfAborted();
    atResid = backThroughLayer(pass, layer, atResid, atPositions);
  }
  const shape = [batch, pos, d_model];
  const byPositions = atPositions ?? (positional_embedding_type === "standard" ? atResid : undefined);
  if (byPositions !== undefined) {
    backThroughPositions(pass, hooks.pass("hook_pos_embed", "batch pos d_model", shape, byPositions));
  }
  backThroughEmbedding(pass, hooks.pass("hook_embed", "batch pos d_model", shape, atResid));
}

/** The stream of a model without layers. */
function embedded({ model, activation }: Backward): Tensor {
  const isStandard = model.config.positional_embedding_type === "standard";
  return isStandard ? add(activation("hook_embed"), activation("hook_pos_embed")) : activation("hook_embed");
}

function backThroughLayer(
  pass: Backward,
  layer: AttentionLayer,
  given: Float32Array,
  atPositions: Float32Array | undefined,
): Float32Array {
  const { hooks, batch, pos, model } = pass;
  const at = `blocks.${layer.layer}` as const;
  const shape = [batch, pos, model.config.d_model];
  const through = (name: HookName, gradient: Float32Array): Float32Array =>
    hooks.pass(name, "batch pos d_model", shape, gradient);
  const isParallel = model.config.parallel_attn_mlp === true;
  let atResid = through(`${at}.hook_resid_post`, given);
  const { mlp } = layer;
  const byMlp = mlp === undefined ? undefined : backThroughMlp(pass, mlp, through(`${at}.hook_mlp_out`, atResid));
  if (byMlp !== undefined && !isParallel) {
    addInto(atResid, byMlp);
    atResid = through(`${at}.hook_resid_mid`, atResid);
  }
  backThroughHeads(pass, layer, through(`${at}.hook_attn_out`, atResid), atResid, atPositions);
  if (byMlp !== undefined && isParallel) addInto(atResid, byMlp);
  return through(`${at}.hook_resid_pre`, atResid);
}

/** The gradient by the positional embedding, summed over prompts. */
function backThroughPositions({ batch, pos, mask, parameter }: Backward, gradient: Float32Array): void {
  const out = parameter("pos_embed.W_pos");
  if (out === undefined) return;
  out.fill(0);
  const each = gradient.length / batch;
  if (mask !== undefined) {
    const d = each / pos;
    for (const [row, place] of mask.places.entries()) {
      if (mask.visible[row] === 0) continue;
      addInto(out.subarray(place * d, (place + 1) * d), gradient.subarray(row * d, (row + 1) * d));
    }
    return;
  }
  for (let b = 0; b < batch; b++) addInto(out.subarray(0, each), gradient.subarray(b * each, (b + 1) * each));
}

/** The gradient by the token embedding: that of each position is added to the row of its token. */
function backThroughEmbedding({ model, activation, parameter }: Backward, gradient: Float32Array): void {
  const out = parameter("embed.W_E");
  if (out === undefined) return;
  const places = Int32Array.from(rawData(activation("hook_tokens")));
  const rows = { rows: places.length, cols: model.config.d_model, from: gradient, places, out };
  (gradientKernels() ?? referenceGradientKernels).addRowsAt(rows);
}
