/** A cloud's still: where the camera puts points, which are drawn and named. The live form is tried in a browser. */
import { pointCloud } from "transformer-circuits/viz";
import { describe, expect, test } from "vitest";
import { cameraOf, DISTANCE, LENS } from "../../src/viz/parts/camera.ts";
import { elementsOf, numberOf, withClass } from "./svg.ts";

const front = { azimuth: 0, elevation: 0 };

describe("the camera", () => {
  test("from the front has x to the right, y up, z towards the eye: lens / distance of half the picture", () => {
    const at = cameraOf(front, 200, 100);
    expect(at([0, 0, 0])).toEqual([100, 50, expect.closeTo(DISTANCE, 5) as number]);
    const [x, y] = at([0.5, 0.25, 0]);
    expect(x).toBeCloseTo(100 + (50 * LENS * 0.5) / DISTANCE, 4);
    expect(y).toBeCloseTo(50 - (50 * LENS * 0.25) / DISTANCE, 4);
    expect(at([0, 0, 1])[2]).toBeCloseTo(DISTANCE - 1, 5);
  });

  test("a quarter turn brings x before the eye, and from above y", () => {
    expect(cameraOf({ azimuth: Math.PI / 2, elevation: 0 }, 100, 100)([1, 0, 0])[2]).toBeCloseTo(DISTANCE - 1, 4);
    expect(cameraOf({ azimuth: 0, elevation: 1.55 }, 100, 100)([0, 1, 0])[2]).toBeCloseTo(DISTANCE - 1, 2);
  });

  test("no point of the unit sphere falls out of the picture, from wherever it is seen", () => {
    for (let i = 0; i < 400; i++) {
      const [a, b] = [i * 2.399963, Math.asin(2 * ((i + 0.5) / 400) - 1)];
      const [x, y] = cameraOf(
        { azimuth: i, elevation: Math.sin(i) },
        300,
        240,
      )([Math.cos(a) * Math.cos(b), Math.sin(b), Math.sin(a) * Math.cos(b)]);
      expect(x > 0 && x < 300 && y > 0 && y < 240).toBe(true);
    }
  });
});

describe("the still", () => {
  const circles = (svg: string) =>
    elementsOf(svg.replace(/<style>[^<]*<\/style>/, "")).filter(({ name }) => name === "circle");

  test("puts points where the camera does, far ones first, about the middle of their range", () => {
    const { svg } = pointCloud({ points: [[10, 0, 2], [12, 0, -2]], view: front }); // prettier-ignore
    const radius = Math.hypot(1, 2);
    const at = cameraOf(front, 640, 520);
    const [far, near] = [at([1 / radius, 0, -2 / radius]), at([-1 / radius, 0, 2 / radius])];
    expect(circles(svg).map((one) => numberOf(one, "cx"))).toEqual(
      [far, near].map(([x]) => expect.closeTo(x, 1) as number),
    );
  });

  test("names every point of a sparse cloud, whitespace made visible", () => {
    const labels = ["a", " b", "\n", "<i>"];
    const { svg } = pointCloud({ points: labels.map((_, i) => [i, i * i, -i]), labels });
    expect(
      withClass(svg.replace(/<style>[^<]*<\/style>/, ""), "text", "tc-tick")
        .map(({ text }) => text)
        .sort(),
    ).toEqual(["a", "·b", "↵", "<i>"].sort());
  });

  test("of very many points has one dot on each spot: 50,257 points take less than 600 kB", () => {
    const rows = 50_257;
    const data = Float64Array.from({ length: 3 * rows }, (_, i) => Math.sin(i * i) * Math.cos(i / 7));
    const { svg } = pointCloud({ points: { rows, cols: 3, data } });
    const dots = svg.match(/h0/g)?.length ?? 0;
    expect(dots).toBeGreaterThan(3000);
    expect(svg.length).toBeLessThan(600_000);
    const spots = new Set(svg.match(/M[\d.]+ [\d.]+h0/g));
    expect(spots.size).toBe(dots);
  });

  test.each([
    ["two numbers a point", { points: [[1, 2]] }, "points has 2 numbers a point; three are needed."],
    ["too few labels", { points: [[1, 2, 3]], labels: [] }, "labels has 0 entries for 1 points."],
    ["two axes", { points: [[1, 2, 3]], axes: ["a", "b"] }, "axes has 2 entries for 3 directions."],
    ["nothing finite", { points: [[NaN, 2, 3]] }, "no point is finite."],
    ["no angle", { points: [[1, 2, 3]], view: { azimuth: NaN, elevation: 0 } }, "view.azimuth is NaN."],
  ])("refuses %s", (_, options, message) => {
    expect(() => pointCloud(options)).toThrow(message);
  });

  test("leaves out what is not finite, and says so", () => {
    const { svg } = pointCloud({ points: [[1, 2, 3], [NaN, 0, 0], [0, 0, 0]], labels: ["a", "b", "c"] }); // prettier-ignore
    expect(svg).toContain("1 point not finite (left out).");
    expect(svg).not.toContain(">b<");
  });
});
