/** Every drawing on numbers of any size: nothing hangs, nothing but numbers is printed, all of it lies inside, and ticks tell what they stand at. */
import fc from "fast-check";
import {
  architectureDiagram,
  arrange,
  attentionExplorer,
  barChart,
  circuitDiagram,
  complexPlane,
  compositionGraph,
  equation,
  type Figure,
  flipbook,
  formatNumber,
  headGrid,
  heatmap,
  histogram,
  lineChart,
  pointCloud,
  scatter,
  smallMultiples,
  table,
  tokenStrip,
  tokenTable,
} from "transformer-circuits/viz";
import { describe, expect, test } from "vitest";
import * as viz from "../../src/viz/index.ts";
import { niceDomain, niceTicks, shareOf, tickTexts, type Domain } from "../../src/viz/parts/scale.ts";
import { elementsOf, numberOf, withClass } from "./svg.ts";

const { MAX_VALUE, MIN_VALUE, EPSILON } = Number;

/** Numbers of every size, and lists of them that are equal, nearly equal, or far from one another. */
const size = fc
  .tuple(fc.double({ min: 1, max: 9.999, noNaN: true }), fc.integer({ min: -308, max: 307 }))
  .map(([mantissa, exponent]) => Number(`${mantissa}e${exponent}`));
const special = fc.constantFrom(0, -0, MIN_VALUE, -MIN_VALUE, 1e-310, MAX_VALUE, -MAX_VALUE, 1, 0.3, 0.1 + 0.2);
const number = fc.oneof(
  special,
  size,
  size.map((x) => -x),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const near = fc
  .tuple(number, fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 6 }))
  .map(([x, steps]) => steps.map((k) => Math.max(-MAX_VALUE, Math.min(MAX_VALUE, x * (1 + k * EPSILON)))));
const numbers = fc.oneof(
  fc.array(number, { minLength: 1, maxLength: 6 }),
  near,
  fc.tuple(number, fc.integer({ min: 1, max: 5 })).map(([x, n]) => Array.from({ length: n }, () => x)),
);

const name = (i: number): string => `n${i}`;
const magnitudes = (list: readonly number[]): number[] => list.map(Math.abs);
const triangle = (list: readonly number[]): number[] => [0, 1, 2].map((i) => Math.abs(list[i % list.length] ?? 0));

/** Every drawing, of a list of numbers that may be anything. */
const drawings: Record<string, (list: readonly number[], at: number) => Figure> = {
  architectureDiagram: (_, at) => {
    const many = Math.min(MAX_VALUE, Math.max(1, Math.floor(Math.abs(at))));
    return architectureDiagram({
      layers: many,
      heads: many,
      d_model: many,
      d_head: many,
      d_vocab: many,
      n_ctx: many,
      parameters: at,
    });
  },
  pointCloud: (list, at) =>
    pointCloud({ points: list.map((x) => [x, at, x / 2]), labels: list.map((_, i) => name(i)) }),
  flipbook: (list, at) =>
    flipbook({ frames: [histogram({ values: list }), histogram({ values: [at, ...list] })], title: "a" }),
  arrange: (list) => arrange({ rows: [[histogram({ values: list })], [heatmap({ values: [list] })]] }),
  attentionExplorer: (list, at) =>
    attentionExplorer({ tokens: ["a", "b"], pattern: [[triangle(list)]], logProbs: [at, list[0] ?? 0] }),
  barChart: (list, at) =>
    barChart({
      bars: list.map((value, i) => ({ label: name(i), value, ...(i % 2 === 1 && { error: Math.abs(at) }) })),
    }),
  circuitDiagram: (list, at) =>
    circuitDiagram({
      layers: 2,
      heads: list.length,
      edges: [
        ...list.map((value, i) => ({ from: `a0.h${i}`, to: `a1.h${i}`, input: "k" as const, value })),
        { from: "input", to: "logits", value: at },
      ],
    }),
  complexPlane: (list, at) => complexPlane({ points: list.map((re) => ({ re, im: at })) }),
  "complexPlane, linear": (list, at) =>
    complexPlane({ points: { re: list, im: list.map(() => at) }, radius: "linear", ...(at > 0 && { rim: at }) }),
  compositionGraph: (list, at) =>
    compositionGraph({
      layers: 2,
      heads: 1,
      edges: list.map((value) => ({ from: "L0H0", to: "L1H0", kind: "K", value })),
      baseline: { mean: at, std: Math.abs(at) },
    }),
  equation: (list) => equation({ left: "T", terms: list.map((x) => ({ formula: "A", notes: [formatNumber(x)] })) }),
  headGrid: (list) => headGrid({ values: [list] }),
  heatmap: (list, at) =>
    heatmap({ values: [list, list.map((x) => x / 2)], ...(at > 0 && { limit: at }), showValues: at < 0 }),
  "heatmap, an image": (list) =>
    heatmap({
      values: { rows: 31, cols: 31, data: Array.from({ length: 961 }, (_, i) => list[i % list.length] ?? 0) },
    }),
  "heatmap, sequential": (list) => heatmap({ values: [magnitudes(list)], scale: "sequential" }),
  histogram: (list, at) => histogram({ values: list, references: [{ value: at, label: "here" }] }),
  lineChart: (list, at) =>
    lineChart({
      series: [{ name: "a", y: list, band: { lower: list.map((y) => y / 2), upper: list.map((y) => y / 2 + at / 2) } }],
      references: [{ value: at }],
    }),
  "lineChart, along any x": (list, at) => {
    const x = [...list].sort((a, b) => a - b);
    return lineChart({
      series: [
        { name: "a", x, y: list },
        { name: "b", x: [at], y: [at] },
      ],
    });
  },
  scatter: (list, at) =>
    scatter({ points: list.map((x, i) => ({ x, y: i % 2 === 0 ? at : x, label: name(i) })), path: true }),
  smallMultiples: (list) =>
    smallMultiples({ figures: list.map((x) => barChart({ bars: [{ label: "a", value: x }] })) }),
  table: (list) => table({ columns: [{ label: "a", kind: "bar" }, { label: "b" }], rows: list.map((x) => [x, x]) }),
  tokenStrip: (list) => tokenStrip({ tokens: list.map(name), values: list }),
  tokenTable: (list, at) =>
    tokenTable({
      columns: [{ label: "a" }, { label: "b", legend: "c" }],
      groups: [{ rows: list.map((value, i) => [at, [{ token: name(i), value }]]) }],
    }),
};

/** Coordinates in an attribute or path. */
const coordinates = (text: string | undefined): number[] =>
  (text ?? "").match(/-?\d[\d.]*(e[+-]?\d+)?/g)?.map(Number) ?? [];

function expectSound(figure: Figure): void {
  for (const form of [figure.svg, figure.html]) {
    const said = form.replace(/<style[^]*?<\/style>|<script>[^]*?<\/script>|base64,[^"]*/g, "");
    expect(/NaN|Infinity|undefined|∞/.exec(said)?.[0]).toBeUndefined();
  }
  expect([figure.width, figure.height].every((side) => side > 0 && side < 1e5)).toBe(true);
  for (const { attributes } of elementsOf(figure.svg.replace(/<style>[^<]*<\/style>/, ""))) {
    for (const key of ["x", "x1", "x2", "cx", "width"]) within(coordinates(attributes[key]), -13, figure.width + 25);
    for (const key of ["y", "y1", "y2", "cy", "height"]) within(coordinates(attributes[key]), -13, figure.height + 25);
    for (const key of ["r", "stroke-width", "fill-opacity"]) within(coordinates(attributes[key]), 0, 1000);
    within(coordinates(attributes.d), -1000, figure.width + figure.height);
    within(coordinates(attributes.points), 0, Math.max(figure.width, figure.height));
  }
}

function within(values: readonly number[], low: number, high: number): void {
  for (const value of values)
    if (!(value >= low && value <= high)) expect.fail(`${value} is outside ${low} to ${high}`);
}

test("every drawing of the entry is tried", () => {
  const none = [
    ...["Figure", "escapeHtml", "figureScript", "figureStyles", "formatNumber", "visibleToken"],
    ...["defineFigureElement", "enliven", "mount"],
  ];
  const tried = Object.keys(drawings).map((key) => key.split(",")[0]);
  expect(Object.keys(viz).filter((key) => !none.includes(key) && !tried.includes(key))).toEqual([]);
});

describe.each(Object.entries(drawings))("%s", (_, draw) => {
  test("draws any finite numbers inside, and prints nothing else", () => {
    fc.assert(
      fc.property(numbers, number, (list, at) => expectSound(draw(list, at))),
      { seed: 5, numRuns: 150 },
    );
  });
});

describe("very many values", () => {
  const count = 150_000;
  const many = Float64Array.from({ length: count }, (_, i) => Math.sin(i));
  test.each([
    ["barChart", () => barChart({ bars: Array.from(many.subarray(0, 5000), (value) => ({ label: "a", value })) })],
    ["complexPlane", () => complexPlane({ points: { re: many, im: many } })],
    [
      "heatmap",
      () => heatmap({ values: { rows: 1, cols: count, data: many }, columnLabels: Array.from(many, String) }),
    ],
    ["heatmap with numbers", () => heatmap({ values: { rows: 1, cols: count, data: many }, showValues: true })],
    ["histogram", () => histogram({ values: many, bins: 1e12 })],
    ["lineChart", () => lineChart({ series: [{ name: "a", y: many }], references: [{ value: 2 }] })],
    [
      "lineChart of many series",
      () => lineChart({ series: Array.from({ length: 500 }, (_, i) => ({ name: name(i), y: [i] })) }),
    ],
    ["scatter", () => scatter({ points: Array.from(many, (x, i) => ({ x, y: i % 977, label: name(i) })) })],
    [
      "scatter of many groups",
      () => scatter({ points: Array.from({ length: 300 }, (_, i) => ({ x: i, y: i, group: name(i) })) }),
    ],
    [
      "tokenStrip",
      () => tokenStrip({ tokens: Array.from(many.subarray(0, 20_000), String), values: many.subarray(0, 20_000) }),
    ],
    [
      "pointCloud",
      () =>
        pointCloud({
          points: { rows: count / 3, cols: 3, data: many },
          labels: Array.from(many.subarray(0, count / 3), String),
        }),
    ],
    ["decades", () => complexPlane({ points: [{ re: 1, im: 0 }], decades: 1e12 })],
    ["a long title", () => histogram({ values: [1], title: "word ".repeat(400), width: 60, height: 20 })],
    ["a long token", () => tokenTable({ columns: [{ label: "a" }], groups: [{ rows: [["x".repeat(200_000)]] }] })],
  ] as const)("%s", (_, draw) => {
    const figure = draw();
    expect(/NaN|Infinity|undefined/.exec(figure.svg.replace(/base64,[^"]*/g, ""))?.[0]).toBeUndefined();
    expect(figure.width > 0 && figure.height > 0).toBe(true);
  });
});

describe("ticks", () => {
  /** The number that a text of a tick says. */
  const read = (text: string): number => Number(text.replace("−", "-").replace("e−", "e-").replaceAll(",", ""));
  const domain = fc.tuple(number, number).map(([a, b]): Domain => niceDomain([Math.min(a, b), Math.max(a, b)], 5));
  const narrow = near.map((list): Domain => niceDomain([Math.min(...list), Math.max(...list)], 5));

  test("ascend inside the domain, are few, and say where they stand in texts that differ", () => {
    fc.assert(
      fc.property(fc.oneof(domain, narrow), fc.integer({ min: 2, max: 12 }), (ends, count) => {
        const ticks = niceTicks(ends, count);
        const texts = tickTexts(ticks);
        expect(ticks.length).toBeGreaterThan(0);
        expect(ticks.length).toBeLessThan(2 * count + 3);
        expect(new Set(texts).size).toBe(ticks.length);
        expect(texts.map(read)).toEqual(ticks.map((tick) => tick + 0));
        for (const [i, tick] of ticks.entries()) {
          if (i > 0) expect(tick).toBeGreaterThan(ticks[i - 1] as number);
          expect(Math.abs(shareOf(tick, ends) - 0.5)).toBeLessThan(0.5 + 1e-6);
        }
      }),
      { seed: 9, numRuns: 1000 },
    );
  });

  test("of domains that hold no round number between neighbouring ones are the ends", () => {
    expect(tickTexts(niceTicks([0.3, 0.1 + 0.2], 5))).toEqual(["0.29999999999999999", "0.30000000000000004"]);
    expect(niceTicks([1e300, 1e300 + 2 ** 945], 5)).toEqual([1e300, 1e300 + 2 ** 945]);
  });

  test("of numbers that differ by rounding surround them: they are one value", () => {
    expect(niceDomain([0.3, 0.1 + 0.2], 5)).toEqual(niceDomain([0.3, 0.3], 5));
  });

  test("of a chart are the texts beside its gridlines", () => {
    const figure = lineChart({ series: [{ name: "a", x: [0, 1e-9], y: [0, 4e300] }] });
    const texts = withClass(figure.fragment, "text", "tc-tick").map(({ text }) => text);
    expect(texts).toEqual(expect.arrayContaining(["0", "1e300", "2e300", "3e300", "4e300", "5e−10", "1e−9"]));
    const lines = withClass(figure.fragment, "line", "tc-s-grid").map((line) => numberOf(line, "y1"));
    const gaps = lines.slice(1).map((y, i) => (lines[i] ?? 0) - y);
    expect(Math.max(...gaps) - Math.min(...gaps)).toBeLessThan(0.05);
  });

  test("of one in a given domain has its own digits", () => {
    const figure = lineChart({ series: [{ name: "a", y: [0.62, 0.66] }], yDomain: [0.61, 0.69], height: 100 });
    expect(figure.fragment).toContain(">0.65<");
  });
});
