/** Rows of an activation at some places of some runs, and how they are filled from other rows and from a base run. */
import type { FloatArray, TakeArray } from "../tensor/internal.ts";

/**
 * Runs side by side, prompt by prompt of variant by variant: run $i$ is of prompt $i \bmod \text{prompts}$. A place is
 * a run's position, $i \cdot \text{pos} + p$.
 */
export interface Frame {
  readonly runs: number;
  readonly prompts: number;
  readonly pos: number;
  readonly take: TakeArray;
}

/** The row of a base run's activation, `[prompt, pos, width]`, that lies at a place. */
const baseRow = ({ prompts, pos }: Frame, place: number): number => place % (prompts * pos);

/** An activation's rows at ascending places: where it differs from the base run's. */
export class Rows {
  readonly frame: Frame;
  readonly places: Int32Array;
  readonly width: number;
  readonly data: FloatArray;
  #index: Int32Array | undefined;

  constructor(frame: Frame, places: Int32Array, width: number, data?: FloatArray) {
    this.frame = frame;
    this.places = places;
    this.width = width;
    this.data = data ?? frame.take("float32", places.length * width);
  }

  get count(): number {
    return this.places.length;
  }

  /** The row at a place; -1 where there is none. */
  at(place: number): number {
    if (this.#index === undefined) {
      this.#index = new Int32Array(this.frame.runs * this.frame.pos).fill(-1);
      for (let row = 0; row < this.count; row++) this.#index[this.places[row] as number] = row;
    }
    return this.#index[place] as number;
  }

  /** The numbers of one row. */
  row(row: number): FloatArray {
    return this.data.subarray(row * this.width, (row + 1) * this.width);
  }

  /** Whether a run has rows. */
  isIn(run: number): boolean {
    const [from, to] = this.ofRun(run);
    return to > from;
  }

  /** The rows of one run, as the first and the one after the last. */
  ofRun(run: number): readonly [from: number, to: number] {
    const { pos } = this.frame;
    return [firstFrom(this.places, run * pos), firstFrom(this.places, (run + 1) * pos)];
  }

  /** These rows at other places: a base run's where there is none of these. */
  spread(places: Int32Array, base: FloatArray): Rows {
    if (sameNumbers(places, this.places)) return this;
    const out = new Rows(this.frame, places, this.width);
    const { width } = this;
    for (let to = 0; to < places.length;) {
      const row = this.#rowOrNone(places[to] as number);
      const first = row < 0 ? baseRow(this.frame, places[to] as number) : row;
      // Rows that follow on one another where they come from too are copied at once.
      let end = to + 1;
      for (; end < places.length; end++) {
        const place = places[end] as number;
        const next = this.#rowOrNone(place);
        const isNext =
          row < 0 ? next < 0 && baseRow(this.frame, place) === first + end - to : next === first + end - to;
        if (!isNext) break;
      }
      const from = row < 0 ? base : this.data;
      out.data.set(from.subarray(first * width, (first + end - to) * width), to * width);
      to = end;
    }
    return out;
  }

  #rowOrNone(place: number): number {
    return this.count === 0 ? -1 : this.at(place);
  }

  /** The rows at those of the places that pass. */
  where(passes: (place: number) => boolean): Rows {
    const places = this.places.filter(passes);
    return places.length === this.count ? this : this.spread(places, this.data);
  }
}

/** The index of the first number that is at least `least`, of ascending ones. */
function firstFrom(sorted: Int32Array, least: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

function sameNumbers(a: Int32Array, b: Int32Array): boolean {
  return a === b || (a.length === b.length && a.every((x, i) => x === b[i]));
}

/** A set of places, collected in any order. */
export class Places {
  readonly #marks: Uint8Array;
  #count = 0;

  constructor({ runs, pos }: Frame) {
    this.#marks = new Uint8Array(runs * pos);
  }

  add(place: number): void {
    if (this.#marks[place] === 0) this.#count++;
    this.#marks[place] = 1;
  }

  addAll(places: Int32Array): this {
    for (const place of places) this.add(place);
    return this;
  }

  /** Ascending. */
  sorted(): Int32Array {
    const out = new Int32Array(this.#count);
    let to = 0;
    for (let place = 0; to < out.length; place++) if (this.#marks[place] === 1) out[to++] = place;
    return out;
  }
}
