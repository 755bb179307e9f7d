/**
 * The strongest virtual heads of one order, from the weights or on some tokens. All are tried; those that begin alike
 * share the map, or the stream, of their first heads. Bounds by singular values and lengths would skip none of order 3
 * or 4 in random models of 6 layers, nor any on the tokens of the bundled model; most, where one stands out by far.
 */
import { InputError, requireKind } from "../../errors.ts";
import { compose, frobeniusNormOf } from "../../linear/index.ts";
import type { AttentionHead, TokensLike, Transformer } from "../../model/index.ts";
import { requireChoice, requireCount } from "../../model/internal.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { rowNorms } from "../../tensor/internal.ts";
import { directStream, freeze } from "../frozen/frozen-run.ts";
import { PathNode } from "../logits/terms.ts";
import { readAlong, readoutOf } from "../targets.ts";
import type { Targets } from "../targets.ts";
import { VirtualHead } from "./virtual-heads.ts";

/**
 * What {@link strongestVirtualHeads} and {@link searchVirtualHeads} look for.
 * @category Virtual heads
 */
export interface VirtualSearchOptions extends ProgressOptions {
  /** How many heads a virtual head is made of; 2 by default. */
  readonly order?: number | undefined;
  /** How many virtual heads to find; 10 by default. */
  readonly k?: number | undefined;
}

/**
 * A virtual head with its value.
 * @category Virtual heads
 */
export interface RankedVirtualHead {
  readonly virtual: VirtualHead;
  readonly value: number;
}

/**
 * What a search for virtual heads found.
 * @category Virtual heads
 */
export interface VirtualSearch {
  /** The virtual heads of largest absolute value, largest first. */
  readonly found: readonly RankedVirtualHead[];
  /** How many virtual heads of this order there are. */
  readonly total: number;
}

/**
 * The virtual heads whose heads compose most strongly through values, by {@link virtualComposition}, from the weights
 * alone.
 *
 * @param options - `order`, `k`, `signal`, `onProgress` (in heads of the first layer concerned, one step for each).
 * @throws {@link InputError} when `order` is less than 2 or more than the model has layers, or `k` is not a positive
 * integer; the signal's reason when aborted.
 * @category Virtual heads
 * @example
 * ```ts
 * import { strongestVirtualHeads } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { found, total } = strongestVirtualHeads(model, { k: 3 });
 * console.log(found.length, total, (found[0]?.value ?? 0) >= (found[1]?.value ?? 0));
 * // 3 64 true
 * ```
 */
export function strongestVirtualHeads(model: Transformer, options: VirtualSearchOptions = {}): VirtualSearch {
  requireKind("model", model, "model", "strongestVirtualHeads", options, "order k signal onProgress");
  const { order, k } = checked(model, options, "strongestVirtualHeads");
  const norms = new Map(model.heads.map((head) => [head, frobeniusNormOf(head.W_OV)]));
  return strongest(model, order, k, options, {
    start: (head) => ({ map: head.W_OV, length: norms.get(head) ?? 0, score: norms.get(head) === 0 ? 0 : 1 }),
    extend: ({ map, length, score }, head) => {
      const longer = compose(map, head.W_OV);
      const [scale, product] = [length * (norms.get(head) ?? 0), frobeniusNormOf(longer)];
      return { map: longer, length: product, score: scale === 0 ? 0 : (score * product) / scale };
    },
    value: ({ score }) => score,
  });
}

/**
 * What {@link searchVirtualHeads} looks for.
 * @category Virtual heads
 */
export interface VirtualSearchOnTokensOptions extends VirtualSearchOptions {
  /**
   * `"attribution"` (the default): the mean over positions of what the virtual head adds to the target's logit;
   * `"norm"`: the mean norm of what it gives to the unembedding.
   */
  readonly by?: "attribution" | "norm" | undefined;
  /** The logits to explain; those of the correct next tokens by default. */
  readonly targets?: Targets | undefined;
}

/**
 * The virtual heads that contribute most on some tokens, patterns and norm scales frozen: the largest terms of that
 * order in the {@link pathExpansion} that begin in the embedding, also where its paths are too many to write out.
 *
 * @param tokens - a prompt, or several of equal length.
 * @param options - `order`, `k`, `by`, `targets`, `signal`, `onProgress` (in first heads).
 * @throws {@link InputError} as {@link strongestVirtualHeads}, for an unknown `by`, for tokens the model cannot run or
 * predict; {@link ShapeError} when targets do not fit the prompts; the signal's reason when aborted.
 * @category Virtual heads
 * @example
 * ```ts
 * import { pathExpansion } from "transformer-circuits";
 * import { searchVirtualHeads } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = [0, 300, 301, 302, 303, 300, 301, 302, 303];
 * const { found } = searchVirtualHeads(model, tokens, { k: 1 });
 * const expansion = pathExpansion(model, tokens);
 * const [largest] = expansion.rank("attribution", { terms: expansion.select({ order: 2 }), k: 1 });
 * console.log(found[0]?.virtual.label === largest?.term.label);
 * // true
 * ```
 */
export function searchVirtualHeads(
  model: Transformer,
  tokens: TokensLike,
  options: VirtualSearchOnTokensOptions = {},
): VirtualSearch {
  requireKind("model", model, "model", "searchVirtualHeads", options, "by targets order k signal onProgress");
  const operation = "searchVirtualHeads";
  const { by = "attribution", targets = "next" } = options;
  requireChoice(by, ["attribution", "norm"], "by", operation);
  const { order, k } = checked(model, options, operation);
  const frozen = freeze(model, tokens, operation, options.signal);
  const readout = by === "attribution" ? readoutOf(model, frozen.run.tokens, targets, operation) : undefined;
  const root = PathNode.root(frozen, { source: "direct", from: 0, enters: "stream", stream: directStream(frozen) });
  return strongest<PathNode>(model, order, k, options, {
    start: (head) => root.extend(head, false),
    extend: (node, head) => node.extend(head, false),
    value: (node) => mean(readout === undefined ? rowNorms(node.resid) : readAlong(readout, node.resid)),
  });
}

/** How to go through paths of heads: what is known of the first ones, and the value of all. */
interface Walk<Prefix> {
  readonly start: (head: AttentionHead) => Prefix;
  readonly extend: (prefix: Prefix, head: AttentionHead) => Prefix;
  readonly value: (prefix: Prefix) => number;
}

function strongest<Prefix>(
  model: Transformer,
  order: number,
  k: number,
  options: ProgressOptions,
  walk: Walk<Prefix>,
): VirtualSearch {
  const { n_layers } = model.config;
  const found: RankedVirtualHead[] = [];
  let total = 0;
  const take = (heads: readonly AttentionHead[], value: number): void => {
    total += 1;
    const place = found.findIndex((other) => Math.abs(other.value) < Math.abs(value));
    if (place < 0 && found.length === k) return;
    found.splice(place < 0 ? found.length : place, 0, { virtual: new VirtualHead(model, heads), value });
    found.length = Math.min(found.length, k);
  };
  const headsFrom = (layer: number, remaining: number): readonly AttentionHead[] =>
    model.layers.slice(layer, n_layers - remaining + 1).flatMap(({ heads }) => heads);
  const visit = (heads: readonly AttentionHead[], last: AttentionHead, prefix: Prefix): void => {
    const remaining = order - heads.length;
    if (remaining === 0) take(heads, walk.value(prefix));
    else
      for (const head of headsFrom(last.layer + 1, remaining)) visit([...heads, head], head, walk.extend(prefix, head));
  };
  const firsts = headsFrom(0, order);
  const steps = new Steps(options, firsts.length);
  for (const head of firsts) {
    visit([head], head, walk.start(head));
    steps.advance();
  }
  return { found, total };
}

function mean(values: Float64Array): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}

function checked(model: Transformer, options: VirtualSearchOptions, operation: string): { order: number; k: number } {
  const { order = 2, k = 10 } = options;
  const { n_layers } = model.config;
  requireCount(k, "k", operation);
  if (!Number.isSafeInteger(order) || order < 2 || order > n_layers) {
    throw new InputError(
      `order is ${order}; a virtual head is made of at least 2 heads, of different layers, and this model has n_layers=${n_layers}.`,
      { operation, argument: "order", expected: [2, n_layers], actual: order },
    );
  }
  return { order, k };
}
