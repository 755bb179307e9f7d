/**
 * Exact searches in a product $M = L R$ without computing all of its entries: the largest entries, and the rank of the
 * diagonal entry in each row.
 *
 * By Cauchy–Schwarz $|M_{ij}| \le \lVert l_i \rVert \lVert r_j \rVert$, and for any number of leading coordinates
 * $M_{ij} \le l_i^{lead} \cdot r_j^{lead} + \lVert l_i^{rest} \rVert \lVert r_j^{rest} \rVert$, which is itself a
 * product of two thin matrices. $L$ and $R$ are taken in a balanced basis, in which these bounds are tightest
 * (balance.ts).
 *
 * A search works in four steps. Columns are sorted by norm, and a row looks only at those whose norm allows an entry
 * above its threshold. The bounds are computed in float32, by a kernel that stores none of them. Where a bound exceeds
 * the threshold, the entry is computed in float32. Where that is closer to the threshold than {@link Screen.margins}, a
 * strict error bound, the entry is computed in float64. So results are those of the float64 entries, ties included.
 *
 * What this is worth, at 20,000 tokens, d_model 768 and d_head 64, beside all entries in float64: 8 to 18 times for
 * ranks of the diagonal up to 5 and for the largest entries of all; 3 to 4 times for the largest of each row and for
 * all ranks. Of that, leading coordinates in a balanced basis bring a factor of 2 for the largest of each row, where a
 * head's singular values fall, and 1.4 for the ranks of a copying head. Factors that are multiplied out late
 * (entries.ts) bring 1.1 to 1.7 for few ranks and for the largest of all.
 */
import type { TakeArray } from "../../kernels/index.ts";
import { transposeDense } from "../../linalg/index.ts";
import { balanceOf } from "./balance.ts";
import { halvesOf, lateHalvesOf } from "../collapse.ts";
import type { Halves } from "../collapse.ts";
import { entryOfHalves, lateEntries } from "./entries.ts";
import { transposeFactor } from "../factor.ts";
import type { MatrixFactor, Product } from "../factor.ts";
import { marginsOf, reordered, vectorsOf } from "./screen-vectors.ts";
import type { Half } from "./balance.ts";
import type { Vectors } from "./screen-vectors.ts";

/** A product prepared for searching. */
export interface Screen {
  readonly rows: number;
  readonly cols: number;
  readonly rank: number;
  readonly width: number;
  readonly left: Vectors;
  /** Columns sorted by descending norm. */
  readonly right: Vectors;
  /** The column at each place of that order. */
  readonly columns: Int32Array;
  /** `[columns]`: the place of each column in that order. */
  readonly places: Int32Array;
  /** `[rows]`: the error bound of a float32 entry of the row, and of its upper bound. */
  readonly margins: Float64Array;
  /** An entry of the product in float64. */
  readonly entry: (row: number, column: number) => number;
  /** The left and right factor in float64, for rows that have to be computed whole. */
  readonly halves: () => Halves;
  /** Allocates scratch arrays, which end with the search. */
  readonly take: TakeArray;
}

/** How a product is prepared. */
export interface ScreenOptions {
  /**
   * Whether small error bounds are worth the time of multiplying out the factors in float64: where most entries are
   * compared, not where few come near a threshold.
   */
  readonly isFine: boolean;
  /** Allocates scratch arrays. */
  readonly take: TakeArray;
}

/** Prepares a product; undefined where its numbers are not finite or of a size that float32 does not hold. */
export function screenOf(product: Product, { isFine, take }: ScreenOptions): Screen | undefined {
  const isSmall = isLookedThrough(product);
  const late = isFine || isSmall ? undefined : lateHalvesOf(product);
  const halves = late === undefined ? halvesOf(product) : undefined;
  const { rank } = late ?? (halves as Halves);
  const ofLeft = late === undefined ? whole((halves as Halves).left) : { ...late.left, factor: late.left.long };
  const ofRight =
    late === undefined ? turned(whole((halves as Halves).right)) : turned({ ...late.right, factor: late.right.long });
  const balance = isSmall ? undefined : balanceOf(ofLeft, ofRight);
  const left = vectorsOf(ofLeft, balance?.left);
  const unsorted = vectorsOf(ofRight, balance && transposeDense(balance.right));
  if (!(isSound(left) && isSound(unsorted))) return undefined;
  const { columns, places } = isSmall ? asTheyAre(unsorted) : byNorm(unsorted);
  const right = isSmall ? allAsTheLargest(unsorted, take) : reordered(unsorted, columns, take);
  const margins = marginsOf(left, right, rank, balance);
  return {
    ...{
      rows: left.count,
      cols: columns.length,
      rank,
      width: left.width,
      left,
      right,
      columns,
      places,
      margins,
    },
    entry: late === undefined ? (i, j) => entryOfHalves(halves as Halves, i, j) : lateEntries(late, product),
    halves: () => halvesOf(product),
    take,
  };
}

function whole(long: MatrixFactor): Half {
  return { long, small: undefined, factor: long };
}

function turned({ long, small, factor }: Half): Half {
  const flip = (matrix: MatrixFactor): MatrixFactor => transposeFactor(matrix) as MatrixFactor;
  return { long: flip(long), small: small && flip(small), factor };
}

/** Sizes of vectors whose products neither overflow float32 nor come near its smallest numbers. */
const [LEAST_NORM, LARGEST_NORM] = [2 ** -30, 2 ** 30];

function isSound({ norms, errors, plain }: Vectors): boolean {
  let [largest, isZero] = [0, true];
  for (let i = 0; i < norms.length; i++) {
    const norm = (norms[i] as number) + (errors[i] as number);
    if (!(norm < LARGEST_NORM)) return false;
    largest = Math.max(largest, norms[i] as number);
    isZero &&= plain[i] === 0;
  }
  return isZero || largest > LEAST_NORM;
}

/** Up to so many entries, a look at each in float32 takes less than what spares looks. */
const FEW_ENTRIES = 2 ** 20;

/**
 * Whether all entries of a product are looked at: no basis is found, no order of columns, no leading coordinates.
 * With halves that are known, of d_head 16, ranks up to 1 take a seventh of the time at 256 tokens and a quarter at
 * 1,024, the largest entry of each row half.
 */
export function isLookedThrough({ rows, cols }: Pick<Product, "rows" | "cols">): boolean {
  return rows * cols <= FEW_ENTRIES;
}

function asTheyAre({ count }: Vectors): Pick<Screen, "columns" | "places"> {
  const columns = new Int32Array(count);
  for (let i = 0; i < count; i++) columns[i] = i;
  return { columns, places: columns };
}

/** Vectors whose norms are in descending order whatever they are: each has the bounds of the largest. */
function allAsTheLargest(vectors: Vectors, take: TakeArray): Vectors {
  const filled = (numbers: Float64Array): Float64Array => {
    let most = 0;
    for (const x of numbers) most = Math.max(most, x);
    return new Float64Array(numbers.length).fill(most);
  };
  const data = take("float32", vectors.data.length) as Float32Array;
  data.set(vectors.data);
  const { norms, errors, plain } = vectors;
  return { ...vectors, data, norms: filled(norms), errors: filled(errors), plain: filled(plain) };
}

/** Columns by descending norm. */
function byNorm({ norms }: Vectors): Pick<Screen, "columns" | "places"> {
  const columns = Int32Array.from(norms.keys()).sort((i, j) => (norms[j] as number) - (norms[i] as number) || i - j);
  const places = new Int32Array(columns.length);
  columns.forEach((column, place) => (places[column] = place));
  return { columns, places };
}

/** An entry in float32, within the row's error bound. */
export function estimateOf({ left, right, places, width }: Screen, row: number, column: number): number {
  let a = row * width;
  let b = (places[column] as number) * width;
  let sum = 0;
  for (const end = a + width; a < end; a++, b++) sum += (left.data[a] as number) * (right.data[b] as number);
  return sum;
}
