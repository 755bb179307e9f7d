/** A figure's data as JSON, and back. */
import { Tensor } from "../tensor/index.ts";

/**
 * A figure's data as JSON text, under its name.
 *
 * A tensor becomes `{ axes, shape, data }` with its numbers row by row, a typed array a list, a map a list of pairs.
 * JSON has no NaN and no infinities: they become `null`.
 *
 * @param name - the figure's name, as the list of figures has it.
 * @param data - what the figure's data function returned.
 * @returns one line of JSON that begins `{"figure":`; {@link figureFromJson} draws it again.
 * @category Figures
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { figureJson } from "transformer-circuits/figures";
 *
 * console.log(figureJson("example", { scores: Tensor.from("layer head", [1, 2], [0.5, NaN]) }));
 * // {"figure":"example","data":{"scores":{"axes":"layer head","shape":[1,2],"data":[0.5,null]}}}
 * ```
 */
export function figureJson(name: string, data: unknown): string {
  return JSON.stringify({ figure: name, data: plainOf(data) });
}

/**
 * A figure's data as plain JSON values: `{ axes, shape, data }` for a tensor, lists for typed arrays, `null` for what
 * is no finite number.
 * @category Figures
 */
export type PlainData<T> =
  T extends Tensor<infer A>
    ? { readonly axes: A; readonly shape: readonly number[]; readonly data: readonly (number | null)[] }
    : T extends Float64Array
      ? readonly (number | null)[]
      : T extends object
        ? { readonly [K in keyof T]: PlainData<T[K]> }
        : T;

/**
 * Data as plain values.
 *
 * @param digits - significant digits that numbers of tensors and typed arrays keep; all unless given.
 */
export function plainData<T>(data: T, digits?: number): PlainData<T> {
  return plainOf(data, digits) as PlainData<T>;
}

function plainOf(value: unknown, digits?: number): unknown {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Tensor) {
    const { axes, shape, data } = value as Tensor;
    return { axes, shape: [...shape], data: plainNumbers(data, digits) };
  }
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return plainNumbers(value as Float64Array, digits);
  if (value instanceof Map) return [...(value as Map<unknown, unknown>)].map((pair) => plainOf(pair, digits));
  if (Array.isArray(value)) return value.map((one) => plainOf(one, digits));
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries.map(([key, member]) => [key, plainOf(member, digits)]));
}

function plainNumbers(numbers: ArrayLike<number>, digits?: number): (number | null)[] {
  return Array.from(numbers, (x) => {
    if (!Number.isFinite(x)) return null;
    return digits === undefined || Number.isInteger(x) ? x : Number(x.toPrecision(digits));
  });
}

/** Plain values as the drawings take them: tensors again, and NaN for `null`, which JSON has in its place. */
export function liveData<T>(plain: PlainData<T>): T {
  return live(plain) as T;
}

function live(value: unknown): unknown {
  if (value === null) return NaN;
  if (typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(live);
  const { axes, shape, data } = value as { readonly axes?: unknown; readonly shape?: unknown; readonly data?: unknown };
  if (typeof axes === "string" && Array.isArray(shape) && Array.isArray(data))
    return Tensor.from(axes, shape as number[], (data as (number | null)[]).map(live) as number[], "float64");
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, live(member)]));
}
