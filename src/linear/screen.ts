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
import { balanceOf } from "./balance.ts";
import { multiply } from "./chain.ts";
import type { Halves } from "./collapse.ts";
import { matrixFactor, toFloat64, transposeFactor } from "./factor.ts";
import type { MatrixFactor } from "./factor.ts";

/** Numbers of one row or column each, with their norms. */
interface Vectors {
  /** `[count, width]`, float32, filled up with zeros to a width that is a multiple of 8. */
  readonly data: Float32Array;
  /** `[count]`: norms in the balanced basis, scaled as the numbers are. */
  readonly norms: Float64Array;
  /** `[count]`: norms before the change of basis, scaled likewise. */
  readonly plainNorms: Float64Array;
}

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
  /** The places at which equal columns stand for one another: all of them, ascending. */
  readonly twins: ReadonlyMap<number, readonly number[]>;
  /** `[rows]`: what an entry of the row is multiplied by to be compared with scaled numbers. */
  readonly scales: Float64Array;
  /** `[rows]`: how far a float32 entry of the row, or its bound, can be off; scaled. */
  readonly margins: Float64Array;
}

/** Rows of a band: so many are brought together for one call of a kernel. */
export const SCREEN_BAND = 4096;
/** A half is turned into the balanced basis so many rows at a time. */
const TURNED = 2048;

/**
 * The screen of a product, or undefined where its numbers are not finite or beyond what scaling mends. Where entries are counted, each column must
 * stand for itself alone.
 */
export function screenOf(halves: Halves, mergesTwins = true): Screen | undefined {
  const { left, right, rank } = halves;
  const [rows, cols] = [left.rows, right.cols];
  const width = 8 * Math.ceil(Math.max(1, rank) / 8);
  const turnedRight = transposeFactor(right) as MatrixFactor;
  if (!(isFinite(left) && isFinite(right))) return undefined;
  const balance = balanceOf(halves);
  const inBasis = (half: MatrixFactor, basis: MatrixFactor | undefined): MatrixFactor =>
    basis === undefined ? half : multiply(half, basis);
  const ofLeft = balance && matrixFactor(rank, rank, balance.left.data);
  const ofRight = balance && (transposeFactor(matrixFactor(rank, rank, balance.right.data)) as MatrixFactor);

  const norms = new Float64Array(cols);
  forEachVector(turnedRight, ofRight, inBasis, (j, numbers, at) => (norms[j] = normAt(numbers, at, rank)));
  const { columns, twins } = distinctColumns(turnedRight, norms, mergesTwins);
  const places = new Int32Array(cols).fill(-1);
  columns.forEach((column, place) => (places[column] = place));
  const one = powerOfTwo(norms[columns[0] ?? 0] ?? 0);
  const rightVectors = emptyVectors(columns.length, width);
  forEachVector(turnedRight, ofRight, inBasis, (j, numbers, at) => {
    const place = places[j] as number;
    if (place >= 0) fill(rightVectors, place, numbers, at, rank, width, one);
  });
  plainNorms(turnedRight, (j, norm) => {
    const place = places[j] as number;
    if (place >= 0) rightVectors.plainNorms[place] = norm * one;
  });

  const leftVectors = emptyVectors(rows, width);
  const scales = new Float64Array(rows);
  forEachVector(left, ofLeft, inBasis, (i, numbers, at) => {
    const scale = powerOfTwo(normAt(numbers, at, rank));
    scales[i] = scale * one;
    fill(leftVectors, i, numbers, at, rank, width, scale);
  });
  plainNorms(left, (i, norm) => (leftVectors.plainNorms[i] = (norm * (scales[i] as number)) / one));
  const margins = marginsOf(leftVectors, rightVectors, rank, balance?.error ?? 0);
  if (!margins.every(Number.isFinite)) return undefined;
  return {
    ...{ rows, cols: columns.length, rank, width, left: leftVectors, right: rightVectors },
    ...{ columns, twins, scales, margins },
  };
}

/** Columns by descending norm, the first of those that are equal to the last bit, and which those are. */
function distinctColumns(
  turned: MatrixFactor,
  norms: Float64Array,
  mergesTwins: boolean,
): { readonly columns: Int32Array; readonly twins: ReadonlyMap<number, readonly number[]> } {
  const order = Int32Array.from(norms.keys()).sort((i, j) => (norms[j] as number) - (norms[i] as number) || i - j);
  if (!mergesTwins) return { columns: order, twins: new Map() };
  const kept: number[] = [];
  const twins = new Map<number, number[]>();
  // Equal columns have equal norms, so they stand side by side; where many others do too, one more sum tells them apart.
  let places = new Map<number, number[]>();
  for (const [t, column] of order.entries()) {
    const norm = norms[column] as number;
    const isLikeLast = t > 0 && norms[order[t - 1] as number] === norm;
    const isLikeNext = t + 1 < order.length && norms[order[t + 1] as number] === norm;
    if (!isLikeLast) places = new Map();
    if (isLikeLast || isLikeNext) {
      const key = keyOf(turned, column);
      const candidates = places.get(key);
      const place = candidates?.find((p) => areEqual(turned, kept[p] as number, column));
      if (place !== undefined) {
        const group = twins.get(place);
        if (group === undefined) twins.set(place, [kept[place] as number, column]);
        else group.push(column);
        continue;
      }
      if (candidates === undefined) places.set(key, [kept.length]);
      else candidates.push(kept.length);
    }
    kept.push(column);
  }
  return { columns: Int32Array.from(kept), twins };
}

function keyOf({ cols, data, offset, rowStride, colStride }: MatrixFactor, row: number): number {
  let sum = 0;
  for (let p = 0, at = offset + row * rowStride; p < cols; p++, at += colStride) {
    sum += (data[at] as number) * Math.sqrt(p + 2);
  }
  return sum;
}

function areEqual({ cols, data, offset, rowStride, colStride }: MatrixFactor, i: number, j: number): boolean {
  for (let p = 0; p < cols; p++) {
    const at = offset + p * colStride;
    if (data[at + i * rowStride] !== data[at + j * rowStride]) return false;
  }
  return true;
}

function isFinite({ rows, cols, data, offset, rowStride, colStride }: MatrixFactor): boolean {
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (let j = 0, at = offset + i * rowStride; j < cols; j++, at += colStride) sum += 0 * (data[at] as number);
    if (sum !== 0) return false;
  }
  return true;
}

function emptyVectors(count: number, width: number): Vectors {
  const data = allocateForResult(count * width);
  return { data, norms: new Float64Array(count), plainNorms: new Float64Array(count) };
}

/** Calls with each row of a half in the basis, in an array of float64, and where it begins there. */
function forEachVector(
  half: MatrixFactor,
  basis: MatrixFactor | undefined,
  inBasis: (half: MatrixFactor, basis: MatrixFactor | undefined) => MatrixFactor,
  visit: (row: number, numbers: Float64Array, at: number) => void,
): void {
  for (let start = 0; start < half.rows; start += TURNED) {
    const rows = Math.min(TURNED, half.rows - start);
    const numbers = toFloat64(inBasis({ ...half, rows, offset: half.offset + start * half.rowStride }, basis));
    for (let i = 0; i < rows; i++) visit(start + i, numbers, i * half.cols);
  }
}

function normAt(numbers: Float64Array, at: number, rank: number): number {
  let sum = 0;
  for (let p = 0; p < rank; p++) sum += (numbers[at + p] as number) ** 2;
  return Math.sqrt(sum);
}

/** The norms of the rows of a matrix. */
function plainNorms(
  { rows, cols, data, offset, rowStride, colStride }: MatrixFactor,
  visit: (row: number, norm: number) => void,
): void {
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (let j = 0, at = offset + i * rowStride; j < cols; j++, at += colStride) sum += (data[at] as number) ** 2;
    visit(i, Math.sqrt(sum));
  }
}

/** A power of two that brings a norm between 1/2 and 1; 1 for 0. */
function powerOfTwo(norm: number): number {
  return norm > 0 ? 2 ** -Math.ceil(Math.log2(norm)) : 1;
}

function fill(
  { data, norms }: Vectors,
  place: number,
  numbers: Float64Array,
  at: number,
  rank: number,
  width: number,
  scale: number,
): void {
  let sum = 0;
  for (let p = 0, to = place * width; p < rank; p++, to++) {
    const x = (numbers[at + p] as number) * scale;
    data[to] = x;
    sum += x * x;
  }
  data.fill(0, place * width + rank, (place + 1) * width);
  norms[place] = Math.sqrt(sum);
}

/**
 * A sum of `rank` products in float32, of operands rounded to float32, in any order, errs by at most `rank + 2` roundings of the sum of their
 * absolute values, which is at most the product of norms; the bounds have one term more and norms rounded up. A product below the
 * smallest float32 is lost whole.
 */
function marginsOf(left: Vectors, right: Vectors, rank: number, basisError: number): Float64Array {
  const largest = right.norms[0] ?? 0;
  const plainLargest = right.plainNorms.reduce((most, norm) => Math.max(most, norm), 0);
  const relative = (rank + 16) * 2 ** -24;
  return left.norms.map(
    (norm, i) =>
      relative * norm * largest + 1.01 * basisError * (left.plainNorms[i] as number) * plainLargest + rank * 2 ** -120,
  );
}

/** The largest float32 that is not above a number, or a little less. */
export function roundedDown(x: number): number {
  return Math.fround(x - 2 ** -23 * Math.abs(x));
}

/** The smallest float32 that is not below a number, or a little more. */
export function roundedUp(x: number): number {
  return Math.fround(x + 2 ** -23 * Math.abs(x));
}

/** How many columns can have an entry above a bar, by their norms; the bar is scaled and has its margin taken off. */
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

/** The bounds of the columns by so many leading coordinates. */
export function leadOf({ right, cols, rank, width }: Screen, size: number): Lead {
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
  const whole = allocateForResult(m * width);
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
    const leading = allocateForResult(m * k);
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
const COSTS = { coordinate: 0.042, look: 0.35, alone: 25 };
const SAMPLE_ROWS = 48;
const SAMPLE_COLUMNS = 768;

/**
 * How many leading coordinates make the bounds that cost least, from a sample of the rows, their bars and the columns they reach; undefined where
 * whole entries do. The choice changes how long it takes and nothing else.
 */
export function bestLead(
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
