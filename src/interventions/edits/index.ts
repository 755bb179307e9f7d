/**
 * Edits of a run as values. In reading order: `edit.ts`, `selection.ts` (where) with `short-names.ts` and `heads.ts`,
 * `action.ts` (what), `activation.ts` (which elements), `replace.ts` with `statistics.ts`, `values.ts`, `directions.ts`
 * (what takes their place), `write.ts`, `parse-edits.ts`, `runs.ts` (JSON).
 */
export { edit } from "./edit.ts";
export type { ActivationEdit, EditFunction } from "./edit.ts";
export type { EditTarget, EditTargets, HookPredicate, Selection } from "./selection.ts";
export type { Heads } from "./heads.ts";
export type { HookSite } from "./short-names.ts";
export type { Action, RunSource, RunWithCache, Values } from "./action.ts";
export { withRuns } from "./runs.ts";
export type { RunsByName } from "./runs.ts";
export { parseEdits } from "./parse-edits.ts";
