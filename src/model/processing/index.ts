export { dropKeyBiases, foldValueBiases, refactorHeads } from "./heads.ts";
export { centerUnembed, centerWritingWeights, foldLayerNorm } from "./norms.ts";
export { processingReport, processWeights } from "./pipeline.ts";
export type { ProcessingOptions, ProcessingReport, ProcessingRow, ProcessingStep } from "./pipeline.ts";
