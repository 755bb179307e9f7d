/** Which other prompt stands in for each: one draw for edits, sweeps and circuits. */
import type { PaddingMask } from "../model/index.ts";
import { Random } from "../tensor/index.ts";

/**
 * Of which prompt each takes an activation: of one of its own batch, none of itself; or any of some others. Prompts of
 * one kind take from their kind alone; -1 where there is no other. For a seed the same prompts, whoever asks.
 *
 * @param kinds - of each prompt; one text for all where all are alike.
 * @param others - the kinds of the prompts to take from; the prompts themselves unless given.
 */
export function drawnPrompts(seed: number, kinds: readonly string[], others?: readonly string[]): number[] {
  const random = new Random(seed);
  const out = new Array<number>(kinds.length).fill(-1);
  for (const kind of new Set(kinds)) {
    const own = ofKind(kinds, kind);
    if (others !== undefined) {
      const theirs = ofKind(others, kind);
      if (theirs.length > 0) for (const b of own) out[b] = theirs[random.int(theirs.length)] as number;
      continue;
    }
    if (own.length < 2) continue;
    // Sattolo's shuffle gives each cycle of all prompts with the same probability, so that none keeps its own.
    const order = [...own];
    for (let i = own.length - 1; i > 0; i--) {
      const j = random.int(i);
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
    for (const [i, b] of own.entries()) out[b] = order[i] as number;
  }
  return out;
}

const ofKind = (kinds: readonly string[], kind: string): number[] =>
  kinds.flatMap((each, b) => (each === kind ? [b] : []));

/** Of each prompt where its text lies, as its kind. */
export function textsOf(mask: PaddingMask | undefined, batch: number, pos: number): string[] {
  return Array.from({ length: batch }, (_, b) =>
    mask === undefined ? "1".repeat(pos) : mask.visible.subarray(b * pos, (b + 1) * pos).join(""),
  );
}
