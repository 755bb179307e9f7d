/**
 * *What do heads do?* Heads watched on text: where they look, and what is lost without them.
 *
 * An induction head looks at the token after the previous copy of the present one; on a random sequence of $L$ tokens
 * that is repeated, its score is the mean attention from position $i$ to $i - (L - 1)$. Source: "In-context Learning
 * and Induction Heads", and "A Mathematical Framework for Transformer Circuits", "Two-Layer Attention-Only
 * Transformers".
 *
 * In reading order: `repeated-tokens.ts` (the text), `scores/detectors.ts` (one detector a function),
 * `scores/head-scores.ts` (all heads of a model), `scores/find-heads.ts` (named by evidence), `scores/detection.ts`
 * (TransformerLens's detector), `scores/prefix-matching.ts` and `scores/copying-evaluator.ts` (Olsson et al.),
 * `ablation/` (what a head is worth), `training/` (what changes while a model learns), `neuron-examples.ts` (what
 * neurons of MLPs do).
 *
 * @packageDocumentation
 */
export {
  currentTokenScores,
  duplicateTokenScores,
  firstTokenScores,
  inductionScores,
  previousTokenScores,
  prefixMatchingScores,
  detectionPattern,
  detectionScores,
  findHeads,
  headEvidence,
  headScores,
  copyingEvaluator,
  memoryScores,
} from "./scores/index.ts";
export type {
  Pattern,
  InductionScoreOptions,
  PrefixMatchingOptions,
  DetectionKind,
  DetectionOptions,
  FindHeadsOptions,
  FoundHeads,
  HeadEvidence,
  HeadEvidenceOptions,
  HeadKind,
  HeadScores,
  HeadScoresOptions,
  QueryScores,
  CopyingEvaluatorOptions,
  MemoryScores,
} from "./scores/index.ts";
export { neuronExamples } from "./neuron-examples.ts";
export type { NeuronActivity, NeuronExample, NeuronExampleOptions, NeuronExamples } from "./neuron-examples.ts";
export { repeatedTokens } from "./repeated-tokens.ts";
export type { RepeatedTokensOptions } from "./repeated-tokens.ts";
export { smearedKeys } from "./smeared-keys.ts";
export { valueWeightedPattern } from "./value-weighted.ts";
export type { ValueWeightedOptions } from "./value-weighted.ts";
export {
  inContextLearningScore,
  logIndexDerivative,
  beforeAndAfterAttribution,
  lossTrajectory,
} from "./training/index.ts";
export type { InContextLearningOptions, LossTrajectory } from "./training/index.ts";
export { ablatedLosses, headAblation, offsetAblatedLosses } from "./ablation/index.ts";
export type { AblationOptions, HeadAblation, HeadAblationOptions, OffsetAblationOptions } from "./ablation/index.ts";
