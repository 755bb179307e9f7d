export type { Bytes } from "./bytes.ts";
export type { SafetensorsDType } from "./dtype.ts";
export { parseSafetensors, readSafetensors } from "./safetensors.ts";
export type { ReadTensorOptions, SafetensorsFile } from "./safetensors.ts";
export type { SafetensorsEntry } from "./safetensors-header.ts";
export { writeSafetensors } from "./safetensors-writer.ts";
export type { WriteSafetensorsOptions } from "./safetensors-writer.ts";
export {
  checkpointLayout,
  gpt2FromTensors,
  gptNeoXFromTensors,
  minGPTFromTensors,
  nanoGPTFromTensors,
  oldSoluFromTensors,
  transformerFromTensors,
  transformerLens4FromTensors,
  transformerLensFromTensors,
} from "./layouts/index.ts";
export type { CheckpointLayout, NamedTensors, TransformerTensors } from "./layouts/index.ts";
export { loadTransformer } from "./load.ts";
export type { TransformerFiles } from "./load.ts";
export { loadTokenizer } from "./tokenizer.ts";
export type { EncodeOptions, LoadTokenizerOptions, Tokenizer, TokenPositionOptions } from "./tokenizer.ts";
export { isSingleToken, toTokens } from "./to-tokens.ts";
export type { ToTokensOptions } from "./to-tokens.ts";
