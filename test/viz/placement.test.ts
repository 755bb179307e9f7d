import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { placeLabels, spreadApart } from "../../src/viz/parts/label-placement.ts";

const frame = { x: 0, y: 0, width: 400, height: 300 };
const points = fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 300 })), {
  minLength: 1,
  maxLength: 60,
});

test("labels overlap neither one another nor any point, and stay inside the frame", () => {
  fc.assert(
    fc.property(points, (places) => {
      const boxes = placeLabels(
        places.map(([x, y]) => ({ x, y, width: 30, height: 11 })),
        places,
        frame,
        4,
      ).filter((box) => box !== undefined);
      for (const [i, a] of boxes.entries()) {
        expect(a.x >= 0 && a.y >= 0 && a.x + 30 <= 400 && a.y + 11 <= 300).toBe(true);
        for (const b of boxes.slice(i + 1)) expect(Math.abs(a.x - b.x) >= 30 || Math.abs(a.y - b.y) >= 11).toBe(true);
        for (const [x, y] of places)
          expect(x + 4 <= a.x || x - 4 >= a.x + 30 || y + 4 <= a.y || y - 4 >= a.y + 11).toBe(true);
      }
    }),
    { seed: 3, numRuns: 100 },
  );
});

test("a lone point's label stands to its right, in the middle", () => {
  expect(placeLabels([{ x: 100, y: 50, width: 30, height: 10 }], [[100, 50]], frame, 4)).toEqual([
    { x: 106, y: 45, width: 30, height: 10 },
  ]);
});

describe("positions spread apart", () => {
  test.each([
    [
      [10, 50, 90],
      [10, 50, 90],
    ],
    [
      [10, 12, 90],
      [10, 20, 90],
    ],
    [
      [90, 98, 99],
      [80, 90, 100],
    ],
    [
      [12, 10],
      [20, 10],
    ],
  ])("%j become %j between 0 and 100, 10 apart", (given, expected) => {
    expect(spreadApart(given, 10, 0, 100)).toEqual(expected);
  });
});
