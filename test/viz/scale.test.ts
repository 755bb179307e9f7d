import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  dataToPixels,
  extent,
  niceDomain,
  niceStep,
  niceTicks,
  project,
  tickDecimals,
} from "../../src/viz/parts/scale.ts";

describe("ticks", () => {
  test.each([
    [[0, 1], 5, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [[0, 10], 5, [0, 2, 4, 6, 8, 10]],
    [[-1, 1], 4, [-1, -0.5, 0, 0.5, 1]],
    [[0.03, 0.31], 3, [0.1, 0.2, 0.3]],
    [[0, 7], 5, [0, 1, 2, 3, 4, 5, 6, 7]],
    [[0, 7.3], 5, [0, 2, 4, 6]],
    [[0, 1024], 4, [0, 200, 400, 600, 800, 1000]],
  ] as const)("of %j, about %i: %j", (domain, count, expected) => {
    expect(niceTicks(domain, count)).toEqual(expected);
  });

  test("the step is 1, 2 or 5 times a power of ten, and the number of steps is right within a factor of 1.6 (√2.5)", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), fc.integer({ min: 1, max: 20 }), (span, count) => {
        const step = niceStep(span, count);
        const mantissa = step / 10 ** Math.floor(Math.log10(step) + 1e-9);
        expect([1, 2, 5].some((m) => Math.abs(mantissa - m) < 1e-6)).toBe(true);
        expect(span / step / count).toBeGreaterThan(1 / 1.6);
        expect(span / step / count).toBeLessThan(1.6);
      }),
      { seed: 1 },
    );
  });

  test.each([
    [[0, 0.5, 1], 1],
    [[0, 20, 40], 0],
    [[0, 0.05], 2],
    [[0.1, 0.2], 1],
    [[0], 0],
  ] as const)("%j are told apart by %i digits after the point", (ticks, expected) => {
    expect(tickDecimals(ticks)).toBe(expected);
  });
});

describe("domains", () => {
  test.each([
    [[0.13, 0.94], 5, [0, 1]],
    [[-3, 7.1], 5, [-4, 8]],
    [[0, 10], 5, [0, 10]],
    [[0, 0], 5, [-1, 1]],
    [[4, 4], 4, [2, 6]],
  ] as const)("%j is widened to whole steps: %j", (domain, count, expected) => {
    const [low, high] = niceDomain(domain, count);
    expect(low).toBeCloseTo(expected[0], 12);
    expect(high).toBeCloseTo(expected[1], 12);
  });

  test("the extent passes over what is not finite", () => {
    expect(
      extent([
        [3, NaN, -Infinity],
        [Infinity, 5],
      ]),
    ).toEqual([3, 5]);
    expect(extent([[NaN], []])).toBeUndefined();
  });
});

test("the middle of the domain is the middle of the frame, its corners are the frame's, y goes up", () => {
  const transform = dataToPixels({ left: 40, top: 10, width: 200, height: 100 }, [-1, 3], [0, 8]);
  expect(project(transform, 1, 4)).toEqual([140, 60]);
  expect(project(transform, -1, 0)).toEqual([40, 110]);
  expect(project(transform, 3, 8)).toEqual([240, 10]);
});

test("pixels are right to 1e-6 for data far from zero, which float32 transforms would lose", () => {
  const transform = dataToPixels({ left: 0, top: 0, width: 1000, height: 1 }, [1e6, 1e6 + 1], [0, 1]);
  // Half a unit of 1e6 + 0.5 in double precision is 6e-11, times 1000 pixels.
  expect(Math.abs(project(transform, 1e6 + 0.5, 0)[0] - 500)).toBeLessThan(1e-6);
});
