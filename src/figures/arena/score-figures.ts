/** Figures: an induction head's scores by what wrote its queries and its keys. */
import { headLabel } from "../../model/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import { formatNumber, heatmap, smallMultiples } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { readable } from "../prompts.ts";
import { SCORE_NEEDS, scoreParts } from "./score-parts.ts";
import type { ScoreParts } from "./score-parts.ts";

const MEMBERS = "head tokens period first labels queryNorms keyNorms std share strongest stripe tiled tiles";

/**
 * Draws the norms of the parts of queries and keys by position.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawComponentNorms, scoreParts } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * console.log(drawComponentNorms(scoreParts(await openBundledModel(), { heads: ["L1H4"] })).label);
 * // What the queries and keys of L1H4 are made of
 * ```
 */
export function drawComponentNorms(data: ScoreParts, captions: Captions = {}): Figure {
  requireData(data, MEMBERS, "scoreParts", "drawComponentNorms", captions);
  const limit = [data.queryNorms, data.keyNorms]
    .flatMap((t) => Array.from(rawData(t)))
    .reduce((a, b) => Math.max(a, b), 0);
  const [rows = 0, cols = 0] = data.queryNorms.shape;
  const map = (title: string, norms: Tensor): Figure =>
    heatmap({
      title,
      values: { rows, cols, data: rawData(norms) },
      rowLabels: data.labels,
      columnLabels: readable(data.tokens),
      xLabel: "token at the position",
      scale: "sequential",
      limit: limit === 0 ? 1 : limit,
      legendLabel: "norm",
      cell: Math.max(4, Math.min(13, Math.floor(900 / Math.max(rows, cols)))),
    });
  return smallMultiples({
    title: `What the queries and keys of ${headLabel(data.head)} are made of`,
    subtitle: `Norm of each part of the query and of the key at every position; the second copy of the ${data.period} random tokens begins at position ${data.first + data.period}.`,
    ...captions,
    figures: [map("Queries", data.queryNorms), map("Keys", data.keyNorms)],
    columns: 1,
  });
}

/**
 * Draws the scores of the pair of parts that makes the induction stripe.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawScoreStripe, scoreParts } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * console.log(drawScoreStripe(scoreParts(await openBundledModel(), { heads: ["L1H4"] })).label);
 * // Scores of L1H4: queries from embed, keys from L0H5
 * ```
 */
export function drawScoreStripe(data: ScoreParts, captions: Captions = {}): Figure {
  requireData(data, MEMBERS, "scoreParts", "drawScoreStripe", captions);
  const { query, key } = data.strongest;
  const n = data.tokens.length;
  const share = data.share.at(data.labels.indexOf(query), data.labels.indexOf(key));
  const said = Number.isFinite(share)
    ? `This pair of parts makes ${formatNumber(100 * share, { decimals: 0 })} % of how far the stripe of induction stands out of its rows,`
    : "The stripe of induction does not stand out of its rows: no pair of parts makes more of it than another,";
  return heatmap({
    title: `Scores of ${headLabel(data.head)}: queries from ${query}, keys from ${key}`,
    subtitle: `${said} on ${data.period} random tokens and the same again.`,
    values: { rows: n, cols: n, data: rawData(data.stripe) },
    scale: "diverging",
    mask: (i, j) => j > i,
    rowLabels: readable(data.tokens),
    columnLabels: readable(data.tokens),
    xLabel: "key",
    yLabel: "query",
    legendLabel: "score",
    cell: 12,
    ...captions,
  });
}

/**
 * Draws the spread of the scores of every pair of parts as a table.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawScoreSpread, scoreParts } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * console.log(drawScoreSpread(scoreParts(await openBundledModel(), { heads: ["L1H4"] })).label);
 * // Spread of the scores of L1H4 by parts of query and key
 * ```
 */
export function drawScoreSpread(data: ScoreParts, captions: Captions = {}): Figure {
  requireData(data, MEMBERS, "scoreParts", "drawScoreSpread", captions);
  const count = data.labels.length;
  return heatmap({
    title: `Spread of the scores of ${headLabel(data.head)} by parts of query and key`,
    subtitle: "Standard deviation of each pair’s scores over all queries and keys.",
    values: { rows: count, cols: count, data: rawData(data.std) },
    rowLabels: data.labels,
    columnLabels: data.labels,
    xLabel: "part of the key",
    yLabel: "part of the query",
    scale: "sequential",
    legendLabel: "standard deviation",
    ...(count <= 20 && { showValues: true, format: { decimals: 2 }, cell: 34 }),
    ...captions,
  });
}

/**
 * Draws the scores of all pairs of the parts that vary most as tiles, queries' parts downward and keys' to the right;
 * within a tile queries downward and keys to the right.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawScoreTiles, scoreParts } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * console.log(drawScoreTiles(scoreParts(await openBundledModel(), { heads: ["L1H4"] })).label);
 * // Scores of L1H4 by parts of query and key
 * ```
 */
export function drawScoreTiles(data: ScoreParts, captions: Captions = {}): Figure {
  requireData(data, MEMBERS, "scoreParts", "drawScoreTiles", captions);
  const { tiled, tiles } = data;
  const count = tiled.length;
  const n = data.tokens.length;
  const side = count * n;
  const source = rawData(tiles);
  const values = new Float64Array(side * side);
  for (let at = 0; at < source.length; at++) {
    const [a, b] = [Math.floor(at / (count * n * n)), Math.floor(at / (n * n)) % count];
    const [i, j] = [Math.floor(at / n) % n, at % n];
    values[(a * n + i) * side + b * n + j] = source[at] as number;
  }
  const names = (at: number): string => (at % n === Math.floor(n / 2) ? (tiled[Math.floor(at / n)] as string) : "");
  const labels = Array.from({ length: side }, (_, at) => names(at));
  const left = data.labels.length - count;
  return heatmap({
    title: `Scores of ${headLabel(data.head)} by parts of query and key`,
    subtitle: `One tile for each pair of parts, scores less their mean over the keys that a query sees.${left > 0 ? ` The ${count} parts whose scores vary most; ${left} are left out.` : ""}`,
    values: { rows: side, cols: side, data: values },
    rowLabels: labels,
    columnLabels: labels,
    mask: (row, column) => column % n > row % n,
    scale: "diverging",
    xLabel: "part of the key",
    yLabel: "part of the query",
    legendLabel: "score",
    cell: side > 270 ? 2 : 3,
    ...captions,
  });
}

const SOURCE = 'ARENA 1.2, "Reverse-engineering induction circuits"';

function entry(name: string, title: string, draw: typeof drawScoreTiles): FigureEntry<ScoreParts> {
  return { name, number: 24, title, source: SOURCE, needs: SCORE_NEEDS, output: "svg", make: scoreParts, draw };
}

/** The list's entries. */
export function scorePartsEntries(): readonly FigureEntry<ScoreParts>[] {
  return [
    entry("component-norms", "What the queries and keys of an induction head are made of", drawComponentNorms),
    entry("score-stripe", "The pair of parts that makes the stripe of an induction head", drawScoreStripe),
    entry("score-spread", "Spread of an induction head’s scores by parts of query and key", drawScoreSpread),
    entry("score-tiles", "An induction head’s scores by parts of query and key", drawScoreTiles),
  ];
}
