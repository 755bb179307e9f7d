/** The rank of the diagonal entry in each row, by bounds; see screen.ts. */
import { estimateOf } from "./screen.ts";
import type { Screen } from "./screen.ts";
import { askRows, leads, reachOf, roundedDown, roundedUp, SCREEN_BAND } from "./screen-questions.ts";
import type { RowsFound } from "./screen-questions.ts";
import { forEachWholeRow } from "./screened-rows.ts";
import { Steps } from "../../progress.ts";
import type { Vectors } from "./screen-vectors.ts";
import type { StreamOptions } from "../stream.ts";

/** A search for ranks of the diagonal. */
export interface DiagonalSearch {
  readonly screen: Screen;
  /** `[rows]`: the column that belongs to each row. */
  readonly columns: Int32Array;
  readonly options: StreamOptions;
}

/** Float32 entries below `lows` are surely below the own entry of the row, those above `highs` surely above. */
interface Own {
  readonly lows: Float32Array;
  readonly highs: Float32Array;
}

function ownEntries({ screen, columns }: DiagonalSearch): Own {
  const lows = new Float32Array(columns.length);
  const highs = new Float32Array(columns.length);
  for (let row = 0; row < columns.length; row++) {
    const entry = estimateOf(screen, row, columns[row] as number);
    // The own entry can be off by the margin, and so can the other.
    const margin = 2 * (screen.margins[row] as number);
    lows[row] = roundedDown(entry - margin);
    highs[row] = roundedUp(entry + margin);
  }
  return { lows, highs };
}

/** Columns of largest norm. In most rows enough of them exceed an own entry that is not the largest. */
const FIRST_COLUMNS = 512;
/** The most entries per row that are compared in float64 one by one; a row with more is computed whole. */
const NEAR = 16;

/** Ranks up to `enough`; those beyond are given as `enough`. */
export function cappedRanks(search: DiagonalSearch, enough: number): Int32Array {
  const { screen, options } = search;
  const settled = new Steps(options, screen.rows);
  const own = ownEntries(search);
  const ranks = new Int32Array(screen.rows);
  const open = settleByFirst(search, own, enough, ranks, settled);
  // Columns that can come before the own one, in the order of norms.
  const reaches = new Int32Array(screen.rows);
  for (const row of open) reaches[row] = reachOf(screen, row, own.lows[row] as number);
  open.sort((a, b) => (reaches[b] as number) - (reaches[a] as number) || a - b);
  const leadFor = leads(screen);
  const most = enough + NEAR;
  const unsettled: number[] = [];
  for (let start = 0; start < open.length; start += SCREEN_BAND) {
    const rows = open.subarray(start, start + SCREEN_BAND);
    const bars = pick(own.lows, rows);
    const ends = Int32Array.from(rows, (row) => reaches[row] as number);
    const lead = leadFor(rows, bars, ends);
    const found = askRows(screen, { rows, bars, keep: "first", most, to: ends[0] as number, lead });
    const before = unsettled.length;
    for (const [i, row] of rows.entries()) {
      const count = Math.min(most, found.found[i] as number);
      const above = aboveOwn(search, own, row, found, i * most, count, enough);
      ranks[row] = Math.min(above, enough);
      if (above < enough && count === most) unsettled.push(row);
    }
    settled.advance(rows.length - (unsettled.length - before));
  }
  settleWhole(search, unsettled, enough, ranks, settled);
  options.signal?.throwIfAborted();
  return ranks;
}

/**
 * All ranks, or those up to a large `enough`. Every entry is compared in float32, and in float64 where float32 does not
 * decide.
 */
export function wholeRanks(search: DiagonalSearch, enough: number): Int32Array {
  const { screen, options } = search;
  const settled = new Steps(options, screen.rows);
  const own = ownEntries(search);
  const ranks = new Int32Array(screen.rows);
  const unsettled: number[] = [];
  for (let start = 0; start < screen.rows; start += SCREEN_BAND) {
    const rows = range(start, Math.min(screen.rows, start + SCREEN_BAND));
    const [bars, highs] = [pick(own.lows, rows), pick(own.highs, rows)];
    const found = askRows(screen, { rows, bars, highs, keep: "between", most: NEAR, to: screen.cols });
    const before = unsettled.length;
    for (const [i, row] of rows.entries()) {
      const count = found.found[i] as number;
      if (count > NEAR) unsettled.push(row);
      else {
        const above = (found.above[i] as number) + aboveOwn(search, own, row, found, i * NEAR, count, enough);
        ranks[row] = Math.min(enough, above);
      }
    }
    settled.advance(rows.length - (unsettled.length - before));
  }
  settleWhole(search, unsettled, enough, ranks, settled);
  options.signal?.throwIfAborted();
  return ranks;
}

/**
 * Decides the rows in which enough of the first columns are clearly above the own entry, and rows of zeros; returns the
 * undecided rows.
 */
function settleByFirst(
  { screen, columns, options }: DiagonalSearch,
  own: Own,
  enough: number,
  ranks: Int32Array,
  settled: Steps,
): Int32Array {
  const open: number[] = [];
  options.signal?.throwIfAborted();
  const nothing = (screen.right.norms[0] as number) === 0 && isZero(screen.right, 0);
  for (let start = 0; start < screen.rows; start += SCREEN_BAND) {
    const rows = range(start, Math.min(screen.rows, start + SCREEN_BAND));
    const bars = pick(own.highs, rows);
    const to = Math.min(FIRST_COLUMNS, screen.cols);
    const { found } = askRows(screen, { rows, bars, keep: "first", most: enough, to });
    const before = open.length;
    for (const [i, row] of rows.entries()) {
      // Entries of a row of zeros are all equal, so that all columns further left come before.
      if (nothing || isZero(screen.left, row)) ranks[row] = Math.min(enough, columns[row] as number);
      else if ((found[i] as number) >= enough) ranks[row] = enough;
      else open.push(row);
    }
    settled.advance(rows.length - (open.length - before));
  }
  return Int32Array.from(open);
}

/** How many of the columns found come before the own entry of a row; counting stops at `enough`. */
function aboveOwn(
  { screen, columns }: DiagonalSearch,
  { highs }: Own,
  row: number,
  { values, places }: RowsFound,
  at: number,
  count: number,
  enough: number,
): number {
  const own = columns[row] as number;
  const high = highs[row] as number;
  let above = 0;
  for (let t = at; t < at + count && above < enough; t++) {
    if ((values[t] as number) > high) above++;
  }
  // Those that float32 cannot tell from the own entry, where the others leave it open.
  let entry: number | undefined;
  for (let t = at; t < at + count && above < enough; t++) {
    const column = screen.columns[places[t] as number] as number;
    if ((values[t] as number) > high || column === own) continue;
    entry ??= screen.entry(row, own);
    const other = screen.entry(row, column);
    if (other > entry || (other === entry && column < own)) above++;
  }
  return above;
}

/** Computes whole the rows that have too many entries near the own one. */
function settleWhole(
  { screen, columns, options }: DiagonalSearch,
  rows: readonly number[],
  enough: number,
  ranks: Int32Array,
  settled: Steps,
): void {
  if (rows.length === 0) return;
  forEachWholeRow(screen.halves(), rows, options.signal, (numbers, at) => {
    const row = rows[at] as number;
    ranks[row] = rankInRow(numbers, columns[row] as number, enough);
    settled.advance();
  });
}

/** How many entries precede the one at `own` in descending order; counting stops at `enough`. */
export function rankInRow(row: Float64Array, own: number, enough: number): number {
  const value = row[own] as number;
  let rank = 0;
  for (let j = 0; j < row.length && rank < enough; j++) {
    const other = row[j] as number;
    if (other > value || (other === value && j < own)) rank++;
  }
  return rank;
}

/** Whether the exact vector is zero. */
function isZero({ norms, plain }: Vectors, at: number): boolean {
  return norms[at] === 0 && plain[at] === 0;
}

function pick(numbers: Float32Array, rows: ArrayLike<number>): Float32Array {
  const picked = new Float32Array(rows.length);
  for (let i = 0; i < rows.length; i++) picked[i] = numbers[rows[i] as number] as number;
  return picked;
}

function range(start: number, end: number): Int32Array {
  const places = new Int32Array(end - start);
  for (let i = 0; i < places.length; i++) places[i] = start + i;
  return places;
}
