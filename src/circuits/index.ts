export {
  directPathCircuit,
  effectiveOVCircuit,
  fullOVCircuit,
  fullQKCircuit,
  fullQKCircuitAtOffset,
  kCompositionCircuit,
  qCompositionCircuit,
  virtualOVCircuit,
} from "./full-circuits.ts";
export { neuronCosines, neuronLogitCircuit, neuronTokenCircuit } from "./neurons.ts";
export { attentionByOffset, positionalPattern, positionalQKCircuit } from "./positional.ts";
export { normedTokens } from "./normed-tokens.ts";
export { meanRotaryPattern } from "./rotary-pattern.ts";
export { bareOVSpectrum, bareQKSpectrum, copyingScores, matchingScores, ovSpectrum, qkSpectrum } from "./spectra.ts";
export type { Spectrum } from "./cores.ts";
export { scoreNull } from "./score-null.ts";
export type { SampledScore, ScoreNullOptions } from "./score-null.ts";
export { copyingAccuracies, copyingAccuracy, ovDiagonal } from "./copying.ts";
export type { CopyingAccuraciesOptions, CopyingAccuracyOptions, OVDiagonal } from "./copying.ts";
export { copyingScore } from "./head-copying.ts";
export { kCompositionAccuracy } from "./matching.ts";
export type { KCompositionAccuracyOptions, MatchingSide } from "./matching.ts";
export { compositionScores, kComposition, qComposition, vComposition } from "./composition.ts";
export type { CompositionOptions, CompositionScores, PairScores } from "./composition.ts";
export { compositionBaseline, compositionExcess, compositionZScores, sampleCompositionBaseline } from "./baselines.ts";
export type { CompositionBaseline, CompositionMaps, CompositionSampleOptions, HeadSizes } from "./baselines.ts";
export { skipTrigrams } from "./skip-trigrams.ts";
export type { SkipTrigramOptions, SkipTrigrams } from "./skip-trigrams.ts";
export { findSkipTrigramBugs, skipTrigramBugs } from "./skip-trigram-bugs.ts";
export { cycledCompositionScores } from "./composition-erratum.ts";
export type { CycledCompositionScores } from "./composition-erratum.ts";
export { logitTermNorms } from "./logit-term-norms.ts";
export type { LogitTermNorms, LogitTermNormsOptions, SourceTermNorms } from "./logit-term-norms.ts";
export { scoreTermNorms } from "./score-term-norms.ts";
export type { ScoreTermNorms, ScoreTermNormsOptions, ScoreTermSide } from "./score-term-norms.ts";
export type {
  FindSkipTrigramBugsOptions,
  SkipTrigram,
  SkipTrigramBugs,
  SkipTrigramEffect,
  SkipTrigramPair,
} from "./skip-trigram-bugs.ts";
export type { ScoreReference } from "./score-references.ts";
export type { SkipTrigramFilters, TokenFilter } from "./token-filters.ts";
export type { TokenValue } from "./top-tokens.ts";
export { skipTrigramEffects } from "./skip-trigram-effects.ts";
export { topSkipTrigrams } from "./skip-trigram-search.ts";
export type { TopSkipTrigramOptions } from "./skip-trigram-search.ts";
export { inductionPositivity } from "./positivity.ts";
export type { InductionPositivity, InductionPositivityOptions } from "./positivity.ts";
export type { ProgressOptions } from "./progress.ts";
export type { Pattern } from "./tally.ts";
export {
  currentTokenScores,
  duplicateTokenScores,
  firstTokenScores,
  inductionScores,
  previousTokenScores,
} from "./head-scores.ts";
export type { InductionScoreOptions } from "./head-scores.ts";
export { prefixMatchingScores } from "./prefix-matching.ts";
export type { PrefixMatchingOptions } from "./prefix-matching.ts";
export { detectionPattern, detectionScores } from "./detection.ts";
export type { DetectionKind, DetectionOptions } from "./detection.ts";
export { repeatedTokens } from "./repeated-tokens.ts";
export type { RepeatedTokensOptions } from "./repeated-tokens.ts";
export { findHeads, headScores } from "./find-heads.ts";
export type { FoundHeads, HeadScores, HeadScoresOptions } from "./find-heads.ts";
export type { Certificate } from "./certificate.ts";
export type { Targets, TokenTargets } from "./targets.ts";
export { expand, pathExpansion } from "./path-expansion.ts";
export type { PathExpansionOptions } from "./path-expansion.ts";
export { PathExpansion } from "./expansion.ts";
export type { AttributionOptions, PathCertificate, PathFilter, RankedTerm, TermMetric } from "./expansion.ts";
export { FactoredModel, factoredModel } from "./factored-model.ts";
export type { PathSource } from "./path-sources.ts";
export type { PathTerm } from "./path-terms.ts";
export type { TermGrouping } from "./term-groups.ts";
export type { FormulaFormat } from "./path-formula.ts";
export { ScoreExpansion, scoreExpansion } from "./score-expansion.ts";
export type { ScoreExpansionOptions, ScoreTerm, ScoreTermFilter } from "./score-expansion.ts";
export type { ScoreStatisticsOptions, ScoreTermStatistics } from "./score-statistics.ts";
export { smearedKeys } from "./smeared-keys.ts";
export { attributeScore } from "./score-attribution.ts";
export type { AttributeScoreOptions, ScoreAttribution, ScoreSide } from "./score-attribution.ts";
export {
  VirtualHead,
  virtualComposition,
  virtualCopyingScore,
  virtualHead,
  virtualHeadContribution,
  virtualHeadPattern,
} from "./virtual-heads.ts";
export type { VirtualHeadContribution } from "./virtual-heads.ts";
export { searchVirtualHeads, strongestVirtualHeads } from "./virtual-search.ts";
export type {
  RankedVirtualHead,
  VirtualSearch,
  VirtualSearchOnTokensOptions,
  VirtualSearchOptions,
} from "./virtual-search.ts";
export { pathTotals } from "./path-totals.ts";
export type { PathTotals, PathTotalsOptions } from "./path-totals.ts";
export { logitsByOrder, lossByMaxOrder } from "./path-orders.ts";
export type { LossByMaxOrder } from "./path-orders.ts";
export { firstOrderLoss, frozenAblationLoss, headTermImportance, layerTermImportance } from "./term-importance.ts";
export type { HeadSubset, HeadTermImportance, LayerTermImportance } from "./term-importance.ts";
export { termImportance } from "./importance-table.ts";
export type { TermImportanceOptions, TermImportanceRow } from "./importance-table.ts";
export { compositionImportance } from "./composition-importance.ts";
export type { CompositionImportance } from "./composition-importance.ts";
export { accumulatedResid, decomposeResid } from "./residual-decomposition.ts";
export type { DecomposeOptions, NormHandling, ResidDecomposition } from "./residual-decomposition.ts";
export { logitAttribution } from "./attribution.ts";
export type { LogitAttribution, LogitAttributionOptions } from "./attribution.ts";
export { valueWeightedPattern } from "./value-weighted.ts";
export type { ValueWeightedOptions } from "./value-weighted.ts";
export { bigramFit } from "./bigram-fit.ts";
export type { BigramFit, BigramFitOptions } from "./bigram-fit.ts";
export { jointPCA } from "./joint-pca.ts";
export type { JointPCA, JointPCAOptions } from "./joint-pca.ts";
export { inContextLearningScore, logIndexDerivative } from "./in-context-learning.ts";
export type { InContextLearningOptions } from "./in-context-learning.ts";
export { beforeAndAfterAttribution, lossTrajectory } from "./loss-trajectory.ts";
export type { LossTrajectory } from "./loss-trajectory.ts";
export { copyingEvaluator } from "./copying-evaluator.ts";
export type { CopyingEvaluatorOptions } from "./copying-evaluator.ts";
export { memoryScores } from "./memory-heads.ts";
export type { MemoryScores } from "./memory-heads.ts";
export { effectiveEmbedding, mixedOV, mixedQK } from "./mixed-heads.ts";
export { compositionOfMaps } from "./map-composition.ts";
export { ablatedLosses, headAblation } from "./head-ablation.ts";
export type { AblationOptions, HeadAblation, HeadAblationOptions } from "./head-ablation.ts";
export { offsetAblatedLosses } from "./offset-ablation.ts";
export type { OffsetAblationOptions } from "./offset-ablation.ts";
