/** The strongest skip-trigrams of a head over the whole vocabulary, found in bounded memory. */
import type { HeadRef, Transformer } from "../model/index.ts";
import { requireCount, requireToken } from "./arguments.ts";
import type { ProgressOptions } from "./progress.ts";
import { attentionAgainstRival } from "./skip-trigrams.ts";
import type { SkipTrigramEffect } from "./skip-trigrams.ts";
import { largestTokens, tokenScores } from "./token-scores.ts";
import type { TokenValue } from "./token-scores.ts";

/**
 * Options of {@link topSkipTrigrams}.
 * @category Circuits
 */
export interface TopSkipTrigramOptions extends ProgressOptions {
  /** How many to find; 20 by default. */
  readonly k?: number | undefined;
  /**
   * At most how many destinations of one source and output; all by default. Many destinations often look at a source alike, so
   * that 1 shows more of what a head does.
   */
  readonly perPair?: number | undefined;
  /** The start (BOS) token: the rival for attention, and neither a source nor a destination. */
  readonly start?: number | undefined;
  /** Tokens that are to appear nowhere, such as untrained ones. */
  readonly exclude?: ((token: number) => boolean) | undefined;
}

/**
 * The skip-trigrams `source … destination → out` of a head with the largest effect on a logit, over all triples of tokens.
 *
 * The effect is that in the smallest context that has one, $\sigma(S_{b,a} - S_{b,\text{rival}})\, \mathrm{OV}_{a,c}$ for source $a$, destination $b$ and
 * output $c$: what the source's share of attention adds to the output's logit where the destination can also rest on the
 * start token, or without one on a token of mean score. Only increases are listed.
 *
 * Both circuits are computed a band of source tokens at a time and only the best triples are kept: time in proportion to
 * d_vocab² d_head, memory to d_vocab.
 *
 * @param head - the head, by place or label.
 * @param options - `k`, `perPair`, `start`, `exclude`, `signal`, `onProgress` (in source tokens).
 * @returns at most `k` triples, largest effect first; of equal ones those of lower sources come first.
 * @throws {@link InputError} when `k`, `perPair`, the start token or the head does not exist; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { topSkipTrigrams } from "transformer-circuits";
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
  const operation = "topSkipTrigrams";
  const { k = 20, perPair = k, start, exclude = () => false, signal, onProgress } = options;
  requireCount(k, "k", operation);
  requireCount(perPair, "perPair", operation);
  if (start !== undefined) requireToken(model, start, "start", operation);
  signal?.throwIfAborted();
  const scores = tokenScores(model, head, start === undefined ? "mean" : "start", start);
  const { d_vocab, d_vocab_out } = scores;
  const isNoContext = (token: number): boolean => token === start || exclude(token);
  const best: SkipTrigramEffect[] = [];
  const height = Math.max(1, Math.floor(BAND_ENTRIES / Math.max(d_vocab, d_vocab_out)));
  for (let from = 0; from < d_vocab; from += height) {
    const sources = Array.from({ length: Math.min(height, d_vocab - from) }, (_, i) => from + i);
    const lookedAt = scores.destinations(sources);
    const raised = scores.outputs(sources);
    for (const [i, source] of sources.entries()) {
      if (isNoContext(source)) continue;
      const out = largestTokens(raised.subarray(i * d_vocab_out, (i + 1) * d_vocab_out), k, exclude);
      if (best.length === k && (out[0]?.value ?? 0) <= (best[k - 1] as SkipTrigramEffect).effect) continue;
      const destination = largestTokens(
        lookedAt.subarray(i * d_vocab, (i + 1) * d_vocab),
        Math.min(k, perPair),
        isNoContext,
      );
      merge(best, k, source, destination, out);
    }
    onProgress?.(from + sources.length, d_vocab);
    signal?.throwIfAborted();
  }
  return best;
}

/** 8 MiB of float64. */
const BAND_ENTRIES = 2 ** 20;

/**
 * Puts the triples of one source among the best `k`. The triple of the i-th destination and the j-th output, counted from 0, is
 * preceded by the (i + 1)(j + 1) − 1 triples that are no worse on either side, so those from `k` on are not looked at.
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
