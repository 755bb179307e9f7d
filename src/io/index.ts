/**
 * Files: bytes to model and back, without Python. Readers take bytes, a `Blob` or random access; nothing in a file is
 * run.
 *
 * In reading order: `load.ts` (a model in one call), `checkpoint/` (any format, told from its bytes), `safetensors/`,
 * `torch/`, `npy/`, `zip/`, `layouts/` (whose names are these?), `tokenizer/`; `node.ts` and `bundled.ts` are entries
 * of their own.
 *
 * @packageDocumentation
 */
export type { Bytes } from "./bytes/bytes.ts";
export type { SafetensorsDType } from "./bytes/dtype.ts";
export { parseSafetensors } from "./safetensors/safetensors.ts";
export { detectFormat } from "./checkpoint/format.ts";
export { openCheckpoint } from "./checkpoint/checkpoint.ts";
export { readTensors } from "./checkpoint/read-tensors.ts";
export type { ReadTensorsOptions } from "./checkpoint/read-tensors.ts";
export type {
  Checkpoint,
  CheckpointEntry,
  OpenCheckpointOptions,
  ReadCheckpointOptions,
} from "./checkpoint/checkpoint.ts";
export { safetensorsChunks } from "./checkpoint/convert.ts";
export type { ConvertOptions } from "./checkpoint/convert.ts";
export { inspect } from "./checkpoint/inspect.ts";
export type { Inspection } from "./checkpoint/inspect.ts";
export { parseCheckpoint } from "./checkpoint/parse-checkpoint.ts";
export type { PlainObject, PlainValue } from "./json/plain.ts";
export type { BlobLike, ByteSource, FileInput } from "./bytes/reading.ts";
export type { SafetensorsFile } from "./safetensors/safetensors.ts";
export type { GgufQuantization } from "./gguf/quantization.ts";
export type { CheckpointFormat, ReadTensorOptions, TensorEntry, TensorFile } from "./checkpoint/tensor-file.ts";
export type { SafetensorsEntry } from "./safetensors/table.ts";
export { writeSafetensors } from "./safetensors/writer.ts";
export type { WriteSafetensorsOptions } from "./safetensors/writer.ts";
export { checkpointLayout, transformerFromTensors } from "./layouts/index.ts";
export type { CheckpointLayout, LayoutOptions, NamedTensors, TransformerTensors } from "./layouts/index.ts";
export { transformerFromCheckpoint } from "./checkpoint/from-checkpoint.ts";
export type { TransformerFromCheckpointOptions } from "./checkpoint/from-checkpoint.ts";
export { loadTransformer } from "./load.ts";
export type { TransformerFiles } from "./load.ts";
export { tokenizerFromFiles } from "./tokenizer/beside.ts";
export { tokenizerFromCheckpoint } from "./tokenizer/gguf.ts";
export { loadGpt2Tokenizer } from "./tokenizer/gpt2.ts";
export type { Gpt2TokenizerFiles } from "./tokenizer/gpt2.ts";
export { loadTokenizer } from "./tokenizer/tokenizer.ts";
export type { EncodeOptions, LoadTokenizerOptions, Tokenizer, TokenPositionOptions } from "./tokenizer/tokenizer.ts";
export { trainTokenizer } from "./tokenizer/train.ts";
export type { TrainTokenizerOptions } from "./tokenizer/train.ts";
export { isSingleToken, toTokens } from "./tokenizer/to-tokens.ts";
export type { ToTokensOptions } from "./tokenizer/to-tokens.ts";
