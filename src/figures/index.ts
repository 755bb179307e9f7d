/**
 * The figures of the papers, made of any model: for each a function that returns its data and one that draws them, and a list of all.
 *
 * @packageDocumentation
 */
export type { FigureEntry } from "./entry.ts";
export type { FigureInput, FigureNeed, FigureOptions, FigureTokenizer } from "./input.ts";
export { figureJson } from "./json.ts";
export type { FigureToken } from "./labels.ts";
export type { TokenEntry, TrigramRow } from "./sources.ts";
export { figureEntries, figureEntry, makeFigure, type MadeFigure } from "./registry.ts";

export {
  compositionDiagram,
  drawCompositionDiagram,
  type CompositionDiagram,
  type CompositionDiagramOptions,
} from "./composition.ts";
export {
  copyingTable,
  drawCopyingTable,
  type CopyingRow,
  type CopyingTable,
  type CopyingTableOptions,
} from "./copying-table.ts";
export { copyingHistogram, drawCopyingHistogram, type CopyingHistogram } from "./copying-histogram.ts";
export { drawHeadDump, headDump, type HeadDump, type HeadDumpOptions } from "./head-dump.ts";
export { drawLogitExpansion, logitExpansion, type LogitExpansion } from "./logit-expansion.ts";
export { drawOVEigenvalues, ovEigenvalues, type HeadEigenvalues, type OVEigenvalues } from "./ov-eigenvalues.ts";
export { drawQKExpansion, qkExpansion, type QKExpansion } from "./qk-expansion.ts";
export {
  drawPositionalHeads,
  positionalHeads,
  type PositionalHeads,
  type PositionalHeadsOptions,
} from "./positional-heads.ts";
export {
  drawSkipTrigramList,
  skipTrigramList,
  type ListedTrigram,
  type SkipTrigramList,
  type SkipTrigramListOptions,
} from "./skip-trigram-list.ts";
export {
  drawSkipTrigramBugTable,
  skipTrigramBugTable,
  type BugRow,
  type BugTrigram,
  type SkipTrigramBugOptions,
  type SkipTrigramBugTable,
} from "./skip-trigram-bugs.ts";
export {
  drawSplitTokenTable,
  splitTokenTable,
  type SplitToken,
  type SplitTokenOptions,
  type SplitTokenTable,
} from "./split-token-table.ts";

export type { FigureCheckpoint } from "./input.ts";
export type { CheckpointPlace } from "./checkpoints.ts";
export {
  ablationRises,
  drawAblationRises,
  drawOffsetRises,
  offsetRises,
  type AblationRises,
  type OffsetRises,
} from "./ablation.ts";
export { allHeadPatterns, drawAllHeadPatterns, type AllHeads, type HeadPattern } from "./all-heads.ts";
export { drawAttention, repeatedAttention, storyAttention, type AttentionFigure } from "./attention.ts";
export { attributionMap, drawAttributionMap, type AttributionMap } from "./attribution-map.ts";
export { changeAttribution, drawChangeAttribution, type ChangeAttribution } from "./change-attribution.ts";
export {
  compositionChance,
  compositionMaps,
  drawCompositionChance,
  drawCompositionMaps,
  type CompositionChance,
  type CompositionMapsFigure,
} from "./composition-maps.ts";
export {
  drawEvaluatorScatter,
  drawEvaluatorValidation,
  drawPrefixOverTraining,
  drawTraceOverTraining,
} from "./evaluator-figures.ts";
export { evaluations, type Evaluations } from "./evaluators.ts";
export { drawImportanceByLayer, drawImportanceByOrder, importanceFigure, type ImportanceFigure } from "./importance.ts";
export {
  drawInductionExamples,
  inductionExamples,
  type InductionExample,
  type InductionExamples,
} from "./induction-examples.ts";
export { drawInductionStripes, inductionStripes, type InductionStripes } from "./induction-stripes.ts";
export { drawJointComponents } from "./joint-components.ts";
export { drawLossOnRepeats, lossOnRepeats, type LossOnRepeats } from "./loss-on-repeats.ts";
export { drawOVSample, ovSample, type OVSample } from "./ov-sample.ts";
export {
  drawPositivityScatter,
  positivityScatter,
  type PositivityPoint,
  type PositivityScatter,
} from "./positivity.ts";
export { drawPreviousPattern, previousPattern, type PreviousPattern } from "./previous-pattern.ts";
export { drawScoreIntensity, scoreIntensity, type ScoreIntensity } from "./score-intensity.ts";
export { drawComponentNorms, drawScoreSpread, drawScoreStripe, drawScoreTiles } from "./score-figures.ts";
export { scoreParts, type ScoreParts } from "./score-parts.ts";
export { drawContextScore, drawLossByIndex, drawLossCurve, drawLossPath, drawLossSlope } from "./training-figures.ts";
export { trainingLosses, type TrainingLosses } from "./training-losses.ts";
