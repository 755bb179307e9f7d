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
  /** What `after - before` may be with 99 % confidence, by the curve's own scatter around the ramp. */
  readonly interval: readonly [low: number, high: number];
}

const TAIL = 0.005;
/** Fewer checkpoints tell nothing of a change. */
export const FEWEST = 4;

/** The ramp that fits a curve best; none where there are fewer than four checkpoints or the curve does not change. */
export function rampOf({ steps, values }: Curve): Ramp | undefined {
  const n = values.length;
  if (n < FEWEST) return undefined;
  let best: (Ramp & { readonly rest: number }) | undefined;
  const total = varianceSum(values);
  if (total === 0) return undefined;
  for (let from = 0; from < n - 1; from++) {
    for (let to = from + 1; to < n; to++) {
      const [a, b] = [steps[from] as number, steps[to] as number];
      const fit = lineThrough(n, (i) => Math.min(1, Math.max(0, ((steps[i] as number) - a) / (b - a))), values);
      const isBetter = best === undefined || fit.rest < best.rest * (1 - 1e-12);
      if (!isBetter) continue;
      const margin = fit.error * studentQuantile(TAIL, Math.max(1, n - 4));
      const after = fit.start + fit.slope;
      best = { from, to, before: fit.start, after, interval: [fit.slope - margin, fit.slope + margin], rest: fit.rest };
    }
  }
  return best;
}

/** A least-squares line `y = start + slope x`, the standard error of its slope and what it leaves over. */
interface Line {
  readonly start: number;
  readonly slope: number;
  readonly error: number;
  readonly rest: number;
}

function lineThrough(n: number, x: (i: number) => number, y: ArrayLike<number>): Line {
  let [sx, sy] = [0, 0];
  for (let i = 0; i < n; i++) [sx, sy] = [sx + x(i), sy + (y[i] as number)];
  const [mx, my] = [sx / n, sy / n];
  let [xx, xy, yy] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [dx, dy] = [x(i) - mx, (y[i] as number) - my];
    [xx, xy, yy] = [xx + dx * dx, xy + dx * dy, yy + dy * dy];
  }
  const slope = xx === 0 ? 0 : xy / xx;
  const rest = Math.max(0, yy - slope * xy);
  return { start: my - slope * mx, slope, error: xx === 0 || n < 3 ? Infinity : Math.sqrt(rest / (n - 2) / xx), rest };
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

/** Lines go through so many checkpoints: a twentieth of them, five at least. */
const SHARE = 1 / 20;
const WINDOW = 5;
/** The stretch goes on while the fall is this share of the steepest. */
const EDGE = 1 / 3;

/**
 * Where a curve falls fastest: the steepest of the lines through neighbouring checkpoints, and the stretch around it
 * that falls a third as fast. None where that is not surely faster than an even fall over the whole curve, or the curve
 * falls so from the first checkpoint on.
 */
export function steepestFall({ steps, values }: Curve): SteepestFall | undefined {
  const n = values.length;
  const width = Math.min(n, Math.max(WINDOW, Math.round(n * SHARE)));
  if (n < WINDOW + 2) return undefined;
  const places = n - width + 1;
  const lines = Array.from({ length: places }, (_, first) =>
    lineThrough(
      width,
      (i) => steps[first + i] as number,
      Array.from({ length: width }, (__, i) => values[first + i] as number),
    ),
  );
  const rates = lines.map(({ slope }) => -slope);
  const even = ((values[0] as number) - (values[n - 1] as number)) / ((steps[n - 1] as number) - (steps[0] as number));
  // the scatter of the curve around its lines, where it does not bend
  const rests = lines.map(({ rest }) => rest / (width - 2)).sort((a, b) => a - b);
  const scatter = rests[Math.floor(places / 2)] as number;
  // what falls from the first checkpoint on is the beginning of training; the search goes on behind it
  for (let begin = 0; begin < places;) {
    let at = begin;
    for (let i = begin; i < places; i++) if ((rates[i] as number) > (rates[at] as number)) at = i;
    const rate = rates[at] as number;
    const margin =
      (Math.sqrt(scatter) / spreadOf(steps, at, width)) * studentQuantile(TAIL / places, width - 2 + places);
    if (rate <= 0 || rate - margin <= Math.max(0, even)) return undefined;
    let [first, last] = [at, at];
    while (first > begin && (rates[first - 1] as number) > EDGE * rate) first--;
    while (last < places - 1 && (rates[last + 1] as number) > EDGE * rate) last++;
    if (first > begin || begin > 0) {
      const half = Math.floor(width / 2);
      const interval = [rate - margin, rate + margin] as const;
      return { from: first + half, to: Math.min(n - 1, last + half), rate, interval, even };
    }
    begin = last + 1;
  }
  return undefined;
}

/** The root of the sum of squares of some steps about their mean. */
function spreadOf(steps: ArrayLike<number>, first: number, count: number): number {
  const some = Array.from({ length: count }, (_, i) => steps[first + i] as number);
  return Math.sqrt(varianceSum(some));
}
