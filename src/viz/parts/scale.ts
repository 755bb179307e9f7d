/** From data to pixels: domains, 1-2-5 ticks, and the affine transform of a frame. */
import { mat2d, vec2 } from "gl-matrix";

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

/** An affine transform, as gl-matrix stores one, in double precision. */
export type Transform = Float64Array;

/** The transform that takes `x` to the frame's width and `y` to its height, larger y higher up. */
export function dataToPixels(frame: Frame, x: Domain, y: Domain): Transform {
  const transform = new Float64Array(6);
  mat2d.fromTranslation(transform, [frame.left, frame.top + frame.height]);
  mat2d.scale(transform, transform, [frame.width / (x[1] - x[0]), -frame.height / (y[1] - y[0])]);
  mat2d.translate(transform, transform, [-x[0], -y[0]]);
  return transform;
}

/** A data point in pixels. */
export function project(transform: Transform, x: number, y: number): readonly [number, number] {
  const out = new Float64Array(2);
  vec2.transformMat2d(out, [x, y], transform);
  return [out[0] as number, out[1] as number];
}

/** The 1-2-5 step that cuts a span into about `count` pieces. */
export function niceStep(span: number, count: number): number {
  const raw = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const ratio = raw / power;
  return power * (ratio < Math.SQRT2 ? 1 : ratio < Math.sqrt(10) ? 2 : ratio < Math.sqrt(50) ? 5 : 10);
}

/** Ticks at multiples of a 1-2-5 step inside a domain, ends included. */
export function niceTicks(domain: Domain, count: number): number[] {
  const step = niceStep(domain[1] - domain[0], count);
  // + 0 keeps a negative zero out.
  const first = Math.ceil(domain[0] / step - 1e-9) + 0;
  const last = Math.floor(domain[1] / step + 1e-9);
  const ticks: number[] = [];
  // k / (1/step) is exact for steps below 1, where k * step is not: 3 * 0.1 is 0.30000000000000004
  for (let k = first; k <= last; k++) ticks.push(step < 1 ? k / Math.round(1 / step) : k * step);
  return step < 1e-9 ? ticks.map((_, i) => (first + i) * step) : ticks;
}

/** A domain widened to whole 1-2-5 steps; one of no width gets some. */
export function niceDomain(domain: Domain, count: number): Domain {
  let [low, high] = domain;
  if (low === high) {
    const room = low === 0 ? 1 : Math.abs(low) * 0.5;
    [low, high] = [low - room, high + room];
  }
  const step = niceStep(high - low, count);
  return [Math.floor(low / step + 1e-9) * step + 0, Math.ceil(high / step - 1e-9) * step + 0];
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

/** Digits after the point that tell neighbouring ticks apart. */
export function tickDecimals(ticks: readonly number[]): number {
  const step = ticks.length > 1 ? Math.abs((ticks[1] as number) - (ticks[0] as number)) : Math.abs(ticks[0] ?? 1);
  return step === 0 ? 0 : Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
}
