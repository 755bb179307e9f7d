/** The path expansion: its certificate, and the paths that do most. */
import { pathExpansion } from "../../paths/index.ts";
import type { Transformer } from "../../model/index.ts";
import { meanOf } from "../numbers.ts";
import type { ExpansionFacts } from "../types.ts";

const MOST_PATHS = 600;
const LISTED = 16;

/** How many paths there are through at most `order` heads, from the embedding and from every MLP. */
export function pathCount({ config, layers }: Transformer, order: number): number {
  const ofMlps = layers.map(({ layer, mlp }) => (mlp === undefined ? 0 : chains(config, layer + 1, order)));
  return ofMlps.reduce((sum, count) => sum + count, chains(config, 0, order));
}

/** How many chains of at most `order` heads there are from a layer on. */
function chains({ n_layers, n_heads }: Transformer["config"], from: number, order: number): number {
  let ways = 1;
  let total = 1;
  for (let p = 1; p <= Math.min(order, n_layers - from); p++) {
    ways *= ((n_layers - from - p + 1) / p) * n_heads;
    total += ways;
  }
  return total;
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
