/** An induction head's scores by what wrote its queries and its keys: what the figures of them are drawn from. */
import { scoreExpansion } from "../../paths/index.ts";
import type { HeadId } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { inductionHead } from "../two-layers/induction-examples.ts";
import { requireNeeds } from "../input.ts";
import type { FigureInput, FigureNeed, FigureOptions } from "../input.ts";
import type { FigureToken } from "../labels.ts";
import { repeatsOf, tokensOf } from "../prompts.ts";

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
  /**
   * `[query_component, key_component]`: the standard deviation of each pair's scores over all queries and keys, with n
   * − 1.
   */
  readonly std: Tensor<"query_component key_component">;
  /**
   * `[query_component, key_component]`: each pair's share of how far the induction stripe stands out; shares sum to 1.
   */
  readonly share: Tensor<"query_component key_component">;
  /** The pair of the largest share. */
  readonly strongest: { readonly query: string; readonly key: string };
  /** `[query_pos, key_pos]`: the scores of that pair. */
  readonly stripe: Tensor<"query_pos key_pos">;
  /** The parts shown as tiles, the widest spread first. */
  readonly tiled: readonly string[];
  /**
   * `[query_component, key_component, query_pos, key_pos]`: the scores of those parts, less the mean over the keys that
   * a query sees.
   */
  readonly tiles: Tensor<"query_component key_component query_pos key_pos">;
}

/** What scores by parts cannot do without. */
export const SCORE_NEEDS: readonly FigureNeed[] = ["two layers", "causal"];
/** Fourteen tiles of 37 tokens are drawn token by token. */
const PERIOD = 18;
/** As many as ARENA's model has: embedding, positions and twelve heads. */
const TILED = 14;

/**
 * The scores of an induction head on $[\text{BOS}, r, r]$, by what wrote its queries and what wrote its keys (ARENA
 * 1.2, "Reverse-engineering induction circuits"): norms of the parts, spread of every pair's scores, the pair that
 * makes the stripe, and the scores of the 14 parts that vary most.
 *
 * @param options - `heads`: the first is shown, of layer 1 or later; otherwise the head of the highest induction score
 * there; `seed` of the tokens; `signal`, `onProgress`.
 * @throws {@link ConfigError} when the model has fewer than two layers or sees later tokens; {@link InputError} when
 * there is no such head.
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
  requireNeeds(SCORE_NEEDS, input, operation, options);
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
