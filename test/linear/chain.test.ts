import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chainSplits } from "../../src/linear/chain.ts";

/** Multiply-adds of a bracketing given by splits. */
function cost(sizes: readonly number[], splits: Int32Array): number {
  const n = sizes.length - 1;
  const of = (first: number, last: number): number => {
    if (first === last) return 0;
    const split = splits[first * n + last] as number;
    expect(split).toBeGreaterThanOrEqual(first);
    expect(split).toBeLessThan(last);
    const step = (sizes[first] as number) * (sizes[split + 1] as number) * (sizes[last + 1] as number);
    return of(first, split) + of(split + 1, last) + step;
  };
  return of(0, n - 1);
}

/** The least cost of all bracketings, by trying every one. */
function least(sizes: readonly number[]): number {
  if (sizes.length <= 2) return 0;
  const ends = (sizes[0] as number) * (sizes.at(-1) as number);
  const costs = sizes.slice(1, -1).map((size, t) => {
    return least(sizes.slice(0, t + 2)) + least(sizes.slice(t + 1)) + ends * size;
  });
  return Math.min(...costs);
}

describe("the order of a chain of products", () => {
  test("the textbook chain 30 x 35 x 15 x 5 x 10 x 20 x 25 costs 15125", () => {
    const sizes = [30, 35, 15, 5, 10, 20, 25];
    expect(cost(sizes, chainSplits(sizes))).toBe(15125);
  });

  test("a full OV circuit turned round, W_O W_U W_E W_V, costs two passes over the embeddings and no more", () => {
    const [k, d, V] = [64, 768, 50257];
    const sizes = [k, d, V, d, k];
    expect(cost(sizes, chainSplits(sizes))).toBe(2 * k * d * V + k * d * k);
  });

  test("is as cheap as the cheapest of all bracketings (seeded)", () => {
    const arbitrary = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 2, maxLength: 8 });
    fc.assert(
      fc.property(arbitrary, (sizes) => {
        expect(cost(sizes, chainSplits(sizes))).toBe(least(sizes));
      }),
      { seed: 81, numRuns: 100 },
    );
  });
});
