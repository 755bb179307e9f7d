/** What an untyped caller gets wrong, and how heads are named. */
import {
  attentionExplorer,
  barChart,
  complexPlane,
  compositionGraph,
  formatNumber,
  headGrid,
  heatmap,
  histogram,
  lineChart,
  scatter,
  smallMultiples,
  tokenStrip,
} from "transformer-circuits/viz";
import { expect, test } from "vitest";
import type { HeadRef } from "../../src/head-id.ts";

const two = ["a", "b"];
const square = [1, 0, 0.5, 0.5];

const untyped: readonly (readonly [() => unknown, string])[] = [
  [
    () => heatmap({ values: [1, 2, 3] } as never),
    "heatmap: row 0 of values is 1, not a list of numbers. Give a list of rows; a single row is [[1, 2, 3]].",
  ],
  [
    () => heatmap([[1, 2]] as never),
    "heatmap: options is an array, not an object of named values, as in { values: … }.",
  ],
  [
    () => heatmap({ values: [[1, "2"]] } as never),
    "heatmap: element 1 of row 0 of values is 2, of type string, not a number.",
  ],
  [() => heatmap({ values: [[1]], titel: "a" } as never), 'heatmap: there is no option "titel". Did you mean title?'],
  [
    () => heatmap({ values: [[1]], rowLabels: "ab" } as never),
    'heatmap: rowLabels is "ab", not a list. Write it in brackets.',
  ],
  [
    () => heatmap({ values: 5 } as never),
    "heatmap: values is no matrix. Give rows of numbers, as in [[1, 2], [3, 4]], or a tensor of two axes.",
  ],
  [
    () => heatmap({ values: Promise.resolve([[1]]) } as never),
    "heatmap: values is a Promise. Write await before the call that gave it.",
  ],
  [
    () => headGrid(Promise.resolve() as never),
    "headGrid: options is a Promise, not an object of named values, as in { values: … }. Write await before the call that gave it.",
  ],
  [
    () => lineChart({ series: [[1, 2]] } as never),
    "lineChart: series[0] is an array, not an object of named values, as in { k: 5 }.",
  ],
  [
    () => lineChart({ series: [{ name: "a", y: 3 }] } as never),
    "lineChart: series[0].y is 3, not a list. Write it in brackets.",
  ],
  [
    () => lineChart({ series: [{ y: [1] }] } as never),
    "lineChart: series[0].name is undefined, of type undefined, not a text. Write it in quotation marks.",
  ],
  [
    () => scatter({ points: [[1, 2]] } as never),
    "scatter: points[0] is an array, not an object of named values, as in { k: 5 }.",
  ],
  [
    () => scatter({ points: [{ x: 1 }] } as never),
    "scatter: points[0].y is undefined, of type undefined, not a number.",
  ],
  [() => barChart({ bars: [3] } as never), "barChart: bars[0] is 3, not an object of named values, as in { k: 5 }."],
  [
    () => histogram({ values: { shape: [2], data: [1, 2] } } as never),
    "histogram: values is a tensor, not a list of numbers. Give its data.",
  ],
  [
    () => complexPlane({ points: [[1, 0]] } as never),
    "complexPlane: points[0] is an array, not an object of named values, as in { k: 5 }.",
  ],
  [
    () => tokenStrip({ tokens: [1], values: [1] } as never),
    "tokenStrip: tokens[0] is 1, of type number, not a text. Write it in quotation marks.",
  ],
  [
    () => smallMultiples({ figures: ["a"] } as never),
    'smallMultiples: figures[0] is "a", not a Figure. Draw one, as with heatmap({ values }).',
  ],
  [
    () => smallMultiples({ figures: [Promise.resolve()] } as never),
    "smallMultiples: figures[0] is a Promise, not a Figure. Write await before the call that gave it.",
  ],
  [
    () => attentionExplorer({ pattern: {} } as never),
    "attentionExplorer: tokens is undefined, not a list. Write it in brackets.",
  ],
  [
    () => attentionExplorer({ tokens: two, pattern: { cache: 1 } } as never),
    "attentionExplorer: pattern is no list of layers. Give one entry for each: the hook_pattern of its heads, a [head, query_pos, key_pos] tensor or a list of heads.",
  ],
  [
    () => attentionExplorer({ tokens: two, pattern: [[square]], selected: ["head 1"] } as never),
    'attentionExplorer: "head 1" does not name a head; write it as L1H4 or 1.4.',
  ],
  [
    () => attentionExplorer({ tokens: two, pattern: [[square]], selected: [{ head: 1 }] } as never),
    "attentionExplorer: an object without layer and head does not name a head; write it as L1H4 or 1.4.",
  ],
  [
    () => compositionGraph({ layers: 1e6, heads: 1e6, edges: [] }),
    "compositionGraph: 1000000 layers of 1000000 heads are more than the 10000 that can be drawn. Show some of the layers, with their layerNames.",
  ],
  [
    () =>
      compositionGraph({ layers: 2, heads: 1, edges: [{ from: "L0H0", to: "L1H0", kind: "k" as never, value: 1 }] }),
    'compositionGraph: edges[0].kind is "k". Give "Q", "K" or "V".',
  ],
  [() => formatNumber(1, { decimals: -1 }), "formatNumber: decimals is -1. Give a whole number from 0 to 100."],
];

test.each(untyped)("an untyped caller is answered in words %#", (build, message) => {
  expect(build).toThrow(expect.objectContaining({ name: "InputError", message }));
});

test("heads are named by place or by label, and both are the same", () => {
  const explorer = (selected: readonly HeadRef[]) =>
    attentionExplorer({
      tokens: two,
      pattern: [
        [square, square],
        [square, square],
      ],
      selected,
    }).html;
  expect(explorer(["L1H1", "L0H1"])).toBe(
    explorer([
      { layer: 1, head: 1 },
      { layer: 0, head: 1 },
    ]),
  );
  const graph = (from: HeadRef, to: HeadRef) =>
    compositionGraph({
      layers: 2,
      heads: 2,
      edges: [{ from, to, kind: "K", value: 1 }],
      roles: [{ name: "a", heads: [to] }],
    }).html;
  expect(graph("L0H1", "L1H0")).toBe(graph({ layer: 0, head: 1 }, { layer: 1, head: 0 }));
});
