/** Lists of maps whose spaces the compiler knows. */
import type { IsUnion } from "../axes.ts";

/** Nothing has it: it stands in the compiler's complaint. */
interface SameSpaces {
  readonly "these maps are between different spaces": never;
}

/**
 * What a list of maps between spaces `S` must be beside a list: nothing more, unless its maps are between several
 * spaces, which the compiler would otherwise take for one space of several names.
 * @inline
 */
export type OneSpace<S extends string> = true extends IsUnion<S> ? SameSpaces : unknown;
