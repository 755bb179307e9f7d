/** Numbers that JSON has no digits for, in what plain results write. */

/** A number as JSON has it: `"NaN"`, `"Infinity"` and `"-Infinity"` as texts, which `Number` reads. */
export function numberJSON(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

/**
 * A plain result with {@link numberJSON} of all its numbers and lists for typed arrays; what writes itself, as a tensor
 * does, is left to do so.
 */
export function resultJSON(value: unknown): unknown {
  if (typeof value === "number") return numberJSON(value);
  if (typeof value !== "object" || value === null) return value;
  if (ArrayBuffer.isView(value)) {
    return value instanceof DataView ? value : Array.from(value as unknown as ArrayLike<number>, resultJSON);
  }
  if (Array.isArray(value)) return value.map(resultJSON);
  const isPlain = Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null;
  if (!isPlain) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resultJSON(one)]));
}
