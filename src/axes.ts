/**
 * Axis names as types and at run time.
 *
 * A tensor's axes are one string of words, `"batch pos d_model"`: the jaxtyping spelling as a type. Names are compared
 * by the compiler; sizes never are, and are checked at run time, always.
 *
 * A linear map's ends are spaces; the dual of a space is written with a star, and the dual of a dual is the space
 * itself.
 */
import { AxisError } from "./errors.ts";

/**
 * The names in an axis string, as a union: `AxisOf<"pos d_model">` is `"pos" | "d_model"`.
 * @category Axes
 */
export type AxisOf<A extends string> = string extends A
  ? string
  : A extends `${infer Head} ${infer Rest}`
    ? Head | AxisOf<Rest>
    : A extends ""
      ? never
      : A;

/**
 * The axis string without one name: `Without<"batch pos d_model", "pos">` is `"batch d_model"`; without one of several
 * names, the union of what may be left.
 * @category Axes
 */
export type Without<A extends string, Name extends string> = string extends A
  ? string
  : string extends Name
    ? string
    : A extends `${infer Head} ${infer Rest}`
      ? Name extends Head
        ? Rest
        : Join<Head, Without<Rest, Name>>
      : Name extends A
        ? ""
        : A;

/**
 * Two axis strings, one after the other.
 * @category Axes
 */
export type Join<A extends string, B extends string> = string extends A
  ? string
  : string extends B
    ? string
    : A extends ""
      ? B
      : B extends ""
        ? A
        : `${A} ${B}`;

/**
 * The last name: `LastAxis<"batch pos d_model">` is `"d_model"`.
 * @category Axes
 */
export type LastAxis<A extends string> = string extends A
  ? string
  : A extends `${string} ${infer Rest}`
    ? LastAxis<Rest>
    : A;

/**
 * All names but the last: `InitAxes<"batch pos d_model">` is `"batch pos"`.
 * @category Axes
 */
export type InitAxes<A extends string> = string extends A
  ? string
  : A extends `${infer Head} ${infer Rest}`
    ? Rest extends `${string} ${string}`
      ? `${Head} ${InitAxes<Rest>}`
      : Head
    : "";

/**
 * The axis string with one name replaced; with one of several names replaced, the union of what may come of it.
 * @category Axes
 */
export type Renamed<A extends string, From extends string, To extends string> = string extends A
  ? string
  : A extends `${infer Head} ${infer Rest}`
    ? From extends Head
      ? `${To} ${Rest}`
      : `${Head} ${Renamed<Rest, From, To>}`
    : From extends A
      ? To
      : A;

/** Whether a type is a union of several. */
export type IsUnion<T, Whole = T> = T extends unknown ? ([Whole] extends [T] ? false : true) : never;

/**
 * The dual of a space: `Dual<"d_model">` is `"d_model*"`, `Dual<"d_model*">` is `"d_model"`.
 * @category Axes
 */
export type Dual<S extends string> = string extends S ? string : S extends `${infer Space}*` ? Space : `${S}*`;

/**
 * The dual of a space at run time.
 *
 * @param space - a space, with or without its star.
 * @returns the space with its star taken off or put on.
 * @category Axes
 * @example
 * ```ts
 * import { dual } from "transformer-circuits/tensor";
 *
 * console.log(dual("d_model"), dual("d_model*"));
 * // d_model* d_model
 * ```
 */
export function dual<S extends string>(space: S): Dual<S> {
  return (space.endsWith("*") ? space.slice(0, -1) : `${space}*`) as Dual<S>;
}

const AXIS_NAME = /^[A-Za-z_][A-Za-z0-9_]*\*?$/;

/**
 * Splits an axis string into its names; refuses malformed and repeated ones. The empty string has no axes (a scalar).
 */
export function parseAxes(axes: string, operation: string): readonly string[] {
  const known = parsed.get(axes);
  if (known !== undefined) return known;
  const names = splitAxes(axes, operation);
  // Axis strings are few; a program that makes them up without end still keeps no more than this many.
  if (parsed.size < 4096) parsed.set(axes, names);
  return names;
}

const parsed = new Map<string, readonly string[]>();

function splitAxes(axes: string, operation: string): readonly string[] {
  if (axes === "") return [];
  const given: unknown = axes;
  if (typeof given !== "string") {
    throw new AxisError(
      `axes are ${String(given)}. Write names separated by single spaces, as in "batch pos d_model".`,
      {
        operation,
        argument: "axes",
        actual: given,
      },
    );
  }
  const names = axes.split(" ");
  for (const [index, name] of names.entries()) {
    if (!AXIS_NAME.test(name)) {
      throw new AxisError(
        `"${axes}" is not a list of axis names: "${name}" is not a name. Write names separated by single spaces, as in "batch pos d_model".`,
        { operation, argument: "axes", actual: axes },
      );
    }
    if (names.indexOf(name) !== index) {
      throw new AxisError(`axis "${name}" appears twice in "${axes}". Rename one of them, as in "query_pos key_pos".`, {
        operation,
        argument: "axes",
        actual: axes,
      });
    }
  }
  return names;
}

/** `[batch=3 pos=24]`: axes with sizes, as error texts show them. */
export function describeAxes(names: readonly string[], shape: readonly number[]): string {
  return `[${names.map((name, i) => `${name}=${shape[i]}`).join(" ")}]`;
}
