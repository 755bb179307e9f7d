/**
 * *What do the weights say?* Circuits that need no tokens: functions of the weights of one model.
 *
 * $W_{QK} = W_Q W_K^\top$ says where a head looks, $W_{OV} = W_V W_O$ what it moves; with the embedding and the
 * unembedding at their ends they become tables over the vocabulary, $W_E W_{QK} W_E^\top$ and $W_E W_{OV} W_U$, kept as
 * products of thin factors. Source: "A Mathematical Framework for Transformer Circuits", "One-Layer Attention-Only
 * Transformers" and "Two-Layer Attention-Only Transformers".
 *
 * In reading order: `circuits.ts` (the circuits), `eigenvalues/` (what copies, what matches), `skip-trigrams/` (a head
 * as a table of trigrams), `composition/` (which head reads which), `positional/`, `term-sizes/` (how large the terms
 * of an expansion can be), `neurons.ts`, and the statistics of tokens beside them.
 *
 * @packageDocumentation
 */
export {
  directPathCircuit,
  effectiveOVCircuit,
  fullOVCircuit,
  fullQKCircuit,
  kCompositionCircuit,
  qCompositionCircuit,
  virtualOVCircuit,
} from "./circuits.ts";
export { neuronCosines, neuronLogitCircuit, neuronTokenCircuit } from "./neurons.ts";
export { attentionByOffset, positionalPattern, positionalQKCircuit, meanRotaryPattern } from "./positional/index.ts";
export { normedTokens } from "./normed-tokens.ts";
export {
  bareOVSpectrum,
  bareQKSpectrum,
  ovSpectrum,
  qkSpectrum,
  scoreNull,
  copyingScore,
  copyingScores,
  matchingScores,
  copyingAccuracy,
  ovDiagonal,
  kCompositionAccuracy,
  inductionPositivity,
} from "./eigenvalues/index.ts";
export type {
  Spectrum,
  SampledScore,
  ScoreNullOptions,
  CopyingAccuraciesOptions,
  CopyingAccuracyOptions,
  OVDiagonal,
  KCompositionAccuracyOptions,
  MatchingSide,
  InductionPositivity,
  InductionPositivityOptions,
} from "./eigenvalues/index.ts";
export {
  compositionScores,
  kComposition,
  qComposition,
  vComposition,
  compositionBaseline,
  sampleCompositionBaseline,
  cycledCompositionScores,
  compositionOfMaps,
  restrictedComposition,
} from "./composition/index.ts";
export type {
  CompositionOptions,
  CompositionScores,
  PairScores,
  CompositionBaseline,
  CompositionMaps,
  CompositionSampleOptions,
  HeadSizes,
  CycledCompositionScores,
  RestrictedComposition,
  RestrictedCompositionOptions,
  RestrictedScores,
  RestrictedWeightScores,
} from "./composition/index.ts";
export {
  skipTrigrams,
  findSkipTrigramBugs,
  skipTrigramBugs,
  skipTrigramEffects,
  topSkipTrigrams,
} from "./skip-trigrams/index.ts";
export type {
  SkipTrigramOptions,
  SkipTrigrams,
  FindSkipTrigramBugsOptions,
  SkipTrigram,
  SkipTrigramBugs,
  SkipTrigramEffect,
  SkipTrigramPair,
  ScoreReference,
  SkipTrigramFilters,
  TokenFilter,
  TokenValue,
  TopSkipTrigramOptions,
} from "./skip-trigrams/index.ts";
export { logitTermNorms, scoreTermNorms } from "./term-sizes/index.ts";
export type {
  LogitTermNorms,
  LogitTermNormsOptions,
  SourceTermNorms,
  ScoreTermNorms,
  ScoreTermNormsOptions,
  ScoreTermSide,
} from "./term-sizes/index.ts";
export { bigramFit } from "./bigram-fit.ts";
export type { BigramFit, BigramFitOptions } from "./bigram-fit.ts";
export { jointPCA } from "./joint-pca.ts";
export type { JointPCA, JointPCAOptions } from "./joint-pca.ts";
export { effectiveEmbedding } from "./effective-embedding.ts";
export { mixedOV, mixedQK } from "./mixed.ts";
