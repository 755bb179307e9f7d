/**
 * A run with its attention patterns and norm scales held fixed ("freezing attention patterns", *A Mathematical
 * Framework for Transformer Circuits*). What is left of the model is affine in the residual stream: layer $l$ takes it
 * to
 *
 * $$x \mapsto x + \sum_h A^h\,(\mathrm{n}_l(x) W_V^h + b_V^h)\,W_O^h + b_O,\qquad \mathrm{n}_l(x) = (x - \bar x) / s_l \odot w_l + b_l$$
 *
 * The linear part carries paths, which begin in the embedding; the constants make one stream of their own, the bias.
 * Shortformer positions, rotations, $b_Q$ and $b_K$ act on patterns alone. Everything here is float64.
 *
 * An MLP is not affine. What it wrote in the run, $b_{out}$ included, is held fixed too: one more stream that paths
 * begin in, after its layer's attention ("MLP layers" in the same paper).
 */
import { InputError, requireKind } from "../../errors.ts";
import { toTokenTensor } from "../../model/index.ts";
import type { HookName, Norm, PartialRun, Run, TokensLike, Transformer } from "../../model/index.ts";
import { add, astype, batchMatmul, matmul, Tensor } from "../../tensor/index.ts";
import { RUN, unembedded } from "../../model/internal.ts";
import type { Trace } from "../../model/internal.ts";
import { effectiveCache, requireWhole, runEdits } from "./run-edits.ts";
import type { EditStream, EditView, RunEdits } from "./run-edits.ts";

/**
 * A residual stream or what a component adds to it.
 * @inline
 */
export type Stream = Tensor<"batch pos d_model">;

/** A model and a run of it, whose patterns and scales are taken as constants. */
export interface FrozenRun {
  readonly model: Transformer;
  readonly run: Run;
  /** What is known of a run that was given. */
  readonly trace?: Trace | undefined;
  /** What edits added to it, where there were any. */
  readonly edits?: RunEdits | undefined;
}

const KEPT =
  /(^|\.)(hook_(in|embed|pos_embed|resid_pre|resid_post|attn_out|mlp_out|pattern|v|z)|ln(1|_final)\.hook_\w+)$/;

/** Runs a model and keeps what freezing it needs, and the hooks named beside. */
export function freeze(
  model: Transformer,
  tokens: TokensLike,
  operation: string,
  signal?: AbortSignal,
  also: readonly HookName[] = [],
): FrozenRun {
  const checked = toTokenTensor(model.config, tokens, operation);
  const cache = (name: HookName): boolean => KEPT.test(name) || also.includes(name);
  const run = model.run(checked, { cache, signal, unembed: "none" });
  return { model, run: new WithLogits(run) };
}

/**
 * A run whose logits are computed when they are first asked for, as certificates do: of a vocabulary of 50,000 they
 * take five times as long as two layers, and what paths and components add to some of them needs none.
 */
class WithLogits implements Run {
  readonly model: Transformer;
  readonly tokens: Run["tokens"];
  readonly cache: Run["cache"];
  readonly edited: Run["edited"];
  #logits: Run["logits"] | undefined;

  constructor({ model, tokens, cache, edited }: PartialRun) {
    this.model = model;
    this.tokens = tokens;
    this.cache = cache;
    this.edited = edited;
  }

  get logits(): Run["logits"] {
    this.#logits ??= unembedded(this.model.inFloat32, this.cache.get("unembed.hook_in"));
    return this.#logits;
  }
}

/** Runs a model up to the scores of a layer, and keeps what freezing that much needs. */
export function freezeToScores(
  model: Transformer,
  tokens: TokensLike,
  layer: number,
  operation: string,
  signal?: AbortSignal,
): FrozenRun {
  const checked = toTokenTensor(model.config, tokens, operation);
  const at = `blocks.${layer}.attn.` as const;
  const own = ["q", "k", "rot_q", "rot_k", "attn_scores"].map((name) => `${at}hook_${name}`);
  const cache = (name: HookName): boolean => KEPT.test(name) || own.includes(name);
  const { cache: kept, edited } = model.run(checked, { cache, signal, stopAt: `${at}hook_attn_scores` });
  return { model, run: { model, tokens: checked, logits: NO_LOGITS, edited, cache: kept } };
}

const NO_LOGITS: Run["logits"] = Tensor.zeros("batch pos d_vocab", [0, 0, 0]);

/** The subject of a decomposition: a model and tokens, or a run. */
export type Subject = Transformer | PartialRun;

/** Whether a subject is a run; a member tells, since copies of the package may meet. */
export function isRun(subject: unknown): subject is PartialRun {
  return typeof subject === "object" && subject !== null && "cache" in subject;
}

/**
 * What a run had, held fixed, edits and all.
 *
 * @throws {@link InputError} for a run that is not whole, or whose logits were edited or not all computed.
 */
export function freezeRun(
  run: PartialRun,
  operation: string,
  { needsLogits = true }: { readonly needsLogits?: boolean } = {},
): FrozenRun {
  const trace = requireWhole(run, operation);
  if (needsLogits) requireLogits(run, trace.isUnembedded, operation);
  const { model, tokens, edited } = run;
  const logits = trace.isUnembedded ? (run as Run).logits : NO_LOGITS;
  const cache = effectiveCache(run, trace);
  const effective: Run = { model, tokens, logits, edited, cache };
  return { model, run: effective, trace, edits: edited.length === 0 ? undefined : runEdits(effective, trace) };
}

/** Rejects a run whose logits terms cannot be compared with. */
function requireLogits({ edited }: PartialRun, areAll: boolean, operation: string): void {
  const isEdited = edited.includes("unembed.hook_out");
  if (areAll && !isEdited) return;
  throw new InputError(
    isEdited
      ? 'an edit at "unembed.hook_out" changed the logits themselves, after all that they are a sum of. Run without it.'
      : "the run has not the logits of all positions and tokens, which terms are compared with. Run it without unembed, directions and stopAt.",
    { operation, argument: "run", expected: "all logits as the model computed them", actual: edited },
  );
}

/** Rejects a run with padding for what is a mean over positions, unless positions that are text alone are named. */
export function requireNoPadding({ trace }: FrozenRun, operation: string, positions?: readonly number[]): void {
  const mask = trace?.mask;
  if (mask === undefined) return;
  const { visible, pos } = mask;
  const isText = (p: number): boolean => visible.every((x, i) => x === 1 || i % pos !== p);
  if (positions?.every(isText) === true) return;
  throw new InputError(
    "the run has padding, which means over positions would take in. Run prompts of one length at a time, without an attention mask.",
    { operation, argument: "run", expected: "a run without padding", actual: "padding" },
  );
}

/** {@link freezeRun} of a run, {@link freeze} of a model and tokens; options stand last, and are checked first. */
export function frozenOf<O extends { readonly signal?: AbortSignal | undefined }>(
  subject: Subject,
  tokensOrOptions: TokensLike | O | undefined,
  options: O | undefined,
  operation: string,
  known: string,
): { readonly frozen: FrozenRun; readonly options: O } {
  if (isRun(subject)) {
    const given = (tokensOrOptions ?? {}) as O;
    requireKind(RUN, subject, "run", operation, given, known);
    return { frozen: freezeRun(subject, operation), options: given };
  }
  requireKind("model", subject, "model", operation, options, known);
  const given = options ?? ({} as O);
  return { frozen: freeze(subject, tokensOrOptions as TokensLike, operation, given.signal), options: given };
}

/** The additions of edits that a layer reads first, or that stand behind the final norm. */
export function editsFrom({ edits }: FrozenRun, layer: number | "final", view: EditView): readonly EditStream[] {
  const all = edits?.[view] ?? [];
  return all.filter(({ from, isFinal }) => (layer === "final" ? isFinal : !isFinal && from === layer));
}

/** A norm of the model as the run had it. */
interface FrozenNorm {
  readonly norm: Norm;
  readonly scale: Tensor<"batch pos scale">;
}

/** The norm before a layer, or with `layer = n_layers` the one before the unembedding. */
export function frozenNorm({ model, run }: FrozenRun, layer: number): FrozenNorm | undefined {
  const isFinal = layer === model.config.n_layers;
  const norm = isFinal ? model.ln_final : model.layer(layer).ln1;
  if (norm === undefined) return undefined;
  return { norm, scale: run.cache.get(isFinal ? "ln_final.hook_scale" : `blocks.${layer}.ln1.hook_scale`) };
}

/** The linear part of a norm with its scale frozen. */
export function throughFrozenNorm(frozen: FrozenRun, layer: number, x: Stream): Stream {
  const found = frozenNorm(frozen, layer);
  return found === undefined ? x : found.norm.applyFrozen(x, found.scale);
}

/** Where paths begin, in float64: the embedding, and the positional embedding where it enters the residual stream. */
export function sourceStreams({ model, run }: FrozenRun): { embed: Stream; pos_embed: Stream | undefined } {
  const isStandard = model.config.positional_embedding_type === "standard";
  return {
    embed: astype(run.cache.get("hook_embed"), "float64"),
    pos_embed: isStandard ? astype(run.cache.get("hook_pos_embed"), "float64") : undefined,
  };
}

/** The embedding with the positions that enter the residual stream. */
export function embeddedStream(frozen: FrozenRun): Stream {
  const { embed, pos_embed } = sourceStreams(frozen);
  return pos_embed === undefined ? embed : add(embed, pos_embed);
}

/** The input of the first layer: {@link embeddedStream} with the edits of it. */
export function directStream(frozen: FrozenRun): Stream {
  return withEdits(frozen, 0, embeddedStream(frozen), "paths");
}

function withEdits(frozen: FrozenRun, layer: number | "final", x: Stream, view: EditView): Stream {
  return editsFrom(frozen, layer, view).reduce((sum, { stream }) => add(sum, stream), x);
}

/** The input of the unembedding, with the additions of edits behind the final norm. */
export function addFinalEdits(frozen: FrozenRun, x: Stream): Stream {
  return withEdits(frozen, "final", x, "paths");
}

/** The output of a layer's MLP in the run, in float64; `undefined` where the layer has none. */
export function mlpStream({ model, run }: FrozenRun, layer: number): Stream | undefined {
  if (model.layer(layer).mlp === undefined) return undefined;
  return astype(run.cache.get(`blocks.${layer}.hook_mlp_out`), "float64");
}

/**
 * A stream with what the MLP of a layer wrote in the run, and what edits added by the end of that layer: of values and
 * weighted values too, unless the stream has what heads wrote in the run.
 */
export function addMlp(frozen: FrozenRun, layer: number, x: Stream, view: EditView = "paths"): Stream {
  const written = mlpStream(frozen, layer);
  return withEdits(frozen, layer + 1, written === undefined ? x : add(x, written), view);
}

/** The label of an MLP as a component, TransformerLens's. */
export const mlpLabel = (layer: number): `${number}_mlp_out` => `${layer}_mlp_out`;

/**
 * What a layer, or with `layer = n_layers` the unembedding, sees without any head: the embedding and what MLPs wrote
 * before.
 */
export function headlessStream(frozen: FrozenRun, layer: number): Stream {
  let stream = directStream(frozen);
  for (const before of frozen.model.layers.slice(0, layer)) stream = addMlp(frozen, before.layer, stream);
  return stream;
}

/** A vector at every position of every prompt, float64. */
export function constantStream({ run }: FrozenRun, vector: Tensor<"d_model">): Stream {
  const [batch = 0, pos = 0] = run.tokens.shape;
  const d = vector.size;
  const data = new Float64Array(batch * pos * d);
  for (let row = 0; row < batch * pos; row++) data.set(vector.data, row * d);
  return Tensor.from("batch pos d_model", [batch, pos, d], data);
}

/** The output of a head whose values are `v`: $A^h v W_O^h$. */
export function writeValues(
  { model, run }: FrozenRun,
  layer: number,
  head: number,
  v: Tensor<"batch pos d_head">,
): Stream {
  const pattern = run.cache.get(`blocks.${layer}.attn.hook_pattern`).select("head", head);
  const z = batchMatmul(pattern, v.rename("pos", "key_pos"));
  return matmul(z.rename("query_pos", "pos"), model.layer(layer).W_O.select("head", head));
}

/** A head's linear part applied to a stream that is already through its layer's norm: $A^h x W_{OV}^h$. */
export function headTerm(frozen: FrozenRun, layer: number, head: number, normalized: Stream): Stream {
  return writeValues(frozen, layer, head, matmul(normalized, frozen.model.layer(layer).W_V.select("head", head)));
}

/** A stream through the final norm's linear part: what the unembedding reads of it. */
export function throughFinalNorm(frozen: FrozenRun, x: Stream): Stream {
  return throughFrozenNorm(frozen, frozen.model.config.n_layers, x);
}

/** $x W_U$, float64, without $b_U$. */
export function unembed(model: Transformer, x: Stream): Tensor<"batch pos d_vocab"> {
  return matmul(x, model.weight("unembed.W_U") as Tensor<"d_model d_vocab">);
}
