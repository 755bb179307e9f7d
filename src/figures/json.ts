/** A figure's data as JSON. */
import { Tensor } from "../tensor/index.ts";

/**
 * A figure's data as JSON text, under its name.
 *
 * A tensor becomes `{ axes, shape, data }` with its numbers row by row, a typed array a list, a map a list of pairs.
 * JSON has no NaN and no infinities: they become `null`.
 *
 * @param name - the figure's name, as the list of figures has it.
 * @param data - what the figure's data function returned.
 * @returns one line of JSON that begins `{"figure":`.
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
  return JSON.stringify({ figure: name, data }, (_, value: unknown) => {
    if (value instanceof Tensor) {
      const { axes, shape, data } = value as Tensor;
      return { axes, shape, data: Array.from(data) };
    }
    if (value instanceof Map) return [...(value as Map<unknown, unknown>)];
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return Array.from(value as Float64Array);
    return value;
  });
}
