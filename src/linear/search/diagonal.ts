/** Where the diagonal stands among the entries of its row: how often a token is copied. */
import { requireKind } from "../../errors.ts";
import { withWorkspace } from "../../kernels/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { halvesOf } from "../collapse.ts";
import type { Halves } from "../collapse.ts";
import { cappedRanks, rankInRow, wholeRanks } from "./diagonal-search.ts";
import { isWorthScreening } from "./screened-rows.ts";
import { screenOf } from "./screen.ts";
import { checkIds } from "../slices.ts";
import { requireSquare, LINEAR_MAP } from "../linear.ts";
import type { SquareMap } from "../linear.ts";
import { askedProduct, checkK, countOf, streamHalves, type StreamOptions } from "../stream.ts";

/**
 * The share of rows whose diagonal entry is among the `k` largest of its row; entries equal to it count as larger
 * when they lie further left, as in {@link topKPerRow}.
 *
 * On the full OV circuit this is ARENA's copying accuracy (top-1 and top-5): 1 for the identity, 0 for a permutation
 * that leaves no token in place, about `k / cols` by chance.
 *
 * Exact, and fast over a whole vocabulary: the question is decided for most rows by a few columns or by a bound, see
 * {@link diagonalRanks}.
 *
 * @param options - `rows` to look at (all), `signal`, `onProgress`.
 * @returns a share between 0 and 1; NaN when there are no rows.
 * @throws {@link ShapeError} when the map is not square; {@link AxisError} when its ends are different spaces;
 * {@link InputError} when `k` is not a positive integer or a row does not exist; the signal's reason when aborted.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { diagonalTopK, linear } from "transformer-circuits/linear";
 *
 * const copying = linear("d_vocab", "d_vocab", Tensor.fromNested("source out", [[3, 1, 0], [2, 1, 0], [4, 5, 0]]));
 * console.log([1, 2, 3].map((k) => diagonalTopK(copying, k).toFixed(3)).join(" "));
 * // 0.333 0.667 1.000
 * ```
 */
export function diagonalTopK<S extends string>(f: SquareMap<S>, k = 1, options: StreamOptions = {}): number {
  requireKind(LINEAR_MAP, f, "f", "diagonalTopK", options, "rows signal onProgress");
  requireSquare(f, "diagonalTopK");
  checkK(k, "diagonalTopK");
  const ranks = ranksOf(f, k, options, "diagonalTopK");
  return ranks.reduce((hits, rank) => hits + (rank < k ? 1 : 0), 0) / countOf(f, options);
}

/**
 * Options of {@link diagonalRanks}.
 * @category Linear maps
 */
export interface DiagonalRankOptions extends StreamOptions {
  /** Ranks from here on need not be told apart: they are all given as this number. All of them are by default. */
  readonly atMost?: number | undefined;
}

/**
 * The place of each diagonal entry among the entries of its row, largest first: 0 where it is the largest. Equal
 * entries come before it when they lie further left, as in {@link topKPerRow}; {@link diagonalTopK} is the share of
 * ranks below `k`.
 *
 * Entries are float64 sums of products of the left and right factor of the map, in order; ranks are those of these
 * numbers, ties included. Float32 and bounds only find out which of them need be computed: with `atMost` a row is
 * decided by the first columns that are clearly above, or by a proof that too few can be (Cauchy–Schwarz on the leading
 * coordinates of a balanced basis).
 *
 * @param options - `atMost`, `rows` to look at (all), `signal`, `onProgress` (in rows decided).
 * @returns `[in]`, int32.
 * @throws {@link ShapeError} when the map is not square; {@link AxisError} when its ends are different spaces;
 * {@link InputError} when `atMost` is not a positive integer or a row does not exist; the signal's reason when aborted.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { diagonalRanks, linear } from "transformer-circuits/linear";
 *
 * const copying = linear("d_vocab", "d_vocab", Tensor.fromNested("source out", [[3, 1, 0], [2, 1, 0], [4, 5, 0]]));
 * console.log(diagonalRanks(copying).toNested());
 * // [ 0, 1, 2 ]
 * ```
 */
export function diagonalRanks<S extends string>(f: SquareMap<S>, options: DiagonalRankOptions = {}): Tensor<S> {
  requireKind(LINEAR_MAP, f, "f", "diagonalRanks", options, "atMost rows signal onProgress");
  requireSquare(f, "diagonalRanks");
  const { atMost } = options;
  if (atMost !== undefined) checkK(atMost, "diagonalRanks");
  const ranks = ranksOf(f, atMost ?? f.cols, options, "diagonalRanks");
  return Tensor.from(f.in, [ranks.length], ranks);
}

/** Up to so many entries above the diagonal are looked for one by one; beyond, all are counted. */
const FEW = 64;

function ranksOf(f: SquareMap<string>, enough: number, options: StreamOptions, operation: string): Int32Array {
  const { rows: ids, signal } = options;
  if (ids !== undefined) checkIds(f, ids, "row", operation);
  signal?.throwIfAborted();
  const columns = ids === undefined ? Int32Array.from({ length: f.rows }, (_, i) => i) : Int32Array.from(ids);
  const asked = askedProduct(f, options);
  if (isWorthScreening(asked)) {
    const isCapped = enough <= FEW;
    const screened = withWorkspace((take) => {
      const screen = screenOf(asked, { isFine: !isCapped, take });
      if (screen === undefined) return undefined;
      const search = { screen, columns, options };
      return isCapped ? cappedRanks(search, enough) : wholeRanks(search, enough);
    });
    if (screened !== undefined) return screened;
  }
  return plainRanks(halvesOf(asked), columns, enough, options);
}

function plainRanks(halves: Halves, columns: Int32Array, enough: number, options: StreamOptions): Int32Array {
  const ranks = new Int32Array(columns.length);
  streamHalves(halves, options, ({ numbers, cols, start, count }) => {
    for (let i = 0; i < count; i++) {
      const row = numbers.subarray(i * cols, (i + 1) * cols);
      ranks[start + i] = rankInRow(row, columns[start + i] as number, enough);
    }
  });
  return ranks;
}
