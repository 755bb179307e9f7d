export {
  gpt2FromTensors,
  gptNeoXFromTensors,
  minGPTFromTensors,
  nanoGPTFromTensors,
  oldSoluFromTensors,
  transformerLens4FromTensors,
  transformerLensFromTensors,
} from "./by-layout.ts";
export type { NamedTensors } from "./checkpoint.ts";
export { checkpointLayout, convert, transformerFromTensors } from "./detect.ts";
export type { CheckpointLayout, TransformerTensors } from "./detect.ts";
