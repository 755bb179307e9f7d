/** The largest entries of rows, and of a whole map, by bounds; see screen.ts. */
import { withWorkspace } from "../../kernels/index.ts";
import type { Product } from "../factor.ts";
import { isLookedThrough, screenOf } from "./screen.ts";
import type { Screen } from "./screen.ts";
import { askRows, leads, reachOf, roundedDown, SCREEN_BAND } from "./screen-questions.ts";
import type { RowsFound } from "./screen-questions.ts";
import { forEachWholeRow, isWorthScreening } from "./screened-rows.ts";
import { Steps } from "../../progress.ts";
import { selectLargest, type TopOfRows } from "./select.ts";
import type { StreamOptions } from "../stream.ts";

/**
 * Candidates beyond those asked for, so that float32 need not order the last ones; fewer where a row that is computed
 * whole costs less than they do.
 */
const SPARE = 8;
const SPARE_OF_FEW = 2;
/** For more entries of a row than this it is faster to compute the whole row. */
const MOST_KEPT = 128;
/** Columns of largest norm, which give each row its first threshold. */
const FIRST_COLUMNS = 1024;
/** A threshold below every entry. */
const LOWEST = -3e38;

/** The `width` largest entries of each row; undefined where bounds do not help. */
export function screenedTop(product: Product, width: number, options: StreamOptions): TopOfRows | undefined {
  if (width > MOST_KEPT || !isWorthScreening(product)) return undefined;
  return withWorkspace((take) => {
    const screen = screenOf(product, { isFine: true, take });
    return screen && topOfScreen(screen, width, options);
  });
}

function topOfScreen(screen: Screen, width: number, options: StreamOptions): TopOfRows {
  const { rows } = screen;
  const top = { indices: new Int32Array(rows * width), values: new Float64Array(rows * width), width };
  const settled = new Steps(options, rows);
  const leadFor = leads(screen);
  const most = Math.min(width + (isLookedThrough(screen) ? SPARE_OF_FEW : SPARE), screen.cols);
  const unsettled: number[] = [];
  for (let start = 0; start < rows; start += SCREEN_BAND) {
    const band = Int32Array.from({ length: Math.min(SCREEN_BAND, rows - start) }, (_, i) => start + i);
    const lists = largestOf(screen, band, most, leadFor);
    const before = unsettled.length;
    for (const [i, row] of band.entries()) {
      if (!takeLargest(screen, row, lists[i] as readonly Candidate[], most, top)) unsettled.push(row);
    }
    settled.advance(band.length - (unsettled.length - before));
  }
  if (unsettled.length > 0) {
    forEachWholeRow(screen.halves(), unsettled, options.signal, (numbers, at) => {
      selectLargest(numbers, width, top, (unsettled[at] as number) * width);
      settled.advance();
    });
  }
  options.signal?.throwIfAborted();
  return top;
}

/** A column by its place in the order of norms, and its float32 entry. */
interface Candidate {
  readonly place: number;
  readonly value: number;
}

/** The columns of the largest float32 entries of each row, descending. */
function largestOf(
  screen: Screen,
  rows: Int32Array,
  most: number,
  leadFor: ReturnType<typeof leads>,
): readonly (readonly Candidate[])[] {
  const first = Math.min(screen.cols, Math.max(FIRST_COLUMNS, most));
  const lowest = new Float32Array(rows.length).fill(LOWEST);
  const common = { rows, keep: "largest" as const, most };
  const some = askRows(screen, { ...common, bars: lowest, to: first });
  const bars = Float32Array.from(rows, (_, i) => some.values[(i + 1) * most - 1] as number);
  const reaches = Int32Array.from(rows, (row, i) => {
    const bar = bars[i] as number;
    return reachOf(screen, row, bar - (screen.margins[row] as number));
  });
  const to = reaches.reduce((furthest, reach) => Math.max(furthest, reach), 0);
  if (to <= first) return Array.from(rows, (_, i) => candidatesOf(some, i, most));
  const lead = leadFor(rows, bars, reaches);
  const others = askRows(screen, { ...common, bars, from: first, to, lead });
  return Array.from(rows, (_, i) => {
    const both = [...candidatesOf(some, i, most), ...candidatesOf(others, i, most)];
    return both.sort((a, b) => b.value - a.value).slice(0, most);
  });
}

function candidatesOf({ values, places, found }: RowsFound, i: number, most: number): Candidate[] {
  return Array.from({ length: found[i] as number }, (_, t) => ({
    place: places[i * most + t] as number,
    value: values[i * most + t] as number,
  }));
}

/**
 * Sorts the candidates of a row by their float64 entries; false where a column that is not among them may belong there.
 */
function takeLargest(
  screen: Screen,
  row: number,
  candidates: readonly Candidate[],
  most: number,
  { indices, values, width }: TopOfRows,
): boolean {
  let filled = 0;
  const start = row * width;
  const last = start + width - 1;
  for (const { place } of candidates) {
    const column = screen.columns[place] as number;
    const value = screen.entry(row, column);
    if (filled === width && !isBefore(value, column, values[last] as number, indices[last] as number)) continue;
    let at = start + (filled < width ? filled++ : width - 1);
    for (; at > start && isBefore(value, column, values[at - 1] as number, indices[at - 1] as number); at--) {
      values[at] = values[at - 1] as number;
      indices[at] = indices[at - 1] as number;
    }
    values[at] = value;
    indices[at] = column;
  }
  if (most === screen.cols) return true;
  const least = candidates[candidates.length - 1]?.value ?? Infinity;
  return filled === width && (values[last] as number) > least + (screen.margins[row] as number);
}

/** Whether an entry comes before another in descending order, equal ones by column. */
function isBefore(value: number, column: number, other: number, otherColumn: number): boolean {
  return value > other || (value === other && column < otherColumn);
}

/** Collects the largest entries of a whole map. */
export interface Collected {
  /** The smallest entry held, once as many are held as are wanted; -Infinity before. */
  readonly least: () => number;
  /** Takes an entry if it is among the largest. */
  readonly offer: (row: number, column: number, value: number) => void;
}

/** Rows of the first band, which give the first threshold. */
const FIRST_ROWS = 32;
/** The most candidates kept of one row. */
const MOST_OF_ROW = 1024;

/** Offers every entry that can be among the `wanted` largest of all; false where bounds do not help. */
export function screenedOverall(
  product: Product,
  wanted: number,
  options: StreamOptions,
  collected: Collected,
): boolean {
  if (!isWorthScreening(product)) return false;
  return withWorkspace((take) => {
    const screen = screenOf(product, { isFine: false, take });
    if (screen === undefined) return false;
    offerLargest(screen, wanted, options, collected);
    return true;
  });
}

function offerLargest(screen: Screen, wanted: number, options: StreamOptions, collected: Collected): void {
  const { left, right, margins, cols } = screen;
  const largest = right.norms[0] as number;
  const bounds = left.norms.map((norm, row) => norm * largest + (margins[row] as number));
  const order = Int32Array.from(bounds.keys()).sort((a, b) => (bounds[b] as number) - (bounds[a] as number) || a - b);
  const settled = new Steps(options, screen.rows);
  const leadFor = leads(screen);
  const most = Math.min(wanted + SPARE, MOST_OF_ROW, cols);
  const unsettled: OpenRow[] = [];
  let start = 0;
  while (start < order.length && (bounds[order[start] as number] as number) >= collected.least()) {
    const band = order.subarray(start, start + (start === 0 ? FIRST_ROWS : SCREEN_BAND));
    const bar = collected.least();
    const bars = Float32Array.from(band, (row) =>
      bar === -Infinity ? LOWEST : roundedDown(bar - (margins[row] as number)),
    );
    const reaches = Int32Array.from(band, (row, i) => reachOf(screen, row, bars[i] as number));
    const to = reaches.reduce((furthest, reach) => Math.max(furthest, reach), 0);
    const found = askRows(screen, { rows: band, bars, keep: "largest", most, to, lead: leadFor(band, bars, reaches) });
    for (const [i, row] of band.entries()) {
      const margin = margins[row] as number;
      const count = found.found[i] as number;
      offerFound(screen, row, found, i * most, count, collected);
      const least = found.values[i * most + count - 1] as number;
      // What is not listed may be as large as the last that is, by twice the margin.
      if (count === most && most < cols && least + margin >= collected.least()) {
        unsettled.push({ row, offered: columnsOfFound(screen, found, i * most, count) });
      }
    }
    start += band.length;
    settled.advance(band.length);
  }
  offerWhole(screen, unsettled, options, collected);
  settled.advance(order.length - start);
  options.signal?.throwIfAborted();
}

function offerFound(
  screen: Screen,
  row: number,
  { values, places }: RowsFound,
  at: number,
  count: number,
  { least, offer }: Collected,
): void {
  for (let t = at; t < at + count; t++) {
    if ((values[t] as number) + (screen.margins[row] as number) < least()) return;
    const column = screen.columns[places[t] as number] as number;
    offer(row, column, screen.entry(row, column));
  }
}

/** A row that may have more of the largest entries than candidates were kept. */
interface OpenRow {
  readonly row: number;
  readonly offered: ReadonlySet<number>;
}

function columnsOfFound({ columns }: Screen, { places }: RowsFound, at: number, count: number): Set<number> {
  return new Set(Array.from(places.subarray(at, at + count), (place) => columns[place] as number));
}

/** Offers the entries of some rows that were not candidates. */
function offerWhole(
  screen: Screen,
  open: readonly OpenRow[],
  { signal }: StreamOptions,
  { least, offer }: Collected,
): void {
  if (open.length === 0) return;
  const rows = open.map(({ row }) => row);
  forEachWholeRow(screen.halves(), rows, signal, (numbers, at) => {
    const { row, offered } = open[at] as OpenRow;
    for (let column = 0; column < numbers.length; column++) {
      const value = numbers[column] as number;
      if (value >= least() && !offered.has(column)) offer(row, column, value);
    }
  });
}
