/** Edits written as JSON, and as values that nobody changes. */
import { InputError, isPromise } from "../../errors.ts";
import { headIdOf } from "../../head-id.ts";
import type { HeadId } from "../../head-id.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { EditTarget } from "./selection.ts";

/** How deep what an edit is made of may nest: a file could overflow the stack. */
const DEEPEST = 64;

/**
 * The same in objects and lists that are frozen. Functions, tensors and runs are kept as they are; a head of a
 * model becomes its place, and an array of numbers a list.
 */
export function frozenCopy<T>(value: T, depth = 0): T {
  if (depth > DEEPEST) {
    throw new InputError(`at or do is nested more than ${DEEPEST} deep.`, { operation: "edit", argument: "at" });
  }
  const copied = (one: unknown): unknown => frozenCopy(one, depth + 1);
  if (Array.isArray(value)) return Object.freeze(value.map(copied)) as T;
  if (typeof value !== "object" || value === null || isKept(value)) return value;
  if (ArrayBuffer.isView(value)) return Object.freeze(Array.from(value as unknown as ArrayLike<number>)) as T;
  if ("W_OV" in value) return Object.freeze(headIdOf(value as unknown as HeadId, "edit", "head")) as T;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.freeze(Object.fromEntries(entries.map(([key, one]) => [key, copied(one)]))) as T;
}

const isKept = (value: object): boolean => isTensor(value) || isRun(value) || isPromise(value);

/** Members tell, since copies of the package may meet. */
export const isTensor = (value: object): value is Tensor => "rawElements" in value;

/** What JSON.stringify writes of an edit. */
export function editToJson({ at, do: action }: { readonly at: EditTarget; readonly do: unknown }): unknown {
  if (typeof action === "function") throw noJson("its action is a function");
  return { at: written(at, undefined), do: written(action, undefined) };
}

function noJson(why: string): InputError {
  return new InputError(`the edit can't be written as JSON: ${why}.`, {
    operation: "JSON.stringify",
    argument: "edit",
  });
}

/** A value as JSON has it; runs by the name beside them. */
function written(value: unknown, name: string | undefined): unknown {
  if (typeof value === "number") return numberToJson(value);
  if (typeof value === "function") throw noJson("a predicate picks its hooks. Name them");
  if (isList(value) && !value.some(isRun)) return value.map((one) => written(one, name));
  if (typeof value !== "object" || value === null) return value;
  if (isTensor(value)) {
    const { axes, shape, dtype, data } = value;
    return { axes, shape, dtype, data: Array.from(data, numberToJson) };
  }
  if (isList(value) || isRun(value)) {
    if (name !== undefined) return name;
    throw noJson('it takes activations of a run without a name. Give it one: { …, name: "clean" }');
  }
  const own = (value as { readonly name?: string }).name;
  const entries = Object.entries(value).filter(([key]) => key !== "name");
  return Object.fromEntries(entries.map(([key, one]) => [key, written(one, own)]));
}

const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

const isRun = (value: unknown): boolean => typeof value === "object" && value !== null && "cache" in value;

/** Numbers that JSON has not are written as texts. */
const numberToJson = (x: number): number | string => (Number.isFinite(x) && !Object.is(x, -0) ? x : textOf(x));

const textOf = (x: number): string => (x === 0 ? "-0" : String(x));
