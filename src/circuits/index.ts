/**
 * *What do the weights say?* Circuits that need no tokens: functions of the weights of one model.
 *
 * $W_{QK} = W_Q W_K^\top$ says where a head looks, $W_{OV} = W_V W_O$ what it moves; with the embedding and the unembedding
 * at their ends they become tables over the vocabulary, $W_E W_{QK} W_E^\top$ and $W_E W_{OV} W_U$, kept as products of thin
 * factors. Source: "A Mathematical Framework for Transformer Circuits", "One-Layer Attention-Only Transformers" and
 * "Two-Layer Attention-Only Transformers".
 *
 * In reading order: `circuits.ts` (the circuits), `eigenvalues/` (what copies, what matches), `skip-trigrams/` (a head as
 * a table of trigrams), `composition/` (which head reads which), `positional/`, `term-sizes/` (how large the terms of an
 * expansion can be), `neurons.ts`, and the statistics of tokens beside them.
 *
 * @packageDocumentation
 */
export {
  directPathCircuit,
  effectiveOVCircuit,
  fullOVCircuit,
  fullQKCircuit,
  fullQKCircuitAtOffset,
  kCompositionCircuit,
  qCompositionCircuit,
  virtualOVCircuit,
} from "./circuits.ts";
export { neuronCosines, neuronLogitCircuit, neuronTokenCircuit } from "./neurons.ts";
export { attentionByOffset } from "./positional/attention-by-offset.ts";
export { positionalPattern, positionalQKCircuit } from "./positional/positional.ts";
export { normedTokens } from "./normed-tokens.ts";
export { meanRotaryPattern } from "./positional/rotary-pattern.ts";
export { bareOVSpectrum, bareQKSpectrum, ovSpectrum, qkSpectrum } from "./eigenvalues/spectrum.ts";
export type { Spectrum } from "./eigenvalues/cores.ts";
export { scoreNull } from "./eigenvalues/null.ts";
export type { SampledScore, ScoreNullOptions } from "./eigenvalues/null.ts";
export { copyingScore, copyingScores } from "./eigenvalues/copying.ts";
export { matchingScores } from "./eigenvalues/matching.ts";
export { copyingAccuracies, copyingAccuracy } from "./eigenvalues/copying-accuracy.ts";
export type { CopyingAccuraciesOptions, CopyingAccuracyOptions } from "./eigenvalues/copying-accuracy.ts";
export { ovDiagonal } from "./eigenvalues/ov-diagonal.ts";
export type { OVDiagonal } from "./eigenvalues/ov-diagonal.ts";
export { kCompositionAccuracy } from "./eigenvalues/k-composition-accuracy.ts";
export type { KCompositionAccuracyOptions, MatchingSide } from "./eigenvalues/k-composition-accuracy.ts";
export { kComposition, qComposition, vComposition } from "./composition/composition.ts";
export { compositionScores } from "./composition/all-pairs.ts";
export type { CompositionOptions } from "./composition/all-pairs.ts";
export type { CompositionBaseline, CompositionMaps, CompositionScores, PairScores } from "./composition/pair-scores.ts";
export {
  compositionBaseline,
  compositionExcess,
  compositionZScores,
  sampleCompositionBaseline,
} from "./composition/baseline.ts";
export type { CompositionSampleOptions, HeadSizes } from "./composition/baseline.ts";
export { skipTrigrams } from "./skip-trigrams/skip-trigrams.ts";
export type { SkipTrigramOptions, SkipTrigrams } from "./skip-trigrams/skip-trigrams.ts";
export { findSkipTrigramBugs, skipTrigramBugs } from "./skip-trigrams/bugs.ts";
export { cycledCompositionScores } from "./composition/erratum.ts";
export type { CycledCompositionScores } from "./composition/erratum.ts";
export { logitTermNorms } from "./term-sizes/logit-term-norms.ts";
export type { LogitTermNorms, LogitTermNormsOptions, SourceTermNorms } from "./term-sizes/logit-term-norms.ts";
export { scoreTermNorms } from "./term-sizes/score-term-norms.ts";
export type { ScoreTermNorms, ScoreTermNormsOptions, ScoreTermSide } from "./term-sizes/score-term-norms.ts";
export type {
  FindSkipTrigramBugsOptions,
  SkipTrigram,
  SkipTrigramBugs,
  SkipTrigramEffect,
  SkipTrigramPair,
} from "./skip-trigrams/bugs.ts";
export type { ScoreReference } from "./skip-trigrams/references.ts";
export type { SkipTrigramFilters, TokenFilter } from "./skip-trigrams/filters.ts";
export type { TokenValue } from "./skip-trigrams/top-tokens.ts";
export { skipTrigramEffects } from "./skip-trigrams/effects.ts";
export { topSkipTrigrams } from "./skip-trigrams/search.ts";
export type { TopSkipTrigramOptions } from "./skip-trigrams/search.ts";
export { inductionPositivity } from "./eigenvalues/induction-positivity.ts";
export type { InductionPositivity, InductionPositivityOptions } from "./eigenvalues/induction-positivity.ts";
export { bigramFit } from "./bigram-fit.ts";
export type { BigramFit, BigramFitOptions } from "./bigram-fit.ts";
export { jointPCA } from "./joint-pca.ts";
export type { JointPCA, JointPCAOptions } from "./joint-pca.ts";
export { effectiveEmbedding } from "./effective-embedding.ts";
export { mixedOV, mixedQK } from "./mixed.ts";
export { compositionOfMaps } from "./composition/of-maps.ts";
