/**
 * *What if?* Models run changed: edits of a run as values.
 *
 * An edit says where and what: `edit("blocks.0.attn.hook_z", f)`. A run takes one, or a list of which each takes what
 * the one before gave; it leaves nothing behind. Source: "A Mathematical Framework for Transformer Circuits", "Ablating
 * ... to measure the marginal effect"; "In-context Learning and Induction Heads", "ablations".
 *
 * In reading order: `edits/` (where and what), `sweeps/` (one activation after another).
 *
 * @packageDocumentation
 */
export { edit } from "./edits/index.ts";
export type { ActivationEdit } from "./edits/index.ts";
export { sweep, Sweep } from "./sweeps/index.ts";
export type { Replacement, SweepOptions, SweepPrompts } from "./sweeps/index.ts";
