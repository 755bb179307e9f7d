/** Mean, standard deviation, norm, largest and smallest entry of each row of a map, streamed in bounded memory. */
import { InputError, requireKind } from "../errors.ts";
import { Tensor } from "../tensor/index.ts";
import { LINEAR_MAP } from "./linear.ts";
import type { Linear } from "./linear.ts";
import { countOf, streamRows, type StreamOptions } from "./stream.ts";

/**
 * Statistics of each row of a map, float64.
 * @category Linear maps
 */
export interface MapStatistics<S extends string> {
  /** `[space]`; NaN for a row without entries. */
  readonly mean: Tensor<S>;
  /** `[space]`; -Infinity for a row without entries. */
  readonly max: Tensor<S>;
  /** `[space]`; Infinity for a row without entries. */
  readonly min: Tensor<S>;
  /** `[space]`: the standard deviation of the entries, with n; NaN for a row without entries. */
  readonly std: Tensor<S>;
  /** `[space]`: the 2-norm. */
  readonly norm: Tensor<S>;
}

/**
 * Mean, largest and smallest entry, standard deviation and norm of each row; of each column with `transpose(f)`.
 *
 * @param options - `rows` to look at (all), `signal`, `onProgress`.
 * @returns tensors `[in]`.
 * @throws {@link InputError} when a row does not exist or holds an entry that is not finite; the signal's reason when
 * aborted.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { linear, rowStatistics } from "transformer-circuits/linear";
 *
 * const f = linear("source", "out", Tensor.fromNested("source out", [[0, 5, 1], [-1, -3, -2]]));
 * const { mean, max, min } = rowStatistics(f);
 * console.log(mean.toNested(), max.toNested(), min.toNested());
 * // [ 2, -2 ] [ 5, -1 ] [ 0, -3 ]
 * ```
 */
export function rowStatistics<In extends string>(f: Linear<In>, options: StreamOptions = {}): MapStatistics<In> {
  requireKind(LINEAR_MAP, f, "f", "rowStatistics", options, "rows signal onProgress");
  const size = countOf(f, options);
  const [mean, max, min] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
  const [std, norm] = [new Float64Array(size), new Float64Array(size)];
  streamRows(f, options, "rowStatistics", ({ numbers, cols, start, count }) => {
    for (let i = 0; i < count; i++) {
      let sum = 0;
      let largest = -Infinity;
      let smallest = Infinity;
      for (let at = i * cols; at < (i + 1) * cols; at++) {
        const x = numbers[at] as number;
        sum += x;
        largest = Math.max(largest, x);
        smallest = Math.min(smallest, x);
      }
      if (!Number.isFinite(sum)) requireFinite(numbers, i * cols, cols, start + i);
      const center = sum / cols;
      let [spread, squares] = [0, 0];
      for (let at = i * cols; at < (i + 1) * cols; at++) {
        const x = numbers[at] as number;
        spread += (x - center) ** 2;
        squares += x * x;
      }
      mean[start + i] = center;
      std[start + i] = Math.sqrt(spread / cols);
      norm[start + i] = Math.sqrt(squares);
      max[start + i] = largest;
      min[start + i] = smallest;
    }
  });
  const vector = (numbers: Float64Array): Tensor<In> => Tensor.from(f.in, [size], numbers);
  return { mean: vector(mean), max: vector(max), min: vector(min), std: vector(std), norm: vector(norm) };
}

/** Rejects a row with an entry that is NaN or infinite; finite ones whose sum is infinite pass. */
function requireFinite(numbers: Float64Array, from: number, count: number, row: number): void {
  for (let j = 0; j < count; j++) {
    const x = numbers[from + j] as number;
    if (Number.isFinite(x)) continue;
    throw new InputError(
      `the entry of row ${row} and column ${j} is ${x}; statistics are of finite numbers. Leave that row out, or replace the entry.`,
      { operation: "rowStatistics", argument: "f", expected: "finite numbers", actual: x },
    );
  }
}
