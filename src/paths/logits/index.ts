/**
 * *The logits as a sum over paths.*
 *
 * With $M^h = W_{OV}^h$:
 * $\mathrm{logits} = T W_E W_U + \sum_h A^h T W_E M^h W_U + \sum_{h, h'} A^{h'} A^h T W_E M^h M^{h'} W_U + \dots$
 * Source: *A Mathematical Framework for Transformer Circuits*, "The path expansion trick", "Path Expansion of Logits".
 *
 * In reading order: `path-expansion.ts` (the function), `expansion.ts` (the class), `options.ts` (what is asked of it),
 * `terms.ts`, `sources.ts` (where paths begin), `formula.ts`, `attribution.ts`, `groups.ts`, `certificate.ts`,
 * `orders.ts` and `totals.ts` (sums without writing paths out).
 */
export { pathExpansion } from "./path-expansion.ts";
export type { PathExpansionOptions } from "./path-expansion.ts";
export { PathExpansion } from "./expansion.ts";
export type { AttributionOptions, PathFilter, RankedTerm, RankOptions, TermMetric } from "./options.ts";
export type { PathCertificate } from "./certificate.ts";
export type { PathSource } from "./sources.ts";
export type { PathTerm } from "./terms.ts";
export type { TermGrouping } from "./groups.ts";
export type { FormulaFormat } from "./formula.ts";
export { pathTotals } from "./totals.ts";
export type { PathTotals, PathTotalsOptions } from "./totals.ts";
export { logitsByOrder, lossByMaxOrder } from "./orders.ts";
export type { LossByMaxOrder } from "./orders.ts";
