/** Mean, spread, length, largest and smallest entry of each row or column of a map, streamed in bounded memory. */
import { InputError, requireKind } from "../errors.ts";
import { Tensor } from "../tensor/index.ts";
import { cheapest } from "./collapse.ts";
import { transposeProduct } from "./factor.ts";
import { Linear } from "./linear.ts";
import { checkIds } from "./slices.ts";
import { countOf, streamRows, type StreamOptions } from "./stream.ts";

/**
 * Statistics of each row (or column) of a map, float64.
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
 * Mean, largest and smallest entry, standard deviation and norm of each row.
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
  requireKind("map", f, "f", "rowStatistics", options);
  return statistics(f, f.in, options, "rowStatistics");
}

/**
 * Mean, largest and smallest entry, standard deviation and norm of each column.
 *
 * @param options - `columns` to look at (all), `signal`, `onProgress`.
 * @returns tensors `[out]`.
 * @throws {@link InputError} when a column does not exist or holds an entry that is not finite; the signal's reason
 * when aborted.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { columnStatistics, linear } from "transformer-circuits/linear";
 *
 * const f = linear("source", "out", Tensor.fromNested("source out", [[0, 5, 1], [-1, -3, -2]]));
 * console.log(columnStatistics(f).mean.toNested());
 * // [ -0.5, 1, -0.5 ]
 * ```
 */
export function columnStatistics<Out extends string>(
  f: Linear<string, Out>,
  options: Omit<StreamOptions, "rows"> & { readonly columns?: ArrayLike<number> | undefined } = {},
): MapStatistics<Out> {
  requireKind("map", f, "f", "columnStatistics", options);
  const { columns, ...others } = options;
  const operation = "columnStatistics";
  if (columns !== undefined) checkIds(f, columns, "column", operation);
  const turned: Linear = new Linear(f.out, f.in, transposeProduct(cheapest(f)));
  return statistics(turned, f.out, { ...others, rows: columns }, operation);
}

function statistics<S extends string>(
  f: Linear,
  space: S,
  options: StreamOptions,
  operation: string,
): MapStatistics<S> {
  const size = countOf(f, options);
  const [mean, max, min] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
  const [std, norm] = [new Float64Array(size), new Float64Array(size)];
  streamRows(f, options, operation, ({ numbers, cols, start, count }) => {
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
      if (!Number.isFinite(sum)) requireFinite(numbers, i * cols, cols, start + i, operation);
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
  const vector = (numbers: Float64Array): Tensor<S> => Tensor.from(space, [size], numbers);
  return { mean: vector(mean), max: vector(max), min: vector(min), std: vector(std), norm: vector(norm) };
}

/** Refuses a row or column with an entry that is NaN or infinite; finite ones whose sum is infinite pass. */
function requireFinite(numbers: Float64Array, from: number, count: number, place: number, operation: string): void {
  for (let j = 0; j < count; j++) {
    const x = numbers[from + j] as number;
    if (Number.isFinite(x)) continue;
    const [line, other] = operation === "rowStatistics" ? ["row", "column"] : ["column", "row"];
    throw new InputError(
      `the entry of ${line} ${place} and ${other} ${j} is ${x}; statistics are of finite numbers. Leave that ${line} out, or replace the entry.`,
      { operation, argument: "f", expected: "finite numbers", actual: x },
    );
  }
}
