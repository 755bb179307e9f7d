/** The largest entries of a whole map, by a bounded heap over the rows that can have them. */
import { requireKind } from "../../errors.ts";
import { halvesOf } from "../collapse.ts";
import { LINEAR_MAP } from "../linear.ts";
import type { Linear } from "../linear.ts";
import { checkIds } from "../slices.ts";
import { askedProduct, checkK, countOf, streamHalves, type StreamOptions } from "../stream.ts";
import { screenedOverall } from "./top-k-search.ts";
import type { MapEntry } from "./top-k.ts";

/**
 * The `k` largest entries of a map, largest first; ties go to the lower row, then to the lower column. All entries when
 * there are fewer.
 *
 * Rows come by the largest entry that they can have, so that most are soon left out, and of the others only the columns
 * that can reach the smallest of the entries held; entries are float64 sums of products of the left and right factor of
 * the map, in order, and the result is that of all of them. Memory is that of the left and right factor of the map and
 * of the entries.
 *
 * @param options - `rows` to look at (all; an order other than ascending breaks ties by that order), `signal`,
 * `onProgress`.
 * @throws {@link InputError} when `k` is not a positive integer or a row does not exist; the signal's reason when
 * aborted.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { linear, topKOverall } from "transformer-circuits/linear";
 *
 * const f = linear("source", "out", Tensor.fromNested("source out", [[0, 5, 2], [-1, 7, 5]]));
 * console.log(topKOverall(f, 3));
 * // [
 * //   { row: 1, column: 1, value: 7 },
 * //   { row: 0, column: 1, value: 5 },
 * //   { row: 1, column: 2, value: 5 }
 * // ]
 * ```
 */
export function topKOverall(f: Linear, k: number, options: StreamOptions = {}): MapEntry[] {
  requireKind(LINEAR_MAP, f, "f", "topKOverall", options, "rows signal onProgress");
  checkK(k, "topKOverall");
  const { rows: ids, signal } = options;
  if (ids !== undefined) checkIds(f, ids, "row", "topKOverall");
  signal?.throwIfAborted();
  const width = Math.min(k, countOf(f, options) * f.cols);
  const heap: Heap = { values: new Float64Array(width), places: new Float64Array(width), size: 0 };
  if (width > 0) collectLargest(heap, f, options);
  return Array.from(heap.places, (place, t) => ({ place, value: heap.values[t] as number }))
    .sort((a, b) => b.value - a.value || a.place - b.place)
    .map(({ place, value }) => {
      const row = Math.floor(place / f.cols);
      return { row: ids === undefined ? row : (ids[row] as number), column: place - row * f.cols, value };
    });
}

function collectLargest(heap: Heap, f: Linear, options: StreamOptions): void {
  const asked = askedProduct(f, options);
  const collected = {
    least: (): number => (heap.size < heap.values.length ? -Infinity : (heap.values[0] as number)),
    offer: (row: number, column: number, value: number): void => offer(heap, value, row * f.cols + column),
  };
  if (screenedOverall(asked, heap.values.length, options, collected)) return;
  streamHalves(halvesOf(asked), options, ({ numbers, cols, start }) => {
    for (let t = 0; t < numbers.length; t++) {
      const value = numbers[t] as number;
      if (heap.size < heap.values.length || value > (heap.values[0] as number)) {
        offer(heap, Number.isNaN(value) ? -Infinity : value, start * cols + t);
      }
    }
  });
}

/** A binary heap: no entry is above one that is smaller, or equal and later. */
interface Heap {
  readonly values: Float64Array;
  readonly places: Float64Array;
  size: number;
}

function isBelow(heap: Heap, a: number, b: number): boolean {
  const [x, y] = [heap.values[a] as number, heap.values[b] as number];
  return x < y || (x === y && (heap.places[a] as number) > (heap.places[b] as number));
}

function swap(numbers: Float64Array, a: number, b: number): void {
  const kept = numbers[a] as number;
  numbers[a] = numbers[b] as number;
  numbers[b] = kept;
}

function swapEntries(heap: Heap, a: number, b: number): void {
  swap(heap.values, a, b);
  swap(heap.places, a, b);
}

/** Takes an entry if it is among the largest so far, whatever the order in which they come. */
function offer(heap: Heap, value: number, place: number): void {
  if (heap.size < heap.values.length) {
    push(heap, value, place);
    return;
  }
  const least = heap.values[0] as number;
  if (value > least || (value === least && place < (heap.places[0] as number))) replaceTop(heap, value, place);
}

function push(heap: Heap, value: number, place: number): void {
  let at = heap.size++;
  heap.values[at] = value;
  heap.places[at] = place;
  for (let parent = (at - 1) >> 1; at > 0 && isBelow(heap, at, parent); parent = (at - 1) >> 1) {
    swapEntries(heap, at, parent);
    at = parent;
  }
}

function replaceTop(heap: Heap, value: number, place: number): void {
  heap.values[0] = value;
  heap.places[0] = place;
  for (let at = 0; ;) {
    let least = at;
    for (const child of [2 * at + 1, 2 * at + 2]) if (child < heap.size && isBelow(heap, child, least)) least = child;
    if (least === at) return;
    swapEntries(heap, at, least);
    at = least;
  }
}
