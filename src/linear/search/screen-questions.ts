/**
 * Threshold queries on the rows of $L R$: which columns can exceed a row's threshold, by column norms and by
 * Cauchy–Schwarz bounds on the leading coordinates.
 */
import { matrix, transposed, weightKernels } from "../../kernels/index.ts";
import type { RowScreenArgs } from "../../kernels/index.ts";
import { isLookedThrough } from "./screen.ts";
import type { Screen } from "./screen.ts";

/** Rows that one call of a kernel takes. */
export const SCREEN_BAND = 4096;

/** The largest float32 that is not above a number, or a little less. */
export function roundedDown(x: number): number {
  return Math.fround(x - 2 ** -23 * Math.abs(x));
}

/** The smallest float32 that is not below a number, or a little more. */
export function roundedUp(x: number): number {
  return Math.fround(x + 2 ** -23 * Math.abs(x));
}

/**
 * How many columns, in the order of norms, can have an entry above a threshold from which the error bound is already
 * subtracted.
 */
export function reachOf({ left, right, cols }: Screen, row: number, bar: number): number {
  if (!(bar >= 0)) return cols;
  const least = bar / (left.norms[row] as number);
  let [low, high] = [0, cols];
  while (low < high) {
    const middle = (low + high) >> 1;
    // Norms are rounded; margins are subtracted from the threshold, so that a column is not left out for that.
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

/** Chooses the number of leading coordinates for each band of rows. Prepared columns are kept for the next band. */
export function leads(
  screen: Screen,
): (rows: ArrayLike<number>, bars: ArrayLike<number>, reaches: ArrayLike<number>, from?: number) => Lead | undefined {
  const kept = new Map<number, Lead>();
  if (isLookedThrough(screen)) return () => undefined;
  return (rows, bars, reaches, from = 0) => {
    const size = bestLead(screen, rows, bars, reaches, from);
    if (size === undefined) return undefined;
    let lead = kept.get(size);
    if (lead === undefined) kept.set(size, (lead = leadOf(screen, size)));
    return lead;
  };
}

/** The columns prepared for bounds with `size` leading coordinates. */
function leadOf({ right, cols, rank, width, take }: Screen, size: number): Lead {
  const data = take("float32", (size + 1) * cols) as Float32Array;
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

/** A threshold query on some rows. */
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

/** The findings of each row; columns are given by their places in the order of norms. */
export interface RowsFound {
  readonly values: Float32Array;
  readonly places: Int32Array;
  readonly found: Int32Array;
  readonly above: Int32Array;
}

/** Answers a query by the analysis kernels. */
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
    const a = matrix(whole, width);
    const b = transposed(matrix(right, width));
    weightKernels().rowScreen({ ...common, k: Math.max(1, rank), a, b });
  } else {
    const k = lead.size + 1;
    const leading = new Float32Array(m * k);
    for (let i = 0; i < m; i++) {
      leading.set(whole.subarray(i * width, i * width + lead.size), i * k);
      leading[i * k + lead.size] = restOf(whole, i * width, lead.size, rank);
    }
    const a = matrix(leading, k);
    const b = matrix(lead.right, cols, 0, from);
    weightKernels().rowScreen({ ...common, k, a, b, whole: { width, a: whole, b: right } });
  }
  if (from > 0) for (let t = 0; t < found.places.length; t++) found.places[t] = (found.places[t] as number) + from;
  return found;
}

/**
 * Costs in nanoseconds, of which only the ratios matter: one coordinate of a bound, comparing a bound, and computing a
 * single entry.
 */
const COSTS = { coordinate: 0.042, look: 0.35, alone: 13 };
const SAMPLE_ROWS = 32;
const SAMPLE_COLUMNS = 256;

/**
 * The number of leading coordinates whose bounds cost least, estimated from a sample of the rows and of the columns
 * that they may reach; undefined where computing every entry costs less. The choice changes the time and no result.
 */
function bestLead(
  screen: Screen,
  rows: ArrayLike<number>,
  bars: ArrayLike<number>,
  reaches: ArrayLike<number>,
  from: number,
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
    const columnStep = Math.max(1, (reach - from) / SAMPLE_COLUMNS);
    sizes.forEach((size, t) => (restA[t] = restOf(left.data, a, size, rank)));
    for (let c = from + (s % Math.ceil(columnStep)); c < reach; c += columnStep) {
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
