/**
 * The largest entries of each row of a map, streamed in bounded memory. Those of a column are those of a row of the
 * transpose.
 *
 * Ties go to the lower index, everywhere: of two equal entries the one further left (or further up) is the larger.
 * NaN counts as less than everything.
 */
import { requireKind } from "../../errors.ts";
import { Tensor } from "../../tensor/index.ts";
import { halvesOf } from "../collapse.ts";
import { LINEAR_MAP } from "../linear.ts";
import type { Linear } from "../linear.ts";
import { checkIds, rowsOf } from "../slices.ts";
import { selectLargest, type TopOfRows } from "./select.ts";
import { askedProduct, checkK, countOf, streamHalves, type StreamOptions } from "../stream.ts";
import { screenedTop } from "./top-k-search.ts";

/**
 * The largest entries of some rows, largest first.
 * @category Linear maps
 */
export interface TopK<In extends string> {
  /** `[in, rank]`, int32: the columns of the largest entries. */
  readonly indices: Tensor<`${In} rank`>;
  /** `[in, rank]`, float64: the entries. */
  readonly values: Tensor<`${In} rank`>;
}

/**
 * One entry of a map.
 * @category Linear maps
 */
export interface MapEntry {
  readonly row: number;
  readonly column: number;
  readonly value: number;
}

/**
 * The `k` largest entries of each row, largest first; ties go to the lower column. All of a row when it has fewer
 * than `k`.
 *
 * For the full OV circuit: the output tokens that each source token raises most. Of the columns of a map:
 * `topKPerRow(transpose(f), k)`; for the full QK circuit, the query tokens that look most for each key token. Rows are
 * computed in bands, so memory is that of the left and right factor of the map and of the result, never `rows x cols`.
 *
 * @param f - `[in, out]`.
 * @param k - how many of each row.
 * @param options - `rows` to look at (all), `signal`, `onProgress`.
 * @returns columns and values, `[in, rank]`, one line per row asked for.
 * @throws {@link InputError} when `k` is not a positive integer or a row does not exist; the signal's reason when
 * aborted.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { linear, topKPerRow } from "transformer-circuits/linear";
 *
 * const f = linear("source", "out", Tensor.fromNested("source out", [[0, 5, 2, 5], [-1, -3, -2, -9]]));
 * const { indices, values } = topKPerRow(f, 2);
 * console.log(indices.toNested(), values.toNested());
 * // [ [ 1, 3 ], [ 0, 2 ] ] [ [ 5, 5 ], [ -1, -2 ] ]
 * ```
 */
export function topKPerRow<In extends string>(f: Linear<In>, k: number, options: StreamOptions = {}): TopK<In> {
  requireKind(LINEAR_MAP, f, "f", "topKPerRow", options, "rows signal onProgress");
  checkK(k, "topKPerRow");
  const { indices, values, width } = topOfRows(f, k, options);
  const shape = [countOf(f, options), width];
  return {
    indices: Tensor.from(`${f.in} rank`, shape, indices),
    values: Tensor.from(`${f.in} rank`, shape, values),
  };
}

/**
 * The `k` largest entries of one row, largest first; ties go to the lower column.
 *
 * @throws {@link InputError} when `k` is not a positive integer or the row does not exist.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, topKOfRow } from "transformer-circuits";
 * import { linear } from "transformer-circuits/linear";
 *
 * const f = linear("source", "out", Tensor.fromNested("source out", [[0, 5, 2, 5], [-1, -3, -2, -9]]));
 * console.log(topKOfRow(f, 0, 3).map(({ column, value }) => `${column}:${value}`).join(" "));
 * // 1:5 3:5 2:2
 * ```
 */
export function topKOfRow(f: Linear, row: number, k: number): MapEntry[] {
  requireKind(LINEAR_MAP, f, "f", "topKOfRow");
  checkK(k, "topKOfRow");
  checkIds(f, [row], "row", "topKOfRow");
  const numbers = rowsOf(f, [row]).data as Float64Array;
  const width = Math.min(k, numbers.length);
  const top = { indices: new Int32Array(width), values: new Float64Array(width) };
  selectLargest(numbers, width, top, 0);
  return Array.from(top.indices, (column, rank) => ({ row, column, value: top.values[rank] as number }));
}

function topOfRows(f: Linear, k: number, options: StreamOptions): TopOfRows {
  const { rows: ids, signal } = options;
  if (ids !== undefined) checkIds(f, ids, "row", "topKPerRow");
  signal?.throwIfAborted();
  const width = Math.min(k, f.cols);
  const asked = askedProduct(f, options);
  const screened = screenedTop(asked, width, options);
  if (screened !== undefined) return screened;
  const top = { indices: new Int32Array(asked.rows * width), values: new Float64Array(asked.rows * width), width };
  streamHalves(halvesOf(asked), options, ({ numbers, cols, start, count }) => {
    for (let i = 0; i < count; i++) {
      selectLargest(numbers.subarray(i * cols, (i + 1) * cols), width, top, (start + i) * width);
    }
  });
  return top;
}
