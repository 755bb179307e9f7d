export { convert } from "./convert.ts";
export type { ConvertCommandOptions } from "./convert.ts";
export { inspect } from "./inspect.ts";
export type { InspectCommandOptions } from "./inspect.ts";
export { runCommand } from "./run.ts";
