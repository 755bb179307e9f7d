/** Edits read from JSON. */
import { FormatError, InputError, nameOf, requireObject } from "../../errors.ts";
import { Tensor } from "../../tensor/index.ts";
import type { DType } from "../../tensor/index.ts";
import type { Action } from "./action.ts";
import { edit } from "./edit.ts";
import type { ActivationEdit } from "./edit.ts";
import { withRuns } from "./runs.ts";
import type { RunsByName } from "./runs.ts";
import type { EditTarget } from "./selection.ts";
import { isTensor } from "./write.ts";

/**
 * The edits that JSON holds: those of which `JSON.stringify` wrote one or a list.
 *
 * @param json - the text, or what `JSON.parse` made of it.
 * @param runs - the runs that the edits name; those left out can be supplied later, by {@link withRuns}.
 * @throws {@link FormatError} when the text is no JSON; {@link InputError} when what it holds are no edits, or a run is
 * given for which none asks.
 * @category Interventions
 * @example
 * ```ts
 * import { edit, parseEdits } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const clean = model.run([0, 5, 6, 7]);
 * const text = JSON.stringify(edit({ hook: "pattern", layer: 1 }, { copyFrom: clean, name: "clean" }));
 * console.log(text);
 * // {"at":{"hook":"pattern","layer":1},"do":{"copyFrom":"clean"}}
 * const { cache } = model.run([0, 9, 8, 7], { edits: parseEdits(text, { clean }) });
 * const [ours, theirs] = [cache, clean.cache].map((kept) => kept.get("blocks.1.attn.hook_pattern").at(0, 5, 3, 1));
 * console.log(ours === theirs);
 * // true
 * ```
 */
export function parseEdits(json: string | object, runs: RunsByName = {}): ActivationEdit[] {
  const parsed: unknown = typeof json === "string" ? jsonOf(json) : json;
  const list: readonly unknown[] = Array.isArray(parsed) ? parsed : [parsed];
  const edits = list.map((one, i) => editOf(one, Array.isArray(parsed) ? `edits[${i}]` : "the edit"));
  return Object.keys(runs).length === 0 ? edits : withRuns(edits, runs);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new FormatError(`the text is no JSON: ${(cause as Error).message}.`, { operation: "parseEdits" }, { cause });
  }
}

function editOf(given: unknown, argument: string): ActivationEdit {
  requireObject(given, argument, "parseEdits", "at do");
  const { at, do: action } = given as { readonly at?: unknown; readonly do?: unknown };
  if (typeof action === "function") return edit(at as EditTarget, action as never);
  return edit(at as EditTarget, decoded(action) as Action);
}

/** What stands for numbers or a tensor. */
const NUMBERS = ["scale", "noise", "times", "set", "add", "projectOut"];

function decoded(action: unknown): unknown {
  if (typeof action !== "object" || action === null || Array.isArray(action)) return action;
  const entries = Object.entries(action).map(([key, value]: [string, unknown]) => [
    key,
    NUMBERS.includes(key) ? numbersOf(value, key) : value,
  ]);
  return Object.fromEntries(entries) as unknown;
}

function numbersOf(value: unknown, key: string): unknown {
  if (Array.isArray(value))
    return value.map((one: unknown) => (Array.isArray(one) ? one.map(numberOf) : numberOf(one)));
  if (typeof value === "object" && value !== null) return isTensor(value) ? value : tensorOf(value, key);
  return numberOf(value);
}

/** Numbers that JSON has not are written as texts. */
const NOT_IN_JSON = ["-0", "NaN", "Infinity", "-Infinity"];

const numberOf = (value: unknown): unknown =>
  typeof value === "string" && NOT_IN_JSON.includes(value) ? Number(value) : value;

function tensorOf(value: object, key: string): Tensor {
  requireObject(value, key, "parseEdits", "axes shape dtype data");
  const { axes, shape, dtype, data } = value as Readonly<Record<string, unknown>>;
  if (typeof axes !== "string" || !Array.isArray(data)) {
    throw new InputError(`${key} is ${nameOf(value)}, not a tensor { axes, shape, dtype, data }.`, {
      operation: "parseEdits",
      argument: key,
      actual: value,
    });
  }
  return Tensor.from(axes, shape as number[], data.map(numberOf) as number[], dtype as DType);
}
