/** Complex numbers compared as multisets, since the order of eigenvalues of nearly equal modulus is a matter of rounding. */
import { expect } from "vitest";

/** The largest distance when each expected number, largest first, takes the nearest number that is left. */
export function multisetDistance(
  actual: readonly (readonly [number, number])[],
  expected: readonly (readonly [number, number])[],
): number {
  expect(actual.length, "number of eigenvalues").toBe(expected.length);
  const left = actual.map(([re, im]) => ({ re, im }));
  let worst = 0;
  for (const [re, im] of [...expected].sort((a, b) => Math.hypot(...b) - Math.hypot(...a))) {
    const distances = left.map((z) => Math.hypot(z.re - re, z.im - im));
    const nearest = distances.indexOf(Math.min(...distances));
    worst = Math.max(worst, distances[nearest] as number);
    left.splice(nearest, 1);
  }
  return worst;
}

/** Real and imaginary parts as pairs. */
export function pairs(re: ArrayLike<number>, im: ArrayLike<number>): (readonly [number, number])[] {
  return Array.from(re, (x, i) => [x, im[i] as number] as const);
}
