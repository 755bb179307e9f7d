/** Edits that take activations of runs which are supplied later. */
import { InputError, nameOf, requireKind, requireKinds, requireObject } from "../../errors.ts";
import type { LongAction, RunSource, RunWithCache } from "./action.ts";
import { edit } from "./edit.ts";
import type { ActivationEdit } from "./edit.ts";
import { RUN } from "../../model/internal.ts";

/**
 * Runs by the names that edits have for them; a list where a mean is taken over several.
 * @category Interventions
 */
export type RunsByName = Readonly<Record<string, RunWithCache | readonly RunWithCache[]>>;

/**
 * Edits with the runs that they name supplied. Names for which no run is given stay.
 *
 * @param edits - one edit, or a list.
 * @throws {@link InputError} when a name is given for which no edit asks, or several runs where one is needed.
 * @category Interventions
 * @example
 * ```ts
 * import { maxAbsDifference } from "transformer-circuits";
 * import { edit, withRuns } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const clean = model.run([0, 5, 6, 7, 5]);
 * const patched = edit("blocks.0.hook_resid_pre", { copyFrom: "clean" });
 * const { logits } = model.run([0, 9, 8, 7, 5], { edits: withRuns(patched, { clean }) });
 * console.log(maxAbsDifference(logits, clean.logits));
 * // 0
 * ```
 */
export function withRuns(edits: ActivationEdit | readonly ActivationEdit[], runs: RunsByName): ActivationEdit[] {
  const list = (Array.isArray(edits) ? edits : [edits]) as readonly ActivationEdit[];
  requireObject(runs, "runs", "withRuns");
  const asked = new Set<string>();
  const supplied = list.map((one, i) => {
    requireObject(one, `edits[${i}]`, "withRuns");
    return suppliedWith(one, runs, asked);
  });
  const idle = Object.keys(runs).find((name) => !asked.has(name));
  if (idle === undefined) return supplied;
  throw new InputError(
    `no edit asks for a run "${idle}"; ${asked.size > 0 ? `they ask for ${[...asked].join(", ")}` : "they ask for none"}.`,
    { operation: "withRuns", argument: "runs", expected: [...asked], actual: idle },
  );
}

const SOURCES = ["of", "from", "copyFrom"] as const;

function suppliedWith(given: ActivationEdit, runs: RunsByName, asked: Set<string>): ActivationEdit {
  const action = given.do as Partial<Record<(typeof SOURCES)[number], RunSource>>;
  const key = SOURCES.find((source) => typeof (Object(action) as typeof action)[source] === "string");
  if (typeof action !== "object" || key === undefined) return given;
  const name = action[key] as string;
  asked.add(name);
  const run = Object.hasOwn(runs, name) ? runs[name] : undefined;
  if (run === undefined) return given;
  if (!Array.isArray(run)) requireKind(RUN, run, name, "withRuns");
  else if (key === "of") requireKinds(RUN, run, name, "withRuns");
  else {
    throw new InputError(`"${name}" is ${nameOf(run)}, but { ${key} } takes one run.`, {
      operation: "withRuns",
      argument: name,
      actual: run,
    });
  }
  return edit(given.at, { ...action, [key]: run, name } as LongAction);
}
