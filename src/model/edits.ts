/** Edits whose hook names are made at run time: an object literal with computed keys would lose their types. */
import { InputError, requireObject, requireKind } from "../errors.ts";
import { derivativeOf, editWithDerivative } from "./edit-derivatives.ts";
import type { PaddingMask } from "./attention-mask.ts";
import type { Edit, Edits, HookName } from "./hooks.ts";
import type { ModelConfig } from "./model-config.ts";

/**
 * What makes the edits of a run: asked anew for each run, with the configuration of the model that runs, so that what
 * it keeps between activations is good for one run.
 * @category Model
 */
export interface EditSource {
  /**
   * The edits, by hook name; throws where the model cannot have them.
   *
   * @param mask - of a run some of whose positions are padding, which.
   */
  toEdits(config: ModelConfig, mask?: PaddingMask): Edits;
}

/**
 * What a run takes as its edits: functions by hook name, a source of them, or a list of both. Of those for one hook
 * each takes what the one before returned.
 * @category Model
 */
export type EditsLike = Edits | EditSource | readonly (Edits | EditSource)[];

/** The functions that a run calls, by hook name. */
export function resolveEdits(config: ModelConfig, edits: EditsLike | undefined, mask?: PaddingMask): Edits {
  if (edits === undefined) return {};
  const list = Array.isArray(edits) ? (edits as readonly (Edits | EditSource)[]) : [edits as Edits | EditSource];
  const resolved = list.map((one, i) => {
    requireObject(one, Array.isArray(edits) ? `edits[${i}]` : "edits", "run");
    if (typeof (one as EditSource).toEdits === "function") return (one as EditSource).toEdits(config, mask);
    if ("at" in one && "do" in one) throw notAnEdit(one);
    return one as Edits;
  });
  return resolved.length === 1 ? (resolved[0] ?? {}) : combineEdits(...resolved);
}

/** The error for what looks like an edit read from JSON. */
function notAnEdit(given: object): InputError {
  return new InputError("an object { at, do } is no edit yet. Make one of it: edit(at, do), or parseEdits(json).", {
    operation: "run",
    argument: "edits",
    expected: "edits by hook name, or edit(at, do)",
    actual: given,
  });
}

/**
 * The edit of one hook, for names made in a loop: `` editAt(`blocks.${layer}.attn.hook_z`, f) ``.
 *
 * @param name - the hook.
 * @param edit - takes the activation there, returns the value to go on with, of the same axes and sizes.
 * @category Model
 * @example
 * ```ts
 * import { editAt, map } from "transformer-circuits";
 * import { combineEdits } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const ablated = model.layers.map(({ layer }) => editAt(`blocks.${layer}.attn.hook_z`, (z) => map(z, () => 0)));
 * const { cache } = model.run([0, 5, 6], { edits: combineEdits(...ablated) });
 * console.log(cache.get("blocks.1.hook_resid_post").at(0, 2, 7) === cache.get("hook_embed").at(0, 2, 7));
 * // false
 * console.log(cache.get("blocks.1.attn.hook_z").at(0, 2, 0, 0));
 * // 0
 * ```
 */
export function editAt<N extends HookName>(name: N, edit: Edit<N>): Edits {
  requireKind("function", edit, "edit", "editAt");
  // The checker widens a computed key to `string`; the pair was checked by the parameters.
  return { [name]: edit } as unknown as Edits;
}

/**
 * Several edits as one. Of those for one hook each takes what the one before returned.
 *
 * @category Model
 * @example
 * ```ts
 * import { add, editAt, multiply } from "transformer-circuits";
 * import { combineEdits } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const one = editAt("hook_embed", (x) => add(multiply(x, 0), 1));
 * const twice = editAt("hook_embed", (x) => multiply(x, 2));
 * const { cache } = model.run([0], { edits: combineEdits(one, twice) });
 * console.log(cache.get("hook_embed").at(0, 0, 0));
 * // 2
 * ```
 */
export function combineEdits(...all: readonly Edits[]): Edits {
  const combined: Record<string, Edit> = {};
  for (const edits of all) {
    requireObject(edits, "edits", "combineEdits");
    for (const [name, edit] of Object.entries(edits) as [HookName, Edit | undefined][]) {
      const before = combined[name];
      if (edit === undefined) continue;
      combined[name] = before === undefined ? edit : oneAfterOther(before, edit);
    }
  }
  return combined as unknown as Edits;
}

/** An edit of what another returned, with its derivative where both have one. */
function oneAfterOther(first: Edit, second: Edit): Edit {
  const both: Edit = (value, hook) => second(first(value, hook), hook);
  const [outer, inner] = [derivativeOf(second), derivativeOf(first)];
  if (outer === undefined || inner === undefined) return both;
  return editWithDerivative(both, (gradient, value, hook) =>
    inner(outer(gradient, first(value, hook), hook), value, hook),
  );
}
