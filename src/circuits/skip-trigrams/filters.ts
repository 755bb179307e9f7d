/** Which tokens may appear where in a table of skip-trigrams. */
import type { Transformer } from "../../model/index.ts";
import { requireToken } from "../../model/internal.ts";

/**
 * Tokens, as a list of ids or by a question to each.
 * @category Circuits
 */
export type TokenFilter = readonly number[] | ((token: number) => boolean);

/**
 * The tokens that may appear in each place of a skip-trigram; all of them where none are given.
 * @category Circuits
 */
export interface SkipTrigramFilters {
  readonly source?: TokenFilter | undefined;
  readonly destination?: TokenFilter | undefined;
  readonly out?: TokenFilter | undefined;
}

/** Whether a token passes a filter; ids of a list must exist. */
export function passes(
  model: Transformer,
  filter: TokenFilter | undefined,
  place: keyof SkipTrigramFilters,
  operation: string,
): (token: number) => boolean {
  if (filter === undefined) return () => true;
  if (typeof filter === "function") return filter;
  const size = place === "out" ? model.config.d_vocab_out : model.config.d_vocab;
  for (const token of filter) requireToken(model, token, `among.${place}`, operation, size);
  const tokens = new Set(filter);
  return (token) => tokens.has(token);
}

/** The tokens below `size` that are let through, ascending. */
export function tokensThat(isLetThrough: (token: number) => boolean, size: number): Int32Array {
  const tokens: number[] = [];
  for (let token = 0; token < size; token++) if (isLetThrough(token)) tokens.push(token);
  return Int32Array.from(tokens);
}
