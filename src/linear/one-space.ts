/** Lists of maps whose spaces the compiler knows. */

/** Whether a type is a union of several. */
type IsUnion<T, Whole = T> = T extends unknown ? ([Whole] extends [T] ? false : true) : never;

/** Nothing has it: it stands in the compiler's complaint. */
interface SameSpaces {
  readonly "these maps are between different spaces": never;
}

/**
 * What a list of maps between spaces `S` must be beside a list: nothing more, unless its maps are between several spaces, which the
 * compiler would otherwise take for one space of several names.
 * @inline
 */
export type OneSpace<S extends string> = true extends IsUnion<S> ? SameSpaces : unknown;
