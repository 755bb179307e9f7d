/** Figures: an induction head's scores by what wrote its queries and its keys. */
import { scoreExpansion } from "../circuits/index.ts";
import { headLabel } from "../model/index.ts";
import type { HeadId } from "../model/index.ts";
import { rawData, Tensor } from "../tensor/index.ts";
import { formatNumber, heatmap, smallMultiples } from "../viz/index.ts";
import type { Captions, Figure } from "../viz/index.ts";
import type { FigureEntry } from "./entry.ts";
import { inductionHead } from "./induction-examples.ts";
import { requireNeeds } from "./input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "./input.ts";
import type { FigureToken } from "./labels.ts";
import { readable, repeatsOf, tokensOf } from "./prompts.ts";

/**
 * An induction head's scores on repeated random tokens, decomposed.
 * @category Figures
 */
export interface ScoreParts {
  readonly head: HeadId;
  readonly tokens: readonly FigureToken[];
  readonly period: number;
  readonly first: 0 | 1;
  /** What queries and keys are made of: embedding, positions, heads of earlier layers, MLPs, biases. */
  readonly labels: readonly string[];
  /** `[component, pos]`: the norm of each part of the queries; its square is what ARENA's chapter draws. */
  readonly queryNorms: Tensor<"component pos">;
  /** `[component, pos]`: the norm of each part of the keys. */
  readonly keyNorms: Tensor<"component pos">;
  /** `[query_component, key_component]`: the standard deviation of each pair's scores over all queries and keys, with n − 1. */
  readonly std: Tensor<"query_component key_component">;
  /** `[query_component, key_component]`: each pair's share of how far the induction stripe stands out; shares sum to 1. */
  readonly share: Tensor<"query_component key_component">;
  /** The pair of the largest share. */
  readonly strongest: { readonly query: string; readonly key: string };
  /** `[query_pos, key_pos]`: the scores of that pair. */
  readonly stripe: Tensor<"query_pos key_pos">;
  /** The parts shown as tiles, the widest spread first. */
  readonly tiled: readonly string[];
  /** `[query_component, key_component, query_pos, key_pos]`: the scores of those parts, less the mean over the keys that a query sees. */
  readonly tiles: Tensor<"query_component key_component query_pos key_pos">;
}

const NEEDS: readonly FigureNeed[] = ["two layers", "causal"];
/** Fourteen tiles of 37 tokens are drawn token by token. */
const PERIOD = 18;
/** As many as ARENA's model has: embedding, positions and twelve heads. */
const TILED = 14;

/**
 * The scores of an induction head on $[\text{BOS}, r, r]$, by what wrote its queries and what wrote its keys (ARENA 1.2, "Reverse-engineering induction circuits"): norms of the
 * parts, spread of every pair's scores, the pair that makes the stripe, and the scores of the 14 parts that vary most.
 *
 * @param options - `heads`: the first is shown, of layer 1 or later; otherwise the head of the highest induction score there; `seed` of the tokens; `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model has fewer than two layers or sees later tokens; {@link InputError} when there is no such head.
 * @category Figures
 * @example
 * ```ts
 * import { scoreParts } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { labels, strongest } = scoreParts(await openBundledModel(), { heads: ["L1H4"] });
 * console.log(labels.length, `${strongest.query} · ${strongest.key}`);
 * // 11 embed · L0H5
 * ```
 */
export function scoreParts(input: FigureInput, options: FigureOptions = {}): ScoreParts {
  const operation = "scoreParts";
  requireNeeds(NEEDS, input, operation);
  const head = inductionHead(input, options, 1);
  const { prompts, period, first } = repeatsOf(input, { period: PERIOD, seed: options.seed }, operation);
  const ids = prompts[0] ?? [];
  const expansion = scoreExpansion(input.model, ids, head, { signal: options.signal });
  const { labels } = expansion;
  const again = first + period;
  const statistics = expansion.statistics({
    entries: (query, key) => query >= again && key === query - period + 1,
    signal: options.signal,
    onProgress: options.onProgress,
  });
  const square = (of: (at: number) => number): Tensor<"query_component key_component"> =>
    Tensor.from(
      "query_component key_component",
      [labels.length, labels.length],
      Float64Array.from(statistics, (_, at) => of(at)),
    );
  const std = square((at) => statistics[at]?.std ?? NaN);
  const share = square((at) => statistics[at]?.share ?? NaN);
  const best = statistics.reduce((a, b) => (b.share > a.share || Number.isNaN(a.share) ? b : a)).term;
  const tiled = widest(labels, std);
  return {
    head,
    tokens: tokensOf(input, ids),
    period,
    first,
    labels,
    queryNorms: normsOf(expansion.queries),
    keyNorms: normsOf(expansion.keys),
    std,
    share,
    strongest: { query: best.query, key: best.key },
    stripe: expansion.scores(best).select("batch", 0),
    tiled,
    tiles: tilesOf(tiled, ids.length, (query, key) => expansion.scores({ query, key })),
  };
}

/** `[component, pos]` norms of the parts of one prompt. */
function normsOf(parts: Tensor<"component batch pos d_head">): Tensor<"component pos"> {
  const [count = 0, , pos = 0, d_head = 0] = parts.shape;
  const data = rawData(parts);
  const norms = Float64Array.from({ length: count * pos }, (_, row) => {
    let square = 0;
    for (let e = 0; e < d_head; e++) square += (data[row * d_head + e] as number) ** 2;
    return Math.sqrt(square);
  });
  return Tensor.from("component pos", [count, pos], norms);
}

/** The parts whose pairs vary most, in the order of the parts. */
function widest(labels: readonly string[], std: Tensor): string[] {
  const data = rawData(std);
  const n = labels.length;
  const squares = labels.map((_, a) =>
    labels.reduce((s, __, b) => s + (data[a * n + b] as number) ** 2 + (data[b * n + a] as number) ** 2, 0),
  );
  const order = labels.map((_, a) => a).sort((a, b) => (squares[b] as number) - (squares[a] as number) || a - b);
  return order
    .slice(0, TILED)
    .sort((a, b) => a - b)
    .map((a) => labels[a] as string);
}

/** Scores of all pairs of some parts, each less the mean over the keys that a query sees; 0 where it sees none. */
function tilesOf(
  parts: readonly string[],
  pos: number,
  scoresOf: (query: string, key: string) => Tensor,
): ScoreParts["tiles"] {
  const count = parts.length;
  const out = new Float64Array(count * count * pos * pos);
  for (const [a, query] of parts.entries()) {
    for (const [b, key] of parts.entries()) {
      const scores = rawData(scoresOf(query, key));
      const start = (a * count + b) * pos * pos;
      for (let i = 0; i < pos; i++) {
        let mean = 0;
        for (let j = 0; j <= i; j++) mean += (scores[i * pos + j] as number) / (i + 1);
        for (let j = 0; j <= i; j++) out[start + i * pos + j] = (scores[i * pos + j] as number) - mean;
      }
    }
  }
  return Tensor.from("query_component key_component query_pos key_pos", [count, count, pos, pos], out);
}

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
  const { query, key } = data.strongest;
  const n = data.tokens.length;
  const share = data.share.at(data.labels.indexOf(query), data.labels.indexOf(key));
  return heatmap({
    title: `Scores of ${headLabel(data.head)}: queries from ${query}, keys from ${key}`,
    subtitle: `This pair of parts makes ${formatNumber(100 * share, { decimals: 0 })} % of how far the stripe of induction stands out of its rows, on ${data.period} random tokens and the same again.`,
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
 * Draws the scores of all pairs of the parts that vary most as tiles, queries' parts downward and keys' to the right; within a tile queries downward and keys to the right.
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
  return { name, number: 24, title, source: SOURCE, needs: NEEDS, output: "svg", make: scoreParts, draw };
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
