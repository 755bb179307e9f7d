/**
 * *How does this run decompose?* One run whose attention patterns and norm scales are held fixed: everything else is
 * linear.
 *
 * With the patterns $A^h$ frozen, a model is a sum of paths,
 * $T = \mathrm{Id} \otimes W_U W_E + \sum_h A^h \otimes (W_U W_{OV}^h W_E) + \dots$, and so is each attention score.
 * Four notions carry it. A *frozen layer* is a sum of tensor products, the identity and one per head. A *path* chooses
 * one of them in every layer. An *expansion* is a sum of paths, of the logits or of a head's scores. A *certificate*
 * says how far the sum is from the run, and how far rounding allows.
 *
 * Source: "A Mathematical Framework for Transformer Circuits", "Path Expansion Trick", "Path Expansion of Logits",
 * "Path Expansion of Attention Scores QK Circuit", "Term Importance Analysis".
 *
 * In reading order: `factored-model.ts` (a layer as a sum of tensor products), `frozen/` (the same for one run),
 * `logits/` (the expansion of logits), `scores/` (that of attention scores), `composition/` (which heads they come
 * through), `certificate.ts`, `virtual-heads/`, `importance/` (what each order of paths is worth), `residual/` (who
 * wrote what into the residual stream).
 *
 * @packageDocumentation
 */
export type { Certificate } from "./certificate.ts";
export type { Targets, TokenTargets } from "./targets.ts";
export { pathExpansion, PathExpansion, pathTotals, logitsByOrder, lossByMaxOrder } from "./logits/index.ts";
export type {
  PathExpansionOptions,
  AttributionOptions,
  PathCertificate,
  PathFilter,
  RankedTerm,
  RankOptions,
  TermMetric,
  PathSource,
  PathTerm,
  TermGrouping,
  FormulaFormat,
  PathTotals,
  PathTotalsOptions,
  LossByMaxOrder,
} from "./logits/index.ts";
export { FactoredModel, factoredModel } from "./factored-model.ts";
export { ScoreExpansion, scoreExpansion, ScoreAttribution, attributeScore } from "./scores/index.ts";
export type {
  ScoreExpansionOptions,
  ScoreTerm,
  ScoreTermFilter,
  ScoreStatisticsOptions,
  ScoreTermStatistics,
  AttributeScoreOptions,
  ScoreDirection,
  ScoreRoute,
  ScoreRoutes,
  ScoreRoutesOptions,
  ScoreSide,
  ScoreWriter,
} from "./scores/index.ts";
export { compositionOnText } from "./composition/index.ts";
export type { CompositionOnTextOptions, TextComposition } from "./composition/index.ts";
export {
  VirtualHead,
  virtualComposition,
  virtualCopyingScore,
  virtualHead,
  virtualHeadContribution,
  virtualHeadPattern,
  searchVirtualHeads,
  strongestVirtualHeads,
} from "./virtual-heads/index.ts";
export type {
  VirtualHeadContribution,
  RankedVirtualHead,
  VirtualSearch,
  VirtualSearchOnTokensOptions,
  VirtualSearchOptions,
} from "./virtual-heads/index.ts";
export {
  firstOrderLoss,
  frozenAblationLoss,
  headTermImportance,
  layerTermImportance,
  termImportance,
  compositionImportance,
} from "./importance/index.ts";
export type {
  HeadSubset,
  HeadTermImportance,
  LayerTermImportance,
  TermImportanceOptions,
  TermImportanceRow,
  CompositionImportance,
} from "./importance/index.ts";
export { accumulatedResid, decomposeResid, fitTranslators, logitAttribution, logitLens } from "./residual/index.ts";
export type {
  AccumulatedOptions,
  DecomposeOptions,
  NormHandling,
  ResidDecomposition,
  LogitAttribution,
  LogitAttributionOptions,
  FitTranslatorsOptions,
  LogitLens,
  LogitLensOptions,
  Translator,
} from "./residual/index.ts";
