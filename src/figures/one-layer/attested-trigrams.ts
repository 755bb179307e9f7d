/** The skip-trigrams that a text has, and pairs of them that bring others which it has not. */
import type { SkipTrigramEffect, SkipTrigramPair } from "../../circuits/index.ts";

/** What a text has. */
export interface AttestedTrigrams {
  /** Source, destination and the token after the destination, each triple once. */
  readonly trigrams: readonly (SkipTrigramPair & { readonly source: number })[];
  /** Whether a token somewhere follows another. */
  readonly follows: (destination: number, out: number) => boolean;
}

/** How far before a destination its sources are looked for. */
const REACH = 48;

/** The skip-trigrams of windows of tokens, BOS left out: any token before a destination is a source. */
export function attestedTrigrams(windows: readonly (readonly number[])[], bos: number | undefined): AttestedTrigrams {
  const largest = windows.reduce((most, window) => window.reduce((a, b) => Math.max(a, b), most), 0) + 1;
  const pairs = new Set<number>();
  const seen = new Set<string>();
  const trigrams: (SkipTrigramPair & { source: number })[] = [];
  for (const window of windows) {
    for (let i = 1; i + 1 < window.length; i++) {
      const [destination = 0, out = 0] = [window[i], window[i + 1]];
      if (destination === bos || out === bos) continue;
      pairs.add(destination * largest + out);
      for (let j = Math.max(0, i - REACH); j < i; j++) {
        const source = window[j] ?? 0;
        const key = `${source} ${destination} ${out}`;
        if (source === bos || seen.has(key)) continue;
        seen.add(key);
        trigrams.push({ source, destination, out });
      }
    }
  }
  return { trigrams, follows: (destination, out) => pairs.has(destination * largest + out) };
}

/** Two trigrams of one source with those that come of exchanging their outputs. */
export interface FoundBug {
  readonly wanted: readonly [SkipTrigramEffect, SkipTrigramEffect];
  readonly bugs: readonly [SkipTrigramEffect, SkipTrigramEffect];
  /** The smaller of the unwanted effects. */
  readonly least: number;
}

/** Of the trigrams of one source as many of the strongest are paired. */
const PAIRED = 48;

/**
 * The pair of trigrams of one source whose exchanged outputs nowhere follow, with the largest unwanted effects; an
 * empty list where there is none. All effects must be positive.
 */
export function bestBug(effects: readonly SkipTrigramEffect[], follows: AttestedTrigrams["follows"]): FoundBug[] {
  const strongest = [...effects].sort((a, b) => b.effect - a.effect).slice(0, PAIRED);
  let best: FoundBug | undefined;
  for (const [i, first] of strongest.entries()) {
    for (const second of strongest.slice(i + 1)) {
      if (first.destination === second.destination || first.out === second.out) continue;
      if (follows(first.destination, second.out) || follows(second.destination, first.out)) continue;
      const bugs = [crossed(first, second), crossed(second, first)] as const;
      const least = Math.min(bugs[0].effect, bugs[1].effect);
      if (best === undefined || least > best.least) best = { wanted: [first, second], bugs, least };
    }
  }
  return best === undefined ? [] : [best];
}

/** The destination of one with the output of the other: its attention, the other's logit per attention. */
function crossed(from: SkipTrigramEffect, to: SkipTrigramEffect): SkipTrigramEffect {
  const { source, destination, attention } = from;
  return { source, destination, out: to.out, attention, effect: (attention * to.effect) / to.attention };
}
