/** Which indices of an axis: one, several, a range, all but some. */
import { InputError, nameOf } from "../../errors.ts";
import { headIdOf, headLabel } from "../../head-id.ts";
import type { HeadId, HeadRef } from "../../head-id.ts";

/**
 * Indices from `start` (inclusive) to `end` (exclusive), as in {@link Tensor.slice}; one left out is the axis's own
 * end.
 * @category Interventions
 */
export interface IndexRange {
  readonly start?: number;
  readonly end?: number;
}

/**
 * Indices of an axis: one, a range, several of either, or all but some. Counted from 0; a negative one counts from the
 * end, so that -1 is the last. The order does not matter.
 * @category Interventions
 */
export type Indices = number | IndexRange | { readonly not: Indices } | readonly Indices[];

/**
 * Heads: by their number in a layer, a range of numbers, by label (`"L0H5"`) or place, several of these, or all but
 * some.
 * @category Interventions
 */
export type Heads = number | HeadRef | IndexRange | { readonly not: Heads } | readonly Heads[];

/** What indices count. */
export interface Counted {
  /** The field of the selection, as `pos`. */
  readonly field: string;
  /** The smallest and the number after the largest; those from -`high` count from the end where `low` is 0. */
  readonly low: number;
  readonly high: number;
  /** Whether -1 is the last; of offsets it is an offset. */
  readonly isFromEnd: boolean;
  /** What there are of them and where, as `the 5 positions at "hook_embed"`. */
  readonly among: string;
}

type Spec = Indices | Heads;

const isHeadId = (spec: object): spec is HeadId => "layer" in spec && "head" in spec;
const isNot = (spec: object): spec is { readonly not: Spec } => "not" in spec;

/** Refuses what names no indices, whatever the model: to be called when an edit is made. */
export function checkIndices(spec: unknown, field: string, operation: string): void {
  const fail = (what: string, mend: string): InputError =>
    new InputError(`${field} ${what}. ${mend}`, { operation, argument: field, actual: spec });
  const heads = field === "head" ? `, a label as "L0H5"` : "";
  if (typeof spec === "number") {
    if (Number.isSafeInteger(spec)) return;
    throw fail(`is ${spec}`, "Give whole numbers.");
  }
  if (Array.isArray(spec)) {
    if (spec.length === 0) throw fail("is an empty list, so nothing is selected", "Leave it out to select all.");
    for (const one of spec) checkIndices(one, field, operation);
    return;
  }
  if (typeof spec === "string" && field === "head") {
    headIdOf(spec as HeadRef, operation, field);
    return;
  }
  if (typeof spec === "object" && spec !== null) {
    const names = Object.keys(spec).sort().join(" ");
    if (names === "not") {
      checkIndices((spec as { readonly not: unknown }).not, field, operation);
      return;
    }
    if (names === "head layer" && field === "head") {
      for (const place of Object.values(spec as HeadId)) checkIndices(Number(place), field, operation);
      return;
    }
    if (["end", "end start", "start"].includes(names)) {
      for (const end of Object.values(spec as IndexRange)) {
        if (!Number.isSafeInteger(end)) throw fail(`has a range that ends at ${nameOf(end)}`, "Give whole numbers.");
      }
      return;
    }
  }
  throw fail(
    `is ${nameOf(spec)}`,
    `Give a whole number${heads}, a list, a range { start, end } (end excluded) or { not: … }.`,
  );
}

/** The indices meant, in ascending order, each once. Places of heads count in `layer` alone. */
export function indicesOf(spec: Spec, counted: Counted, operation: string, layer?: number): number[] {
  const { low, high } = counted;
  const found = membersOf(spec, counted, operation, layer);
  return Array.from({ length: high - low }, (_, i) => low + i).filter((i) => found.has(i));
}

function membersOf(spec: Spec, counted: Counted, operation: string, layer: number | undefined): Set<number> {
  const { field, low, high, isFromEnd, among } = counted;
  const fail = (what: string): InputError => {
    const first = isFromEnd ? -high : low;
    const mend = high > low ? `${field} takes ${first} to ${high - 1}.` : "There are none.";
    return new InputError(`${what} is outside ${among}. ${mend}`, {
      operation,
      argument: field,
      expected: [first, high - 1],
      actual: spec,
    });
  };
  if (typeof spec === "number") {
    const index = isFromEnd && spec < 0 ? spec + high : spec;
    if (index < low || index >= high) throw fail(`${field} ${spec}`);
    return new Set([index]);
  }
  if (isList(spec)) return new Set(spec.flatMap((one) => [...membersOf(one, counted, operation, layer)]));
  if (typeof spec === "string" || isHeadId(spec)) {
    const id = headIdOf(spec, operation, field);
    if (id.head >= high) throw fail(headLabel(id));
    return new Set(id.layer === layer ? [id.head] : []);
  }
  if (isNot(spec)) {
    const left = membersOf(spec.not, counted, operation, layer);
    return new Set(Array.from({ length: high - low }, (_, i) => low + i).filter((i) => !left.has(i)));
  }
  const place = (end: number | undefined, otherwise: number): number =>
    end === undefined ? otherwise : isFromEnd && end < 0 ? end + high : end;
  const start = place(spec.start, low);
  const end = place(spec.end, high);
  const shown = `${field} ${spec.start ?? ""} to ${spec.end ?? ""}`.trimEnd();
  if (start < low || end > high) throw fail(shown);
  if (start >= end) {
    throw new InputError(`the range of ${shown} is empty; its end is excluded.`, {
      operation,
      argument: field,
      actual: spec,
    });
  }
  return new Set(Array.from({ length: end - start }, (_, i) => start + i));
}

const isList = (spec: Spec): spec is readonly Spec[] => Array.isArray(spec);

/** The places of heads that a selection names, for a look at whether they are there. */
export function placesIn(spec: Heads): HeadId[] {
  if (typeof spec === "number") return [];
  if (typeof spec === "string") return [headIdOf(spec, "edit", "head")];
  if (isList(spec)) return spec.flatMap(placesIn);
  if (isHeadId(spec)) return [spec];
  return isNot(spec) ? placesIn(spec.not) : [];
}
