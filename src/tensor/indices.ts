/** Which indices of an axis: one, several, a range, all but some. */
import { InputError, nameOf } from "../errors.ts";

/**
 * Indices from `start` (inclusive) to `end` (exclusive), as in {@link Tensor.slice}; one left out is the axis's own
 * end.
 * @category Tensors
 */
export interface IndexRange {
  readonly start?: number;
  readonly end?: number;
}

/**
 * Indices of an axis: one, a range, several of either, or all but some. Counted from 0; a negative one counts from the
 * end, so that -1 is the last. They are a set: order and repetition do not matter.
 * @category Tensors
 */
export type Indices = number | IndexRange | { readonly not: Indices } | readonly Indices[];

/** The axis that indices count along. */
export interface Counted {
  /** What they are called, as `pos`. */
  readonly field: string;
  /** The smallest, and the number after the largest. */
  readonly low: number;
  readonly high: number;
  /** Whether -1 is the last; of offsets it is an offset. */
  readonly isFromEnd: boolean;
  /** What there are of them, as `the 5 along pos of [pos=5]`. */
  readonly among: string;
}

/** Other names for indices, beside {@link Indices}. */
export interface OtherNames {
  /** How an error lists it. */
  readonly described: string;
  /** Whether a value is such a name; throws where it is a bad one. */
  check(spec: unknown): boolean;
  /** The indices that it names; undefined where it is none. */
  indices(spec: unknown): readonly number[] | undefined;
}

const keysOf = (spec: object): string => Object.keys(spec).sort().join(" ");

/** Refuses what names no indices of any axis. */
export function checkIndices(spec: unknown, field: string, operation: string, others?: OtherNames): void {
  const fail = (what: string, mend: string): InputError =>
    new InputError(`${field} ${what}. ${mend}`, { operation, argument: field, actual: spec });
  if (others?.check(spec) === true) return;
  if (typeof spec === "number") {
    if (Number.isSafeInteger(spec)) return;
    throw fail(`is ${spec}`, "Give whole numbers.");
  }
  if (Array.isArray(spec)) {
    if (spec.length === 0) throw fail("is an empty list, so nothing is selected", "Leave it out to select all.");
    for (const one of spec) checkIndices(one, field, operation, others);
    return;
  }
  if (typeof spec === "object" && spec !== null) {
    const keys = keysOf(spec);
    if (keys === "not") {
      checkIndices((spec as { readonly not: unknown }).not, field, operation, others);
      return;
    }
    if (["end", "end start", "start"].includes(keys)) {
      const ends: readonly unknown[] = Object.values(spec);
      const bad = ends.find((end) => !Number.isSafeInteger(end));
      if (bad === undefined) return;
      throw fail(`has a range that ends at ${nameOf(bad)}`, "Give whole numbers.");
    }
  }
  throw fail(
    `is ${nameOf(spec)}`,
    `Give a whole number${others?.described ?? ""}, a list, a range { start, end } (end excluded) or { not: … }.`,
  );
}

/** The indices meant, in ascending order, each once. */
export function indicesOf(spec: unknown, counted: Counted, operation: string, others?: OtherNames): number[] {
  const { low, high } = counted;
  const found = membersOf(spec, counted, operation, others);
  return all(low, high).filter((i) => found.has(i));
}

const all = (low: number, high: number): number[] => Array.from({ length: high - low }, (_, i) => low + i);

function membersOf(spec: unknown, counted: Counted, operation: string, others: OtherNames | undefined): Set<number> {
  const { field, low, high, isFromEnd, among } = counted;
  const fail = (what: string): InputError => {
    const first = isFromEnd ? -high : low;
    const mend = high > low ? `${field} takes ${first} to ${high - 1}.` : "There are none.";
    return new InputError(`${what} is outside ${among}. ${mend}`, {
      operation,
      argument: field,
      expected: [first, high - 1],
      actual: spec,
    });
  };
  const named = others?.indices(spec);
  if (named !== undefined) return new Set(named);
  if (typeof spec === "number") {
    const index = isFromEnd && spec < 0 ? spec + high : spec;
    if (index < low || index >= high) throw fail(`${field} ${spec}`);
    return new Set([index]);
  }
  if (Array.isArray(spec)) return new Set(spec.flatMap((one) => [...membersOf(one, counted, operation, others)]));
  if (keysOf(spec as object) === "not") {
    const left = membersOf((spec as { readonly not: unknown }).not, counted, operation, others);
    return new Set(all(low, high).filter((i) => !left.has(i)));
  }
  const { start, end } = spec as IndexRange;
  const place = (given: number | undefined, otherwise: number): number =>
    given === undefined ? otherwise : isFromEnd && given < 0 ? given + high : given;
  const first = place(start, low);
  const stop = place(end, high);
  const shown = `${field} ${start ?? low} to ${end ?? high}`;
  if (first < low || stop > high) throw fail(shown);
  if (first < stop) return new Set(all(first, stop));
  throw new InputError(`the range of ${shown} is empty; its end is excluded.`, {
    operation,
    argument: field,
    actual: spec,
  });
}

/** The indices picked of each axis of some sizes, in ascending order; undefined where all are. */
export type Picks = readonly (readonly number[] | undefined)[];

/**
 * Where the element of a place lies among numbers over some of the axes, each as long as the axis or as what is picked
 * of it; the name of an axis that is neither.
 *
 * @param shape - the sizes of all axes.
 * @param axes - over which of them the numbers are, in their order.
 * @param sizes - how many numbers along each.
 */
export function placing(
  shape: readonly number[],
  picks: Picks,
  axes: readonly number[],
  sizes: readonly number[],
): ((i: number) => number) | { readonly misfit: number } {
  const ways: { readonly inner: number; readonly n: number; readonly step: number; readonly ranks: Int32Array }[] = [];
  let step = 1;
  for (let own = axes.length - 1; own >= 0; own--) {
    const a = axes[own] as number;
    const n = shape[a] ?? 0;
    const size = sizes[own] ?? 0;
    const picked = picks[a];
    const ranks = new Int32Array(n);
    if (size === n) for (let i = 0; i < n; i++) ranks[i] = i;
    else if (picked?.length === size) for (const [rank, index] of picked.entries()) ranks[index] = rank;
    else return { misfit: own };
    const inner = shape.slice(a + 1).reduce((product, m) => product * m, 1);
    ways.push({ inner, n, step, ranks });
    step *= size;
  }
  return (i) => {
    let at = 0;
    for (const way of ways) at += (way.ranks[Math.floor(i / way.inner) % way.n] as number) * way.step;
    return at;
  };
}

/** Calls with the place of each element picked, in row-major order, and its index along the last axis but one. */
export function eachPicked(
  shape: readonly number[],
  picks: Picks,
  visit: (i: number, last: number, before: number) => void,
): void {
  const lists = shape.map((n, a) => picks[a] ?? all(0, n));
  const walk = (a: number, start: number, before: number): void => {
    const n = shape[a] ?? 1;
    const list = lists[a];
    if (list === undefined) visit(start, 0, 0);
    else if (a < shape.length - 1) for (const i of list) walk(a + 1, start * n + i, i);
    else for (const i of list) visit(start * n + i, i, before);
  };
  walk(0, 0, 0);
}
