/** What the lead and the section on induction both say of induction heads. */
import type { InductionFacts } from "../types.ts";
import { atPositions, range } from "./words.ts";

/**
 * The attention of induction heads to the token after the earlier copy: at the positions where they are such heads, if
 * each has a stretch of them; else over all positions.
 */
export function attentionOf({ heads }: Pick<InductionFacts, "heads">): string {
  const where = atPositions(heads.map(({ positions }) => positions));
  return where === ""
    ? range(heads.map(({ strict }) => strict))
    : `${range(heads.map(({ attention }) => attention))}${where}`;
}

/** The previous-token head with which the keys of each induction head compose most; null without any. */
export function bestPartners({ heads }: Pick<InductionFacts, "heads">): {
  readonly labels: readonly string[];
  readonly k: readonly number[];
  readonly z: readonly number[];
} | null {
  const best = heads.flatMap(({ partners }) => partners.slice(0, 1));
  if (best.length === 0) return null;
  return { labels: [...new Set(best.map(({ label }) => label))], k: best.map(({ k }) => k), z: best.map(({ z }) => z) };
}
