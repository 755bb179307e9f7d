/**
 * *What do heads do?* Heads watched on text: where they look, and what is lost without them.
 *
 * An induction head looks at the token after the previous copy of the present one; on a random sequence of $L$ tokens that is
 * repeated, its score is the mean attention from position $i$ to $i - (L - 1)$. Source: "In-context Learning and Induction
 * Heads", and "A Mathematical Framework for Transformer Circuits", "Two-Layer Attention-Only Transformers".
 *
 * In reading order: `repeated-tokens.ts` (the text), `scores/detectors.ts` (one detector a function), `scores/find-heads.ts`
 * (all heads of a model, named), `scores/detection.ts` (TransformerLens's detector), `scores/prefix-matching.ts` and
 * `scores/copying-evaluator.ts` (Olsson et al.), `ablation/` (what a head is worth), `training/` (what changes while a model
 * learns).
 *
 * @packageDocumentation
 */
export type { Pattern } from "./scores/tally.ts";
export {
  currentTokenScores,
  duplicateTokenScores,
  firstTokenScores,
  inductionScores,
  previousTokenScores,
} from "./scores/detectors.ts";
export type { InductionScoreOptions } from "./scores/detectors.ts";
export { prefixMatchingScores } from "./scores/prefix-matching.ts";
export type { PrefixMatchingOptions } from "./scores/prefix-matching.ts";
export { detectionPattern, detectionScores } from "./scores/detection.ts";
export type { DetectionKind, DetectionOptions } from "./scores/detection.ts";
export { repeatedTokens } from "./repeated-tokens.ts";
export type { RepeatedTokensOptions } from "./repeated-tokens.ts";
export { findHeads, headScores } from "./scores/find-heads.ts";
export type { FoundHeads, HeadScores, HeadScoresOptions } from "./scores/find-heads.ts";
export { smearedKeys } from "./smeared-keys.ts";
export { valueWeightedPattern } from "./value-weighted.ts";
export type { ValueWeightedOptions } from "./value-weighted.ts";
export { inContextLearningScore } from "./training/in-context-learning.ts";
export { logIndexDerivative } from "./training/log-index-derivative.ts";
export type { InContextLearningOptions } from "./training/in-context-learning.ts";
export { beforeAndAfterAttribution } from "./training/before-and-after-attribution.ts";
export { lossTrajectory } from "./training/loss-trajectory.ts";
export type { LossTrajectory } from "./training/loss-trajectory.ts";
export { copyingEvaluator } from "./scores/copying-evaluator.ts";
export type { CopyingEvaluatorOptions } from "./scores/copying-evaluator.ts";
export { memoryScores } from "./scores/memory-scores.ts";
export type { MemoryScores } from "./scores/memory-scores.ts";
export { ablatedLosses, headAblation } from "./ablation/head-ablation.ts";
export type { AblationOptions, HeadAblation, HeadAblationOptions } from "./ablation/head-ablation.ts";
export { offsetAblatedLosses } from "./ablation/offset-ablation.ts";
export type { OffsetAblationOptions } from "./ablation/offset-ablation.ts";
