/** From data to pixels: domains, 1-2-5 ticks and where a value stands in a frame, for any finite numbers. */
import { formatNumber, scientific } from "./text.ts";

/** A rectangle in pixels, y down. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * An interval of data, the smaller end first.
 * @category Figures
 */
export type Domain = readonly [number, number];

/** Ends that differ by a smaller share of their magnitude differ by rounding: an axis takes them for one value. */
const ROUNDING = 2 ** -36;
/** Below this, numbers have too few digits for steps between them. */
const LEAST_STEP = 1e-300;
/** How far outside its frame a value is drawn at most, in frames: what is farther is cut off anyway. */
const FARTHEST = 100;

/** A number that overflowed, brought back to the largest there is. */
export function bounded(value: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, value));
}

/** The largest of any number of numbers, which the arguments of `Math.max` are too few for. */
export function largestOf(numbers: Iterable<number>, least = -Infinity): number {
  let largest = least;
  for (const number of numbers) if (number > largest) largest = number;
  return largest;
}

/** Where a value stands in a domain, 0 at its smaller and 1 at its larger end. */
export function shareOf(value: number, [low, high]: Domain): number {
  // The offset comes first: scaling before it would cancel where the domain is narrow.
  const share = high - low < Infinity ? (value - low) / (high - low) : (value / 2 - low / 2) / (high / 2 - low / 2);
  return Math.max(-FARTHEST, Math.min(1 + FARTHEST, share));
}

/** A step of 1, 2 or 5 times a power of ten. */
interface Step {
  readonly digit: 1 | 2 | 5;
  readonly exponent: number;
}

function stepFor(span: number, count: number): Step {
  const raw = span / Math.max(1, count);
  const exponent = Math.floor(Math.log10(raw));
  const ratio = raw / Number(`1e${exponent}`);
  if (ratio < Math.SQRT2) return { digit: 1, exponent };
  if (ratio < Math.sqrt(10)) return { digit: 2, exponent };
  return ratio < Math.sqrt(50) ? { digit: 5, exponent } : { digit: 1, exponent: exponent + 1 };
}

/** A whole number of steps: the nearest number to its decimals, where a product would be 0.30000000000000004. */
function multiple(count: number, { digit, exponent }: Step): number {
  return bounded(Number(`${count * digit}e${exponent}`));
}

/** The 1-2-5 step that cuts a span into about `count` pieces. */
export function niceStep(span: number, count: number): number {
  return multiple(1, stepFor(span, count));
}

/** Whether the ends differ by no more than rounding. */
function isNarrow([low, high]: Domain): boolean {
  return high - low <= ROUNDING * Math.max(Math.abs(low), Math.abs(high));
}

/** A domain in whole numbers of 1-2-5 steps, or `undefined` where numbers lie too close for any. */
function inSteps(domain: Domain, count: number): { step: Step; low: number; high: number; slack: number } | undefined {
  const step = stepFor(bounded(domain[1] - domain[0]), count);
  const size = multiple(1, step);
  if (isNarrow(domain) || !(size >= LEAST_STEP)) return undefined;
  const [low, high] = [domain[0] / size, domain[1] / size];
  return { step, low, high, slack: 1e-9 + 4 * Number.EPSILON * Math.max(Math.abs(low), Math.abs(high)) };
}

/** Ticks at multiples of a 1-2-5 step inside a domain, ends included; the ends where they lie too close for steps. */
export function niceTicks(domain: Domain, count: number): number[] {
  const steps = inSteps(domain, count);
  if (steps === undefined) return [...new Set(domain)];
  const first = Math.ceil(steps.low - steps.slack);
  const last = Math.floor(steps.high + steps.slack);
  return Array.from({ length: last - first + 1 }, (_, i) => multiple(first + i, steps.step));
}

/** A domain with room around a value where it has no width, or none but rounding. */
export function widened(domain: Domain): Domain {
  if (!isNarrow(domain)) return domain;
  const size = Math.max(Math.abs(domain[0]), Math.abs(domain[1]));
  const room = size === 0 ? 1 : Math.max(0.5 * size, Number.MIN_VALUE);
  return [bounded(domain[0] - room), bounded(domain[1] + room)];
}

/** A domain widened to whole 1-2-5 steps; one of no width gets some. */
export function niceDomain(domain: Domain, count: number): Domain {
  const wide = widened(domain);
  const steps = inSteps(wide, count);
  if (steps === undefined) return wide;
  const { low, high, slack, step } = steps;
  return [multiple(Math.floor(low + slack), step), multiple(Math.ceil(high - slack), step)];
}

/** Smallest and largest finite number of several lists, or `undefined` when there is none. */
export function extent(lists: Iterable<ArrayLike<number>>): Domain | undefined {
  let low = Infinity;
  let high = -Infinity;
  for (const list of lists) {
    for (let i = 0; i < list.length; i++) {
      const value = list[i] as number;
      if (!Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : undefined;
}

/** Digits after the point with which all ticks are written in full. */
export function tickDecimals(ticks: readonly number[]): number {
  return largestOf(
    ticks.map((tick) => {
      const [mantissa = "", exponent] = tick.toExponential().split("e");
      return (mantissa.split(".")[1]?.length ?? 0) - Number(exponent);
    }),
    0,
  );
}

/**
 * The texts of ticks, which differ where the ticks do: decimals, or powers of ten where all are very small or some very
 * large.
 */
export function tickTexts(ticks: readonly number[]): string[] {
  const size = largestOf(ticks.map(Math.abs), 0);
  if (size > 0 && (size < 1e-4 || size >= 1e9)) return ticks.map((tick) => scientific(tick));
  const decimals = tickDecimals(ticks);
  return ticks.map((tick) => formatNumber(tick, { decimals }));
}
