/** An edit of a run as a value. */
import { InputError, nameOf, requireKind } from "../../errors.ts";
import { combineEdits, editAt, hookNames } from "../../model/index.ts";
import type { Edit, Edits, EditSource, HookName, ModelConfig } from "../../model/index.ts";

/**
 * An edit of a run: where, and what to do there.
 * @category Interventions
 */
export interface ActivationEdit extends EditSource {
  /** The hook, or which hooks. */
  readonly at: HookName | ((name: HookName) => boolean);
  /** From the activation to the one to go on with. */
  readonly do: Edit;
}

/**
 * An edit of a run, at one hook or at all that a predicate picks.
 *
 * @param at - the name of a hook, or a predicate over hook names.
 * @param change - takes the activation, returns the value to go on with, of the same axes and sizes.
 * @throws {@link InputError} when either is of another kind; in a run, when no hook is picked.
 * @category Interventions
 * @example
 * ```ts
 * import { map } from "transformer-circuits";
 * import { edit } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const silent = edit((name) => name.endsWith("attn.hook_z"), (z) => map(z, () => 0));
 * const { cache } = model.run([0, 5, 6], { edits: silent });
 * console.log(cache.get("blocks.1.attn.hook_z").at(0, 2, 0, 0));
 * // 0
 * ```
 */
export function edit(at: HookName | ((name: HookName) => boolean), change: Edit): ActivationEdit {
  requireKind("function", change, "change", "edit");
  if (typeof at !== "string" && typeof at !== "function") {
    throw new InputError(`at is ${nameOf(at)}. Give the name of a hook, or a predicate over hook names.`, {
      operation: "edit",
      argument: "at",
      expected: "a hook name or a predicate",
      actual: at,
    });
  }
  const toEdits = (config: ModelConfig): Edits => {
    const names = typeof at === "string" ? [at] : hookNames(config).filter((name) => at(name));
    if (names.length > 0) return combineEdits(...names.map((name) => editAt(name, change)));
    throw new InputError("the predicate picks no hook of this model; hookNames(model.config) lists them.", {
      operation: "edit",
      argument: "at",
    });
  };
  return Object.freeze(Object.defineProperty({ at, do: change }, "toEdits", { value: toEdits }) as ActivationEdit);
}
