/** The strongest skip-trigrams of a head over the whole vocabulary, found in bounded memory. */
import { InputError, requireKind } from "../../errors.ts";
import { restrict, topKOverall, topKPerRow } from "../../linear/index.ts";
import { collapsed } from "../../linear/internal.ts";
import type { Linear, MapEntry, TopK } from "../../linear/index.ts";
import type { HeadRef, Transformer } from "../../model/index.ts";
import { requireCount } from "../../model/internal.ts";
import type { ProgressOptions } from "../../progress.ts";
import type { ScoreReference } from "./references.ts";
import { attentionAgainstRival } from "./bugs.ts";
import type { SkipTrigramEffect } from "./bugs.ts";
import { requireReference } from "./skip-trigrams.ts";
import { passes, tokensThat } from "./filters.ts";
import type { SkipTrigramFilters } from "./filters.ts";
import { tokenScores } from "./token-scores.ts";
import type { TokenValue } from "./top-tokens.ts";

/** The list of those found is kept in order, which many more would make slow. */
const MOST_TRIGRAMS = 65_536;

/**
 * Options of {@link topSkipTrigrams}.
 * @category Circuits
 */
export interface TopSkipTrigramOptions extends ProgressOptions {
  /** How many to find; 20 by default, 65,536 at most. */
  readonly k?: number | undefined;
  /**
   * At most how many destinations of one source and output; all by default. Many destinations often look at a source
   * alike, so that 1 shows more of what a head does.
   */
  readonly perPair?: number | undefined;
  /** The start (BOS) token: the rival for attention, and neither a source nor a destination. */
  readonly start?: number | undefined;
  /** Tokens that are to appear nowhere, such as untrained ones. */
  readonly exclude?: ((token: number) => boolean) | undefined;
  /** The only tokens that may appear, for each place. */
  readonly among?: SkipTrigramFilters | undefined;
  /** What takes the part of the rival: the start token where it is given, the mean otherwise. */
  readonly reference?: ScoreReference | undefined;
  /** `[d_vocab]`: how often each token occurs, for the means of `reference`; alike if left out. */
  readonly frequencies?: ArrayLike<number> | undefined;
}

/**
 * The skip-trigrams `source … destination → out` of a head with the largest effect on a logit, over all triples of
 * tokens.
 *
 * The effect is that in the smallest context that has one, $\sigma(S_{b,a} - S_{b,\text{rival}})\, \mathrm{OV}_{a,c}$
 * for source $a$, destination $b$ and output $c$: what the source's share of attention adds to the output's logit where
 * the destination can also rest on the start token, or without one on a token of mean score. Only increases are listed.
 *
 * Exact: sources come by bounds of their largest logit and most are left out, the others' lists are those of the
 * float64 circuits; memory in proportion to d_vocab.
 *
 * @param head - the head, by place or label.
 * @param options - `k`, `perPair`, `start`, `exclude`, `among`, `reference`, `frequencies`, `signal`, `onProgress` (in
 * source tokens).
 * @returns at most `k` triples, largest effect first; of equal ones those of lower sources come first.
 * @throws {@link InputError} when `k`, `perPair`, a token, the reference or the head does not exist or `k` is above
 * 65,536, or frequencies are not those of the vocabulary; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { topSkipTrigrams } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model, tokenizer } = await openBundledModel();
 * const found = topSkipTrigrams(model, "L0H3", { k: 3, perPair: 1, start: tokenizer.bos });
 * for (const { source, destination, out, effect } of found) {
 *   const [a, b, c] = [source, destination, out].map((id) => JSON.stringify(tokenizer.tokenString(id)));
 *   console.log(`${a} … ${b} → ${c}`, effect.toFixed(1));
 * }
 * // "org" … "/" → "docs" 3.4
 * // "Web" … "/" → "API" 2.9
 * // "docs" … "/" → "Web" 2.8
 * ```
 */
export function topSkipTrigrams(
  model: Transformer,
  head: HeadRef,
  options: TopSkipTrigramOptions = {},
): SkipTrigramEffect[] {
  requireKind(
    "model",
    model,
    "model",
    "topSkipTrigrams",
    options,
    "k perPair start exclude among reference frequencies signal onProgress",
  );
  const operation = "topSkipTrigrams";
  const { k = 20, perPair = k, start, exclude = () => false, frequencies, among = {}, signal } = options;
  const { reference = start === undefined ? "mean" : "start" } = options;
  requireCount(k, "k", operation);
  requireCount(perPair, "perPair", operation);
  if (k > MOST_TRIGRAMS) {
    throw new InputError(
      `k is ${k}, more than the ${MOST_TRIGRAMS} trigrams that are kept at most. Ask for fewer, or for those of some tokens, with among.`,
      { operation, argument: "k", expected: MOST_TRIGRAMS, actual: k },
    );
  }
  requireReference(model, { reference, start, frequencies }, operation);
  const { d_vocab, d_vocab_out } = model.config;
  const [isSource, isDestination, isOut] = (["source", "destination", "out"] as const).map((place) =>
    passes(model, among[place], place, operation),
  ) as [TokenTest, TokenTest, TokenTest];
  const isContext = (token: number): boolean => token !== start && !exclude(token);
  signal?.throwIfAborted();
  const sources = tokensThat((token) => isContext(token) && isSource(token), d_vocab);
  const destinations = tokensThat((token) => isContext(token) && isDestination(token), d_vocab);
  const outs = tokensThat((token) => !exclude(token) && isOut(token), d_vocab_out);
  if (sources.length * destinations.length * outs.length === 0) return [];
  const { raised, lookedAt } = tokenScores(model, head, reference, { start, frequencies });
  return searchTriples({
    ...{ sources, destinations, outs, k, perPair: Math.min(k, perPair), options },
    raised: restrict(collapsed(raised), { columns: outs }),
    lookedAt: restrict(collapsed(lookedAt), { columns: destinations }),
  });
}

type TokenTest = (token: number) => boolean;

/** The maps to search: their rows are all tokens, their columns the tokens that may appear. */
interface Search {
  readonly sources: Int32Array;
  readonly destinations: Int32Array;
  readonly outs: Int32Array;
  readonly raised: Linear;
  readonly lookedAt: Linear;
  readonly k: number;
  readonly perPair: number;
  readonly options: ProgressOptions;
}

/** Numbers of lists of outputs and destinations that are held at once. */
const LISTED = 2 ** 19;
/** Sources looked at together, at least. */
const LEAST_TOGETHER = 1024;
/** Vocabularies up to this are searched through as they are. */
const SMALL = 512;

/**
 * An effect is a share of attention, at most 1, times a logit. So the largest logits of all come first: with the
 * destinations of their sources they give effects, and no source without a logit above the k-th of these needs be
 * looked at.
 */
function searchTriples(search: Search): SkipTrigramEffect[] {
  const { sources, k, options } = search;
  if (sources.length > SMALL) {
    for (const [round, logits] of [2 ** 10, 2 ** 14].entries()) {
      const progress = partOf(options, round / 4, (round + 1) / 4);
      const largest = topKOverall(search.raised, logits, { rows: sources, ...progress });
      const rows = Int32Array.from(new Set(largest.map(({ row }) => row))).sort();
      const best = bestOf(search, rows, { signal: options.signal });
      const least = best.length === k ? (best[k - 1] as SkipTrigramEffect).effect : 0;
      // Where even the last of the largest logits is below, all that matter are among them.
      if ((largest[largest.length - 1] as MapEntry).value < least) {
        options.onProgress?.(sources.length, sources.length);
        options.signal?.throwIfAborted();
        return best;
      }
    }
    return bestOf(search, sources, partOf(options, 1 / 2, 1));
  }
  return bestOf(search, sources, options);
}

/** Reports of a part of the work as those of the whole. */
function partOf({ signal, onProgress }: ProgressOptions, from: number, to: number): ProgressOptions {
  if (onProgress === undefined) return { signal };
  return {
    signal,
    onProgress: (done, total) => onProgress(Math.floor(total * (from + ((to - from) * done) / total)), total),
  };
}

/** The best triples of some sources, which are taken in order. */
function bestOf(search: Search, sources: Int32Array, options: ProgressOptions): SkipTrigramEffect[] {
  const { k, perPair, raised, lookedAt } = search;
  const best: SkipTrigramEffect[] = [];
  const together = Math.max(LEAST_TOGETHER, Math.min(Math.floor(LISTED / k), Math.ceil(sources.length / 4)));
  for (let first = 0; first < sources.length; first += together) {
    const some = sources.subarray(first, first + together);
    const { signal } = options;
    const outs = listsOf(topKPerRow(raised, k, { rows: some, signal }), search.outs);
    const bar = best.length === k ? (best[k - 1] as SkipTrigramEffect).effect : 0;
    const open = Int32Array.from(some.keys()).filter((i) => (outs(i)[0]?.value ?? 0) > bar);
    const rows = open.map((i) => some[i] as number);
    const destinations = listsOf(topKPerRow(lookedAt, perPair, { rows, signal }), search.destinations);
    for (const [t, i] of open.entries()) merge(best, k, some[i] as number, destinations(t), outs(i));
    options.onProgress?.(Math.min(sources.length, first + together), sources.length);
    signal?.throwIfAborted();
  }
  return best;
}

/** Rows of a result as tokens with values. */
function listsOf({ indices, values }: TopK<string>, tokens: Int32Array): (row: number) => TokenValue[] {
  const width = indices.shape[1] ?? 0;
  const [columns, numbers] = [indices.data, values.data];
  return (row) =>
    Array.from({ length: width }, (_, t) => ({
      token: tokens[columns[row * width + t] as number] as number,
      value: numbers[row * width + t] as number,
    }));
}

/**
 * Puts the triples of one source among the best `k`. The triple of the i-th destination and the j-th output, counted
 * from 0, is preceded by the (i + 1)(j + 1) − 1 triples that are no worse on either side, so those from `k` on are not
 * looked at.
 */
function merge(
  best: SkipTrigramEffect[],
  k: number,
  source: number,
  destinations: readonly TokenValue[],
  outs: readonly TokenValue[],
): void {
  for (const [i, destination] of destinations.entries()) {
    const attention = attentionAgainstRival(destination.value);
    for (let j = 0; j < outs.length && (i + 1) * (j + 1) <= k; j++) {
      const out = outs[j] as TokenValue;
      const effect = attention * out.value;
      const last = best[k - 1];
      if (!(effect > 0) || (last !== undefined && effect <= last.effect)) break;
      let place = Math.min(best.length, k - 1);
      for (; place > 0 && (best[place - 1] as SkipTrigramEffect).effect < effect; place--) {
        best[place] = best[place - 1] as SkipTrigramEffect;
      }
      best[place] = { source, destination: destination.token, out: out.token, attention, effect };
    }
  }
}
