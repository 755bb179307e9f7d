/** Changes of level and steepest falls, of curves that were made with known ones. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../../../src/tensor/index.ts";
import { rampOf, steepestFall } from "../../../src/train/film/curves.ts";

const steps = (count: number, every = 20): number[] => Array.from({ length: count }, (_, i) => every * i);

/** From 0 to 1 between two steps, on a straight line. */
const ramp = (from: number, to: number) => (step: number) => Math.min(1, Math.max(0, (step - from) / (to - from)));
/** From 0 to 1 about a step; from a tenth to nine tenths in 4.4 widths. */
const bend = (middle: number, width: number) => (step: number) => 1 / (1 + Math.exp(-(step - middle) / width));

const curve = (count: number, of: (step: number) => number, noise = 0, seed = 1) => {
  const random = new Random(seed);
  const at = steps(count);
  return { steps: at, values: at.map((step) => of(step) + noise * random.normal()) };
};

describe("a ramp", () => {
  test("is found at its checkpoints, to the number", () => {
    const found = rampOf(curve(50, (step) => 0.1 + 0.6 * ramp(200, 400)(step)));
    expect(found).toMatchObject({ from: 10, to: 20 });
    expect([found?.before, found?.after]).toEqual([expect.closeTo(0.1, 10), expect.closeTo(0.7, 10)]);
  });

  test("of any place, height, length and little noise is found within 3 checkpoints, its height in the interval", () => {
    const cases = fc.record({
      from: fc.integer({ min: 10, max: 40 }),
      length: fc.integer({ min: 1, max: 30 }),
      height: fc.double({ min: 0.2, max: 2, noNaN: true }),
      seed: fc.integer({ min: 1, max: 1e6 }),
    });
    fc.assert(
      fc.property(cases, ({ from, length, height, seed }) => {
        const [a, b] = [20 * from, 20 * (from + length)];
        const found = rampOf(curve(100, (step) => height * ramp(a, b)(step), 0.02 * height, seed));
        expect(Math.abs((found?.from ?? NaN) - from)).toBeLessThanOrEqual(3);
        expect(Math.abs((found?.to ?? NaN) - from - length)).toBeLessThanOrEqual(3);
        const [low, high] = found?.interval ?? [NaN, NaN];
        expect(low < height && height < high).toBe(true);
      }),
      { numRuns: 40, seed: 3 },
    );
  });

  test("of a smooth bend covers its tenth to its nine tenths to a third of that", () => {
    const found = rampOf(curve(100, bend(1000, 60), 0.02));
    expect(20 * (found?.from ?? NaN)).toBeGreaterThan(1000 - 132 * 1.34);
    expect(20 * (found?.from ?? NaN)).toBeLessThan(1000 - 132 * 0.66);
    expect(20 * (found?.to ?? NaN)).toBeGreaterThan(1000 + 132 * 0.66);
    expect(20 * (found?.to ?? NaN)).toBeLessThan(1000 + 132 * 1.34);
  });

  test("is sure of no rise where there is noise alone: 1 of 60 at most, at 99 %", () => {
    const sure = Array.from({ length: 60 }, (_, seed) => rampOf(curve(40, () => 0.5, 0.1, seed))).filter(
      (found) => found !== undefined && found.interval[0] > 0,
    );
    expect(sure.length).toBeLessThanOrEqual(1);
  });

  test("is none of a level, or of fewer than four checkpoints", () => {
    expect(rampOf(curve(10, () => 0.5))).toBeUndefined();
    expect(rampOf(curve(3, (step) => step))).toBeUndefined();
  });
});

describe("the steepest fall", () => {
  test("of any place and length is found between levels, with noise", () => {
    const cases = fc.record({
      from: fc.integer({ min: 15, max: 60 }),
      length: fc.integer({ min: 3, max: 25 }),
      seed: fc.integer({ min: 1, max: 1e6 }),
    });
    fc.assert(
      fc.property(cases, ({ from, length, seed }) => {
        const found = steepestFall(curve(100, (step) => -ramp(20 * from, 20 * (from + length))(step), 0.02, seed));
        // lines through up to a fifth of the checkpoints see a fall half as many before and after
        const [begin, end] = [found?.from ?? NaN, found?.to ?? NaN];
        expect(Math.abs((begin + end) / 2 - (from + length / 2))).toBeLessThanOrEqual(5);
        expect(begin).toBeGreaterThanOrEqual(from - 10);
        expect(end).toBeLessThanOrEqual(from + length + 10);
        expect(found?.rate).toBeGreaterThan(2 * (found?.even ?? NaN));
      }),
      { numRuns: 40, seed: 4 },
    );
  });

  test("is none of an even fall with noise: 1 of 60 at most, at 99 %", () => {
    const found = Array.from({ length: 60 }, (_, seed) =>
      steepestFall(curve(60, (step) => -step / 1200, 0.03, seed)),
    ).filter((fall) => fall !== undefined);
    expect(found.length).toBeLessThanOrEqual(1);
  });

  test("is none of a level with noise, of a rise, or of a fall that slows down from the first checkpoint on", () => {
    expect(steepestFall(curve(60, () => 0, 0.03))).toBeUndefined();
    expect(steepestFall(curve(60, (step) => step / 1200, 0.01))).toBeUndefined();
    expect(steepestFall(curve(60, (step) => Math.exp(-step / 150), 0.01))).toBeUndefined();
  });

  test("is the second where a steeper one stands at the beginning", () => {
    const found = steepestFall(curve(100, (step) => 2 * Math.exp(-step / 30) - bend(1000, 50)(step), 0.01));
    expect(20 * (found?.from ?? NaN)).toBeGreaterThan(700);
    expect(20 * (found?.from ?? NaN)).toBeLessThan(1000);
    expect(20 * (found?.to ?? NaN)).toBeGreaterThan(1000);
    expect(20 * (found?.to ?? NaN)).toBeLessThan(1300);
  });

  test("of steps that stand unevenly is a fall a step, not a checkpoint", () => {
    // ten times as many checkpoints between 0 and 100 as behind: falling by the checkpoint it would be the first part
    const uneven = [
      ...Array.from({ length: 50 }, (_, i) => 2 * i),
      ...Array.from({ length: 50 }, (_, i) => 100 + 20 * i),
    ];
    const random = new Random(5);
    const values = uneven.map((step) => -step / 10_000 - ramp(600, 800)(step) + 0.01 * random.normal());
    const found = steepestFall({ steps: uneven, values });
    expect(uneven[found?.from ?? 0]).toBeGreaterThan(450);
    expect(uneven[found?.to ?? 0]).toBeLessThan(950);
  });
});
