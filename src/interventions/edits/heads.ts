/** Which heads: by number, by label or place, all but some. */
import { InputError } from "../../errors.ts";
import { headIdOf, headLabel } from "../../head-id.ts";
import type { HeadId, HeadRef } from "../../head-id.ts";
import type { IndexRange } from "../../tensor/index.ts";
import type { OtherNames } from "../../tensor/internal.ts";

/**
 * Heads: by their number in a layer, a range of numbers, by label (`"L0H5"`) or place, several of these, or all but
 * some.
 * @category Interventions
 */
export type Heads = number | HeadRef | IndexRange | { readonly not: Heads } | readonly Heads[];

const isPlace = (spec: unknown): spec is HeadRef =>
  typeof spec === "string" ||
  (typeof spec === "object" && spec !== null && Object.keys(spec).sort().join(" ") === "head layer");

/** Labels and places as names of the heads of a layer; of those of other layers it has none. */
export function placesIn(layer: number | undefined, n_heads: number, operation: string): OtherNames {
  return {
    described: ', a label as "L0H5"',
    check(spec) {
      if (!isPlace(spec)) return false;
      const { layer: l, head } = headIdOf(spec, operation, "head");
      if (Number.isSafeInteger(l) && Number.isSafeInteger(head)) return true;
      throw new InputError(`${headLabel({ layer: l, head })} is no head. Give whole numbers.`, {
        operation,
        argument: "head",
        actual: spec,
      });
    },
    indices(spec) {
      if (!isPlace(spec)) return undefined;
      const id = headIdOf(spec, operation, "head");
      return id.layer === layer && id.head < n_heads ? [id.head] : [];
    },
  };
}

/** The places of heads that a selection names, for a look at whether they are there. */
export function placesNamed(spec: Heads): HeadId[] {
  if (typeof spec === "number") return [];
  if (isPlace(spec)) return [headIdOf(spec, "edit", "head")];
  if (Array.isArray(spec)) return (spec as readonly Heads[]).flatMap(placesNamed);
  return "not" in spec ? placesNamed(spec.not) : [];
}
