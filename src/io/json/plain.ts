/** Values of files that are neither tensors nor bytes: settings beside the weights. */

/**
 * What a checkpoint holds beside its tensors: numbers, strings, booleans, null, and lists and objects of them. Objects
 * have no prototype; integers beyond 2^53 are bigints.
 * @category Files
 */
export type PlainValue = null | boolean | number | bigint | string | readonly PlainValue[] | PlainObject;

/**
 * Plain values by name.
 * @category Files
 */
export interface PlainObject {
  readonly [key: string]: PlainValue;
}

/** An object without a prototype, which no key can reach. */
export function plainObject(entries: Iterable<readonly [string, PlainValue]>): PlainObject {
  const object = Object.create(null) as Record<string, PlainValue>;
  for (const [key, value] of entries) object[key] = value;
  return object;
}

/** Whether a value is an object of named fields. */
export function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
