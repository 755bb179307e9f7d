export type { ListedTensors, NamedTensors } from "./checkpoint.ts";
export { building, checkpointLayout, convert, detect, transformerFromTensors } from "./detect.ts";
export type { CheckpointLayout, TransformerTensors } from "./detect.ts";
export type { Known, LayoutOptions } from "./names.ts";
export { namesOfParts } from "./parts.ts";
