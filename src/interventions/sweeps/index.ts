/**
 * *What does each activation do?* One after another is put in the place of another: activation patching and ablation
 * over any product of layers, heads and positions.
 *
 * In reading order: `sweep.ts`, `grid.ts` (the places), `sources.ts` (what is put there), `result.ts`,
 * `sweep-edits.ts` (any list of edits), `path-patching.ts` and `path-receivers.ts` (along chosen paths alone),
 * `attribution-patching.ts` (all of it estimated from one gradient).
 */
export { sweep } from "./sweep.ts";
export type { SweepOptions } from "./sweep.ts";
export type { SweepMask, SweepPrompts } from "./prompts.ts";
export { pathPatching } from "./path-patching.ts";
export type { PathPatchingOptions } from "./path-patching.ts";
export type { PathReceiver, PathSender } from "./path-receivers.ts";
export { sweepEdits } from "./sweep-edits.ts";
export type { SweepEditsOptions } from "./sweep-edits.ts";
export { Sweep } from "./result.ts";
export type { Replacement } from "./sources.ts";
export { attributionPatching } from "./attribution-patching.ts";
export type { AttributionPatchingOptions } from "./attribution-patching.ts";
