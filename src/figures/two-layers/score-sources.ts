/** Figure: why a head looked there, one score by source token and by writer, on the query's and the key's side. */
import { InputError, requireKind } from "../../errors.ts";
import type { Kind } from "../../errors.ts";
import { attributeScore } from "../../paths/index.ts";
import type { ScoreAttribution, ScoreSide } from "../../paths/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { arrange, barChart, formatNumber, tokenStrip, visibleToken } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions, FigureTokenizer } from "../input.ts";
import { shownTexts } from "../labels.ts";
import type { FigureToken } from "../labels.ts";
import { inductionExamples } from "./induction-examples.ts";

/**
 * One side of a score, for drawing.
 * @category Figures
 */
export interface ScoreSourcesSide {
  /** `[pos]`: what stood at each position adds: its embedding, position, what MLPs and edits wrote there. */
  readonly sources: Float64Array;
  readonly bias: number;
  /** What each writer adds, largest first. */
  readonly writers: readonly { readonly label: string; readonly value: number }[];
}

/**
 * Why a head looked there.
 * @category Figures
 */
export interface ScoreSources {
  readonly head: HeadId;
  readonly tokens: readonly FigureToken[];
  /** `null` where the query is a direction of one's own. */
  readonly queryPosition: number | null;
  readonly keyPosition: number | null;
  readonly against: ScoreAttribution["against"];
  readonly score: number;
  readonly query: ScoreSourcesSide;
  readonly key: ScoreSourcesSide;
}

/**
 * Which score {@link scoreSources} shows.
 * @category Figures
 */
export interface ScoreSourcesOptions extends FigureOptions {
  /** The position that attends; that of the best example of {@link inductionExamples} unless given. */
  readonly query?: number | undefined;
  /** The position attended to; with `query`. */
  readonly key?: number | undefined;
}

const NEEDS: readonly FigureNeed[] = ["layer", "text", "causal", "next token"];

/**
 * Why a head looked there: its score, less the mean of its row, by source token and by what earlier heads and MLPs
 * wrote, on either side; of an induction head's best example unless a query and a key are given (*A Mathematical
 * Framework for Transformer Circuits*, "Analyzing a two-layer model").
 *
 * @param options - `heads`: the first is shown, otherwise the head of the highest induction score; `query` and `key`,
 * positions of the text; `signal`. For other scores, see {@link scoreSourcesOf}.
 * @throws {@link ConfigError} when the model has no heads, sees later tokens, or its output tokens are not its input
 * tokens; {@link InputError} when there is no text, or no such position, or one of `query` and `key` alone.
 * @category Figures
 * @example
 * ```ts
 * import { scoreSources } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\ninterface Map<K, V> { readonly size: number; }";
 * const { key } = scoreSources({ ...(await openBundledModel()), text }, { heads: ["L1H4"] });
 * console.log(key.writers[0]?.label);
 * // L0H5
 * ```
 */
export function scoreSources(input: FigureInput, options: ScoreSourcesOptions = {}): ScoreSources {
  requireNeeds(NEEDS, input, "scoreSources", options, "query key");
  const { query: ofQuery, key: ofKey, ...rest } = options;
  if ((ofQuery === undefined) !== (ofKey === undefined)) {
    throw new InputError("one of query and key was given. Give both, or neither for the best example.", {
      operation: "scoreSources",
      argument: ofKey === undefined ? "key" : "query",
      expected: "two positions",
      actual: undefined,
    });
  }
  const { head, tokens, examples } = inductionExamples(input, rest);
  const [best] = examples as [(typeof examples)[number]];
  const { query, key } = { query: ofQuery ?? best.query, key: ofKey ?? best.key };
  const ids = tokens.map(({ id }) => id);
  const against = query === 0 ? undefined : "mean";
  const why = attributeScore(input.model, ids, head, { query, key, against, signal: options.signal });
  return scoreSourcesOf(why, { tokenizer: input.tokenizer });
}

/**
 * The data of {@link drawScoreSources} of any score that was taken apart: of an edited run, or with a direction.
 *
 * @param options - `tokenizer`: makes text of token ids; without one they are shown as `#123`.
 * @category Figures
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { drawScoreSources, scoreSourcesOf } from "transformer-circuits/figures";
 * import { attributeScore } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model, tokenizer } = await openBundledModel();
 * const tokens = repeatedTokens(model.config, { length: 20, seed: 1, bos: 0 });
 * const why = attributeScore(model, tokens, "L1H4", { query: 30, key: 11, against: "softmax" });
 * console.log(drawScoreSources(scoreSourcesOf(why, { tokenizer })).kind);
 * // arrange
 * ```
 */
export function scoreSourcesOf(
  why: ScoreAttribution,
  options: { readonly tokenizer?: FigureTokenizer | undefined } = {},
): ScoreSources {
  requireKind(SCORE_ATTRIBUTION, why, "why", "scoreSourcesOf", options, "tokenizer");
  const { head, queryPosition, keyPosition, against, score, query, key } = why;
  const text = shownTexts(options.tokenizer);
  const tokens = Array.from(why.tokens.data, (id) => ({ id, text: text(id) }));
  return { head, tokens, queryPosition, keyPosition, against, score, query: plainSide(query), key: plainSide(key) };
}

const SCORE_ATTRIBUTION: Kind = {
  member: "queryPosition",
  what: "an attribution of a score",
  remedy: "Make one with attributeScore(model, tokens, head, { query, key })",
};

function plainSide({ tokens, positions, mlps, edits, bias, direction, writers }: ScoreSide): ScoreSourcesSide {
  const parts = [tokens, positions, mlps, edits].map((part) => rawData(part));
  const sources = Float64Array.from(tokens.data, (_, at) => parts.reduce((sum, part) => sum + (part[at] as number), 0));
  return { sources, bias: bias + direction, writers: writers.map(({ label, value }) => ({ label, value })) };
}

/** Writers that have a bar of their own. */
const BARS = 8;

/**
 * Draws why a head looked there: the text by what stood at each token, through the key and through the query, and bars
 * of the largest writers of both.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawScoreSources, scoreSources } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\ninterface Map<K, V> { readonly size: number; }";
 * console.log(drawScoreSources(scoreSources({ ...(await openBundledModel()), text })).kind);
 * // arrange
 * ```
 */
export function drawScoreSources(data: ScoreSources, captions: Captions = {}): Figure {
  const members = "head tokens queryPosition keyPosition against score query key";
  requireData(data, members, "scoreSources", "drawScoreSources", captions);
  const { queryPosition, keyPosition, score, against } = data;
  const tokens = data.tokens.map(({ text }) => text);
  const name = (at: number | null): string =>
    at === null ? "a direction" : `“${visibleToken(tokens[at] ?? "")}” (${at})`;
  const marked = (at: number | null): number[] => (at === null ? [] : [at]);
  const than = { nothing: "", mean: " above the mean of its row", softmax: " above the softmax mean of its row" };
  const strip = (title: string, { sources }: ScoreSourcesSide, at: number | null): Figure =>
    tokenStrip({ title, values: sources, legendLabel: "score", marked: marked(at), tokens, scale: "diverging" });
  const sides = [
    ["key", "What the key is known by", keyPosition],
    ["query", "What the query looks for", queryPosition],
  ] as const;
  return arrange({
    title: `Why ${headLabel(data.head)} looks from ${name(queryPosition)} to ${name(keyPosition)}`,
    subtitle: `Its score is ${formatNumber(score)}${than[against]}. The sources of either side add up to it, and so do its writers, with biases. Patterns and norm scales are those of the run.`,
    ...captions,
    rows: [
      ...sides.map(([side, what, at]) => [strip(`${what}, by source`, data[side], at)]),
      sides.map(([side, what]) => barsOf(`${what}, by writer`, data[side])),
    ],
  });
}

function barsOf(title: string, { writers }: ScoreSourcesSide): Figure {
  const rest = writers.slice(BARS);
  const bars = writers.slice(0, BARS).map(({ label, value }) => ({ label, value }));
  const others = { label: `the other ${rest.length}`, value: rest.reduce((sum, { value }) => sum + value, 0) };
  return barChart({ title, bars: rest.length === 0 ? bars : [...bars, others], xLabel: "score", width: 340 });
}

/** The list's entry. */
export const scoreSourcesEntry: FigureEntry<ScoreSources> = {
  name: "score-sources",
  number: 16,
  title: "Why a head looked there: one score by source token and by writer, through the query and through the key",
  source: 'A Mathematical Framework for Transformer Circuits, "Analyzing a two-layer model"',
  needs: NEEDS,
  output: "svg",
  make: scoreSources,
  draw: drawScoreSources,
};
