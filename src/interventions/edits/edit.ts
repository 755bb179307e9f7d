/** An edit of a run as a value: where, and what to do there. */
import { AxisError, InputError, invariant, ShapeError } from "../../errors.ts";
import { editWithDerivative } from "../../model/index.ts";
import type { Edit, Edits, EditSource, HookName, ModelConfig, PaddingMask } from "../../model/index.ts";
import { gather, Tensor } from "../../tensor/index.ts";
import { describeTensor, placing, rawData } from "../../tensor/internal.ts";
import { checkAction } from "./action.ts";
import type { Action } from "./action.ts";
import { eachSelected, siteOf } from "./activation.ts";
import type { Site } from "./activation.ts";
import { derivativeOfAction } from "./derivative.ts";
import { replacement } from "./replace.ts";
import { checkTarget, partsOf, requireSome, selectionOf } from "./selection.ts";
import type { AxesAt, CheckedTarget, EditTarget, EditTargets, Part } from "./selection.ts";
import { editToJson, frozenCopy } from "./write.ts";

/**
 * A function of what is selected of an activation, as long as what is selected along each axis, to what takes its
 * place.
 * @category Interventions
 */
export type EditFunction<A extends string = string> = (part: Tensor<A>, name: HookName) => Tensor<A>;

/**
 * An edit of a run: a value that a run takes, as often as wanted, and that `JSON.stringify` writes.
 * @category Interventions
 */
export interface ActivationEdit extends EditSource {
  /** Where. */
  readonly at: EditTarget;
  /** What to do there. */
  readonly do: Action | EditFunction;
  /** What `JSON.stringify` writes, and `parseEdits` reads. */
  toJSON(): unknown;
}

/**
 * An edit of a run: what to do with what is selected. Several in a list act one after the other.
 *
 * At scores and patterns of a causal model, a key after its query is not selected: its score stays −Infinity. Nor are
 * keys that an attention mask hides. A function gets whole rows there, and what it returns is taken as it is.
 *
 * Where a mask says what is padding, of this run or of the runs that activations come from, means and spreads are of
 * text alone, another prompt is one whose text lies at the same positions, and nothing of padding is put where there is
 * text.
 *
 * @param at - a selection, the name of a hook for all of it, a head for its output `z`, a predicate over hook names, or
 * a list of these, whose union is changed once.
 * @param action - an {@link Action}, or a function of what is selected.
 * @throws {@link InputError} when either says nothing that a model could have. In a run: {@link InputError} for a hook,
 * layer, head, position or coordinate that is not there, when nothing is selected, when a run was not supplied, or when
 * activations of padding would be put where there is text;
 * {@link AxisError} and {@link ShapeError} when numbers, or the activation of another run, do not fit.
 * @category Interventions
 * @example
 * ```ts
 * import { edit } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const silent = edit("L0H5", "zero");
 * const blind = edit({ hook: "pattern", layer: 1, offset: [0, 1] }, "zero");
 * const { cache } = model.run([0, 5, 6, 7], { edits: [silent, blind] });
 * const pattern = cache.get("blocks.1.attn.hook_pattern");
 * console.log(cache.get("blocks.0.attn.hook_z").at(0, 3, 5, 0), pattern.at(0, 4, 3, 2));
 * // 0 0
 * console.log(JSON.stringify([silent, blind]));
 * // [{"at":"L0H5","do":"zero"},{"at":{"hook":"pattern","layer":1,"offset":[0,1]},"do":"zero"}]
 * ```
 * @example
 * The last position of a shorter prompt, put at the last of this one.
 * ```ts
 * import { edit } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const other = model.run([0, 9, 8]);
 * const end = edit({ hook: "resid_pre", layer: 1, pos: -1 }, { copyFrom: other, pos: -1 });
 * const { cache } = model.run([0, 5, 6, 7, 5], { edits: end });
 * const [ours, theirs] = [cache, other.cache].map((kept) => kept.get("blocks.1.hook_resid_pre"));
 * console.log(ours?.at(0, 4, 0) === theirs?.at(0, 2, 0));
 * // true
 * ```
 */
export function edit<const T extends EditTarget>(
  at: T & CheckedTarget<T>,
  action: Action | EditFunction<AxesAt<T>>,
): ActivationEdit {
  const value = { at: frozenCopy<EditTarget>(at), do: frozenCopy(action as Action | EditFunction) };
  checkTarget(value.at, "edit");
  if (typeof action !== "function") checkAction(value.do, "edit");
  Object.defineProperties(value, {
    toEdits: {
      value: (config: ModelConfig, mask?: PaddingMask): Edits => editsOf(value, config, mask),
    },
    toJSON: { value: (): unknown => editToJson(value) },
  });
  return Object.freeze(value) as ActivationEdit;
}

/** The functions that a run of a model calls. */
function editsOf(
  { at, do: action }: Pick<ActivationEdit, "at" | "do">,
  config: ModelConfig,
  mask: PaddingMask | undefined,
): Edits {
  const targets = Array.isArray(at) ? (at as EditTargets) : [at as EditTargets[number]];
  const parts = new Map<HookName, Part[]>();
  for (const part of targets.flatMap((target) => partsOf(selectionOf(target), config, "edit"))) {
    const known = parts.get(part.hook);
    if (known === undefined) parts.set(part.hook, [part]);
    else known.push(part);
  }
  const edits: Partial<Record<HookName, Edit>> = {};
  for (const [name, those] of parts) {
    const run = ((value: Tensor) => changed(those, action, value, { name, config, mask })) as unknown as Edit;
    const derivative = typeof action === "function" ? undefined : derivativeOfAction(action, those, config, mask);
    edits[name] = derivative === undefined ? run : editWithDerivative(run, derivative);
  }
  return edits as Edits;
}

/** An activation with what is selected of it changed; what each part becomes follows from the activation as it was. */
function changed(
  parts: readonly Part[],
  action: Action | EditFunction,
  value: Tensor,
  { name, config, mask }: { name: HookName; config: ModelConfig; mask: PaddingMask | undefined },
): Tensor {
  const before = rawData(value);
  const out = before.slice();
  for (const part of parts) {
    const isFunction = typeof action === "function";
    const site = siteOf(part, value, config, isFunction ? undefined : mask);
    const seesLater = isFunction || config.attention_dir !== "causal";
    const take = isFunction ? fromFunction(action, site) : replacement(action, site);
    const count = eachSelected(site, seesLater, (i) => {
      out[i] = take(i, before[i] as number);
    });
    if (count === 0) requireSome([], part.offset === undefined ? "the selection" : "offset", name, "edit");
  }
  return Tensor.from(value.axes, value.shape, out);
}

/** What a function makes of the part of an activation that is selected. */
function fromFunction(change: EditFunction, { name, value, picks }: Site): (i: number, x: number) => number {
  const part = picks.reduce<Tensor>(
    (t, pick, a) => (pick === undefined ? t : gather(t, t.names[a] ?? "", pick)),
    value,
  );
  const result = change(part, name);
  requireSame(part, result, name);
  const data = rawData(result);
  const place = placing(value.shape, picks, [...value.shape.keys()], part.shape);
  invariant(typeof place === "function", "edit", "the part of an activation has other sizes than what is selected");
  return (i) => data[place(i)] as number;
}

function requireSame(part: Tensor, result: Tensor, name: HookName): void {
  const details = { operation: "edit", argument: name, expected: part.axes, actual: typeof result as unknown };
  if (!((result as unknown) instanceof Tensor)) {
    throw new InputError(`the edit of "${name}" returned no tensor. Return what takes the place of the part.`, details);
  }
  const text = `the edit of "${name}" returned ${describeTensor(result)} for ${describeTensor(part)}.`;
  if (result.axes !== part.axes) throw new AxisError(text, { ...details, actual: result.axes });
  if (part.shape.some((n, a) => n !== result.shape[a])) {
    throw new ShapeError(`${text} Sizes must be equal; nothing is broadcast.`, { ...details, actual: result.shape });
  }
}
