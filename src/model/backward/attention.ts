/**
 * The derivative of a layer of heads, from what it adds to the stream to queries, keys and values.
 *
 * With pattern $A = \mathrm{softmax}(S)$, $S = q k^\top / c$ and $z = A v$: $\bar A = \bar z v^\top$,
 * $\bar v = A^\top \bar z$, $\bar S = A \odot (\bar A - \sum_j A_j \bar A_j)$, $\bar q = \bar S k / c$ and
 * $\bar k = \bar S^\top q / c$, a bar for the gradient by what stands under it.
 */
import { gradientKernels, kernels, matrix, transposed } from "../../kernels/index.ts";
import type { FloatArray, HeadVectorsView, MatrixView } from "../../kernels/index.ts";
import { matrixView, rawData } from "../../tensor/internal.ts";
import type { AttentionLayer } from "../attention.ts";
import type { PaddingMask } from "../attention-mask.ts";
import type { HookName } from "../hooks.ts";
import { isWindowed, ofEachHead, sumOverSharing } from "../key-value-heads.ts";
import { rotateRows } from "../rotary.ts";
import type { Backward } from "./pass.ts";
import { backThroughInputs } from "./inputs.ts";
import type { SideGradients } from "./inputs.ts";
import { inputGradient, linearGradients, sumRows, weightGradient } from "./products.ts";

/**
 * Whether a layer's attention goes back in one pass, which computes patterns anew and shows none, and so keeps
 * none: 30 MB on the step of `bench --only train`.
 */
export function isInOnePass(
  layer: AttentionLayer,
  { pos, mask, sees }: { readonly pos: number; readonly mask: PaddingMask | undefined; readonly sees: SeesHook },
): boolean {
  const at = `blocks.${layer.layer}.attn` as const;
  const isPlain = mask === undefined && !isWindowed(layer, pos);
  return isPlain && !sees(`${at}.hook_pattern`) && !sees(`${at}.hook_attn_scores`) && gradientKernels() !== undefined;
}

/** Whether something is asked of a hook, or changes there. */
export type SeesHook = (name: HookName) => boolean;

/** Adds to `atResid` what the stream that a layer's heads read gets, of the gradient by what they write. */
export function backThroughHeads(
  pass: Backward,
  layer: AttentionLayer,
  atOut: Float32Array,
  atResid: Float32Array,
  atPositions: Float32Array | undefined,
): void {
  const at = `blocks.${layer.layer}.attn` as const;
  const shape = [pass.batch, pass.pos, ...layer.b_Q.shape];
  const atZ = pass.hooks.pass(`${at}.hook_z`, "batch pos head d_head", shape, backThroughOutput(pass, layer, atOut));
  backThroughInputs(pass, layer, backThroughPattern(pass, layer, atZ, shape), atResid, atPositions);
}

const asFloats = (pass: Backward, name: HookName): FloatArray => rawData(pass.activation(name)) as FloatArray;

/** The gradient by `z` of that by what the layer writes. */
function backThroughOutput(pass: Backward, layer: AttentionLayer, atOut: Float32Array): Float32Array {
  const { hooks, take, batch, pos } = pass;
  const at = `blocks.${layer.layer}.attn` as const;
  const rows = batch * pos;
  const [heads = 0, d_head = 0, d_model = 0] = layer.W_O.shape;
  const width = heads * d_head;
  const byB = pass.parameter(`${at}.b_O`);
  const byWeight = pass.parameter(`${at}.W_O`);
  const z = asFloats(pass, `${at}.hook_z`);
  const atZ = take(rows * width);
  if (!hooks.sees(`${at}.hook_result`)) {
    const places = { byW: byWeight, byB, byX: { data: atZ } };
    const W = rawData(layer.W_O) as FloatArray;
    linearGradients({ rows, inner: width, outer: d_model, x: { data: z }, W, gradient: { data: atOut }, ...places });
    return atZ;
  }
  if (byB !== undefined) sumRows(atOut, d_model, byB);
  // Every head's result gets what their sum gets, until a hook makes them differ.
  const repeated = take(rows * heads * d_model);
  for (let row = 0; row < rows; row++) {
    const own = atOut.subarray(row * d_model, (row + 1) * d_model);
    for (let h = 0; h < heads; h++) repeated.set(own, (row * heads + h) * d_model);
  }
  const shape = [batch, pos, heads, d_model];
  const atResult = hooks.pass(`${at}.hook_result`, "batch pos head d_model", shape, repeated);
  const sizes = { batch: heads, rows, inner: d_head, outer: d_model };
  const gradient = matrix(atResult, heads * d_model, d_model);
  const ofHead = matrix(z, width, d_head);
  if (byWeight !== undefined) {
    weightGradient(sizes, ofHead, gradient, matrix(byWeight, d_model, d_head * d_model));
  }
  inputGradient(sizes, gradient, matrixView(layer.W_O), matrix(atZ, width, d_head));
  return atZ;
}

/** The gradients by what queries and keys give scores, and by values, all of one of each head. */
type HeadGradients = Readonly<Record<"byQ" | "byK" | "byV", Float32Array>>;

/** {@link HeadGradients} in one pass. */
function inOnePass(pass: Backward, layer: AttentionLayer, atZ: Float32Array, heads: number): HeadGradients {
  const { take, batch, pos, model } = pass;
  const width = atZ.length / (batch * pos * heads);
  const view = (data: FloatArray): HeadVectorsView => ({
    ...{ data, offset: 0, batchStride: pos * heads * width, headStride: width, rowStride: heads * width },
  });
  const { q, k, v } = activationsOf(pass, layer, heads);
  const [byQ, byK, byV] = [take(atZ.length), take(atZ.length), take(atZ.length)];
  gradientKernels()?.attention({
    ...{ batch, heads, positions: pos, width, gradient: view(atZ), q: view(q), k: view(k), v: view(v) },
    ...{ byQ: view(byQ), byK: view(byK), byV: view(byV) },
    scale: Math.fround(layer.attnScale),
    isCausal: model.config.attention_dir === "causal",
  });
  return { byQ, byK, byV };
}

/** Queries and keys as scores have them, and values, of each head. */
function activationsOf(
  pass: Backward,
  { layer }: AttentionLayer,
  heads: number,
): Readonly<Record<"q" | "k" | "v", FloatArray>> {
  const at = `blocks.${layer}.attn` as const;
  const isRotary = pass.model.config.positional_embedding_type === "rotary";
  const ofEach = (name: HookName): FloatArray => rawData(ofEachHead(pass.activation(name), heads)) as FloatArray;
  return {
    q: asFloats(pass, isRotary ? `${at}.hook_rot_q` : `${at}.hook_q`),
    k: ofEach(isRotary ? `${at}.hook_rot_k` : `${at}.hook_k`),
    v: ofEach(`${at}.hook_v`),
  };
}

/** {@link HeadGradients} by way of those by scores and patterns. */
function throughPattern(pass: Backward, layer: AttentionLayer, atZ: Float32Array, heads: number): HeadGradients {
  const { take, batch, pos } = pass;
  const d_head = atZ.length / (batch * pos * heads);
  const ofHeads = (data: FloatArray, b: number): MatrixView =>
    matrix(data, heads * d_head, d_head, b * pos * heads * d_head);
  const ofPatterns = (data: FloatArray, b: number): MatrixView => matrix(data, pos, pos * pos, b * heads * pos * pos);
  const { q, k, v } = activationsOf(pass, layer, heads);
  const pattern = asFloats(pass, `blocks.${layer.layer}.attn.hook_pattern`);
  const byPattern = take(batch * heads * pos * pos);
  const byV = take(atZ.length);
  const square = { batch: heads, m: pos, n: pos, k: d_head };
  const thin = { batch: heads, m: pos, n: d_head, k: pos };
  for (let b = 0; b < batch; b++) {
    const given = ofHeads(atZ, b);
    kernels().matmul({ ...square, a: given, b: transposed(ofHeads(v, b)), out: ofPatterns(byPattern, b) });
    kernels().matmul({ ...thin, a: transposed(ofPatterns(pattern, b)), b: given, out: ofHeads(byV, b) });
  }
  const atScores = backThroughSoftmax(pass, layer, byPattern, pattern);
  const byQ = take(atZ.length);
  const byK = take(atZ.length);
  for (let b = 0; b < batch; b++) {
    const given = ofPatterns(atScores, b);
    kernels().matmul({ ...thin, a: given, b: ofHeads(k, b), out: ofHeads(byQ, b) });
    kernels().matmul({ ...thin, a: transposed(given), b: ofHeads(q, b), out: ofHeads(byK, b) });
  }
  return { byQ, byK, byV };
}

function backThroughPattern(
  pass: Backward,
  layer: AttentionLayer,
  atZ: Float32Array,
  shape: readonly number[],
): SideGradients {
  const { hooks, batch, pos, mask, model } = pass;
  const at = `blocks.${layer.layer}.attn` as const;
  const [, , heads = 0, d_head = 0] = shape;
  const isRotary = model.config.positional_embedding_type === "rotary";
  const axes = "batch pos head d_head";
  const groups = layer.stored.W_K.sizeOf("head");
  const isWhole = isInOnePass(layer, { pos, mask, sees: (name) => hooks.sees(name) });
  const { byQ, byK, byV } = (isWhole ? inOnePass : throughPattern)(pass, layer, atZ, heads);
  const shared = [batch, pos, groups, d_head];
  const sharing = (gradient: Float32Array): Float32Array => sumOverSharing(gradient, heads, groups, d_head);
  const unrotated = (name: "hook_rot_q" | "hook_rot_k", gradient: Float32Array): Float32Array => {
    if (!isRotary) return gradient;
    const own = name === "hook_rot_q" ? shape : shared;
    return turnedBack(hooks.pass(`${at}.${name}`, axes, own, gradient), pass, own[2] ?? 0);
  };
  return {
    q: hooks.pass(`${at}.hook_q`, axes, shape, unrotated("hook_rot_q", byQ)),
    k: hooks.pass(`${at}.hook_k`, axes, shared, unrotated("hook_rot_k", sharing(byK))),
    v: hooks.pass(`${at}.hook_v`, axes, shared, sharing(byV)),
  };
}

/** Vectors of heads rotated back from their positions, in place: the transpose of a rotation. */
function turnedBack(gradient: Float32Array, { batch, pos, mask, model }: Backward, heads: number): Float32Array {
  const back = Int32Array.from({ length: batch * pos }, (_, row) => -(mask?.places[row] ?? row % pos));
  rotateRows(gradient, back, model.config, heads);
  return gradient;
}

/** The gradient by the product of queries and keys, not yet divided by the scale, of that by the pattern. */
function backThroughSoftmax(
  { hooks, batch, pos, model }: Backward,
  { layer, heads, attnScale, window = Infinity }: AttentionLayer,
  byPattern: Float32Array,
  pattern: FloatArray,
): Float32Array {
  const at = `blocks.${layer}.attn` as const;
  const axes = "batch head query_pos key_pos";
  const shape = [batch, heads.length, pos, pos];
  const isCausal = model.config.attention_dir === "causal";
  const atPattern = hooks.pass(`${at}.hook_pattern`, axes, shape, byPattern);
  const own = hooks.before(`${at}.hook_pattern`);
  // An edit of scores may let a query see a later key.
  const seesLater = !isCausal || hooks.edits(`${at}.hook_attn_scores`);
  const isSeen = hooks.sees(`${at}.hook_attn_scores`);
  const factor = 1 / Math.fround(attnScale);
  softmaxGradient(
    own === undefined ? pattern : (rawData(own) as FloatArray),
    atPattern,
    pos,
    seesLater,
    isSeen ? 1 : factor,
  );
  if (!isSeen) return atPattern;
  const atScores = hooks.pass(`${at}.hook_attn_scores`, axes, shape, atPattern);
  for (let start = 0, query = 0; start < atScores.length; start += pos, query = (query + 1) % pos) {
    const seen = isCausal ? query + 1 : pos;
    for (let j = start; j < start + seen; j++) atScores[j] = (atScores[j] as number) * factor;
    atScores.fill(0, start + seen, start + pos);
    if (seen > window) atScores.fill(0, start, start + seen - window);
  }
  return atScores;
}

/** Writes the gradient by scores, times a factor, over that by the pattern. */
function softmaxGradient(
  pattern: FloatArray,
  gradient: Float32Array,
  pos: number,
  seesLater: boolean,
  factor: number,
): void {
  for (let start = 0, query = 0; start < gradient.length; start += pos, query = (query + 1) % pos) {
    const end = start + (seesLater ? pos : query + 1);
    let sum = 0;
    for (let j = start; j < end; j++) sum += (pattern[j] as number) * (gradient[j] as number);
    for (let j = start; j < end; j++) {
      gradient[j] = factor * (pattern[j] as number) * ((gradient[j] as number) - sum);
    }
    gradient.fill(0, end, start + pos);
  }
}
