/** Which parts of the text the figures are made of. */
import type { Corpus } from "./corpus.ts";
import type { Plan } from "./plan.ts";

/**
 * The beginning of the window in which the most different pairs of neighbouring tokens come again: where an induction
 * head has most to do. Pairs of equal tokens do not count; the first of several.
 */
export function readablePassage(windows: readonly (readonly number[])[], length: number): readonly number[] {
  let best: readonly number[] = windows[0]?.slice(0, length) ?? [];
  let most = 0;
  for (const window of windows) {
    const passage = window.slice(0, length);
    const seen = new Set<string>();
    const again = new Set<string>();
    for (let i = 1; i < passage.length; i++) {
      const pair = `${passage[i - 1]} ${passage[i]}`;
      if (seen.has(pair) && passage[i - 1] !== passage[i]) again.add(pair);
      seen.add(pair);
    }
    if (again.size > most) [most, best] = [again.size, passage];
  }
  return best;
}

/** Evenly spread windows of one length, at most as many as the plan has. */
export function importanceWindows(windows: readonly (readonly number[])[], plan: Plan): (readonly number[])[] {
  const longest = Math.min(plan.importanceLength, Math.max(...windows.map((window) => window.length)));
  const full = windows.filter((window) => window.length >= longest);
  const count = Math.min(plan.importanceWindows, full.length);
  return Array.from({ length: count }, (_, i) => (full[Math.floor((i * full.length) / count)] ?? []).slice(0, longest));
}

/** How many of the text's most frequent tokens are tried as sources of skip-trigrams. */
const CANDIDATES = 96;

/** The text's most frequent tokens, most frequent first; of equal ones the lower id. */
export function frequentTokens({ ids, bos, isReadable }: Corpus): number[] {
  const counts = new Map<number, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts]
    .filter(([id]) => id !== bos && isReadable(id))
    .sort((a, b) => b[1] - a[1] || a[0] - b[0])
    .slice(0, CANDIDATES)
    .map(([id]) => id);
}

/** Windows as a figure takes a text: token ids without BOS. */
export function idsOf(windows: readonly (readonly number[])[], { bos }: Pick<Corpus, "bos">): readonly number[] {
  return windows.flatMap((window) => (bos === undefined ? window : window.slice(1)));
}
