/**
 * Exact questions to the rows of a product without all of its entries.
 *
 * With $M = L R$ in a balanced basis (balance.ts), $|M_{ij}| \le \lVert l_i \rVert \lVert r_j \rVert$, and for any number of leading coordinates
 * $M_{ij} \le l_i^{lead} \cdot r_j^{lead} + \lVert l_i^{rest} \rVert \lVert r_j^{rest} \rVert$ (Cauchy–Schwarz): itself the product of two matrices of a few columns. Columns are
 * sorted by norm, so that a row looks only at those that can reach its bar; bounds are products in float32, by kernels that keep nothing; where a
 * bound is above the bar the entry is computed in float32; and what float32 cannot decide, for which {@link Screen.margins} is a strict bound,
 * is computed from the halves in float64. So answers are those of the float64 entries, ties included.
 */
import { allocateForResult, kernels } from "../kernels/index.ts";
import type { RowScreenArgs } from "../kernels/index.ts";
import { transposeDense } from "../linalg/index.ts";
import { balanceOf } from "./balance.ts";
import { halvesOf, lateHalvesOf } from "./collapse.ts";
import type { Halves, LateHalves } from "./collapse.ts";
import { entryOfHalves, lateEntries } from "./entries.ts";
import { transposeFactor } from "./factor.ts";
import type { MatrixFactor, Product } from "./factor.ts";
import { marginsOf, reordered, vectorsOf } from "./screen-vectors.ts";
import type { Half, Vectors } from "./screen-vectors.ts";

/** A product made ready for questions. */
export interface Screen {
  readonly rows: number;
  /** Columns that differ. */
  readonly cols: number;
  readonly rank: number;
  readonly width: number;
  readonly left: Vectors;
  /** Columns sorted by descending norm. */
  readonly right: Vectors;
  /** Which column stands at a place of that order; of equal columns the first alone. */
  readonly columns: Int32Array;
  /** `[columns of the product]`: the place at which a column, or one that is equal to it, stands. */
  readonly places: Int32Array;
  /** The places at which equal columns stand for one another: all of them, ascending. */
  readonly twins: ReadonlyMap<number, readonly number[]>;
  /** `[rows]`: how far a float32 entry of the row, or its bound, can be off. */
  readonly margins: Float64Array;
  /** An entry of the product in float64. */
  readonly entry: (row: number, column: number) => number;
  /** The halves in float64: for rows that are to be computed whole. */
  readonly halves: () => Halves;
}

/** Rows of a band: so many are brought together for one call of a kernel. */
export const SCREEN_BAND = 4096;

/** How a screen is made. */
export interface ScreenOptions {
  /** Whether equal columns stand for one another; where entries are counted by a kernel, each stands for itself. */
  readonly mergesTwins: boolean;
  /**
   * Whether margins matter more than the time it takes to make halves in float64: where most entries are compared, not where few come near
   * a bar.
   */
  readonly isFine: boolean;
}

/** The screen of a product, or undefined where its numbers are not finite or of a size that float32 does not hold. */
export function screenOf(product: Product, { mergesTwins, isFine }: ScreenOptions): Screen | undefined {
  const late = isFine ? undefined : lateHalvesOf(product);
  const halves = late === undefined ? halvesOf(product) : undefined;
  const { rank } = late ?? (halves as Halves);
  const ofLeft: Half = halves === undefined ? (late as LateHalves).left : { long: halves.left, small: undefined };
  const ofRight: Half =
    halves === undefined
      ? turned((late as LateHalves).right)
      : { long: transposeFactor(halves.right) as MatrixFactor, small: undefined };
  const balance = balanceOf(ofLeft, ofRight);
  const left = vectorsOf(ofLeft, balance?.left);
  const unsorted = vectorsOf(ofRight, balance && transposeDense(balance.right));
  if (!(isSound(left) && isSound(unsorted))) return undefined;
  const { columns, places, twins } = distinctColumns(ofRight.long, unsorted, mergesTwins);
  const right = reordered(unsorted, columns);
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
      twins,
      margins,
    },
    entry: late === undefined ? (i, j) => entryOfHalves(halves as Halves, i, j) : lateEntries(late, product),
    halves: () => halvesOf(product),
  };
}

const turned = ({ small, long }: LateHalves["right"]): Half => ({
  long: transposeFactor(long) as MatrixFactor,
  small: transposeFactor(small) as MatrixFactor,
});

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

/** Columns by descending norm, the first of those that are equal to the last bit, and which those are. */
function distinctColumns(
  matrix: MatrixFactor,
  vectors: Vectors,
  mergesTwins: boolean,
): Pick<Screen, "columns" | "places" | "twins"> {
  const { norms } = vectors;
  const order = Int32Array.from(norms.keys()).sort((i, j) => (norms[j] as number) - (norms[i] as number) || i - j);
  const places = new Int32Array(order.length);
  const kept: number[] = [];
  const twins = new Map<number, number[]>();
  // Equal columns have equal norms, so they stand side by side; where many others do too, one more sum tells them apart.
  let byKey = new Map<number, number[]>();
  for (const [t, column] of order.entries()) {
    const norm = norms[column] as number;
    const isLikeLast = t > 0 && norms[order[t - 1] as number] === norm;
    const isLikeNext = t + 1 < order.length && norms[order[t + 1] as number] === norm;
    if (!isLikeLast) byKey = new Map();
    if (mergesTwins && (isLikeLast || isLikeNext)) {
      const key = keyOf(vectors, column);
      const candidates = byKey.get(key) ?? [];
      const place = candidates.find((p) => areEqual(matrix, kept[p] as number, column));
      if (place !== undefined) {
        const group = twins.get(place);
        if (group === undefined) twins.set(place, [kept[place] as number, column]);
        else group.push(column);
        places[column] = place;
        continue;
      }
      candidates.push(kept.length);
      byKey.set(key, candidates);
    }
    places[column] = kept.length;
    kept.push(column);
  }
  return { columns: Int32Array.from(kept), places, twins };
}

function keyOf({ data, width }: Vectors, at: number): number {
  let sum = 0;
  for (let p = 0; p < width; p++) sum += (data[at * width + p] as number) * Math.sqrt(p + 2);
  return sum;
}

function areEqual({ cols, data, offset, rowStride, colStride }: MatrixFactor, i: number, j: number): boolean {
  for (let p = 0; p < cols; p++) {
    const at = offset + p * colStride;
    if (data[at + i * rowStride] !== data[at + j * rowStride]) return false;
  }
  return true;
}

/** An entry from the float32 vectors, off by no more than the row's margin. */
export function estimateOf({ left, right, places, width }: Screen, row: number, column: number): number {
  let a = row * width;
  let b = (places[column] as number) * width;
  let sum = 0;
  for (const end = a + width; a < end; a++, b++) sum += (left.data[a] as number) * (right.data[b] as number);
  return sum;
}

/** The largest float32 that is not above a number, or a little less. */
export function roundedDown(x: number): number {
  return Math.fround(x - 2 ** -23 * Math.abs(x));
}

/** The smallest float32 that is not below a number, or a little more. */
export function roundedUp(x: number): number {
  return Math.fround(x + 2 ** -23 * Math.abs(x));
}

/** How many columns can have an entry above a bar from which the margin is taken off, by their norms. */
export function reachOf({ left, right, cols }: Screen, row: number, bar: number): number {
  if (!(bar >= 0)) return cols;
  const least = bar / (left.norms[row] as number);
  let [low, high] = [0, cols];
  while (low < high) {
    const middle = (low + high) >> 1;
    // Norms are rounded; margins are taken off the bar, so that a column is not left out for that.
    if ((right.norms[middle] as number) > least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Leading coordinates of all columns, and the norm of what follows, `[lead + 1, cols]`. */
export interface Lead {
  readonly size: number;
  readonly right: Float32Array;
}

/** Chooses for bands of rows, and keeps what it has chosen for the next. */
export function leads(
  screen: Screen,
): (rows: ArrayLike<number>, bars: ArrayLike<number>, reaches: ArrayLike<number>) => Lead | undefined {
  const kept = new Map<number, Lead>();
  return (rows, bars, reaches) => {
    const size = bestLead(screen, rows, bars, reaches);
    if (size === undefined) return undefined;
    let lead = kept.get(size);
    if (lead === undefined) kept.set(size, (lead = leadOf(screen, size)));
    return lead;
  };
}

/** The bounds of the columns by so many leading coordinates. */
function leadOf({ right, cols, rank, width }: Screen, size: number): Lead {
  const data = allocateForResult((size + 1) * cols);
  for (let j = 0; j < cols; j++) {
    for (let p = 0; p < size; p++) data[p * cols + j] = right.data[j * width + p] as number;
    data[size * cols + j] = restOf(right.data, j * width, size, rank);
  }
  return { size, right: data };
}

/** The norm of the coordinates from `size` on, rounded up. */
function restOf(data: Float32Array, at: number, size: number, rank: number): number {
  let sum = 0;
  for (let p = size; p < rank; p++) sum += (data[at + p] as number) ** 2;
  return Math.sqrt(sum) * (1 + 2 ** -22);
}

/** What is asked of some rows. */
export interface RowsQuestion {
  readonly rows: ArrayLike<number>;
  /** `[rows]`, float32. */
  readonly bars: Float32Array;
  readonly highs?: Float32Array | undefined;
  readonly keep: RowScreenArgs["keep"];
  readonly most: number;
  /** Columns from here on, in the order of norms; 0 if left out. */
  readonly from?: number | undefined;
  /** Columns up to here. */
  readonly to: number;
  readonly lead?: Lead | undefined;
}

/** What was found in each row: places of columns in the order of norms. */
export interface RowsFound {
  readonly values: Float32Array;
  readonly places: Int32Array;
  readonly found: Int32Array;
  readonly above: Int32Array;
}

/** Asks the kernels. */
export function askRows(screen: Screen, question: RowsQuestion): RowsFound {
  const { width, rank, cols } = screen;
  const { rows, bars, highs, keep, most, from = 0, to, lead } = question;
  const m = rows.length;
  // Ordinary arrays: a call copies them into memory that the next one takes again.
  const whole = new Float32Array(m * width);
  for (let i = 0; i < m; i++) {
    const at = (rows[i] as number) * width;
    whole.set(screen.left.data.subarray(at, at + width), i * width);
  }
  const found: RowsFound = {
    values: new Float32Array(m * most),
    places: new Int32Array(m * most),
    found: new Int32Array(m),
    above: new Int32Array(m),
  };
  const results = { values: found.values, indices: found.places, found: found.found, above: found.above };
  const common = { m, n: Math.max(0, to - from), keep, most, bars, highs, ...results };
  const right = screen.right.data.subarray(from * width);
  if (lead === undefined) {
    const a = { data: whole, offset: 0, rowStride: width, colStride: 1, batchStride: 0 };
    const b = { data: right, offset: 0, rowStride: 1, colStride: width, batchStride: 0 };
    kernels().rowScreen({ ...common, k: Math.max(1, rank), a, b });
  } else {
    const k = lead.size + 1;
    const leading = new Float32Array(m * k);
    for (let i = 0; i < m; i++) {
      leading.set(whole.subarray(i * width, i * width + lead.size), i * k);
      leading[i * k + lead.size] = restOf(whole, i * width, lead.size, rank);
    }
    const a = { data: leading, offset: 0, rowStride: k, colStride: 1, batchStride: 0 };
    const b = { data: lead.right, offset: from, rowStride: cols, colStride: 1, batchStride: 0 };
    kernels().rowScreen({ ...common, k, a, b, whole: { width, a: whole, b: right } });
  }
  if (from > 0) for (let t = 0; t < found.places.length; t++) found.places[t] = (found.places[t] as number) + from;
  return found;
}

/** Nanoseconds, of which only the ratios matter: one coordinate of an entry's bound, looking at it, and computing an entry alone. */
const COSTS = { coordinate: 0.042, look: 0.35, alone: 13 };
const SAMPLE_ROWS = 32;
const SAMPLE_COLUMNS = 256;

/**
 * How many leading coordinates make the bounds that cost least, from a sample of the rows, their bars and the columns they reach; undefined where
 * whole entries do. The choice changes how long it takes and nothing else.
 */
function bestLead(
  screen: Screen,
  rows: ArrayLike<number>,
  bars: ArrayLike<number>,
  reaches: ArrayLike<number>,
): number | undefined {
  const { rank, width, left, right } = screen;
  const sizes = Array.from({ length: Math.max(0, Math.ceil(rank / 8) - 1) }, (_, t) => 8 * (t + 1));
  const passed = new Float64Array(sizes.length);
  let looked = 0;
  const rowStep = Math.max(1, rows.length / SAMPLE_ROWS);
  const restA = new Float64Array(sizes.length);
  const restB = new Float64Array(sizes.length);
  for (let s = 0; s < Math.min(SAMPLE_ROWS, rows.length); s++) {
    const r = Math.floor(s * rowStep);
    const a = (rows[r] as number) * width;
    const reach = reaches[r] as number;
    const columnStep = Math.max(1, reach / SAMPLE_COLUMNS);
    sizes.forEach((size, t) => (restA[t] = restOf(left.data, a, size, rank)));
    for (let c = s % Math.ceil(columnStep); c < reach; c += columnStep) {
      const b = Math.floor(c) * width;
      looked++;
      let rest = 0;
      let p = rank;
      for (let t = sizes.length - 1; t >= 0; t--) {
        for (; p > (sizes[t] as number); p--) rest += (right.data[b + p - 1] as number) ** 2;
        restB[t] = rest;
      }
      let partial = 0;
      p = 0;
      for (let t = 0; t < sizes.length; t++) {
        for (; p < (sizes[t] as number); p++) partial += (left.data[a + p] as number) * (right.data[b + p] as number);
        if (partial + (restA[t] as number) * Math.sqrt(restB[t] as number) > (bars[r] as number)) {
          passed[t] = (passed[t] as number) + 1;
        }
      }
    }
  }
  if (looked === 0) return undefined;
  let best: number | undefined;
  let least = COSTS.coordinate * rank;
  for (const [t, size] of sizes.entries()) {
    const cost = COSTS.coordinate * (size + 1) + (COSTS.alone * (passed[t] as number)) / looked;
    if (cost < least) [best, least] = [size, cost];
  }
  return best;
}
