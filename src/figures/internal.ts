/** What the report takes of figures beside their functions. */
export { isReadable } from "./one-layer/sources.ts";
export { liveData, plainData } from "./json.ts";
export { tokenTexts } from "./labels.ts";
export { scoresOnRepeats } from "./prompts.ts";
