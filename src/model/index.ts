/**
 * The model: configuration, embeddings, attention heads, norms, MLPs, the forward pass with its hooks, and what may be
 * done to weights without changing what they compute.
 *
 * $x_0 = T W_E + W_{pos}$, $x_{l+1} = x_l + \sum_h A^h(x_l)\, x_l W_{OV}^h$, logits $= x_L W_U$, with rows as vectors.
 * Source: "A Mathematical Framework for Transformer Circuits", "Transformer Overview".
 *
 * In reading order: `config.ts`, `transformer.ts`, `attention.ts` (a head: $W_{QK}$ and $W_{OV}$), `forward.ts` (the
 * pass), `hooks.ts` and `edits.ts`, `cache.ts`, `norm.ts`, `rotary.ts`, `mlp.ts`, `loss.ts`, `metric.ts` and
 * `metrics/`, `partial-pass.ts` (a run again, as far as changes reach), `processing/` (folding and centring).
 *
 * @packageDocumentation
 */
export { allHeads, headLabel, parseHead } from "../head-id.ts";
export type { HeadId, HeadRef } from "../head-id.ts";
export { activate } from "./activation.ts";
export type { ActivationFunction } from "./activation.ts";
export { parseConfig } from "./config.ts";
export type { ModelConfig, NormalizationType, PositionalEmbeddingType } from "./model-config.ts";
export { combineEdits, editAt } from "./edits.ts";
export type { EditSource, EditsLike } from "./edits.ts";
export { hookNames } from "./hooks.ts";
export type { AxesOfHook, Edit, Edits, HookName } from "./hooks.ts";
export { ActivationCache } from "./cache.ts";
export type { CacheRequest } from "./session.ts";
export { splitWindows, toTokenTensor } from "./tokens.ts";
export type { TokensLike } from "./tokens.ts";
export { Norm } from "./norm.ts";
export type { NormKind } from "./norm.ts";
export { rotate, rotationMatrix } from "./rotary.ts";
export { lossPerToken, meanLoss } from "./loss.ts";
export type { LossOptions } from "./loss.ts";
export type { Metric, MetricFunction, MetricInput, MetricLike, MetricReads } from "./metric.ts";
export { logitDifference, logProbability, probability } from "./metrics/answers.ts";
export type { Answers } from "./metrics/answers.ts";
export { crossEntropy } from "./metrics/cross-entropy.ts";
export { klDivergence } from "./metrics/kl-divergence.ts";
export { gradients } from "./gradients.ts";
export type { GradientOptions, Gradients } from "./gradients.ts";
export type { GradientSeeds } from "./backward/scalar.ts";
export { editWithDerivative } from "./edit-derivatives.ts";
export type { EditDerivative } from "./edit-derivatives.ts";
export { customMetric } from "./custom-metric.ts";
export { AttentionHead, AttentionLayer } from "./attention.ts";
export type { LayerWeights } from "./attention.ts";
export { MLP } from "./mlp.ts";
export { expectedWeights } from "./weights.ts";
export type { Weights } from "./weights.ts";
export type { PartialRunOptions, RunOptions, RunStart } from "./run.ts";
export { generate, generateTokens } from "./generate.ts";
export type { GeneratedToken, GenerateOptions } from "./generate.ts";
export { padPrompts } from "./attention-mask.ts";
export type { AttentionMask, PaddingMask, PadOptions } from "./attention-mask.ts";
export type { PartialSite } from "./base-run.ts";
export { Transformer } from "./transformer.ts";
export { ungroupAttention } from "./ungroup.ts";
export type { PartialRun, Run, StoppedRun } from "./transformer.ts";
export {
  centerUnembed,
  centerWritingWeights,
  dropKeyBiases,
  foldLayerNorm,
  foldValueBiases,
  processingReport,
  processWeights,
  refactorHeads,
} from "./processing/index.ts";
export type { ProcessingOptions, ProcessingReport, ProcessingRow, ProcessingStep } from "./processing/index.ts";
