/**
 * Exact questions to the rows of a product without all of its entries: which of them are largest, and where the
 * diagonal stands among them.
 *
 * With $M = L R$ in a balanced basis (balance.ts), $|M_{ij}| \le \lVert l_i \rVert \lVert r_j \rVert$, and for any
 * number of leading coordinates
 * $M_{ij} \le l_i^{lead} \cdot r_j^{lead} + \lVert l_i^{rest} \rVert \lVert r_j^{rest} \rVert$ (Cauchy–Schwarz): itself
 * the product of two matrices of a few columns. Columns are sorted by norm, so that a row looks only at those that can
 * reach its bar; bounds are products in float32, by kernels that keep nothing; where a bound is above the bar the entry
 * is computed in float32; and what float32 cannot decide, for which {@link Screen.margins} is a strict bound, is
 * computed from the halves in float64. So answers are those of the float64 entries, ties included.
 *
 * What that is worth, at 20,000 tokens, d_model 768 and d_head 64, beside all entries in float64: 8 to 18 times for
 * ranks of the diagonal up to 5 and for the largest entries of all; 3 to 4 times for the largest of each row and for
 * all ranks. Of that, leading coordinates in a balanced basis bring a factor of 2 for the largest of each row, where a
 * head's singular values fall, and 1.4 for the ranks of a copying head; halves that are made late (entries.ts) 1.1 to
 * 1.7 for few ranks and for the largest of all.
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

/** A product made ready for questions. */
export interface Screen {
  readonly rows: number;
  readonly cols: number;
  readonly rank: number;
  readonly width: number;
  readonly left: Vectors;
  /** Columns sorted by descending norm. */
  readonly right: Vectors;
  /** Which column stands at a place of that order. */
  readonly columns: Int32Array;
  /** `[columns]`: the place at which a column stands. */
  readonly places: Int32Array;
  /** `[rows]`: how far a float32 entry of the row, or its bound, can be off. */
  readonly margins: Float64Array;
  /** An entry of the product in float64. */
  readonly entry: (row: number, column: number) => number;
  /** The halves in float64: for rows that are to be computed whole. */
  readonly halves: () => Halves;
  /** Arrays of the workspace that the screen lies in, and ends with. */
  readonly take: TakeArray;
}

/** How a screen is made. */
export interface ScreenOptions {
  /**
   * Whether margins matter more than the time it takes to make halves in float64: where most entries are compared, not
   * where few come near a bar.
   */
  readonly isFine: boolean;
  /** Arrays of the workspace that the screen is to lie in. */
  readonly take: TakeArray;
}

/** The screen of a product, or undefined where its numbers are not finite or of a size that float32 does not hold. */
export function screenOf(product: Product, { isFine, take }: ScreenOptions): Screen | undefined {
  const late = isFine ? undefined : lateHalvesOf(product);
  const halves = late === undefined ? halvesOf(product) : undefined;
  const { rank } = late ?? (halves as Halves);
  const ofLeft = late === undefined ? whole((halves as Halves).left) : { ...late.left, factor: late.left.long };
  const ofRight =
    late === undefined ? turned(whole((halves as Halves).right)) : turned({ ...late.right, factor: late.right.long });
  const balance = balanceOf(ofLeft, ofRight);
  const left = vectorsOf(ofLeft, balance?.left);
  const unsorted = vectorsOf(ofRight, balance && transposeDense(balance.right));
  if (!(isSound(left) && isSound(unsorted))) return undefined;
  const { columns, places } = byNorm(unsorted);
  const right = reordered(unsorted, columns, take);
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

/** Columns by descending norm. */
function byNorm({ norms }: Vectors): Pick<Screen, "columns" | "places"> {
  const columns = Int32Array.from(norms.keys()).sort((i, j) => (norms[j] as number) - (norms[i] as number) || i - j);
  const places = new Int32Array(columns.length);
  columns.forEach((column, place) => (places[column] = place));
  return { columns, places };
}

/** An entry from the float32 vectors, off by no more than the row's margin. */
export function estimateOf({ left, right, places, width }: Screen, row: number, column: number): number {
  let a = row * width;
  let b = (places[column] as number) * width;
  let sum = 0;
  for (const end = a + width; a < end; a++, b++) sum += (left.data[a] as number) * (right.data[b] as number);
  return sum;
}
