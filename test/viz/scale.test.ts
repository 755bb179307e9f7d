import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { extent, niceDomain, niceStep, niceTicks, shareOf, tickDecimals } from "../../src/viz/parts/scale.ts";

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

test("values stand at their share of a domain, as near as numbers tell", () => {
  expect([-1, 1, 3].map((value) => shareOf(value, [-1, 3]))).toEqual([0, 0.5, 1]);
  // Half a unit of 1e6 + 0.5 in double precision is 6e-11.
  expect(Math.abs(shareOf(1e6 + 0.5, [1e6, 1e6 + 1]) - 0.5)).toBeLessThan(1e-9);
  // neighbouring numbers, subnormal ones, and a span beyond the largest number
  expect([0.3, 0.1 + 0.2].map((value) => shareOf(value, [0.3, 0.1 + 0.2]))).toEqual([0, 1]);
  expect([0, 1e-323].map((value) => shareOf(value, [0, 1e-323]))).toEqual([0, 1]);
  expect([-1e308, 0, 1e308].map((value) => shareOf(value, [-1e308, 1e308]))).toEqual([0, 0.5, 1]);
});
