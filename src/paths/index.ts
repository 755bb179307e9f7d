/**
 * *How does this run decompose?* One run whose attention patterns and norm scales are held fixed: everything else is linear.
 *
 * With the patterns $A^h$ frozen, a model is a sum of paths, $T = \mathrm{Id} \otimes W_U W_E + \sum_h A^h \otimes
 * (W_U W_{OV}^h W_E) + \dots$, and so is each attention score. A certificate says how far the terms are from the run, and
 * how far rounding allows. Source: "A Mathematical Framework for Transformer Circuits", "Path Expansion Trick", "Path
 * Expansion of Logits", "Path Expansion of Attention Scores QK Circuit", "Term Importance Analysis".
 *
 * In reading order: `factored-model.ts` (a layer as a sum of tensor products), `frozen/` (the same for one run), `logits/`
 * (the expansion of logits), `scores/` (that of attention scores), `certificate.ts`, `virtual-heads/`, `importance/` (what
 * each order of paths is worth), `residual/` (who wrote what into the residual stream).
 *
 * @packageDocumentation
 */
export type { Certificate } from "./certificate.ts";
export type { Targets, TokenTargets } from "./targets.ts";
export { pathExpansion } from "./logits/path-expansion.ts";
export type { PathExpansionOptions } from "./logits/path-expansion.ts";
export { PathExpansion } from "./logits/expansion.ts";
export type { AttributionOptions, PathCertificate, PathFilter, RankedTerm, TermMetric } from "./logits/expansion.ts";
export { FactoredModel, factoredModel } from "./factored-model.ts";
export type { PathSource } from "./logits/sources.ts";
export type { PathTerm } from "./logits/terms.ts";
export type { TermGrouping } from "./logits/groups.ts";
export type { FormulaFormat } from "./logits/formula.ts";
export { ScoreExpansion, scoreExpansion } from "./scores/score-expansion.ts";
export type { ScoreExpansionOptions, ScoreTerm, ScoreTermFilter } from "./scores/score-expansion.ts";
export type { ScoreStatisticsOptions, ScoreTermStatistics } from "./scores/statistics.ts";
export { attributeScore } from "./scores/attribution.ts";
export type { AttributeScoreOptions, ScoreAttribution, ScoreSide } from "./scores/attribution.ts";
export {
  VirtualHead,
  virtualComposition,
  virtualCopyingScore,
  virtualHead,
  virtualHeadContribution,
  virtualHeadPattern,
} from "./virtual-heads/virtual-heads.ts";
export type { VirtualHeadContribution } from "./virtual-heads/virtual-heads.ts";
export { searchVirtualHeads, strongestVirtualHeads } from "./virtual-heads/search.ts";
export type {
  RankedVirtualHead,
  VirtualSearch,
  VirtualSearchOnTokensOptions,
  VirtualSearchOptions,
} from "./virtual-heads/search.ts";
export { pathTotals } from "./logits/totals.ts";
export type { PathTotals, PathTotalsOptions } from "./logits/totals.ts";
export { logitsByOrder, lossByMaxOrder } from "./logits/orders.ts";
export type { LossByMaxOrder } from "./logits/orders.ts";
export { firstOrderLoss } from "./importance/first-order-loss.ts";
export { frozenAblationLoss } from "./importance/frozen-ablation-loss.ts";
export type { HeadSubset } from "./importance/head-subset.ts";
export { headTermImportance, layerTermImportance } from "./importance/head-term-importance.ts";
export type { HeadTermImportance, LayerTermImportance } from "./importance/head-term-importance.ts";
export { termImportance } from "./importance/term-importance.ts";
export type { TermImportanceOptions, TermImportanceRow } from "./importance/term-importance.ts";
export { compositionImportance } from "./importance/composition-importance.ts";
export type { CompositionImportance } from "./importance/composition-importance.ts";
export { accumulatedResid, decomposeResid } from "./residual/residual-decomposition.ts";
export type { DecomposeOptions, NormHandling, ResidDecomposition } from "./residual/residual-decomposition.ts";
export { logitAttribution } from "./residual/logit-attribution.ts";
export type { LogitAttribution, LogitAttributionOptions } from "./residual/logit-attribution.ts";
