/**
 * The derivative of what queries, keys and values are read from: the stream through its norm, which all heads share,
 * unless an edit gave heads inputs of their own. Each head's part of the gradient is made only where it is asked for.
 */
import { matrix } from "../../kernels/index.ts";
import type { FloatArray } from "../../kernels/index.ts";
import { add } from "../../tensor/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { matrixView, rawData, reshaped } from "../../tensor/internal.ts";
import type { AttentionLayer } from "../attention.ts";
import { queryKeyValueNames } from "../weights.ts";
import { normalizePerHead, swapped } from "../head-products.ts";
import type { HeadStream, Stream } from "../head-products.ts";
import type { Backward } from "./pass.ts";
import { backThroughNorm, backThroughRows } from "./norm.ts";
import { addInto, inputGradient, linearKernel, sumRows, weightGradient, wideWeightGradient } from "./products.ts";

const SIDES = ["q", "k", "v"] as const;
type Side = (typeof SIDES)[number];
const WEIGHTS = { q: "W_Q", k: "W_K", v: "W_V" } as const;
const BIASES = { q: "b_Q", k: "b_K", v: "b_V" } as const;
const HEAD_STREAM = "batch pos head d_model";

/** Gradients by queries, keys and values before rotation. */
export interface SideGradients {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
}

/** Adds to `atResid`, and for shortformer models to `atPositions`, what gradients by queries, keys and values give. */
export function backThroughInputs(
  pass: Backward,
  layer: AttentionLayer,
  gradients: SideGradients,
  atResid: Float32Array,
  atPositions: Float32Array | undefined,
): void {
  const { hooks, take } = pass;
  const at = `blocks.${layer.layer}` as const;
  const shared = SIDES.filter((side) => !isSplit(pass, layer, side));
  for (const side of SIDES) if (!shared.includes(side)) parameterGradients(pass, layer, side, gradients[side]);
  if (shared.length > 0) {
    // Without a norm between, what sides give goes to the stream at once.
    const isDirect = layer.ln1 === undefined && atPositions === undefined;
    const atNorm = isDirect ? atResid : take(atResid.length);
    for (const [i, side] of shared.entries()) {
      backThroughSide(pass, layer, side, gradients[side], atNorm, isDirect || i > 0);
      const isLastWithPositions = side !== "v" && (shared[i + 1] ?? "v") === "v";
      if (isLastWithPositions && atPositions !== undefined) addInto(atPositions, atNorm);
    }
    const x = (): Tensor => pass.activation(`${at}.hook_resid_pre`);
    if (!isDirect) addInto(atResid, backThroughNorm(pass, layer.ln1, `${at}.ln1`, x, atNorm));
  }
  perHeadGradients(pass, layer, gradients, atResid, atPositions);
  const seed = hooks.edits(`${at}.hook_attn_in`) ? undefined : hooks.seed(`${at}.hook_attn_in`);
  if (seed !== undefined) addOverHeads(atResid, seed, layer);
}

/** Whether the run gave each head an input of its own. */
const isSplit = ({ hooks }: Backward, { layer }: AttentionLayer, side: Side): boolean =>
  hooks.edits(`blocks.${layer}.hook_${side}_input`) || hooks.edits(`blocks.${layer}.hook_attn_in`);

/** How many heads a side has: those that share a key and value count once. */
const headsOf = ({ stored }: AttentionLayer, side: Side): number => stored[WEIGHTS[side]].sizeOf("head");

/** Where the gradients by the weights and the bias of a side go. */
function placesOf({ model, parameter }: Backward, { layer }: AttentionLayer, side: Side): Places {
  const names = queryKeyValueNames(model.config);
  const [byW, byB] = [names[WEIGHTS[side]], names[BIASES[side]]].map((name) =>
    parameter(`blocks.${layer}.attn.${name}`),
  );
  return { byW, byB };
}

interface Places {
  readonly byW: FloatArray | undefined;
  readonly byB: FloatArray | undefined;
}

/** Gradients by weights and bias of a side. */
function parameterGradients(pass: Backward, layer: AttentionLayer, side: Side, gradient: Float32Array): void {
  const [, d_model = 0, d_head = 0] = layer.W_Q.shape;
  const heads = headsOf(layer, side);
  const { byW, byB } = placesOf(pass, layer, side);
  if (byB !== undefined) sumRows(gradient, heads * d_head, byB);
  if (byW === undefined) return;
  const input = inputOf(pass, layer, side);
  const data = rawData(input) as FloatArray;
  const sizes = { batch: heads, rows: pass.batch * pass.pos, inner: d_model, outer: d_head };
  const views = [matrix(gradient, heads * d_head, d_head), matrix(byW, d_head, d_model * d_head)] as const;
  if (input.rank === 4) weightGradient(sizes, matrix(data, heads * d_model, d_model), ...views);
  else wideWeightGradient(sizes, matrix(data, d_model), ...views, pass.take);
}

/** Gradients by weights and bias of a side, and what all its heads give to the input that they share. */
function backThroughSide(
  pass: Backward,
  layer: AttentionLayer,
  side: Side,
  gradient: Float32Array,
  out: Float32Array,
  accumulate: boolean,
): void {
  const [, inner = 0, d_head = 0] = layer.W_Q.shape;
  const heads = headsOf(layer, side);
  const outer = heads * d_head;
  const whole = linearKernel(inner, outer);
  if (whole === undefined) {
    parameterGradients(pass, layer, side, gradient);
    addHeadsInputs(pass, layer, side, gradient, out, accumulate);
    return;
  }
  const { byW, byB } = placesOf(pass, layer, side);
  // The heads' matrices side by side are one.
  const W = swapped(rawData(layer.stored[WEIGHTS[side]]), heads, inner, d_head, pass.take(inner * outer));
  const byAll = byW === undefined ? undefined : pass.take(inner * outer);
  const x = { data: byW === undefined ? out : (rawData(inputOf(pass, layer, side)) as FloatArray) };
  const rows = pass.batch * pass.pos;
  const places = { byW: byAll, byB, byX: { data: out } };
  whole({ rows, inner, outer, x, W, gradient: { data: gradient }, ...places, accumulate });
  if (byW !== undefined && byAll !== undefined) swapped(byAll, inner, heads, d_head, byW);
}

/** The input of a side's weights. */
function inputOf(pass: Backward, layer: AttentionLayer, side: Side): Stream | HeadStream {
  const at = `blocks.${layer.layer}` as const;
  const input = isSplit(pass, layer, side)
    ? normalizePerHead(layer.ln1, pass.activation(`${at}.hook_${side}_input`) as HeadStream)
    : (pass.normOutput(layer.ln1, `${at}.ln1`, `${at}.hook_resid_pre`) as Stream);
  if (side === "v" || pass.model.config.positional_embedding_type !== "shortformer") return input;
  return add(input as Tensor, pass.activation("hook_pos_embed")) as Stream | HeadStream;
}

/** Adds what all heads of a side give to the input that they share. */
function addHeadsInputs(
  pass: Backward,
  layer: AttentionLayer,
  side: Side,
  gradient: Float32Array,
  out: Float32Array,
  accumulate: boolean,
): void {
  const [heads = 0, d_model = 0, d_head = 0] = layer.stored[WEIGHTS[side]].shape;
  const weights = matrixView(layer.stored[WEIGHTS[side]]);
  const sizes = { batch: heads, rows: pass.batch * pass.pos, inner: d_model, outer: d_head };
  if (!accumulate) out.fill(0);
  // Head after head into the same rows.
  inputGradient(sizes, matrix(gradient, heads * d_head, d_head), weights, matrix(out, d_model), true);
}

/** The gradient of each head's own input of a side, `[batch, pos, head, d_model]`. */
function headInputs(pass: Backward, layer: AttentionLayer, side: Side, gradient: Float32Array): Float32Array {
  const [heads = 0, d_model = 0, d_head = 0] = layer.stored[WEIGHTS[side]].shape;
  const rows = pass.batch * pass.pos;
  const out = pass.take(rows * heads * d_model);
  const sizes = { batch: heads, rows, inner: d_model, outer: d_head };
  const W = matrixView(layer.stored[WEIGHTS[side]]);
  inputGradient(sizes, matrix(gradient, heads * d_head, d_head), W, matrix(out, heads * d_model, d_model));
  return out;
}

/** Adds gradients `[batch, pos, head, d_model]` to one of the stream, summed over heads. */
function addOverHeads(to: Float32Array, from: FloatArray, { W_Q }: AttentionLayer): void {
  const d_model = W_Q.sizeOf("d_model");
  const heads = from.length / to.length;
  for (let row = 0, at = 0; row * d_model < to.length; row++) {
    for (let h = 0; h < heads; h++) {
      for (let j = row * d_model; j < (row + 1) * d_model; j++) to[j] = (to[j] as number) + (from[at++] as number);
    }
  }
}

/**
 * The hooks of heads' inputs: through those that the run edited the gradient flows, at the others it is only looked at,
 * since it has gone through what heads share.
 */
function perHeadGradients(
  pass: Backward,
  layer: AttentionLayer,
  gradients: SideGradients,
  atResid: Float32Array,
  atPositions: Float32Array | undefined,
): void {
  const { hooks, take } = pass;
  const at = `blocks.${layer.layer}` as const;
  const [heads = 0, d_model = 0] = layer.W_Q.shape;
  const shapeOf = (side: Side): number[] => [pass.batch, pass.pos, headsOf(layer, side), d_model];
  const isEdited = hooks.edits(`${at}.hook_attn_in`);
  const together = isEdited || hooks.wants(`${at}.hook_attn_in`) ? take(atResid.length * heads).fill(0) : undefined;
  for (const side of SIDES) {
    const name = `${at}.hook_${side}_input` as const;
    const shape = shapeOf(side);
    if (isSplit(pass, layer, side)) {
      const own = headInputs(pass, layer, side, gradients[side]);
      if (side !== "v" && atPositions !== undefined) addOverHeads(atPositions, own, layer);
      const passed = hooks.pass(name, HEAD_STREAM, shape, backThroughOwnNorm(pass, layer, side, own));
      if (together !== undefined) addInto(together, passed);
      if (!isEdited) addOverHeads(atResid, passed, layer);
      continue;
    }
    const seed = hooks.seed(name);
    if (seed !== undefined) addOverHeads(atResid, seed, layer);
    if (!hooks.wants(name) && together === undefined) continue;
    const own = backThroughSharedNorm(pass, layer, headInputs(pass, layer, side, gradients[side]));
    if (seed !== undefined) addInto(own, seed);
    hooks.keep(name, HEAD_STREAM, shape, own);
    if (together !== undefined) addInto(together, own);
  }
  if (together === undefined) return;
  const passed = hooks.pass(`${at}.hook_attn_in`, HEAD_STREAM, shapeOf("q"), together);
  if (isEdited) addOverHeads(atResid, passed, layer);
}

/** Through the norm of inputs that heads have of their own. */
function backThroughOwnNorm(
  pass: Backward,
  { layer, ln1 }: AttentionLayer,
  side: Side,
  own: Float32Array,
): Float32Array {
  if (ln1 === undefined) return own;
  const input = pass.activation(`blocks.${layer}.hook_${side}_input`) as HeadStream;
  const [batch = 0, pos = 0, heads = 0, d_model = 0] = input.shape;
  const { normalized, scale } = ln1.normalize(reshaped(input, "batch pos d_model", [batch, pos * heads, d_model]));
  const rows = { normalized: rawData(normalized) as FloatArray, scale: rawData(scale) as FloatArray };
  return backThroughRows(ln1, rows, d_model, own);
}

/** Through the norm that heads share, head by head. */
function backThroughSharedNorm(pass: Backward, layer: AttentionLayer, own: Float32Array): Float32Array {
  if (layer.ln1 === undefined) return own;
  const at = `blocks.${layer.layer}` as const;
  const d_model = layer.W_Q.sizeOf("d_model");
  const rows = pass.batch * pass.pos;
  const heads = own.length / (rows * d_model);
  const alone = pass.forHead();
  const x = (): Tensor => pass.activation(`${at}.hook_resid_pre`);
  const one = pass.take(rows * d_model);
  for (let h = 0; h < heads; h++) {
    for (let row = 0; row < rows; row++) {
      const from = (row * heads + h) * d_model;
      one.set(own.subarray(from, from + d_model), row * d_model);
    }
    const passed = backThroughNorm(alone, layer.ln1, `${at}.ln1`, x, one);
    for (let row = 0; row < rows; row++) {
      own.set(passed.subarray(row * d_model, (row + 1) * d_model), (row * heads + h) * d_model);
    }
  }
  return own;
}
