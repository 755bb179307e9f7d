/**
 * *An attention score as a sum over paths on both sides.*
 *
 * With the streams $x = \sum_a x_a$ that a head reads, its score is $\sum_{a, b} (x_a)_i W_{QK} (x_b)_j^\top$, one term
 * a pair. Source: *A Mathematical Framework for Transformer Circuits*, "Path Expansion of Attention Scores QK Circuit".
 *
 * In reading order: `score-expansion.ts` (the function), `expansion.ts` (the class), `components.ts` (one side),
 * `statistics.ts`, `attribution.ts` (one score split), `score-side.ts`, `routes.ts`, `formula.ts`, `groups.ts`,
 * `certificate.ts`.
 */
export { scoreExpansion } from "./score-expansion.ts";
export type { ScoreExpansionOptions } from "./score-expansion.ts";
export { ScoreExpansion } from "./expansion.ts";
export type { ScoreTermFilter } from "./expansion.ts";
export type { ScoreTerm } from "./terms.ts";
export type { ScoreStatisticsOptions, ScoreTermStatistics } from "./statistics.ts";
export { attributeScore, ScoreAttribution } from "./attribution.ts";
export type { AttributeScoreOptions, ScoreRoutesOptions } from "./attribution.ts";
export type { ScoreDirection } from "./places.ts";
export type { ScoreSide, ScoreWriter } from "./score-side.ts";
export type { ScoreRoute, ScoreRoutes } from "./routes.ts";
