/**
 * Virtual attention heads: heads of different layers that compose through their values act as one head, with the
 * product of their patterns and the product of their OV matrices (*A Mathematical Framework for Transformer Circuits*,
 * "Virtual attention heads").
 */
import { InputError, requireKind } from "../../errors.ts";
import type { Kind } from "../../errors.ts";
import { Shown } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import { compose, composeAll, eigenvaluesOf, frobeniusNormOf, linear } from "../../linear/index.ts";
import type { Linear, TensorProduct } from "../../linear/index.ts";
import type { AttentionHead, HeadId, HeadRef, PartialRun, TokensLike, Transformer } from "../../model/index.ts";
import { astype, batchMatmul, Tensor } from "../../tensor/index.ts";
import { positivityOf, unembedEmbed, requireOrder } from "../../circuits/internal.ts";
import { directStream, freeze } from "../frozen/frozen-run.ts";
import type { Stream } from "../frozen/frozen-run.ts";
import { PathNode } from "../logits/terms.ts";
import { readAlong, readoutOf } from "../targets.ts";
import type { Targets } from "../targets.ts";
import { RUN } from "../../model/internal.ts";

const VIRTUAL_HEAD: Kind = { member: "fullOV", what: "a VirtualHead", remedy: "Make one with virtualHead" };

/**
 * Heads of ever later layers taken as one. Made by {@link virtualHead}.
 *
 * @category Virtual heads
 * @example
 * ```ts
 * import { virtualHead } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const virtual = virtualHead(model, ["L0H5", "L1H4"]);
 * console.log(virtual.label, String(virtual.W_OV));
 * // L0H5→L1H4 Linear[d_model=128 -> d_model=128] of rank at most 16
 * ```
 */
export class VirtualHead extends Shown {
  readonly model: Transformer;
  /** The heads, earliest first. */
  readonly heads: readonly AttentionHead[];

  /** @internal */
  constructor(model: Transformer, heads: readonly AttentionHead[]) {
    super();
    this.model = model;
    this.heads = heads;
  }

  /** `L0H5→L1H4`. */
  get label(): string {
    return this.heads.map(({ label }) => label).join("→");
  }

  /**
   * What it moves: $W_{OV}^1 W_{OV}^2 \cdots$, `[d_model, d_model]`, in factors; raw weights, without biases and norms.
   */
  get W_OV(): Linear<"d_model", "d_model"> {
    return composeAll(this.heads.map(({ W_OV }) => W_OV));
  }

  /** The full OV circuit $W_E W_{OV}^1 W_{OV}^2 \cdots W_U$: row = source token, column = output token, logits. */
  get fullOV(): Linear<"d_vocab", "d_vocab"> {
    return compose(this.model.W_E, this.W_OV, this.model.W_U);
  }

  /** The virtual head's kind and label. */
  override toString(): string {
    return `VirtualHead ${this.label}`;
  }

  /** The places of its heads, of which `virtualHead` makes it again. */
  override toJSON(): { type: "VirtualHead"; heads: readonly HeadId[] } {
    return { type: "VirtualHead", heads: this.heads.map(({ layer, head }) => ({ layer, head })) };
  }

  /** @internal */
  override showing(): Showing {
    return { title: this.toString(), parts: () => [{ kind: "facts", facts: [["W_OV", this.W_OV.toString()]] }] };
  }
}

/**
 * The virtual head of two or more heads, each in a later layer than the one before.
 *
 * @param heads - at least two, earliest first.
 * @throws {@link InputError} when there are fewer than two heads, one is missing, or they are not in ever later layers.
 * @category Virtual heads
 * @example
 * ```ts
 * import { topKOfRow, virtualHead } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(topKOfRow(virtualHead(model, ["L0H5", "L1H4"]).fullOV, 300, 3).length);
 * // 3
 * ```
 */
export function virtualHead(model: Transformer, heads: readonly HeadRef[]): VirtualHead {
  requireKind("model", model, "model", "virtualHead");
  requireKind("list", heads, "heads", "virtualHead");
  const operation = "virtualHead";
  if (heads.length < 2) {
    throw new InputError(`a virtual head is made of two heads or more; ${heads.length} given.`, {
      operation,
      argument: "heads",
      expected: "at least 2",
      actual: heads.length,
    });
  }
  const found = heads.map((ref) => model.head(ref));
  for (const [i, head] of found.entries()) {
    const before = found[i - 1];
    if (before !== undefined) requireOrder(before, head, operation);
  }
  return new VirtualHead(model, found);
}

/**
 * The attention pattern of a virtual head on the tokens of a run, $\cdots A^{h_2} A^{h_1}$: from where, in the end, it
 * moves what it moves. Causal, and its rows sum to 1, as those of the patterns do.
 *
 * @param run - a run of the model that kept `hook_pattern` of the heads' layers.
 * @returns `[batch, query_pos, key_pos]`, float64.
 * @throws {@link InputError} when the run did not keep a pattern.
 * @category Virtual heads
 * @example
 * ```ts
 * import { virtualHead } from "transformer-circuits";
 * import { virtualHeadPattern } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const run = model.run([0, 300, 301, 302]);
 * console.log(String(virtualHeadPattern(virtualHead(model, ["L0H5", "L1H4"]), run)));
 * // Tensor[batch=1 query_pos=4 key_pos=4] float64
 * ```
 */
export function virtualHeadPattern(virtual: VirtualHead, run: PartialRun): Tensor<"batch query_pos key_pos"> {
  requireKind(VIRTUAL_HEAD, virtual, "virtual", "virtualHeadPattern");
  requireKind(RUN, run, "run", "virtualHeadPattern");
  const patterns = virtual.heads.map(({ layer, head }): Tensor<"batch query_pos key_pos"> =>
    astype(run.cache.get(`blocks.${layer}.attn.hook_pattern`).select("head", head), "float64"),
  );
  return patterns.reduce((product, next) => {
    const later = next.rename("key_pos", "mid_pos");
    return batchMatmul(later, product.rename("query_pos", "mid_pos"));
  });
}

/**
 * What {@link virtualHeadContribution} returns.
 * @category Virtual heads
 */
export interface VirtualHeadContribution {
  /** `[batch, pos, d_model]`, float64: what the virtual head gives to the unembedding, norm scales frozen. */
  readonly resid: Stream;
  /** `[batch, pos]`: what that adds to the target's logit, by default the correct next token's; logits. */
  readonly attribution: Tensor<"batch pos">;
  /** The virtual head as one tensor product, norms included, from the embedding to the unembedding. */
  readonly product: TensorProduct<"d_model", "d_model">;
}

/**
 * What a virtual head contributes to the logits of some tokens: the path from the embedding through its heads, without
 * biases and what it moves of MLPs' outputs, which begin paths of their own. The same as its term in
 * {@link pathExpansion}, for one path of a model of any depth.
 *
 * @param tokens - a prompt, or several of equal length.
 * @param options - `targets`, the logits to explain.
 * @throws {@link InputError} for tokens the model cannot run or predict, or a target that is no output token;
 * {@link ShapeError} when targets do not fit the prompts.
 * @category Virtual heads
 * @example
 * ```ts
 * import { virtualHead } from "transformer-circuits";
 * import { virtualHeadContribution } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { attribution } = virtualHeadContribution(virtualHead(model, ["L0H5", "L1H4"]), [0, 300, 301, 300, 301]);
 * console.log(String(attribution));
 * // Tensor[batch=1 pos=4] float64
 * ```
 */
export function virtualHeadContribution(
  virtual: VirtualHead,
  tokens: TokensLike,
  options: { readonly targets?: Targets | undefined; readonly signal?: AbortSignal | undefined } = {},
): VirtualHeadContribution {
  requireKind(VIRTUAL_HEAD, virtual, "virtual", "virtualHeadContribution", options, "targets signal");
  const operation = "virtualHeadContribution";
  const frozen = freeze(virtual.model, tokens, operation, options.signal);
  const { targets = "next" } = options;
  const readout = readoutOf(virtual.model, frozen.run.tokens, targets, operation);
  const source = { source: "direct", from: 0, enters: "stream", stream: directStream(frozen) } as const;
  const path = virtual.heads.reduce((node, head) => node.extend(head, false), PathNode.root(frozen, source));
  const { resid } = path;
  const shape = [frozen.run.tokens.sizeOf("batch"), readout.positions];
  return {
    resid,
    attribution: Tensor.from("batch pos", shape, readAlong(readout, resid)),
    product: path.product,
  };
}

/**
 * The copying score of a virtual head, $\sum \lambda / \sum |\lambda|$ over the eigenvalues of its full OV circuit,
 * from a small matrix; 0 where all are 0.
 *
 * @returns from −1 to 1; raw weights.
 * @throws {@link ConfigError} when output tokens are not the input tokens.
 * @category Virtual heads
 * @example
 * ```ts
 * import { virtualHead } from "transformer-circuits";
 * import { virtualCopyingScore } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const score = virtualCopyingScore(virtualHead(model, ["L0H5", "L1H4"]));
 * console.log(Math.abs(score) <= 1);
 * // true
 * ```
 */
export function virtualCopyingScore(virtual: VirtualHead): number {
  requireKind(VIRTUAL_HEAD, virtual, "virtual", "virtualCopyingScore");
  // λ(W_E W_OV W_U) = λ(W_OV W_U W_E) up to zeros, with W_U W_E computed once for a model.
  const { d_model } = virtual.model.config;
  const data = unembedEmbed(virtual.model, "virtualCopyingScore");
  const through = linear("d_model", "d_model", { rows: d_model, cols: d_model, data });
  const { re, im } = eigenvaluesOf(compose(virtual.W_OV, through));
  return positivityOf(re.data, im.data);
}

/**
 * How strongly the heads of a virtual head compose through values:
 * $\|W_{OV}^1 W_{OV}^2 \cdots\|_F / (\|W_{OV}^1\|_F \|W_{OV}^2\|_F \cdots)$, for two heads their V-composition. Random
 * heads give about $d_{model}^{-(p-1)/2}$ for $p$ heads.
 *
 * @returns from 0 to 1; 0 where a head's weights are zero; raw weights.
 * @category Virtual heads
 * @example
 * ```ts
 * import { virtualHead } from "transformer-circuits";
 * import { vComposition } from "transformer-circuits/circuits";
 * import { virtualComposition } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const score = virtualComposition(virtualHead(model, ["L0H5", "L1H4"]));
 * console.log(Math.abs(score - vComposition(model.head("L0H5"), model.head("L1H4"))) < 1e-12);
 * // true
 * ```
 */
export function virtualComposition(virtual: VirtualHead): number {
  requireKind(VIRTUAL_HEAD, virtual, "virtual", "virtualComposition");
  const scale = virtual.heads.reduce((product, { W_OV }) => product * frobeniusNormOf(W_OV), 1);
  return scale === 0 ? 0 : frobeniusNormOf(virtual.W_OV) / scale;
}
