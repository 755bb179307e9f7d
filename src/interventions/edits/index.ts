/** Edits of a run as values. In reading order: `edit.ts`. */
export { edit } from "./edit.ts";
export type { ActivationEdit } from "./edit.ts";
