import { expect } from "vitest";
import type { StorageName } from "./cases.ts";

/** Unit roundoff of float64. */
export const U = 2 ** -53;

/** Two results rounded to storage from nearly equal numbers may land one unit in the last place apart. */
export const storageStep: Record<StorageName, number> = { float32: 2 ** -23, float64: 2 ** -52 };

/** Checks both arrays entry by entry: equal where not finite, otherwise apart by at most `allowed(i, want)`. */
export function expectWithin(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  allowed: (i: number, want: number) => number,
): void {
  expect(got.length).toBe(want.length);
  for (let i = 0; i < want.length; i++) {
    const x = got[i] ?? NaN;
    const y = want[i] ?? NaN;
    if (Number.isFinite(y) && Math.abs(x - y) <= allowed(i, y)) continue;
    if (!Number.isFinite(y) && Object.is(x, y)) continue;
    expect.fail(`entry ${i} is ${x}, the reference has ${y}; allowed difference ${allowed(i, y)}`);
  }
}

/** Checks that both arrays hold the same numbers, to the bit. */
export function expectSame(got: ArrayLike<number>, want: ArrayLike<number>, name = ""): void {
  expect(got.length, name).toBe(want.length);
  for (let i = 0; i < want.length; i++) {
    if (!Object.is(got[i], want[i])) expect.fail(`${name}: entry ${i} is ${String(got[i])}, not ${String(want[i])}`);
  }
}
