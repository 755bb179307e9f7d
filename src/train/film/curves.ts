/**
 * Changes of a curve that is measured at some steps: where it rises from one level to another, and where it falls
 * fastest.
 *
 * A rise is a ramp, $y(t) = c + d\,f(t)$ with $f$ going from 0 at step $a$ to 1 at step $b$ in a straight line: $a$ and
 * $b$ are the steps of the curve at which it fits best by least squares. The steepest fall is found by straight lines
 * through neighbouring checkpoints.
 */
import { studentQuantile } from "../../heads/internal.ts";

/** A curve over training steps, which ascend. */
export interface Curve {
  readonly steps: ArrayLike<number>;
  readonly values: ArrayLike<number>;
}

/** A change of level, with the interval of its height. */
export interface Ramp {
  /** The places of the checkpoints at which it begins and ends. */
  readonly from: number;
  readonly to: number;
  readonly before: number;
  readonly after: number;
  /** What `after - before` may be with 99 % confidence for all ramps together, by the scatter of the curve about it. */
  readonly interval: readonly [low: number, high: number];
}

const TAIL = 0.005;
/** Fewer checkpoints tell nothing of a change. */
export const FEWEST = 4;

/** The ramp that fits a curve best; none where there are fewer than four checkpoints or the curve does not change. */
export function rampOf({ steps, values }: Curve): Ramp | undefined {
  const n = values.length;
  if (n < FEWEST || varianceSum(values) === 0) return undefined;
  const [origin, range] = [steps[0] as number, (steps[n - 1] as number) - (steps[0] as number)];
  const [x, y] = [Array.from(steps, (step) => (step - origin) / range), Array.from(values)];
  // sums over the first checkpoints, so that those over a ramp are differences
  const [X, Y, XX, XY] = [x, y, x.map((one) => one * one), x.map((one, i) => one * (y[i] as number))].map(sumsOf) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const yy = varianceSum(values);
  // the best of so many ramps is better than one by chance
  const quantile = studentQuantile(TAIL / ((n * (n - 1)) / 2), n - 3);
  let best: (Ramp & { readonly rest: number }) | undefined;
  for (let from = 0; from < n - 1; from++) {
    for (let to = from + 1; to < n; to++) {
      const [a, b] = [x[from] as number, x[to] as number];
      const over = (sums: Float64Array): number => (sums[to] as number) - (sums[from] as number);
      const [count, above] = [to - from, n - to];
      const length = b - a;
      const f = (over(X) - a * count) / length + above;
      const ff = (over(XX) - 2 * a * over(X) + a * a * count) / (length * length) + above;
      const fy = (over(XY) - a * over(Y)) / length + (Y[n] as number) - (Y[to] as number);
      const spread = ff - (f * f) / n;
      const slope = (fy - (f * (Y[n] as number)) / n) / spread;
      const rest = Math.max(0, yy - slope * slope * spread);
      if (best !== undefined && !(rest < best.rest * (1 - 1e-9))) continue;
      const before = ((Y[n] as number) - slope * f) / n;
      const margin = Math.sqrt(rest / (n - 2) / spread) * quantile;
      best = { from, to, before, after: before + slope, interval: [slope - margin, slope + margin], rest };
    }
  }
  return best;
}

/** The sums of the first 0, 1, 2 … values. */
function sumsOf(values: readonly number[]): Float64Array {
  const sums = new Float64Array(values.length + 1);
  for (const [i, value] of values.entries()) sums[i + 1] = (sums[i] as number) + value;
  return sums;
}

/** The slope of the least-squares line through points, and what it leaves over. */
function lineThrough(x: readonly number[], y: readonly number[]): { readonly slope: number; readonly rest: number } {
  const n = x.length;
  const [mx, my] = [x.reduce((a, b) => a + b, 0) / n, y.reduce((a, b) => a + b, 0) / n];
  let [xx, xy, yy] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [dx, dy] = [(x[i] as number) - mx, (y[i] as number) - my];
    [xx, xy, yy] = [xx + dx * dx, xy + dx * dy, yy + dy * dy];
  }
  return { slope: xy / xx, rest: Math.max(0, yy - (xy * xy) / xx) };
}

function varianceSum(values: ArrayLike<number>): number {
  const mean = Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;
  return Array.from(values).reduce((sum, x) => sum + (x - mean) ** 2, 0);
}

/** The stretch over which a curve falls fastest. */
export interface SteepestFall {
  readonly from: number;
  readonly to: number;
  /** The fall a step at its steepest, with its interval over all places that were looked at. */
  readonly rate: number;
  readonly interval: readonly [low: number, high: number];
  /** What a straight line from the first checkpoint to the last would fall a step. */
  readonly even: number;
}

/** Lines go through such shares of the checkpoints, five at least. */
const SHARES = [1 / 20, 1 / 10, 1 / 5] as const;
const WINDOW = 5;
/** The stretch goes on while the fall is this share of the steepest. */
const EDGE = 1 / 3;

/**
 * Where a curve falls fastest: the steepest of the lines through neighbouring checkpoints, and the stretch around it
 * that falls a third as fast. Of lines through few and through many checkpoints those are taken that tell it most
 * surely. None where that is not surely faster than an even fall over the whole curve, and than what comes before.
 */
export function steepestFall(curve: Curve): SteepestFall | undefined {
  const n = curve.values.length;
  const widths = new Set(SHARES.map((share) => Math.max(WINDOW, Math.round(n * share))));
  const found = [...widths]
    .filter((width) => width + 2 <= n)
    .map((width) => fallOver(curve, width, widths.size))
    .filter((fall) => fall !== undefined);
  return found.reduce<Fall | undefined>((a, b) => (a === undefined || b.sureness > a.sureness ? b : a), undefined);
}

interface Fall extends SteepestFall {
  /** How far the fall is above an even one, in half widths of its interval. */
  readonly sureness: number;
}

/** The steepest fall by lines through so many checkpoints. */
function fallOver({ steps, values }: Curve, width: number, widths: number): Fall | undefined {
  const n = values.length;
  const places = n - width + 1;
  const window = (of: ArrayLike<number>, first: number): number[] => Array.from(of).slice(first, first + width);
  const lines = Array.from({ length: places }, (_, first) => lineThrough(window(steps, first), window(values, first)));
  const rates = lines.map(({ slope }) => -slope);
  const even = ((values[0] as number) - (values[n - 1] as number)) / ((steps[n - 1] as number) - (steps[0] as number));
  // the scatter of the curve around its lines, where it does not bend
  const rests = lines.map(({ rest }) => rest / (width - 2)).sort((a, b) => a - b);
  const scatter = Math.sqrt(rests[Math.floor(places / 2)] as number);
  const quantile = studentQuantile(TAIL / places / widths, width - 2);
  // a fall that nothing slower comes before is the beginning of training; the search goes on behind it
  for (let begin = 0; begin < places;) {
    let at = begin;
    for (let i = begin; i < places; i++) if ((rates[i] as number) > (rates[at] as number)) at = i;
    const rate = rates[at] as number;
    const margin = (scatter / Math.sqrt(varianceSum(window(steps, at)))) * quantile;
    const above = rate - Math.max(0, even);
    if (rate <= 0 || above <= margin) return undefined;
    let [first, last, slowest] = [at, at, rate];
    for (let i = begin; i < at; i++) slowest = Math.min(slowest, rates[i] as number);
    while (first > begin && (rates[first - 1] as number) > EDGE * rate) first--;
    while (last < places - 1 && (rates[last + 1] as number) > EDGE * rate) last++;
    if (slowest < Math.min(EDGE * rate, rate - margin)) {
      const half = Math.floor(width / 2);
      const interval = [rate - margin, rate + margin] as const;
      return { from: first + half, to: Math.min(n - 1, last + half), rate, interval, even, sureness: above / margin };
    }
    begin = last + 1;
  }
  return undefined;
}
