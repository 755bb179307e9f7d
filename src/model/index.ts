export { allHeads, headLabel, parseHead } from "../head-id.ts";
export type { HeadId, HeadRef } from "../head-id.ts";
export { activate } from "./activation.ts";
export type { ActivationFunction } from "./activation.ts";
export { parseConfig } from "./config.ts";
export type { ModelConfig, NormalizationType, PositionalEmbeddingType } from "./config.ts";
export { combineEdits, editAt } from "./edits.ts";
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
export { AttentionHead, AttentionLayer } from "./attention.ts";
export type { LayerWeights } from "./attention.ts";
export { MLP } from "./mlp.ts";
export { expectedWeights } from "./weights.ts";
export type { Weights } from "./weights.ts";
export type { Run, RunOptions } from "./forward.ts";
export { Transformer } from "./transformer.ts";
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
