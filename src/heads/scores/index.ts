/**
 * *Where does a head look?* One number a head, from patterns or from text.
 *
 * An induction head looks from position $i$ of a repeated sequence of $L$ tokens to $i - (L - 1)$. Source: *In-context
 * Learning and Induction Heads*; ARENA 1.2.
 *
 * In reading order: `detectors.ts` (from patterns), `head-scores.ts` (all heads of a model; `by-query.ts`, query by
 * query), `head-evidence.ts` (what speaks for a kind; `weigh.ts` and `student.ts`, how it is weighed), `find-heads.ts`
 * (the heads of each kind), `detection.ts` (TransformerLens's detector), `prefix-matching.ts` and
 * `copying-evaluator.ts` (Olsson et al.), `memory-scores.ts`, `tally.ts` (how means are taken).
 */
export type { Pattern } from "./tally.ts";
export {
  currentTokenScores,
  duplicateTokenScores,
  firstTokenScores,
  inductionScores,
  previousTokenScores,
} from "./detectors.ts";
export type { InductionScoreOptions } from "./detectors.ts";
export { prefixMatchingScores } from "./prefix-matching.ts";
export type { PrefixMatchingOptions } from "./prefix-matching.ts";
export { detectionPattern, detectionScores } from "./detection.ts";
export type { DetectionKind, DetectionOptions } from "./detection.ts";
export { headScores } from "./head-scores.ts";
export type { HeadScores, QueryScores } from "./head-scores.ts";
export type { HeadScoresOptions } from "./scored-prompts.ts";
export type { HeadKind } from "./by-query.ts";
export { headEvidence } from "./head-evidence.ts";
export type { HeadEvidence, HeadEvidenceOptions } from "./head-evidence.ts";
export { findHeads } from "./find-heads.ts";
export type { FindHeadsOptions, FoundHeads } from "./find-heads.ts";
export { copyingEvaluator } from "./copying-evaluator.ts";
export type { CopyingEvaluatorOptions } from "./copying-evaluator.ts";
export { memoryScores } from "./memory-scores.ts";
export type { MemoryScores } from "./memory-scores.ts";
