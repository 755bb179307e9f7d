/** Where things land: positions and colours worked out by hand. */
import {
  barChart,
  complexPlane,
  compositionGraph,
  headGrid,
  heatmap,
  histogram,
  lineChart,
  scatter,
  smallMultiples,
  tokenStrip,
} from "transformer-circuits/viz";
import { describe, expect, test } from "vitest";
import { elementsOf, hovers, numberOf, withClass } from "./svg.ts";

describe("scatter", () => {
  const figure = scatter({
    points: [
      { x: 0, y: 5 },
      { x: -2, y: 0 },
      { x: 2, y: 10 },
    ],
    xDomain: [-2, 2],
    yDomain: [0, 10],
  });
  const circles = elementsOf(figure.fragment).filter(({ name }) => name === "circle");
  const lines = withClass(figure.fragment, "line", "tc-s-grid");
  const xs = lines.flatMap((line) => [numberOf(line, "x1"), numberOf(line, "x2")]);
  const ys = lines.flatMap((line) => [numberOf(line, "y1"), numberOf(line, "y2")]);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];

  test("the middle of the domain is the middle of the frame; its corners are the frame's", () => {
    expect([numberOf(circles[0], "cx"), numberOf(circles[0], "cy")]).toEqual([(left + right) / 2, (top + bottom) / 2]);
    expect([numberOf(circles[1], "cx"), numberOf(circles[1], "cy")]).toEqual([left, bottom]);
    expect([numberOf(circles[2], "cx"), numberOf(circles[2], "cy")]).toEqual([right, top]);
  });

  test("points outside a given domain are left out and counted", () => {
    const cut = scatter({
      points: [
        { x: 0, y: 0 },
        { x: 9, y: 0 },
        { x: NaN, y: 0 },
      ],
      xDomain: [-1, 1],
      yDomain: [-1, 1],
    });
    expect(elementsOf(cut.fragment).filter(({ name }) => name === "circle")).toHaveLength(1);
    expect(cut.fragment).toContain("1 point not finite (left out). 1 point outside the axes.");
  });

  test("groups have colours of their own, in the order in which they first come", () => {
    const grouped = scatter({
      points: [
        { x: 0, y: 0, group: "b" },
        { x: 1, y: 1, group: "a" },
        { x: 0, y: 1, group: "b" },
      ],
    });
    const dots = elementsOf(grouped.fragment).filter(
      ({ name, attributes }) => name === "circle" && "stroke-width" in attributes,
    );
    expect(dots.map(({ attributes }) => attributes.class)).toEqual([
      "tc-f-c0 tc-s-bg",
      "tc-f-c1 tc-s-bg",
      "tc-f-c0 tc-s-bg",
    ]);
  });
});

test("points of a scatter that lie on one another share a label; one apart has its own", () => {
  const figure = scatter({
    points: [
      { x: 1, y: 1, label: "L1H1" },
      { x: -1, y: -1, label: "L0H3" },
      { x: 1, y: 0.995, label: "L1H4" },
      { x: 0.995, y: 1, label: "L1H7" },
    ],
    xDomain: [-2, 2],
    yDomain: [-2, 2],
  });
  const words = withClass(figure.fragment, "text", "tc-f-ink").map(({ text }) => text);
  expect(words.filter((word) => word.includes("H"))).toEqual(["L1H1, L1H4, L1H7", "L0H3"]);
});

describe("heatmap", () => {
  const cells = (figure: { fragment: string }): string[] =>
    elementsOf(figure.fragment)
      .filter(({ name, attributes }) => name === "rect" && "fill-opacity" in attributes)
      .map(({ attributes }) => `${attributes.class} ${attributes["fill-opacity"]}`);

  test("zero is exactly the page; both signs of one size are equally strong", () => {
    const figure = heatmap({ values: [[-2, 0, 1, 2]], legend: false });
    expect(cells(figure)).toEqual(["tc-f-neg 1", "tc-f-pos 0", "tc-f-pos 0.5", "tc-f-pos 1"]);
  });

  test("values without a sign begin at zero; beyond the limit is the limit", () => {
    expect(cells(heatmap({ values: [[0, 0.25, 0.5, 3]], limit: 0.5, legend: false }))).toEqual([
      "tc-f-seq 0",
      "tc-f-seq 0.5",
      "tc-f-seq 1",
      "tc-f-seq 1",
    ]);
  });

  test("all zeros are drawn, all of them neutral", () => {
    expect(cells(heatmap({ values: [[0, 0]], legend: false }))).toEqual(["tc-f-seq 0", "tc-f-seq 0"]);
  });

  test("masked cells have no value, and do not decide the scale", () => {
    const figure = heatmap({
      values: [
        [1, 100],
        [0.5, 1],
      ],
      mask: (i, j) => j > i,
      legend: false,
    });
    expect(hovers(figure.fragment)).toEqual(["0, 0: 1", "1, 0: 0.5", "1, 1: 1"]);
    expect(cells(figure)).toEqual(["tc-f-seq 1", "tc-f-muted 0.07", "tc-f-seq 0.5", "tc-f-seq 1"]);
  });

  test("what is not finite is crossed out and counted, and does not decide the scale", () => {
    const figure = heatmap({
      values: [
        [NaN, 1],
        [Infinity, 2],
      ],
      legend: false,
    });
    expect(figure.fragment).toContain("2 cells not finite (crossed out).");
    expect(hovers(figure.fragment)).toEqual(["0, 0: NaN", "0, 1: 1", "1, 0: ∞", "1, 1: 2"]);
    expect(cells(figure)[1]).toBe("tc-f-seq 0.5");
  });

  test("nested, flat and tensor-like values give the same picture", () => {
    const nested = heatmap({
      values: [
        [1, 2, 3],
        [4, 5, 6],
      ],
    }).fragment;
    expect(heatmap({ values: { rows: 2, cols: 3, data: [1, 2, 3, 4, 5, 6] } }).fragment).toBe(nested);
    expect(heatmap({ values: { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) } }).fragment).toBe(nested);
  });

  test("rows go down and columns right, in whole pixels", () => {
    const rects = elementsOf(
      heatmap({
        values: [
          [1, 1],
          [1, 1],
        ],
        cell: 20,
        legend: false,
      }).fragment,
    ).filter(({ attributes }) => "fill-opacity" in attributes);
    const [x, y] = [numberOf(rects[0], "x"), numberOf(rects[0], "y")];
    expect(rects.map((rect) => [numberOf(rect, "x") - x, numberOf(rect, "y") - y])).toEqual([
      [0, 0],
      [20, 0],
      [0, 20],
      [20, 20],
    ]);
    expect([x, y].every(Number.isInteger)).toBe(true);
  });
});

test("a grid of heads prints every label and value", () => {
  const figure = headGrid({
    values: [
      [0.125, -1],
      [0.5, 0],
    ],
  });
  const texts = elementsOf(figure.fragment)
    .filter(({ name }) => name === "text")
    .map(({ text }) => text);
  for (const text of ["L0H0", "L0H1", "L1H0", "L1H1", "0.13", "−1.00", "0.50", "0.00"]) expect(texts).toContain(text);
  expect(hovers(figure.fragment)).toEqual(["L0H0: 0.125", "L0H1: −1", "L1H0: 0.5", "L1H1: 0"]);
});

describe("line chart", () => {
  const paths = (figure: { fragment: string }): number[][] =>
    withClass(figure.fragment, "path", "tc-line").map(({ attributes }) =>
      (attributes.d ?? "").slice(1).split(/[L ]/).map(Number),
    );

  test("a straight line is straight, and its middle is the middle", () => {
    const [x0 = 0, y0 = 0, x1 = 0, y1 = 0, x2 = 0, y2 = 0] =
      paths(lineChart({ series: [{ name: "s", y: [0, 5, 10] }] }))[0] ?? [];
    expect([x1, y1]).toEqual([(x0 + x2) / 2, (y0 + y2) / 2]);
    expect(x0 < x1 && y0 > y1).toBe(true);
  });

  test("what is not finite leaves a gap; a lone value is a dot", () => {
    const figure = lineChart({ series: [{ name: "s", y: [1, 2, NaN, 3, Infinity, 4, 5] }] });
    expect(paths(figure).map((path) => path.length / 2)).toEqual([2, 2]);
    expect(elementsOf(figure.fragment).filter(({ name }) => name === "circle")).toHaveLength(1);
    expect(figure.fragment).toContain("2 values not finite (left as gaps).");
  });

  test("a reference line is part of the range and says its value", () => {
    const figure = lineChart({
      series: [{ name: "s", y: [1, 2] }],
      references: [{ value: Math.log(1024), label: "ln V" }],
    });
    expect(figure.fragment).toContain("ln V = 6.93");
    const line = elementsOf(figure.fragment).find(({ attributes }) => "stroke-dasharray" in attributes);
    expect(numberOf(line, "y1")).toBeGreaterThan(0);
  });

  test("a region spans its part of the axis", () => {
    const figure = lineChart({
      series: [{ name: "s", y: [0, 1, 2, 3, 4] }],
      regions: [{ from: 2, to: 4, label: "second half" }],
    });
    const region = elementsOf(figure.fragment).find(({ attributes }) => attributes["fill-opacity"] === "0.09");
    const xs = (paths(figure)[0] ?? []).filter((_, i) => i % 2 === 0);
    expect(numberOf(region, "x")).toBe(xs[2]);
    expect(numberOf(region, "x") + numberOf(region, "width")).toBeCloseTo(xs[4] as number, 1);
  });
});

test("bars begin at the zero line and have lengths in proportion", () => {
  const figure = barChart({
    bars: [
      { label: "a", value: 2 },
      { label: "b", value: -1 },
      { label: "c", value: 0 },
    ],
  });
  const bars = elementsOf(figure.fragment).filter(({ attributes }) => attributes["fill-opacity"] === "0.85");
  const zero = numberOf(withClass(figure.fragment, "line", "tc-s-axis")[0], "x1");
  expect(bars.map(({ attributes }) => attributes.class)).toEqual(["tc-f-pos", "tc-f-neg", "tc-f-pos"]);
  expect(numberOf(bars[0], "x")).toBe(zero);
  expect(numberOf(bars[1], "x") + numberOf(bars[1], "width")).toBeCloseTo(zero, 1);
  // Two roundings to 0.01 pixel.
  expect(Math.abs(numberOf(bars[0], "width") - 2 * numberOf(bars[1], "width"))).toBeLessThan(0.03);
  expect(numberOf(bars[2], "width")).toBe(0);
});

test("a histogram counts every finite value once; edges belong to the bin above, the last to the last", () => {
  const values = [0, 0.5, 1, 1, 1.99, 2, 3.5, 4, NaN];
  const figure = histogram({ values, bins: 4 });
  expect(hovers(figure.fragment)).toEqual(["0 to 1: 2", "1 to 2: 3", "2 to 3: 1", "3 to 4: 2"]);
  expect(figure.fragment).toContain("1 value not finite (left out).");
});

describe("complex plane", () => {
  const circles = (figure: { fragment: string }): { cx: number; cy: number; paint: string | undefined }[] =>
    elementsOf(figure.fragment)
      .filter(({ name, attributes }) => name === "circle" && attributes["fill-opacity"] === "0.7")
      .map((circle) => ({ cx: numberOf(circle, "cx"), cy: numberOf(circle, "cy"), paint: circle.attributes.class }));
  const at = { cx: 22 + 100, cy: 14 + 100 };

  test("linear: half the modulus is half the way; i is up; colour is the sign of the real part", () => {
    const points = [
      { re: 4, im: 0 },
      { re: 0, im: 2 },
      { re: -4, im: 0 },
      { re: 0, im: 0 },
    ];
    expect(circles(complexPlane({ points, radius: "linear", size: 200 }))).toEqual([
      { cx: at.cx + 100, cy: at.cy, paint: "tc-f-pos" },
      { cx: at.cx, cy: at.cy - 50, paint: "tc-f-pos" },
      { cx: at.cx - 100, cy: at.cy, paint: "tc-f-neg" },
      { ...at, paint: "tc-f-muted" },
    ]);
  });

  test("logarithmic, four decades: each power of ten is a quarter of the way", () => {
    const points = [1000, 100, 10, 1, 0.1, 0.001].map((re) => ({ re, im: 0 }));
    expect(circles(complexPlane({ points, size: 200 })).map(({ cx }) => cx - at.cx)).toEqual([100, 75, 50, 25, 0, 0]);
  });

  test("two lists are read as points; what is not finite is left out and counted", () => {
    const figure = complexPlane({ points: { re: Float64Array.of(1, NaN), im: Float64Array.of(0, 0) }, size: 200 });
    expect(circles(figure)).toHaveLength(1);
    expect(figure.fragment).toContain("1 point not finite (left out).");
  });
});

describe("composition graph", () => {
  const edge = (from: number, to: number, value: number) =>
    ({ from: { layer: 0, head: from }, to: { layer: 1, head: to }, kind: "K", value }) as const;
  const figure = compositionGraph({
    layers: 2,
    heads: 2,
    edges: [edge(0, 0, 0.3), edge(0, 1, 0.2), edge(1, 0, 0.1), edge(1, 1, 0.02)],
    baseline: { mean: 0.1, std: 0.004 },
  });

  test("draws what is above the baseline, the strongest last, widths in proportion to the excess", () => {
    const curves = elementsOf(figure.svg).filter(
      ({ name, attributes }) => name === "path" && attributes.class === "tc-line tc-s-c1",
    );
    expect(hovers(figure.svg)).toEqual([
      "L0H0→L1H1 K-composition: 0.2, 0.1 above the baseline",
      "L0H0→L1H0 K-composition: 0.3, 0.2 above the baseline",
    ]);
    // 0.4 + 4.6 × share of the strongest
    expect(curves.map((curve) => numberOf(curve, "stroke-width"))).toEqual([2.7, 5]);
    const said = withClass(figure.svg, "text", "tc-sub")
      .map(({ text }) => text)
      .join(" ");
    expect(said).toBe("Excess over the random-matrix baseline of 0.1 ± 0.004. 2 of 4 scores drawn.");
  });

  test("the page form has the same edges in one panel, with a check box for each kind", () => {
    expect(hovers(figure.fragment.replace(/<input[^>]*>/g, ""))).toEqual(hovers(figure.svg));
    expect(figure.fragment.match(/type="checkbox"/g)).toHaveLength(3);
  });

  test("says so when nothing is above the baseline", () => {
    expect(compositionGraph({ layers: 2, heads: 1, edges: [edge(0, 0, 0.1)], baseline: { mean: 0.2 } }).svg).toContain(
      "No score is above the baseline.",
    );
  });
});

test("small multiples stand in rows at equal distances", () => {
  const figures = Array.from({ length: 5 }, () => complexPlane({ points: [{ re: 1, im: 0 }], size: 100 }));
  const places = [
    ...smallMultiples({ figures, columns: 3 }).fragment.matchAll(/<g transform="translate\((\d+) (\d+)\)">/g),
  ].map(([, x, y]) => [Number(x), Number(y)]);
  // Each is 120 wide and 108 high, 10 apart.
  expect(places).toEqual([
    [0, 0],
    [130, 0],
    [260, 0],
    [0, 118],
    [130, 118],
  ]);
});

test("a token without a value is not counted as missing and does not stretch the colours", () => {
  const figure = tokenStrip({ tokens: ["a", "b", "c"], values: [9, 1, NaN], noValue: [0], legendLabel: "logits" });
  expect(hovers(figure.fragment)).toEqual(["0 a: no value", "1 b: 1", "2 c: NaN"]);
  expect(figure.fragment).toContain("Colour: logits, 0 to 1. 1 value not finite (uncoloured).");
  const boxes = elementsOf(figure.fragment).filter(({ attributes }) => "fill-opacity" in attributes);
  expect(boxes.map((box) => numberOf(box, "fill-opacity"))).toEqual([0, 1, 0]);
});

test("a token strip wraps inside its width and outlines the marked token", () => {
  const figure = tokenStrip({
    tokens: Array.from({ length: 60 }, () => "token"),
    values: Array.from({ length: 60 }, () => 0),
    width: 300,
    marked: [3],
  });
  const boxes = elementsOf(figure.fragment).filter(({ attributes }) => "fill-opacity" in attributes);
  expect(boxes).toHaveLength(60);
  for (const box of boxes) expect(numberOf(box, "x") + numberOf(box, "width")).toBeLessThanOrEqual(300);
  expect(withClass(figure.fragment, "rect", "tc-line")).toHaveLength(1);
  expect(figure.height).toBe(Math.max(...boxes.map((box) => numberOf(box, "y"))) + 24);
});
