/** Ranks of the diagonal by bounds: see screen.ts. */
import type { Halves } from "./collapse.ts";
import { askRows, bestLead, leadOf, reachOf, roundedDown, roundedUp, SCREEN_BAND } from "./screen.ts";
import type { RowsFound, Screen } from "./screen.ts";
import { entryOfHalves, forEachWholeRow, Settled } from "./screened-rows.ts";
import type { StreamOptions } from "./stream.ts";

/** A question to the diagonal. */
export interface DiagonalSearch {
  readonly halves: Halves;
  readonly screen: Screen;
  /** `[rows]`: the column that belongs to each row. */
  readonly columns: Int32Array;
  readonly options: StreamOptions;
}

/** The entries that belong to the rows, and between which float32 numbers others may be on either side of them. */
interface Own {
  readonly entries: Float64Array;
  readonly lows: Float32Array;
  readonly highs: Float32Array;
}

function ownEntries({ halves, screen, columns }: DiagonalSearch): Own {
  const { scales, margins } = screen;
  const entries = Float64Array.from(columns, (column, row) => entryOfHalves(halves, row, column));
  const scaled = (row: number): number => (entries[row] as number) * (scales[row] as number);
  return {
    entries,
    lows: Float32Array.from(entries, (_, row) => roundedDown(scaled(row) - (margins[row] as number))),
    highs: Float32Array.from(entries, (_, row) => roundedUp(scaled(row) + (margins[row] as number))),
  };
}

/** Columns of the largest norms, of which enough are above most entries that are not the largest of their row. */
const FIRST_COLUMNS = 512;
/** Entries that float32 cannot tell from the row's own are looked at one by one up to so many. */
const NEAR = 16;

/** Ranks up to `enough`; those beyond are given as `enough`. */
export function cappedRanks(search: DiagonalSearch, enough: number): Int32Array {
  const { screen, options } = search;
  const settled = new Settled(options, screen.rows);
  const own = ownEntries(search);
  const ranks = new Int32Array(screen.rows);
  const open = settleByFirst(search, own, enough, ranks, settled);
  const reaches = Int32Array.from(open, (row) => reachOf(screen, row, own.lows[row] as number));
  const order = Int32Array.from(reaches.keys()).sort((a, b) => (reaches[b] as number) - (reaches[a] as number) || a - b);
  const rows = order.map((t) => open[t] as number);
  reaches.sort().reverse();
  const size = bestLead(screen, rows, pick(own.lows, rows), reaches);
  const lead = size === undefined ? undefined : leadOf(screen, size);
  const most = enough + NEAR;
  const unsettled: number[] = [];
  for (let start = 0; start < rows.length; start += SCREEN_BAND) {
    const band = rows.subarray(start, start + SCREEN_BAND);
    const bars = pick(own.lows, band);
    const found = askRows(screen, { rows: band, bars, keep: "first", most, to: reaches[start] as number, lead });
    const before = unsettled.length;
    for (const [i, row] of band.entries()) {
      const count = Math.min(most, found.found[i] as number);
      const above = aboveOwn(search, own, row, found, i * most, count);
      if (above < enough && count === most) unsettled.push(row);
      else ranks[row] = Math.min(above, enough);
    }
    settled.add(band.length - (unsettled.length - before));
  }
  settleWhole(search, unsettled, enough, ranks, settled);
  return ranks;
}

/** All ranks, or those up to `enough` where that is many: every entry is compared in float32, and where that does not decide in float64. */
export function wholeRanks(search: DiagonalSearch, enough: number): Int32Array {
  const { screen, options } = search;
  const settled = new Settled(options, screen.rows);
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
        const above = (found.above[i] as number) + aboveOwn(search, own, row, found, i * NEAR, count);
        ranks[row] = Math.min(enough, above);
      }
    }
    settled.add(rows.length - (unsettled.length - before));
  }
  settleWhole(search, unsettled, enough, ranks, settled);
  return ranks;
}

/** Settles the rows of which enough of the first columns are clearly above the own entry, and rows of zeros; returns the others. */
function settleByFirst(
  { screen, columns, options }: DiagonalSearch,
  own: Own,
  enough: number,
  ranks: Int32Array,
  settled: Settled,
): Int32Array {
  const open: number[] = [];
  options.signal?.throwIfAborted();
  const nothing = (screen.right.norms[0] as number) === 0;
  for (let start = 0; start < screen.rows; start += SCREEN_BAND) {
    const rows = range(start, Math.min(screen.rows, start + SCREEN_BAND));
    const highs = pick(own.highs, rows);
    const to = Math.min(FIRST_COLUMNS, screen.cols);
    const { above } = askRows(screen, { rows, bars: highs.slice(), highs, keep: "between", most: 1, to });
    const before = open.length;
    for (const [i, row] of rows.entries()) {
      // Entries of a row of zeros are all equal, so that all columns further left come before.
      if (nothing || screen.left.norms[row] === 0) ranks[row] = Math.min(enough, columns[row] as number);
      else if ((above[i] as number) >= enough) ranks[row] = enough;
      else open.push(row);
    }
    settled.add(rows.length - (open.length - before));
  }
  return Int32Array.from(open);
}

/** How many of the columns found come before the own entry of a row; equal columns count each. */
function aboveOwn(
  { halves, screen, columns }: DiagonalSearch,
  { entries, highs }: Own,
  row: number,
  { values, places }: RowsFound,
  at: number,
  count: number,
): number {
  const [own, entry] = [columns[row] as number, entries[row] as number];
  let above = 0;
  for (let t = at; t < at + count; t++) {
    const place = places[t] as number;
    const column = screen.columns[place] as number;
    const twins = screen.twins.get(place);
    let isAbove = (values[t] as number) > (highs[row] as number);
    if (!isAbove) {
      const other = entryOfHalves(halves, row, column);
      if (other === entry) {
        above += twins === undefined ? (column < own ? 1 : 0) : twins.filter((twin) => twin < own).length;
        continue;
      }
      isAbove = other > entry;
    }
    if (isAbove) above += twins?.length ?? 1;
  }
  return above;
}

/** Rows of which too many entries are next to the own one: computed whole. */
function settleWhole(
  { halves, columns, options }: DiagonalSearch,
  rows: readonly number[],
  enough: number,
  ranks: Int32Array,
  settled: Settled,
): void {
  forEachWholeRow(halves, rows, options.signal, (numbers, at) => {
    const row = rows[at] as number;
    ranks[row] = rankInRow(numbers, columns[row] as number, enough);
    settled.add(1);
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

function pick(numbers: Float32Array, rows: ArrayLike<number>): Float32Array {
  return Float32Array.from(rows, (row) => numbers[row] as number);
}

function range(start: number, end: number): Int32Array {
  return Int32Array.from({ length: end - start }, (_, i) => start + i);
}
