/** What figures are in narrow places: another drawing, in which nothing is cut that a reader needs. */
import fc from "fast-check";
import { barChart, compositionGraph, headGrid, heatmap, histogram, tokenTable } from "transformer-circuits/viz";
import type { Figure } from "transformer-circuits/viz";
import { describe, expect, test } from "vitest";
import { elementsOf, numberOf, type Element } from "./svg.ts";

/** The elements of the drawing for narrow places. */
function narrowOf(figure: Figure): Element[] {
  const markup = /<svg [^>]*tc-narrow[^]*?<\/svg>/.exec(figure.pieces)?.[0];
  return markup === undefined ? [] : elementsOf(markup);
}
const textsOf = (elements: readonly Element[]): string[] =>
  elements.filter(({ name }) => name === "text").map(({ text }) => text);

const word = fc.string({ minLength: 1, maxLength: 24, unit: fc.constantFrom(..."abcdefghij") });

describe("a bar chart", () => {
  test("writes its labels whole, beside its bars or above them", () => {
    const bars = fc.array(fc.record({ label: word, value: fc.integer({ min: -9, max: 9 }) }), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(bars, fc.integer({ min: 200, max: 700 }), (list, width) => {
        const figure = barChart({ bars: list, width });
        const drawn = textsOf(elementsOf(figure.svg));
        for (const { label } of list) expect(drawn).toContain(label);
        if (figure.width > 400) for (const { label } of list) expect(textsOf(narrowOf(figure))).toContain(label);
      }),
      { seed: 1, numRuns: 40 },
    );
  });

  test("names the colours of its groups", () => {
    const grouped = ["one", "two", "one"].map((group, i) => ({ label: `bar ${i}`, value: i + 1, group }));
    expect(textsOf(elementsOf(barChart({ bars: grouped }).svg))).toEqual(expect.arrayContaining(["one", "two"]));
    const alike = grouped.map((bar) => ({ ...bar, group: "one" }));
    expect(textsOf(elementsOf(barChart({ bars: alike }).svg))).not.toContain("one");
  });
});

describe("a table of tokens", () => {
  test("of any columns is no wider than a phone's page, and has every token of the wide one", () => {
    const cell = fc.array(fc.record({ token: word, value: fc.integer({ min: 0, max: 9 }) }), {
      minLength: 1,
      maxLength: 7,
    });
    const tables = fc
      .integer({ min: 1, max: 5 })
      .chain((columns) =>
        fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 4 }),
      );
    fc.assert(
      fc.property(tables, (rows) => {
        const columns = (rows[0] ?? []).map((_, j) => ({ label: `column ${j}`, legend: "logits" }));
        const figure = tokenTable({ columns, groups: [{ label: "L0H1", rows }] });
        if (figure.width <= 410) return;
        const narrow = narrowOf(figure);
        expect(numberOf(narrow[0], "width")).toBeLessThanOrEqual(410);
        const drawn = textsOf(narrow);
        for (const { token } of rows.flat(2)) expect(drawn.filter((text) => text === token).length).toBeGreaterThan(0);
        for (const { label } of columns) expect(drawn.some((text) => text.startsWith(label))).toBe(true);
        const right = narrow
          .filter(({ name }) => name === "rect")
          .map((one) => numberOf(one, "x") + numberOf(one, "width"));
        expect(Math.max(0, ...right)).toBeLessThanOrEqual(numberOf(narrow[0], "width") + 1);
      }),
      { seed: 2, numRuns: 60 },
    );
  });
});

test("the composition graph stacks its three kinds", () => {
  const figure = compositionGraph({
    layers: 2,
    heads: 8,
    edges: [{ from: { layer: 0, head: 0 }, to: { layer: 1, head: 7 }, kind: "K", value: 1 }],
  });
  const narrow = narrowOf(figure);
  expect(numberOf(narrow[0], "width")).toBe(340);
  expect(textsOf(narrow)).toEqual(expect.arrayContaining(["K-composition", "Q-composition", "V-composition", "L1H7"]));
});

describe("a heat map", () => {
  test.each([
    [5, 40],
    [11, 37],
    [18, 100],
  ])("of %d rows and %d columns keeps a label for each row", (rows, cols) => {
    const values = Array.from({ length: rows }, (_, i) => Array.from({ length: cols }, (_, j) => Math.sin(i * j)));
    const rowLabels = values.map((_, i) => `row${i}`);
    expect(textsOf(narrowOf(heatmap({ values, rowLabels })))).toEqual(expect.arrayContaining(rowLabels));
  });

  test.each([200, 407, 900])("of %d a side has a drawing of its own, with its title", (side) => {
    const data = new Float64Array(side * side);
    data[side * 100 + 101] = 1;
    const figure = heatmap({ values: { rows: side, cols: side, data }, title: "A title" });
    const narrow = narrowOf(figure);
    expect(numberOf(narrow[0], "width")).toBeLessThanOrEqual(345);
    expect(textsOf(narrow)).toContain("A title");
  });
});

test("a grid of heads drops decimals before it writes powers of ten", () => {
  const values = [[-0.09, -14.84, -22.8, 3, 1, 2, 1234.5, 7]];
  const drawn = textsOf(narrowOf(headGrid({ values })));
  expect(drawn).toEqual(expect.arrayContaining(["−0.09", "−14.8", "−22.8", "1,235"]));
  expect(drawn.join(" ")).not.toMatch(/\de\d/);
});

test("texts of reference lines never lie over one another", () => {
  const lines = fc.array(fc.record({ value: fc.double({ min: 0, max: 1, noNaN: true }), label: word }), {
    minLength: 2,
    maxLength: 6,
  });
  fc.assert(
    fc.property(lines, fc.constantFrom(340, 480, 640), (references, width) => {
      const drawn = elementsOf(histogram({ values: [0, 0.5, 1], references, width }).svg).filter(
        ({ name, attributes }) => name === "text" && attributes.class?.includes("tc-halo"),
      );
      expect(drawn).toHaveLength(references.length);
      const boxes = drawn.map((one) => {
        // the narrow side of what a sans-serif face takes
        const room = 5 * one.text.length;
        const x = numberOf(one, "x");
        return { y: numberOf(one, "y"), from: one.attributes["text-anchor"] === "end" ? x - room : x, room };
      });
      for (const [i, a] of boxes.entries())
        for (const b of boxes.slice(i + 1))
          expect(a.y !== b.y || a.from + a.room <= b.from || b.from + b.room <= a.from).toBe(true);
    }),
    { seed: 3, numRuns: 60 },
  );
});
