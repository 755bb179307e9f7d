/** Tokens as labels: what would not be seen is drawn, in every chart and table. */
import fc from "fast-check";
import {
  attentionExplorer,
  barChart,
  heatmap,
  histogram,
  lineChart,
  pointCloud,
  scatter,
  table,
  tokenStrip,
  tokenTable,
} from "transformer-circuits/viz";
import type { Figure } from "transformer-circuits/viz";
import { describe, expect, test } from "vitest";
import { elementsOf } from "./svg.ts";

const charts: readonly (readonly [string, (token: string) => Figure])[] = [
  ["barChart", (token) => barChart({ bars: [{ label: token, value: 1 }] })],
  ["scatter", (token) => scatter({ points: [{ x: 0, y: 1, label: token }] })],
  ["lineChart, names", (token) => lineChart({ series: [token, "other"].map((name) => ({ name, y: [1, 2] })) })],
  [
    "lineChart, references",
    (token) => lineChart({ series: [{ name: "a", y: [0, 9] }], references: [{ value: 5, label: token }] }),
  ],
  ["histogram", (token) => histogram({ values: [0, 1], references: [{ value: 0.5, label: token }] })],
  ["heatmap, rows", (token) => heatmap({ values: [[1], [2]], rowLabels: [token, "b"] })],
  ["heatmap, columns", (token) => heatmap({ values: [[1, 2]], columnLabels: [token, "b"] })],
  ["heatmap, cells", (token) => heatmap({ values: [[1]], texts: [token] })],
  ["table, text", (token) => table({ columns: [{ label: "token" }], rows: [[token]] })],
  ["table, token", (token) => table({ columns: [{ label: "token", kind: "token" }], rows: [[token]] })],
  ["table, tokens", (token) => table({ columns: [{ label: "token" }], rows: [[[token, "b"]]] })],
  ["tokenTable, tokens", (token) => tokenTable({ columns: [{ label: "a" }], groups: [{ rows: [[[{ token }]]] }] })],
  ["tokenTable, text", (token) => tokenTable({ columns: [{ label: "a" }], groups: [{ rows: [[token]] }] })],
  ["tokenStrip", (token) => tokenStrip({ tokens: [token], values: [1] })],
  ["pointCloud", (token) => pointCloud({ points: [[0, 0, 0]], labels: [token] })],
  ["attentionExplorer", (token) => attentionExplorer({ tokens: [token], pattern: [[[1]]] })],
];

/** Pieces of tokens, what each is drawn as, and what may never stand in a figure. */
const pieces = [
  [" ", "·"],
  ["\n", "↵"],
  ["\t", "→"],
  ["\r", "\\r"],
  ["\u200b", "\\u{200b}"],
  ["\u00a0", "\\u{a0}"],
  ["\u3000", "\\u{3000}"],
  ["\ufeff", "\\u{feff}"],
  ["\u202e", "\\u{202e}"],
  ["\u0007", "\\u{7}"],
] as const;
const HIDDEN = /[\t\r\u200b\u00a0\u3000\ufeff\u202e\u0007]/;

describe.each(charts)("%s", (_, draw) => {
  test("shows what stands at the ends of a token and has no shape of its own", () => {
    fc.assert(
      fc.property(fc.constantFrom(...pieces), fc.constantFrom(...pieces), fc.boolean(), (first, last, isInner) => {
        // a plain space between letters is seen as it is
        fc.pre(!isInner || first[0] !== " ");
        const [token, visible] = isInner
          ? [`x${first[0]}y${last[0]}`, `x${first[1]}y${last[1]}`]
          : [`${first[0]}x${last[0]}`, `${first[1]}x${last[1]}`];
        const { svg } = draw(token);
        const said = elementsOf(svg.replace(/<style>[^]*?<\/style>/g, "")).map(({ text }) => text.replace(/\n$/, ""));
        expect(said.some((text) => text.includes(visible))).toBe(true);
        expect(said.filter((text) => HIDDEN.test(text))).toEqual([]);
      }),
      { seed: 4, numRuns: 30 },
    );
  });
});

test.each(charts.filter(([name]) => /token|Cloud|Explorer/.test(name) && !name.includes("text")))(
  "%s shows the empty token",
  (_, draw) => {
    expect(draw("").svg).toContain("∅");
  },
);

test("a table on a page shows them too", () => {
  const { fragment } = table({ columns: [{ label: "token" }, { label: "out" }], rows: [[" a", ["\n", ""]]] });
  expect(fragment).toContain("<td>·a</td>");
  expect(fragment).toContain('<span class="tc-token">↵</span> <span class="tc-token">∅</span>');
});
