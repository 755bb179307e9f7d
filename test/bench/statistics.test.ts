/** The pure parts of the bench: order statistics, turns, and the check that a contender computes what it should. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { callsPerSample, quantile, samplesWithin, summarise, takesPart } from "../../bench/lib/statistics.mjs";

describe("summarise", () => {
  test("minimum, median and p90 of samples in any order, by hand", () => {
    expect(summarise([5, 1, 4, 2, 3])).toEqual({ n: 5, min: 1, median: 3, p90: 4.6 });
    expect(summarise([8, 2])).toEqual({ n: 2, min: 2, median: 5, p90: 7.4 });
    expect(summarise([7])).toEqual({ n: 1, min: 7, median: 7, p90: 7 });
  });

  test("leaves the samples as they are", () => {
    const samples = [3, 1, 2];
    summarise(samples);
    expect(samples).toEqual([3, 1, 2]);
  });

  test("a quantile of nothing is an error", () => {
    expect(() => quantile([], 0.5)).toThrow("quantile: there are no samples");
  });
});

describe("turns", () => {
  test("a contender takes part in exactly as many rounds as it has samples, never two in one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 60 }), (rounds, asked) => {
        const count = Math.min(asked, rounds);
        const taken = Array.from({ length: rounds }, (_, round) => takesPart(round, count, rounds));
        expect(taken.filter(Boolean)).toHaveLength(count);
      }),
      { seed: 1 },
    );
  });

  test("few samples are spread over the window", () => {
    const taken = Array.from({ length: 9 }, (_, round) => takesPart(round, 3, 9));
    expect(taken.flatMap((part, round) => (part ? [round] : []))).toEqual([2, 5, 8]);
  });

  test("a sample holds enough calls to last long enough, and at least one", () => {
    expect(callsPerSample(0.3, 2)).toBe(7);
    expect(callsPerSample(2, 2)).toBe(1);
    expect(callsPerSample(50, 2)).toBe(1);
    expect(callsPerSample(0, 2)).toBe(1);
  });

  test("samples stay within the budget, but for the least that is wanted", () => {
    const limits = { most: 40, least: 5, budget: 1500 };
    expect(samplesWithin(2, limits)).toBe(40);
    expect(samplesWithin(100, limits)).toBe(15);
    expect(samplesWithin(1000, limits)).toBe(5);
  });
});
