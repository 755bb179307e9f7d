/** Edits during training: which hold at which step. */
import { InputError, nameOf, requireObject } from "../errors.ts";
import { hookNames } from "../model/index.ts";
import type { Edit, EditsLike, HookName, ModelConfig } from "../model/index.ts";
import { derivativeOf, noSuchHook, resolveEdits } from "../model/internal.ts";

/**
 * Edits for some of the steps.
 * @category Training
 */
export interface EditStretch {
  /** The first step that they hold at; 0 unless given. */
  readonly from?: number | undefined;
  /** The first step that they no longer hold at; none unless given. */
  readonly to?: number | undefined;
  readonly edits: EditsLike;
}

/**
 * Edits of the runs of training: of every step, of stretches of steps, or made anew for each step by a function, as
 * values from outside are. Gradients pass them as {@link editWithDerivative} says; `edit("L0H5", "zero")` and all
 * others of {@link edit} that set a value let none pass, so that what lies before is not trained through them.
 * @category Training
 */
export type TrainingEdits =
  EditsLike | readonly EditStretch[] | ((step: number) => EditsLike | readonly EditStretch[] | undefined);

/** The edits of each step. */
export type EditsByStep = (step: number) => EditsLike | undefined;

const OPERATION = "train";

/** Checks edits before the first step, as far as they are known then. */
export function editsByStep(given: TrainingEdits | undefined, config: ModelConfig): EditsByStep {
  if (given === undefined) return () => undefined;
  if (typeof given === "function") return (step) => stretchesOf(given(step), config)(step);
  return stretchesOf(given, config);
}

function stretchesOf(given: EditsLike | readonly EditStretch[] | undefined, config: ModelConfig): EditsByStep {
  if (given === undefined) return () => undefined;
  const list = (Array.isArray(given) ? given : [given]) as readonly object[];
  const isStretches = list.some((one: unknown) => typeof one === "object" && one !== null && "edits" in one);
  if (!isStretches) {
    checkEdits(given as EditsLike, config);
    return () => given as EditsLike;
  }
  const stretches = list.map((one, i) => checkStretch(one, i, config));
  return (step) => {
    const held = stretches.filter(({ from, to }) => step >= from && step < to).flatMap(({ edits }) => edits);
    return held.length === 0 ? undefined : held;
  };
}

function checkStretch(
  given: object,
  i: number,
  config: ModelConfig,
): { readonly from: number; readonly to: number; readonly edits: EditsLike } {
  requireObject(given, `edits[${i}]`, OPERATION, "from to edits");
  const { from = 0, to = Infinity, edits } = given as EditStretch;
  const isStep = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
  if (!isStep(from) || !(to === Infinity || isStep(to)) || to < from) {
    throw new InputError(
      `edits[${i}] holds from ${nameOf(from)} to ${nameOf(to)}. Give two steps, counted from 0: from the first that is edited to the first that is not.`,
      { operation: OPERATION, argument: "edits", expected: "0 <= from <= to", actual: [from, to] },
    );
  }
  checkEdits(edits, config);
  return { from, to, edits };
}

/** Refuses edits of hooks that the model does not have, and those that no gradient can pass. */
function checkEdits(edits: EditsLike, config: ModelConfig): void {
  const names = hookNames(config);
  for (const [name, edit] of Object.entries(resolveEdits(config, edits)) as [HookName, Edit | undefined][]) {
    if (edit === undefined) continue;
    if (!names.includes(name)) throw noSuchHook(name, names, OPERATION);
    if (typeof edit !== "function" || derivativeOf(edit) !== undefined) continue;
    throw new InputError(
      `the edit of "${name}" has no derivative, and no gradient can pass it. Give it one: editWithDerivative(edit, (gradient) => …); one that returns zeros holds the edit constant. Or take one of edit(at, do).`,
      { operation: OPERATION, argument: "edits", expected: "an edit with a derivative", actual: name },
    );
  }
}
