/**
 * The figures of the papers, made of any model: for each a function that returns its data and one that draws them, and
 * a list of all.
 *
 * @packageDocumentation
 */
export type { FigureEntry } from "./entry.ts";
export type { FigureInput, FigureNeed, FigureOptions, FigureTokenizer } from "./input.ts";
export { figureJson, type PlainData } from "./json.ts";
export type { FigureToken } from "./labels.ts";
export type { TokenEntry, TrigramRow } from "./one-layer/sources.ts";
export { figureEntries, figureEntry, figureFromJson, makeFigure, type MadeFigure } from "./registry.ts";

export {
  compositionDiagram,
  drawCompositionDiagram,
  type CompositionDiagram,
  type CompositionDiagramOptions,
} from "./two-layers/composition.ts";
export {
  copyingTable,
  drawCopyingTable,
  type CopyingRow,
  type CopyingTable,
  type CopyingTableOptions,
} from "./one-layer/copying-table.ts";
export { copyingHistogram, drawCopyingHistogram, type CopyingHistogram } from "./one-layer/copying-histogram.ts";
export { drawHeadDump, headDump, type HeadDump, type HeadDumpOptions } from "./one-layer/head-dump.ts";
export { drawLogitExpansion, logitExpansion, type LogitExpansion } from "./two-layers/logit-expansion.ts";
export {
  drawOVEigenvalues,
  ovEigenvalues,
  type HeadEigenvalues,
  type OVEigenvalues,
} from "./one-layer/ov-eigenvalues.ts";
export { drawQKExpansion, qkExpansion, type QKExpansion } from "./two-layers/qk-expansion.ts";
export {
  drawPositionalHeads,
  positionalHeads,
  type PositionalHeads,
  type PositionalHeadsOptions,
} from "./one-layer/positional-heads.ts";
export {
  drawSkipTrigramList,
  skipTrigramList,
  type ListedTrigram,
  type SkipTrigramList,
  type SkipTrigramListOptions,
} from "./one-layer/skip-trigram-list.ts";
export {
  drawSkipTrigramBugTable,
  skipTrigramBugTable,
  type BugRow,
  type BugTrigram,
  type SkipTrigramBugOptions,
  type SkipTrigramBugTable,
} from "./one-layer/skip-trigram-bugs.ts";
export {
  drawSplitTokenTable,
  splitTokenTable,
  type SplitToken,
  type SplitTokenOptions,
  type SplitTokenTable,
} from "./one-layer/split-token-table.ts";

export type { FigureCheckpoint } from "./input.ts";
export type { CheckpointPlace } from "./training/checkpoints.ts";
export {
  ablationRises,
  drawAblationRises,
  drawOffsetRises,
  offsetRises,
  type AblationRises,
  type OffsetRises,
} from "./arena/ablation.ts";
export {
  drawInductionPatching,
  inductionPatching,
  type InductionPatching,
} from "./interventions/induction-patching.ts";
export {
  allHeadPatterns,
  drawAllHeadPatterns,
  type AllHeads,
  type AllHeadsOptions,
  type HeadPattern,
} from "./two-layers/all-heads.ts";
export { drawAttention, repeatedAttention, storyAttention, type AttentionFigure } from "./two-layers/attention.ts";
export { attributionMap, drawAttributionMap, type AttributionMap } from "./arena/attribution-map.ts";
export { changeAttribution, drawChangeAttribution, type ChangeAttribution } from "./training/change-attribution.ts";
export { drawNeuronExamples } from "./neuron-examples.ts";
export { circuitFigure, drawCircuit, drawCircuitCertificate, type CircuitFigure } from "./interventions/circuit.ts";
export {
  drawLensReadings,
  lensReadings,
  tunedReadings,
  type LensOptions,
  type LensReadings,
} from "./interventions/lens-readings.ts";
export {
  compositionChance,
  compositionMaps,
  drawCompositionChance,
  drawCompositionMaps,
  type CompositionChance,
  type CompositionMapsFigure,
} from "./two-layers/composition-maps.ts";
export {
  drawEmbeddingCloud,
  embeddingCloud,
  type EmbeddingCloud,
  type EmbeddingCloudOptions,
} from "./embeddings/embedding-cloud.ts";
export {
  drawEvaluatorScatter,
  drawEvaluatorValidation,
  drawPrefixOverTraining,
  drawTraceOverTraining,
} from "./training/evaluator-figures.ts";
export { evaluations, type Evaluations } from "./training/evaluators.ts";
export {
  drawImportanceByHead,
  drawImportanceByLayer,
  drawImportanceByOrder,
  importanceByHead,
  importanceFigure,
  type ImportanceByHead,
  type ImportanceFigure,
} from "./two-layers/importance.ts";
export {
  drawInductionExamples,
  inductionExamples,
  type InductionExample,
  type InductionExamples,
} from "./two-layers/induction-examples.ts";
export { drawInductionStripes, inductionStripes, type InductionStripes } from "./arena/induction-stripes.ts";
export { drawJointComponents } from "./two-layers/joint-components.ts";
export { drawLossOnRepeats, lossOnRepeats, type LossOnRepeats } from "./arena/loss-on-repeats.ts";
export { drawPathEffects, pathEffects, type PathEffect, type PathEffects } from "./two-layers/path-effects.ts";
export { drawOVSample, ovSample, type OVSample } from "./arena/ov-sample.ts";
export {
  drawPositivityScatter,
  positivityScatter,
  type PositivityPoint,
  type PositivityScatter,
} from "./two-layers/positivity.ts";
export { drawPreviousPattern, previousPattern, type PreviousPattern } from "./arena/previous-pattern.ts";
export { drawScoreIntensity, scoreIntensity, type ScoreIntensity } from "./two-layers/score-intensity.ts";
export {
  drawScoreSources,
  scoreSources,
  scoreSourcesOf,
  type ScoreSources,
  type ScoreSourcesOptions,
  type ScoreSourcesSide,
} from "./two-layers/score-sources.ts";
export { drawComponentNorms, drawScoreSpread, drawScoreStripe, drawScoreTiles } from "./arena/score-figures.ts";
export { scoreParts, type ScoreParts } from "./arena/score-parts.ts";
export {
  drawContextScore,
  drawLossByIndex,
  drawLossCurve,
  drawLossPath,
  drawLossSlope,
} from "./training/training-figures.ts";
export { checkpointFilm, drawTrainingFilm, drawTrainingFrame } from "./training/training-film.ts";
export { trainingLosses, type TrainingLosses } from "./training/training-losses.ts";
