/** The largest entries of a whole map, by a bounded heap over streamed rows. */
import type { Linear } from "./linear.ts";
import { checkK, countOf, streamRows, type StreamOptions } from "./stream.ts";
import type { MapEntry } from "./top-k.ts";

/**
 * The `k` largest entries of a map, largest first; ties go to the lower row, then to the lower column. All entries
 * when there are fewer.
 *
 * A heap of `k` entries whose smallest stands on top sees every row once; memory is that of the two halves of the map
 * and of the heap.
 *
 * @param options - `rows` to look at (all; an order other than ascending breaks ties by that order), `signal`,
 * `onProgress`.
 * @throws {@link InputError} when `k` is not a positive integer or a row does not exist; the signal's reason when
 * aborted.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, linear, topKOverall } from "transformer-circuits";
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
  checkK(k, "topKOverall");
  const width = Math.min(k, countOf(f, options) * f.cols);
  const heap: Heap = { values: new Float64Array(width), places: new Float64Array(width), size: 0 };
  streamRows(f, options, "topKOverall", ({ numbers, cols, start }) => {
    for (let t = 0; t < numbers.length; t++) {
      const value = numbers[t] as number;
      if (heap.size < width) push(heap, Number.isNaN(value) ? -Infinity : value, start * cols + t);
      else if (value > (heap.values[0] as number)) replaceTop(heap, value, start * cols + t);
    }
  });
  const ids = options.rows;
  return Array.from(heap.places, (place, t) => ({ place, value: heap.values[t] as number }))
    .sort((a, b) => b.value - a.value || a.place - b.place)
    .map(({ place, value }) => {
      const row = Math.floor(place / f.cols);
      return { row: ids === undefined ? row : (ids[row] as number), column: place - row * f.cols, value };
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
