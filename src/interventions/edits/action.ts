/** What an edit does with what it selects. */
import { InputError, nameOf, requireKind, requireKinds } from "../../errors.ts";
import { nearestNames } from "../../nearest.ts";
import type { Run } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { RUN } from "../../model/internal.ts";

/**
 * What an edit needs of a run: the activations that it kept.
 * @category Interventions
 */
export type RunWithCache = Pick<Run, "cache">;

/**
 * A run whose activations an edit takes, or the name under which it is supplied later, by `withRuns` or `parseEdits`.
 * @category Interventions
 */
export type RunSource = RunWithCache | string;

/**
 * Numbers at a hook: one for all, a list along the activation's last axis, or a tensor of some of its axes. An axis of
 * the tensor is as long as what is selected there, or as the activation's.
 * @category Interventions
 */
export type Values = number | readonly number[] | Tensor;

/**
 * What to do with what is selected:
 *
 * - `"zero"`: nothing in its place.
 * - `"mean"`, or `{ mean }`: the mean over the batch at each position, or over `"batch pos"`; of this run, or `of`
 *   reference runs; of text alone where a run has padding. Always of whole axes, whatever is selected.
 * - `"resample"`, or `{ resample }`: what another prompt of the batch has there. A number is the seed of a random
 *   cycle, in which no prompt keeps its own; edits of one seed agree on it. A list says whose each prompt takes. `from`
 *   another run, each prompt takes that of a random one of its prompts.
 * - `{ noise: std }`: normal noise, drawn from `seed` (0) and the hook's name; `relative` measures `std` in standard
 *   deviations of the activation over batch, positions and coordinates, of each head by itself.
 * - `{ scale }`: so many times itself.
 * - `{ add }`: itself and so many (`times`, 1) of these numbers.
 * - `{ set }`: these numbers.
 * - `{ projectOut }`: itself without its component along a direction, or in the span of several.
 * - `{ copyFrom }`: what another run has there; of one prompt, for all prompts. At `pattern` it keeps that run's
 *   pattern. `pos` says at which positions of the other run, one for each position selected, in the order in which they
 *   are listed; its prompts may then be of another length.
 *
 * `name` names the runs where the edit is written as JSON.
 * @category Interventions
 */
export type Action =
  | "zero"
  | "mean"
  | "resample"
  | {
      readonly mean: "batch" | "batch pos";
      readonly of?: RunSource | readonly RunWithCache[];
      readonly name?: string;
    }
  | { readonly resample: number | readonly number[]; readonly from?: RunSource; readonly name?: string }
  | { readonly noise: number; readonly relative?: boolean; readonly seed?: number }
  | { readonly scale: number }
  | { readonly add: Values; readonly times?: number }
  | { readonly set: Values }
  | { readonly projectOut: readonly number[] | readonly (readonly number[])[] | Tensor }
  | {
      readonly copyFrom: RunSource;
      readonly pos?: number | readonly number[];
      readonly name?: string;
    };

/** The actions, each with what else it takes. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  mean: ["of", "name"],
  resample: ["from", "name"],
  noise: ["relative", "seed"],
  scale: [],
  add: ["times"],
  set: [],
  projectOut: [],
  copyFrom: ["pos", "name"],
};
const WORDS = ["zero", "mean", "resample"];
const ALL = ["zero", ...Object.keys(KEYS)];

/** An action in its long form, and which it is. */
export type LongAction = Exclude<Action, string>;

/** `"zero"`, `"mean"` and `"resample"` in the long form. */
export function longForm(action: Action): LongAction {
  if (action === "zero") return { set: 0 };
  if (action === "mean") return { mean: "batch" };
  return action === "resample" ? { resample: 0 } : action;
}

/** Refuses what is no action: to be called when an edit is made. */
export function checkAction(action: unknown, operation: string): void {
  const fail = (what: string, mend: string, argument = "do"): InputError =>
    new InputError(`${what}. ${mend}`, { operation, argument, expected: ALL, actual: action });
  const list = `The actions are ${ALL.join(", ")}; or give a function of the activation.`;
  if (typeof action === "string") {
    if (WORDS.includes(action)) return;
    const example = Object.hasOwn(KEYS, action) ? `Write it with what it takes, as { ${action}: … }.` : undefined;
    throw fail(`there is no action ${nameOf(action)}`, example ?? near(action) ?? list);
  }
  if (typeof action !== "object" || action === null || Array.isArray(action)) {
    throw fail(`the action is ${nameOf(action)}`, list);
  }
  const given = Object.entries(action).filter(([, value]) => value !== undefined);
  const keys = given.map(([key]) => key);
  const kinds = keys.filter((key) => Object.hasOwn(KEYS, key));
  const [kind] = kinds;
  if (kind === undefined)
    throw fail(`an object with ${keys.join(", ") || "nothing"} is no action`, near(keys[0]) ?? list);
  if (kinds.length > 1) {
    throw fail(`one action is ${kinds.join(" and ")} at once`, "Give a list of edits, which act one after the other.");
  }
  const known = KEYS[kind] ?? [];
  const stranger = keys.find((key) => key !== kind && !known.includes(key));
  if (stranger !== undefined) {
    const takes = known.length > 0 ? `Beside it stand ${known.join(", ")}.` : "Nothing stands beside it.";
    throw fail(`{ ${kind} } takes no ${JSON.stringify(stranger)}`, takes, stranger);
  }
  for (const [key, value] of given) CHECKS[`${kind}.${key}`]?.(value, fail, operation);
}

function near(name: string | undefined): string | undefined {
  const [found] = nearestNames(name ?? "", ALL, 1);
  return found === undefined ? undefined : `Did you mean ${found}?`;
}

type Fail = (what: string, mend: string, argument?: string) => InputError;
type Check = (value: unknown, fail: Fail, operation: string) => void;

const isSeed = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 32;
const isNumbers = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.length > 0 && value.every((x) => typeof x === "number");

const number =
  (key: string): Check =>
  (value, fail) => {
    if (typeof value !== "number") throw fail(`${key} is ${nameOf(value)}`, "Give a number.", key);
  };

const runSource =
  (key: string): Check =>
  (value, fail, operation) => {
    if (typeof value === "string") {
      if (value !== "") return;
      throw fail(`${key} is an empty name`, "Give a run or its name.", key);
    }
    requireKind(RUN, value, key, operation);
  };

const runName: Check = (value, fail) => {
  if (typeof value !== "string" || value === "") throw fail(`name is ${nameOf(value)}`, "Give a text.", "name");
};

const values =
  (key: string): Check =>
  (value, fail, operation) => {
    if (typeof value === "number" || isNumbers(value)) return;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      requireKind("tensor", value, key, operation);
      return;
    }
    throw fail(`${key} is ${nameOf(value)}`, "Give a number, a list of numbers or a Tensor.", key);
  };

const CHECKS: Readonly<Record<string, Check>> = {
  "mean.mean": (value, fail) => {
    if (value === "batch" || value === "batch pos") return;
    throw fail(`mean is ${nameOf(value)}`, 'Give the axes to average over: "batch" or "batch pos".', "mean");
  },
  "mean.of": (value, fail, operation) => {
    if (!Array.isArray(value)) runSource("of")(value, fail, operation);
    else if (value.length > 0) requireKinds(RUN, value, "of", operation);
    else throw fail("of is an empty list", "Give at least one run.", "of");
  },
  "mean.name": runName,
  "resample.resample": (value, fail) => {
    if (isSeed(value) || (isNumbers(value) && value.every((x) => Number.isInteger(x)))) return;
    throw fail(
      `resample is ${nameOf(value)}`,
      "Give a seed, a whole number from 0 to 2^32 - 1, or a list of whose activation each prompt takes.",
      "resample",
    );
  },
  "resample.from": runSource("from"),
  "resample.name": runName,
  "noise.noise": (value, fail) => {
    if (typeof value === "number" && value >= 0 && Number.isFinite(value)) return;
    throw fail(`noise is ${nameOf(value)}`, "Give a standard deviation of at least 0.", "noise");
  },
  "noise.relative": (value, fail) => {
    if (typeof value !== "boolean") throw fail(`relative is ${nameOf(value)}`, "Give true or false.", "relative");
  },
  "noise.seed": (value, fail) => {
    if (!isSeed(value)) throw fail(`seed is ${nameOf(value)}`, "Give a whole number from 0 to 2^32 - 1.", "seed");
  },
  "scale.scale": number("scale"),
  "add.add": values("add"),
  "add.times": number("times"),
  "set.set": values("set"),
  "projectOut.projectOut": (value, fail, operation) => {
    if (isNumbers(value)) return;
    if (Array.isArray(value) && value.length > 0 && value.every((one) => isNumbers(one))) return;
    if (Array.isArray(value) || typeof value !== "object" || value === null) {
      throw fail(`projectOut is ${nameOf(value)}`, "Give a direction, a list of directions or a Tensor.", "projectOut");
    }
    requireKind("tensor", value, "projectOut", operation);
  },
  "copyFrom.copyFrom": runSource("copyFrom"),
  "copyFrom.pos": (value, fail) => {
    const list = typeof value === "number" ? [value] : value;
    if (isNumbers(list) && list.every((x) => Number.isSafeInteger(x))) return;
    throw fail(`pos is ${nameOf(value)}`, "Give a position of the other run, or a list of positions.", "pos");
  },
  "copyFrom.name": runName,
};
