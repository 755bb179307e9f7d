export type { Bytes } from "./bytes.ts";
export type { SafetensorsDType } from "./dtype.ts";
export { parseSafetensors, readSafetensors } from "./safetensors.ts";
export { detectFormat } from "./format.ts";
export { openCheckpoint } from "./checkpoint.ts";
export { readTensors } from "./read-tensors.ts";
export type { ReadTensorsOptions } from "./read-tensors.ts";
export type { Checkpoint, CheckpointEntry, OpenCheckpointOptions, ReadCheckpointOptions } from "./checkpoint.ts";
export { safetensorsChunks } from "./convert.ts";
export type { ConvertOptions } from "./convert.ts";
export { inspect } from "./inspect.ts";
export type { Inspection } from "./inspect.ts";
export { parseNpy, parseNpz } from "./npy.ts";
export { parseTorch } from "./torch.ts";
export type { PlainObject, PlainValue } from "./plain.ts";
export type { BlobLike, ByteSource, FileInput } from "./reading.ts";
export type { SafetensorsFile } from "./safetensors.ts";
export type { CheckpointFormat, ReadTensorOptions, TensorEntry, TensorFile } from "./tensor-file.ts";
export type { SafetensorsEntry } from "./safetensors-table.ts";
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
export { transformerFromCheckpoint } from "./from-checkpoint.ts";
export type { TransformerFromCheckpointOptions } from "./from-checkpoint.ts";
export { loadTransformer } from "./load.ts";
export type { TransformerFiles } from "./load.ts";
export { loadTokenizer } from "./tokenizer.ts";
export type { EncodeOptions, LoadTokenizerOptions, Tokenizer, TokenPositionOptions } from "./tokenizer.ts";
export { isSingleToken, toTokens } from "./to-tokens.ts";
export type { ToTokensOptions } from "./to-tokens.ts";
