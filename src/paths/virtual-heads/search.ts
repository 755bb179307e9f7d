/**
 * The virtual heads that matter most, found without trying all of them.
 *
 * A path of heads is built head by head, and given up as soon as nothing that goes on from it can be among the `k` best
 * found so far. Bounds: with $\sigma_h$ the largest singular value of $W_{OV}^h$, a head takes vectors of lengths $n_j$
 * to vectors of lengths at most $\sigma_h \sum_j A_{ij} n_j / s_j$, and $\|X W_{OV}^h\|_F \le \|X\|_F \sigma_h$. The
 * result is that of trying all paths.
 */
import { InputError, requireKind } from "../../errors.ts";
import { compose, frobeniusNormOf, linear, singularValuesOf } from "../../linear/index.ts";
import type { Linear } from "../../linear/index.ts";
import type { AttentionHead, TokensLike, Transformer } from "../../model/index.ts";
import { requireChoice, requireCount, foldedReader } from "../../model/internal.ts";
import { compositionScores } from "../../circuits/index.ts";
import { directStream, freeze, frozenNorm } from "../frozen/frozen-run.ts";
import type { FrozenRun } from "../frozen/frozen-run.ts";
import { readingsOfStream } from "../logits/attribution.ts";
import { PathNode } from "../logits/terms.ts";
import type { ProgressOptions } from "../../progress.ts";
import { maxAbs, rowNorms } from "../../tensor/internal.ts";
import { readAlong, readoutOf } from "../targets.ts";
import type { Readout, Targets } from "../targets.ts";
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
  /** Of how many the value had to be computed. */
  readonly evaluated: number;
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
  requireKind("model", model, "model", "strongestVirtualHeads", options);
  const { order, k } = checked(model, options, "strongestVirtualHeads");
  const norms = new Map(model.heads.map((head) => [head, frobeniusNormOf(head.W_OV)]));
  const reaches = new Map(
    model.heads.map((head) => {
      const norm = norms.get(head) ?? 0;
      if (norm === 0) return [head, 0];
      // Of two heads the pair's own score is the better bound, and no singular value is needed.
      return [head, order === 2 ? 1 : largestSingularValue(head.W_OV) / norm];
    }),
  );
  const reach = (head: AttentionHead): number => reaches.get(head) ?? 0;
  const best = bestFrom(model, reach);
  const { V } = compositionScores(model, { signal: options.signal });
  // V is float32 where the weights are; as bounds its scores are rounded up.
  const pair = (a: AttentionHead, b: AttentionHead): number => V.at(a.layer, a.head, b.layer, b.head) + 2e-6;
  return search<Chain>(model, order, k, options, {
    start: (head) => ({ last: head, before: 1, map: head.W_OV, score: norms.get(head) === 0 ? 0 : 1 }),
    extend: ({ last, before, map, score }, head) => {
      const longer = compose(map, head.W_OV);
      const scale = frobeniusNormOf(map) * (norms.get(head) ?? 0);
      const next = scale === 0 ? 0 : (score * frobeniusNormOf(longer)) / scale;
      return { last: head, before: before * reach(last), map: longer, score: next };
    },
    bound: ({ score }, from, remaining) => score * best(from, remaining),
    // ‖X Y Z‖ is at most ‖X Y‖ σ(Z), and at most σ(X) ‖Y Z‖.
    boundStep: ({ last, before, score }, head, remaining) =>
      Math.min(score * reach(head), before * pair(last, head)) * best(head.layer + 1, remaining),
    value: ({ score }) => score,
  });
}

/** A path of heads so far. */
interface Chain {
  readonly last: AttentionHead;
  /** The product of $\sigma_h / \|W_{OV}^h\|$ of the heads before the last. */
  readonly before: number;
  readonly map: Linear<"d_model", "d_model">;
  readonly score: number;
}

/**
 * What {@link searchVirtualHeads} looks for.
 * @category Virtual heads
 */
export interface VirtualSearchOnTokensOptions extends VirtualSearchOptions {
  /**
   * `"attribution"` (the default): the mean over positions of what the virtual head adds to the target's logit;
   * `"norm"`: the mean length of what it gives to the unembedding.
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
  requireKind("model", model, "model", "searchVirtualHeads", options);
  const operation = "searchVirtualHeads";
  const { by = "attribution", targets = "next" } = options;
  requireChoice(by, ["attribution", "norm"], "by", operation);
  const { order, k } = checked(model, options, operation);
  const frozen = freeze(model, tokens, operation, options.signal);
  const readout = by === "attribution" ? readoutOf(model, frozen.run.tokens, targets, operation) : undefined;
  const root = PathNode.root(frozen, { source: "direct", from: 0, enters: "stream", stream: directStream(frozen) });
  const lengths = lengthBounds(frozen);
  const ends = endLengths(frozen, readout);
  return search<PathNode>(model, order, k, options, {
    start: (head) => root.extend(head, false),
    extend: (node, head) => node.extend(head, false),
    bound: (node, from, remaining) => meanProduct(lengths(rowNorms(node.stream), from, remaining), ends),
    value: (node) => (readout === undefined ? mean(rowNorms(node.resid)) : mean(readAlong(readout, node.resid))),
  });
}

/** Rounding may put a bound a little below what it bounds. */
const ROUNDING = 1 + 1e-9;

/** How to go through paths: every function of a path so far. */
interface Walk<Prefix> {
  readonly start: (head: AttentionHead) => Prefix;
  readonly extend: (prefix: Prefix, head: AttentionHead) => Prefix;
  /**
   * The most that the absolute value of a path can be that goes on through `remaining` heads of layers from `from` on.
   */
  readonly bound: (prefix: Prefix, from: number, remaining: number) => number;
  /** The same for the path that takes one more head first, before that is worked out. */
  readonly boundStep?: (prefix: Prefix, head: AttentionHead, remaining: number) => number;
  readonly value: (prefix: Prefix) => number;
}

function search<Prefix>(
  model: Transformer,
  order: number,
  k: number,
  options: ProgressOptions,
  walk: Walk<Prefix>,
): VirtualSearch {
  const { n_layers, n_heads } = model.config;
  const found: RankedVirtualHead[] = [];
  let evaluated = 0;
  const worst = (): number => (found.length < k ? -1 : Math.abs((found[k - 1] as RankedVirtualHead).value));
  const insert = (heads: readonly AttentionHead[], value: number): void => {
    const place = found.findIndex((other) => Math.abs(other.value) < Math.abs(value));
    found.splice(place < 0 ? found.length : place, 0, { virtual: new VirtualHead(model, heads), value });
    found.length = Math.min(found.length, k);
  };
  const visit = (heads: readonly AttentionHead[], prefix: Prefix): void => {
    const remaining = order - heads.length;
    if (remaining === 0) {
      evaluated += 1;
      const value = walk.value(prefix);
      if (Math.abs(value) > worst()) insert(heads, value);
      return;
    }
    const from = (heads.at(-1)?.layer ?? -1) + 1;
    const isHopeless = (bound: number): boolean => bound * ROUNDING < worst();
    if (isHopeless(walk.bound(prefix, from, remaining))) return;
    const next = model.layers.slice(from, n_layers - remaining + 1).flatMap((layer) => layer.heads);
    const bounded = next.map((head) => ({ head, bound: walk.boundStep?.(prefix, head, remaining - 1) ?? Infinity }));
    bounded.sort((a, b) => (a.bound === b.bound ? 0 : b.bound - a.bound));
    for (const { head, bound } of bounded) {
      if (!isHopeless(bound)) visit([...heads, head], walk.extend(prefix, head));
    }
  };
  const firsts = model.layers.slice(0, n_layers - order + 1).flatMap(({ heads }) => heads);
  const starts = firsts.map((head) => ({ head, prefix: walk.start(head) }));
  const bounds = new Map(starts.map((start) => [start, walk.bound(start.prefix, start.head.layer + 1, order - 1)]));
  starts.sort((a, b) => (bounds.get(b) ?? 0) - (bounds.get(a) ?? 0));
  options.signal?.throwIfAborted();
  for (const [done, { head, prefix }] of starts.entries()) {
    visit([head], prefix);
    options.onProgress?.(done + 1, starts.length);
    if (done + 1 < starts.length) options.signal?.throwIfAborted();
  }
  return { found, total: choose(n_layers, order) * n_heads ** order, evaluated };
}

/** The largest product of `remaining` numbers of heads in ever later layers from a layer on. */
function bestFrom(
  model: Transformer,
  of: (head: AttentionHead) => number,
): (from: number, remaining: number) => number {
  const largest = model.layers.map(({ heads }) => Math.max(...heads.map(of)));
  const recurse = (from: number, remaining: number): number => {
    if (remaining === 0) return 1;
    let best = 0;
    for (let layer = from; layer <= largest.length - remaining; layer++) {
      best = Math.max(best, (largest[layer] as number) * recurse(layer + 1, remaining - 1));
    }
    return best;
  };
  const known = new Map<string, number>();
  return (from, remaining) => {
    const key = `${from} ${remaining}`;
    const value = known.get(key) ?? recurse(from, remaining);
    known.set(key, value);
    return value;
  };
}

/** Bounds on the lengths of a stream at every position after any `remaining` heads of layers from `from` on. */
function lengthBounds(frozen: FrozenRun): (lengths: Float64Array, from: number, remaining: number) => Float64Array {
  const { model, run } = frozen;
  const gains = new Map(
    model.layers.flatMap((layer) =>
      layer.heads.map((head) => {
        const W_V = linear("d_model", "d_head", foldedReader(layer, "W_V").select("head", head.head));
        return [head, largestSingularValue(compose(W_V, head.W_O))];
      }),
    ),
  );
  const [batch = 0, pos = 0] = run.tokens.shape;
  const step = (lengths: Float64Array, from: number): Float64Array => {
    const out = new Float64Array(lengths.length);
    for (const { layer, heads } of model.layers.slice(from)) {
      const pattern = run.cache.get(`blocks.${layer}.attn.hook_pattern`).data;
      const scale = frozenNorm(frozen, layer)?.scale.data;
      const scaled = lengths.map((n, row) => n / (scale?.[row] ?? 1));
      for (const head of heads) {
        const gain = gains.get(head) ?? 0;
        for (let row = 0; row < batch * pos; row++) {
          const b = Math.floor(row / pos);
          const start = ((b * heads.length + head.head) * pos + (row % pos)) * pos;
          let sum = 0;
          for (let j = 0; j < pos; j++) sum += (pattern[start + j] as number) * (scaled[b * pos + j] as number);
          out[row] = Math.max(out[row] as number, gain * sum);
        }
      }
    }
    return out;
  };
  return (lengths, from, remaining) => {
    let bound = lengths;
    for (let r = 0; r < remaining; r++) bound = step(bound, from + r);
    return bound;
  };
}

/**
 * What the length of the last stream is multiplied by at every position, at most, to give its value; `[batch, pos]`.
 */
function endLengths(frozen: FrozenRun, readout: Readout | undefined): Float64Array {
  const [batch = 0, pos = 0] = frozen.run.tokens.shape;
  const out = new Float64Array(batch * pos);
  if (readout === undefined) {
    const found = frozenNorm(frozen, frozen.model.config.n_layers);
    const gain = found?.norm.w === undefined ? 1 : maxAbs(found.norm.w.data);
    return out.map((_, row) => gain / ((found?.scale.data[row] ?? 1) * out.length));
  }
  const lengths = rowNorms(readingsOfStream(frozen, readout));
  const { positions } = readout;
  for (const [row, length] of lengths.entries()) {
    out[Math.floor(row / positions) * pos + (row % positions)] = length / lengths.length;
  }
  return out;
}

function meanProduct(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
}

function mean(values: Float64Array): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}

function largestSingularValue(map: Linear): number {
  return singularValuesOf(map).data[0] ?? 0;
}

function choose(n: number, k: number): number {
  let count = 1;
  for (let i = 0; i < k; i++) count *= (n - i) / (i + 1);
  return Math.round(count);
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
