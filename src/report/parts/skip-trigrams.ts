/** Skip-trigrams of every head in readable tokens. */
import { skipTrigrams } from "../../circuits/index.ts";
import type { SkipTrigrams } from "../../circuits/index.ts";
import type { AttentionHead, Transformer } from "../../model/index.ts";
import type { Corpus } from "../corpus.ts";
import { short } from "../numbers.ts";
import type { HeadFacts, HeadSkipTrigrams, ReportTokenValue } from "../types.ts";

const SOURCES = 4;
const LISTED = 5;
const MOST_HEADS = 16;
/** How many of the text's most frequent tokens are tried as sources. */
const CANDIDATES = 96;

/** The heads whose skip-trigrams are listed: all, or those of the largest copying score either way. */
export function trigramHeads(model: Transformer, facts: readonly HeadFacts[]): AttentionHead[] {
  if (model.heads.length <= MOST_HEADS) return [...model.heads];
  const chosen = [...facts].sort((a, b) => Math.abs(b.copying) - Math.abs(a.copying)).slice(0, MOST_HEADS);
  return model.heads.filter((head) => chosen.some(({ label }) => label === head.label));
}

/** The text's most frequent readable tokens, most frequent first; of equal ones the lower id. */
export function frequentTokens({ ids, bos, tokenText }: Corpus): number[] {
  const counts = new Map<number, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts]
    .filter(([id]) => id !== bos && isReadable(tokenText(id)))
    .sort((a, b) => b[1] - a[1] || a[0] - b[0])
    .slice(0, CANDIDATES)
    .map(([id]) => id);
}

/**
 * The skip-trigrams of one head: of the candidates those source tokens whose best destination and best output have the
 * largest effect together, $\sigma(S)\,\mathrm{OV}$, with the destinations and outputs that come first.
 */
export function headSkipTrigrams(
  model: Transformer,
  head: AttentionHead,
  corpus: Corpus,
  candidates: readonly number[],
): HeadSkipTrigrams {
  const { bos } = corpus;
  const reference = bos === undefined ? "mean" : "start";
  const exclude = (token: number): boolean => token === bos || !isReadable(corpus.tokenText(token));
  const found = skipTrigrams(model, head, candidates, {
    k: LISTED,
    reference,
    exclude,
    ...(bos !== undefined && { start: bos }),
  });
  const effect = ({ destination, out }: SkipTrigrams): number =>
    (out[0]?.value ?? 0) / (1 + Math.exp(-(destination[0]?.value ?? 0)));
  const named = (list: readonly { readonly token: number; readonly value: number }[]): ReportTokenValue[] =>
    list.map(({ token, value }) => ({ token: corpus.tokenText(token), value: short(value) }));
  return {
    label: head.label,
    sources: found
      .sort((a, b) => effect(b) - effect(a) || a.source - b.source)
      .slice(0, SOURCES)
      .map(({ source, destination, out }) => ({
        source: corpus.tokenText(source),
        destination: named(destination),
        out: named(out),
      })),
  };
}

/** Pieces of characters and control characters say nothing to a reader; most of them were never trained. */
function isReadable(text: string): boolean {
  return !/[\ufffd\p{Cc}\p{Cn}\p{Co}]/u.test(text.replace(/[\n\t\r]/g, ""));
}
