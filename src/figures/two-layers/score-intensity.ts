/** Figure: which tokens feed one attention score, on the query's and the key's side. */
import { attributeScore } from "../../paths/index.ts";
import type { ScoreSide } from "../../paths/index.ts";
import { headLabel } from "../../model/index.ts";
import type { HeadId } from "../../model/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { formatNumber, smallMultiples, tokenStrip, visibleToken } from "../../viz/index.ts";
import type { Captions, Figure } from "../../viz/index.ts";
import { requireData } from "../arguments.ts";
import type { FigureEntry } from "../entry.ts";
import { inductionExamples } from "./induction-examples.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import type { FigureToken } from "../labels.ts";

/**
 * One score of a head by source tokens.
 * @category Figures
 */
export interface ScoreIntensity {
  readonly head: HeadId;
  readonly tokens: readonly FigureToken[];
  readonly query: number;
  readonly key: number;
  /** The score, divided by the attention scale. */
  readonly score: number;
  /**
   * `[pos]`: what each token adds to the score through the query: its embedding, position and what MLPs wrote at it.
   */
  readonly querySide: Float64Array;
  /** `[pos]`: the same through the key. */
  readonly keySide: Float64Array;
  /** What biases add on either side. */
  readonly bias: { readonly query: number; readonly key: number };
  /** `[pos]`: what the head adds to each token's logit, from the position before it; NaN for the first. */
  readonly effect: Float64Array;
}

const NEEDS: readonly FigureNeed[] = ["layer", "text", "causal", "next token"];

/**
 * One attention score of an induction head, from the best example of {@link inductionExamples}, by the tokens that fed
 * its query and its key through all paths, and the head's effect on the logits (*A Mathematical Framework for
 * Transformer Circuits*, "Induction heads", the figures of key and query intensity).
 *
 * @param options - `heads`: the first is shown, otherwise the head of the highest induction score; `signal`.
 * @throws {@link ConfigError} when the model has no heads, sees later tokens, or its output tokens are not its input
 * tokens; {@link InputError} when there is no text.
 * @category Figures
 * @example
 * ```ts
 * import { scoreIntensity } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\ninterface Map<K, V> { readonly size: number; }";
 * const { key, keySide, score, querySide, bias } = scoreIntensity({ ...(await openBundledModel()), text });
 * const sum = (values: Float64Array) => values.reduce((a, b) => a + b, 0);
 * console.log(Math.abs(sum(keySide) + bias.key - score) < 1e-6, Math.abs(sum(querySide) + bias.query - score) < 1e-6);
 * // true true
 * console.log(key - keySide.indexOf(Math.max(...keySide)));
 * // 1
 * ```
 */
export function scoreIntensity(input: FigureInput, options: FigureOptions = {}): ScoreIntensity {
  requireNeeds(NEEDS, input, "scoreIntensity", options);
  const { head, tokens, effect, examples } = inductionExamples(input, options);
  const [{ query, key }] = examples as [(typeof examples)[number]];
  const ids = tokens.map(({ id }) => id);
  const { score, ...sides } = attributeScore(input.model, ids, head, { query, key, signal: options.signal });
  const whole = (side: ScoreSide): Float64Array => {
    const parts = [side.tokens, side.positions, side.mlps].map((part) => rawData(part));
    return Float64Array.from(ids, (_, at) => parts.reduce((sum, part) => sum + (part[at] as number), 0));
  };
  return {
    head,
    tokens,
    query,
    key,
    score,
    querySide: whole(sides.query),
    keySide: whole(sides.key),
    bias: { query: sides.query.bias, key: sides.key.bias },
    effect,
  };
}

/**
 * Draws a score by source tokens: the text by what feeds the query, by what feeds the key, and by the head's effect on
 * each token.
 *
 * @category Figures
 * @example
 * ```ts
 * import { drawScoreIntensity, scoreIntensity } from "transformer-circuits/figures";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const text = "interface Array<T> { readonly length: number; }\ninterface Map<K, V> { readonly size: number; }";
 * console.log(drawScoreIntensity(scoreIntensity({ ...(await openBundledModel()), text })).kind);
 * // smallMultiples
 * ```
 */
export function drawScoreIntensity(data: ScoreIntensity, captions: Captions = {}): Figure {
  requireData(
    data,
    "head tokens query key score querySide keySide bias effect",
    "scoreIntensity",
    "drawScoreIntensity",
    captions,
  );
  const { query, key, score, effect } = data;
  const tokens = data.tokens.map(({ text }) => text);
  const name = (at: number): string => `“${visibleToken(tokens[at] ?? "")}” (${at})`;
  const strip = (
    title: string,
    values: Float64Array,
    legendLabel: string,
    marked: number[],
    noValue: number[] = [],
  ): Figure => tokenStrip({ title, values, legendLabel, marked, tokens, noValue, scale: "diverging" });
  return smallMultiples({
    title: `Which tokens make ${headLabel(data.head)} attend from ${name(query)} to ${name(key)}`,
    subtitle: `The score is ${formatNumber(score)}; the tokens of either side, with biases, add up to it. All paths through earlier layers are counted.`,
    ...captions,
    columns: 1,
    figures: [
      strip("Through the key: what the position attended to is known by", data.keySide, "score", [key]),
      strip("Through the query: what the position that attends looks for", data.querySide, "score", [query]),
      strip("Effect on the logit of each token, from the position before it", effect, "logits", [query + 1], [0]),
    ],
  });
}

/** The list's entry. */
export const scoreIntensityEntry: FigureEntry<ScoreIntensity> = {
  name: "score-intensity",
  number: 16,
  title: "Which tokens feed one attention score, through the query and through the key",
  source: 'A Mathematical Framework for Transformer Circuits, "Induction heads"',
  needs: NEEDS,
  output: "svg",
  make: scoreIntensity,
  draw: drawScoreIntensity,
};
