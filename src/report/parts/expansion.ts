/** The path expansion: its certificate, and the paths that do most. */
import { pathExpansion } from "../../paths/index.ts";
import { countPaths, pathEntries } from "../../paths/internal.ts";
import type { Transformer } from "../../model/index.ts";
import { meanOf } from "../numbers.ts";
import type { ExpansionFacts } from "../types.ts";

const MOST_PATHS = 600;
const LISTED = 16;

/** How many paths there are through at most `order` heads, from the embedding and from every MLP. */
export function pathCount(model: Transformer, order: number): number {
  return countPaths(model.config, pathEntries(model, 1), order);
}

/** The largest order whose paths can all be written out. */
function maxOrderOf(model: Transformer): number {
  let order = 0;
  while (order < model.config.n_layers && pathCount(model, order + 1) <= MOST_PATHS) order += 1;
  return order;
}

/**
 * Certifies the expansion on a window of text, and ranks the paths by their effect on the right token: of the second
 * copy of repeated tokens where there are some, of the text otherwise.
 */
export function expansionFacts(
  model: Transformer,
  window: readonly number[],
  repeated: { readonly prompts: readonly (readonly number[])[]; readonly period: number } | undefined,
): ExpansionFacts {
  const maxOrder = maxOrderOf(model);
  const onText = pathExpansion(model, [window], { maxOrder });
  const { maxDeviation, bound, withinBound, terms } = onText.certificate();
  const ranked = repeated === undefined ? onText : pathExpansion(model, repeated.prompts, { maxOrder });
  const attribution = ranked.attribution();
  const from = repeated === undefined ? 0 : attribution.sizeOf("pos") - (repeated.period - 1);
  const effects = attribution.slice("pos", from);
  const top = ranked.all
    .map(({ label, order }, t) => ({ label, order, mean: meanOf(effects.select("term", t).data) }))
    .sort((a, b) => Math.abs(b.mean) - Math.abs(a.mean))
    .slice(0, LISTED);
  return {
    paths: pathCount(model, model.config.n_layers),
    maxOrder,
    terms,
    positions: window.length,
    maxDeviation,
    bound,
    withinBound,
    on: repeated === undefined ? "text" : "second copy",
    top,
  };
}
