/**
 * The largest entries of each row of a map, streamed in bounded memory.
 *
 * Ties go to the lower index, everywhere: of two equal entries the one further left (or further up) is the larger.
 * NaN counts as less than everything.
 */
import { requireKind } from "../../errors.ts";
import { Tensor } from "../../tensor/index.ts";
import { cheapest, halvesOf } from "../collapse.ts";
import { transposeProduct } from "../factor.ts";
import { Linear } from "../linear.ts";
import { checkIds, columnsOf, rowsOf } from "../slices.ts";
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
 * For the full OV circuit: the output tokens that each source token raises most. Rows are computed in bands, so
 * memory is that of the two halves of the map and of the result, never `rows x cols`.
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
  requireKind("map", f, "f", "topKPerRow", options);
  checkK(k, "topKPerRow");
  const { indices, values, width } = topOfRows(f, k, options, "topKPerRow");
  const shape = [countOf(f, options), width];
  return {
    indices: Tensor.from(`${f.in} rank`, shape, indices),
    values: Tensor.from(`${f.in} rank`, shape, values),
  };
}

/**
 * The column of the largest entry of each row; ties go to the lower column.
 *
 * @param options - `rows` to look at (all), `signal`, `onProgress`.
 * @returns `[in]`, int32.
 * @throws {@link InputError} when a row does not exist; the signal's reason when aborted.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { argmaxPerRow, linear } from "transformer-circuits/linear";
 *
 * const f = linear("source", "out", Tensor.fromNested("source out", [[0, 5, 2, 5], [-1, -3, -2, -9]]));
 * console.log(argmaxPerRow(f).toNested());
 * // [ 1, 0 ]
 * ```
 */
export function argmaxPerRow<In extends string>(f: Linear<In>, options: StreamOptions = {}): Tensor<In> {
  requireKind("map", f, "f", "argmaxPerRow", options);
  const { indices } = topOfRows(f, 1, options, "argmaxPerRow");
  return Tensor.from(f.in, [countOf(f, options)], indices);
}

/**
 * The `k` largest entries of each column, largest first; ties go to the lower row. For the full QK circuit: the query
 * tokens that look most for each key token.
 *
 * @param f - `[in, out]`.
 * @param k - how many of each column.
 * @param options - `columns` to look at (all), `signal`, `onProgress`.
 * @returns rows and values, `[out, rank]`, one line per column asked for.
 * @throws {@link InputError} when `k` is not a positive integer or a column does not exist; the signal's reason when
 * aborted.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { linear, topKPerColumn } from "transformer-circuits/linear";
 *
 * const f = linear("query", "key", Tensor.fromNested("query key", [[0, 5], [-1, 7], [2, 5]]));
 * const { indices, values } = topKPerColumn(f, 2);
 * console.log(indices.toNested(), values.toNested());
 * // [ [ 2, 0 ], [ 1, 0 ] ] [ [ 2, 0 ], [ 7, 5 ] ]
 * ```
 */
export function topKPerColumn<Out extends string>(
  f: Linear<string, Out>,
  k: number,
  options: ColumnOptions = {},
): TopK<Out> {
  requireKind("map", f, "f", "topKPerColumn", options);
  const operation = "topKPerColumn";
  checkK(k, operation);
  const turned = turnedMap(f, options, operation);
  const { indices, values, width } = topOfRows(turned, k, rowOptions(options), operation);
  const shape = [countOf(turned, rowOptions(options)), width];
  return {
    indices: Tensor.from(`${f.out} rank`, shape, indices),
    values: Tensor.from(`${f.out} rank`, shape, values),
  };
}

/**
 * The row of the largest entry of each column; ties go to the lower row.
 *
 * @param options - `columns` to look at (all), `signal`, `onProgress`.
 * @returns `[out]`, int32.
 * @throws {@link InputError} when a column does not exist; the signal's reason when aborted.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { argmaxPerColumn, linear } from "transformer-circuits/linear";
 *
 * const f = linear("query", "key", Tensor.fromNested("query key", [[0, 5], [-1, 7], [2, 5]]));
 * console.log(argmaxPerColumn(f).toNested());
 * // [ 2, 1 ]
 * ```
 */
export function argmaxPerColumn<Out extends string>(f: Linear<string, Out>, options: ColumnOptions = {}): Tensor<Out> {
  requireKind("map", f, "f", "argmaxPerColumn", options);
  const operation = "argmaxPerColumn";
  const turned = turnedMap(f, options, operation);
  const { indices } = topOfRows(turned, 1, rowOptions(options), operation);
  return Tensor.from(f.out, [countOf(turned, rowOptions(options))], indices);
}

/**
 * Options of the functions that go through a map column by column.
 * @category Linear maps
 */
export interface ColumnOptions extends Omit<StreamOptions, "rows"> {
  /** The columns to go through, in this order; all of them when left out. */
  readonly columns?: ArrayLike<number> | undefined;
}

function rowOptions({ columns, signal, onProgress }: ColumnOptions): StreamOptions {
  return { rows: columns, signal, onProgress };
}

function turnedMap(f: Linear, { columns }: ColumnOptions, operation: string): Linear {
  if (columns !== undefined) checkIds(f, columns, "column", operation);
  return new Linear(f.out, f.in, transposeProduct(cheapest(f)));
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
  requireKind("map", f, "f", "topKOfRow");
  checkK(k, "topKOfRow");
  checkIds(f, [row], "row", "topKOfRow");
  const numbers = rowsOf(f, [row]).data as Float64Array;
  return largest(numbers, k).map(({ index, value }) => ({ row, column: index, value }));
}

/**
 * The `k` largest entries of one column, largest first; ties go to the lower row. For the full QK circuit: the query
 * tokens that look most for one key token.
 *
 * @throws {@link InputError} when `k` is not a positive integer or the column does not exist.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { linear, topKOfColumn } from "transformer-circuits/linear";
 *
 * const f = linear("query", "key", Tensor.fromNested("query key", [[0, 5], [-1, 7], [2, 5]]));
 * console.log(topKOfColumn(f, 1, 2).map(({ row, value }) => `${row}:${value}`).join(" "));
 * // 1:7 0:5
 * ```
 */
export function topKOfColumn(f: Linear, column: number, k: number): MapEntry[] {
  requireKind("map", f, "f", "topKOfColumn");
  checkK(k, "topKOfColumn");
  checkIds(f, [column], "column", "topKOfColumn");
  const numbers = columnsOf(f, [column]).data as Float64Array;
  return largest(numbers, k).map(({ index, value }) => ({ row: index, column, value }));
}

function topOfRows(f: Linear, k: number, options: StreamOptions, operation: string): TopOfRows {
  const { rows: ids, signal } = options;
  if (ids !== undefined) checkIds(f, ids, "row", operation);
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

function largest(numbers: Float64Array, k: number): readonly { readonly index: number; readonly value: number }[] {
  const width = Math.min(k, numbers.length);
  const top = { indices: new Int32Array(width), values: new Float64Array(width) };
  selectLargest(numbers, width, top, 0);
  return Array.from(top.indices, (index, rank) => ({ index, value: top.values[rank] as number }));
}
