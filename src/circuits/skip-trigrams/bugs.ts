/**
 * What a head's skip-trigrams force on each other: for one source, effects are a product of a factor of the destination
 * and one of the output (*A Mathematical Framework for Transformer Circuits*, "Skip-trigram bugs").
 */
import { requireKind, requireKinds, requireObject } from "../../errors.ts";
import type { HeadRef, Transformer } from "../../model/index.ts";
import { requireCount, requireToken } from "../../model/internal.ts";
import type { ProgressOptions } from "../../progress.ts";
import { Steps } from "../../progress.ts";
import { passes } from "./filters.ts";
import type { SkipTrigramFilters } from "./filters.ts";
import { tokenScores } from "./token-scores.ts";
import { TOKEN_PAIR } from "./skip-trigrams.ts";

/**
 * One wanted pair of a skip-trigram bug.
 * @category Circuits
 */
export interface SkipTrigramPair {
  readonly destination: number;
  readonly out: number;
}

/**
 * A skip-trigram with its effect.
 * @category Circuits
 */
export interface SkipTrigramEffect extends SkipTrigramPair {
  readonly source: number;
  /** The share of attention, from 0 to 1, that the source gets from the destination against its one rival. */
  readonly attention: number;
  /** What this attention adds to the logit of `out`. */
  readonly effect: number;
}

/**
 * Two wanted skip-trigrams of one source and the two that come with them.
 * @category Circuits
 */
export interface SkipTrigramBugs {
  /** The pairs given. */
  readonly wanted: readonly [SkipTrigramEffect, SkipTrigramEffect];
  /** The first destination with the second output, and the second with the first. */
  readonly bugs: readonly [SkipTrigramEffect, SkipTrigramEffect];
}

/**
 * The effect of skip-trigrams of one source token, in the smallest context that has one:
 * $\sigma(S_{b,a} - S_{b,\text{rival}})\, \mathrm{OV}_{a,c}$, where the rival that the destination $b$ may attend to
 * beside the source $a$ is the start token, or without one a token of mean score.
 *
 * A head gives every destination and output of one source a product of two factors, so the table of effects has rank 1
 * and wanted pairs bring unwanted ones: who raises `keep … in → mind` and `keep … at → bay` raises `keep … in → bay`
 * too (*A Mathematical Framework*, "Skip-trigram bugs").
 *
 * @param head - the head, by place or label.
 * @param source - the source token.
 * @param pairs - two pairs that the head should serve.
 * @param options - `start`, the model's BOS token.
 * @returns `wanted`, the effects on the two pairs; `bugs`, those on the pairs crossed.
 * @throws {@link InputError} when a token or head does not exist.
 * @category Circuits
 * @example
 * ```ts
 * import { skipTrigramBugs } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { wanted, bugs } = skipTrigramBugs(model, "L0H1", 300, [
 *   { destination: 310, out: 320 },
 *   { destination: 330, out: 340 },
 * ]);
 * const ratio = (bugs[0].effect * bugs[1].effect) / (wanted[0].effect * wanted[1].effect);
 * console.log(ratio.toFixed(6));
 * // 1.000000
 * ```
 */
export function skipTrigramBugs(
  model: Transformer,
  head: HeadRef,
  source: number,
  pairs: readonly [SkipTrigramPair, SkipTrigramPair],
  options: { readonly start?: number | undefined } = {},
): SkipTrigramBugs {
  requireKind("model", model, "model", "skipTrigramBugs", options, "start");
  requireKinds(TOKEN_PAIR, pairs, "pairs", "skipTrigramBugs");
  const operation = "skipTrigramBugs";
  const { start } = options;
  requireToken(model, source, "source", operation);
  if (start !== undefined) requireToken(model, start, "start", operation);
  for (const { destination, out } of pairs) {
    requireToken(model, destination, "destination", operation);
    requireToken(model, out, "out", operation, model.config.d_vocab_out);
  }
  const scores = tokenScores(model, head, start === undefined ? "mean" : "start", { start });
  const lookedAt = scores.destinations([source]);
  const raised = scores.outputs([source]);
  const effect = (destination: number, out: number): SkipTrigramEffect => {
    const attention = attentionAgainstRival(lookedAt[destination] as number);
    return { source, destination, out, attention, effect: attention * (raised[out] as number) };
  };
  const [first, second] = pairs;
  return {
    wanted: [effect(first.destination, first.out), effect(second.destination, second.out)],
    bugs: [effect(first.destination, second.out), effect(second.destination, first.out)],
  };
}

/**
 * A skip-trigram as three tokens.
 * @category Circuits
 */
export interface SkipTrigram extends SkipTrigramPair {
  readonly source: number;
}

/**
 * Options of {@link findSkipTrigramBugs}.
 * @category Circuits
 */
export interface FindSkipTrigramBugsOptions extends ProgressOptions {
  /** How many destinations and outputs of each source are crossed; 10 by default. */
  readonly k?: number | undefined;
  /** The start (BOS) token: the rival for attention, and never a destination. */
  readonly start?: number | undefined;
  /** The sources to look at; those of the attested trigrams by default. */
  readonly sources?: readonly number[] | undefined;
  /** Tokens that are not to be listed, such as untrained ones. */
  readonly exclude?: ((token: number) => boolean) | undefined;
  /** The only tokens to be listed, for each place. */
  readonly among?: Omit<SkipTrigramFilters, "source"> | undefined;
}

/**
 * The skip-trigrams that a head serves although no text has them: for each source, the `k` destinations that look at it
 * most crossed with the `k` outputs that are raised most, less the trigrams attested in a corpus. As effects have rank
 * 1, no head can serve the attested ones of a source without their crossings.
 *
 * @param head - the head, by place or label.
 * @param attested - trigrams that texts have, source … destination → out.
 * @param options - `k`, `start`, `sources`, `exclude`, `among`, `signal`, `onProgress` (in sources).
 * @returns those with an effect above 0, the largest first; of equal ones those of lower sources, destinations and
 * outputs.
 * @throws {@link InputError} when a token, `k` or head does not exist; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { findSkipTrigramBugs, topSkipTrigrams } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model, tokenizer } = await openBundledModel();
 * const attested = topSkipTrigrams(model, "L0H3", { k: 5, perPair: 1, start: tokenizer.bos });
 * const bugs = findSkipTrigramBugs(model, "L0H3", attested, { k: 3, start: tokenizer.bos });
 * console.log(bugs.length > 0, (bugs[0]?.effect ?? 0) <= (attested[0]?.effect ?? 0));
 * // true true
 * ```
 */
export function findSkipTrigramBugs(
  model: Transformer,
  head: HeadRef,
  attested: Iterable<SkipTrigram>,
  options: FindSkipTrigramBugsOptions = {},
): SkipTrigramEffect[] {
  requireKind(
    "model",
    model,
    "model",
    "findSkipTrigramBugs",
    options,
    "k start sources exclude among signal onProgress",
  );
  const operation = "findSkipTrigramBugs";
  const { k = 10, start, exclude = () => false, among = {} } = options;
  if (among !== undefined) requireObject(among, "among", operation);
  requireCount(k, "k", operation);
  if (start !== undefined) requireToken(model, start, "start", operation);
  const known = knownBySource(model, attested, operation);
  const { sources = [...known.keys()].sort((a, b) => a - b) } = options;
  requireKind("list", sources, "sources", operation);
  for (const source of sources) requireToken(model, source, "source", operation);
  const isDestination = passes(model, among.destination, "destination", operation);
  const isOut = passes(model, among.out, "out", operation);
  const scores = tokenScores(model, head, start === undefined ? "mean" : "start", { start });
  const steps = new Steps(options, sources.length);
  const bugs: SkipTrigramEffect[] = [];
  for (const source of sources) {
    const [destinations = []] = scores.topDestinations(
      [source],
      k,
      (token) => token === start || exclude(token) || !isDestination(token),
    );
    const [outs = []] = scores.topOutputs([source], k, (token) => exclude(token) || !isOut(token));
    for (const { token: destination, value: score } of destinations) {
      const attention = attentionAgainstRival(score);
      for (const { token: out, value } of outs) {
        const effect = attention * value;
        if (!(effect > 0)) break;
        if (known.get(source)?.has(pairKey(model, destination, out)) !== true) {
          bugs.push({ source, destination, out, attention, effect });
        }
      }
    }
    steps.advance();
  }
  return bugs.sort(
    (a, b) => b.effect - a.effect || a.source - b.source || a.destination - b.destination || a.out - b.out,
  );
}

function knownBySource(
  model: Transformer,
  attested: Iterable<SkipTrigram>,
  operation: string,
): Map<number, Set<number>> {
  const known = new Map<number, Set<number>>();
  if (typeof (attested as Partial<typeof attested> | undefined | null)?.[Symbol.iterator] !== "function") {
    requireKind("list", undefined, "attested", operation);
  }
  for (const trigram of attested) {
    requireKind(TOKEN_PAIR, trigram, "attested", operation);
    const { source, destination, out } = trigram;
    requireToken(model, source, "source", operation);
    requireToken(model, destination, "destination", operation);
    requireToken(model, out, "out", operation, model.config.d_vocab_out);
    const pairs = known.get(source) ?? new Set();
    known.set(source, pairs.add(pairKey(model, destination, out)));
  }
  return known;
}

function pairKey({ config }: Transformer, destination: number, out: number): number {
  return destination * config.d_vocab_out + out;
}

/** The softmax of a score and 0. */
export function attentionAgainstRival(score: number): number {
  return score >= 0 ? 1 / (1 + Math.exp(-score)) : Math.exp(score) / (1 + Math.exp(score));
}
