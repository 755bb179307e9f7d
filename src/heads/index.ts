/**
 * *What do heads do?* Heads watched on text: where they look, and what is lost without them.
 *
 * An induction head looks at the token after the previous copy of the present one; on a random sequence of $L$ tokens that is
 * repeated, its score is the mean attention from position $i$ to $i - (L - 1)$. Source: "In-context Learning and Induction
 * Heads", and "A Mathematical Framework for Transformer Circuits", "Two-Layer Attention-Only Transformers".
 *
 * In reading order: `repeated-tokens.ts` (the text), `head-scores.ts` (one detector a function), `find-heads.ts` (all heads of
 * a model, named), `detection.ts` (TransformerLens's detector), `prefix-matching.ts` and `copying-evaluator.ts` (Olsson et
 * al.), `ablation/` (what a head is worth), `training/` (what changes while a model learns).
 */
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
export { smearedKeys } from "./smeared-keys.ts";
export { valueWeightedPattern } from "./value-weighted.ts";
export type { ValueWeightedOptions } from "./value-weighted.ts";
export { inContextLearningScore, logIndexDerivative } from "./training/in-context-learning.ts";
export type { InContextLearningOptions } from "./training/in-context-learning.ts";
export { beforeAndAfterAttribution, lossTrajectory } from "./training/loss-trajectory.ts";
export type { LossTrajectory } from "./training/loss-trajectory.ts";
export { copyingEvaluator } from "./copying-evaluator.ts";
export type { CopyingEvaluatorOptions } from "./copying-evaluator.ts";
export { memoryScores } from "./memory-heads.ts";
export type { MemoryScores } from "./memory-heads.ts";
export { ablatedLosses, headAblation } from "./ablation/head-ablation.ts";
export type { AblationOptions, HeadAblation, HeadAblationOptions } from "./ablation/head-ablation.ts";
export { offsetAblatedLosses } from "./ablation/offset-ablation.ts";
export type { OffsetAblationOptions } from "./ablation/offset-ablation.ts";
