/** What is refused, and in which words. */
import {
  architectureDiagram,
  arrange,
  attentionExplorer,
  barChart,
  complexPlane,
  compositionGraph,
  equation,
  type Figure,
  headGrid,
  heatmap,
  histogram,
  lineChart,
  scatter,
  smallMultiples,
  table,
  tokenStrip,
  tokenTable,
} from "transformer-circuits/viz";
import { describe, expect, test } from "vitest";
import { CircuitsError } from "../../src/errors.ts";

const edge = (from: [number, number], to: [number, number]) =>
  ({ from: { layer: from[0], head: from[1] }, to: { layer: to[0], head: to[1] }, kind: "Q", value: 1 }) as const;
const sizes = { layers: 2, heads: 2, d_model: 8, d_head: 4, d_vocab: 10, n_ctx: 16 };
const two = ["a", "b"];
const square = [1, 0, 0.5, 0.5];
const plane = (): Figure => complexPlane({ points: [{ re: 1, im: 0 }] });

const cases: readonly (readonly [string, () => unknown, string])[] = [
  ["ShapeError", () => arrange({ rows: [] }), "arrange: rows is empty. A figure needs at least one entry."],
  [
    "ShapeError",
    () => arrange({ rows: [[plane()], []] }),
    "arrange: rows[1] is empty. A figure needs at least one entry.",
  ],
  [
    "ShapeError",
    () => compositionGraph({ layers: 2, heads: 1, edges: [], layerNames: [4] }),
    "compositionGraph: layerNames has 1 entries for 2 layers. Give one entry for each.",
  ],
  [
    "ShapeError",
    () => equation({ left: "T", terms: [] }),
    "equation: terms is empty. A figure needs at least one entry.",
  ],
  [
    "InputError",
    () => equation({ left: "T", terms: [{ formula: "x" }], width: 0 }),
    "equation: width is 0. Give a whole number of at least 1.",
  ],
  [
    "ShapeError",
    () => tokenTable({ columns: [], groups: [] }),
    "tokenTable: columns is empty. A figure needs at least one entry.",
  ],
  [
    "ShapeError",
    () => tokenTable({ columns: [{ label: "a" }], groups: [{ rows: [["x"], []] }] }),
    "tokenTable: groups[0].rows[1] has 0 entries for 1 columns. Give one entry for each.",
  ],
  [
    "InputError",
    () => tokenTable({ columns: [{ label: "a", limit: 0 }], groups: [] }),
    "tokenTable: columns[0].limit is 0. Give a positive number.",
  ],
  [
    "InputError",
    () => tokenTable({ columns: [{ label: "a" }], groups: [], width: 1.5 }),
    "tokenTable: width is 1.5. Give a whole number of at least 1.",
  ],
  [
    "ShapeError",
    () => heatmap({ values: [] }),
    "heatmap: values is empty (0 rows, 0 columns). A figure needs at least one row and one column.",
  ],
  [
    "ShapeError",
    () => heatmap({ values: [[1, 2], [3]] }),
    "heatmap: row 1 of values has 1 entries where row 0 has 2. Give rows of equal length.",
  ],
  [
    "ShapeError",
    () => heatmap({ values: { rows: 2, cols: 2, data: [1] } }),
    "heatmap: values has 1 numbers for 2 rows and 2 columns, which need 4. Check the sizes.",
  ],
  [
    "ShapeError",
    () => headGrid({ values: { shape: [1, 2, 2], data: [1, 2, 3, 4] } }),
    "headGrid: values has 3 axes, shape [1, 2, 2]; a matrix has two. Select or average over the others first.",
  ],
  [
    "ShapeError",
    () => heatmap({ values: [[1, 2]], columnLabels: ["a"] }),
    "heatmap: columnLabels has 1 entries for 2 columns. Give one entry for each.",
  ],
  [
    "ShapeError",
    () => heatmap({ values: [[1, 2]], texts: ["a"] }),
    "heatmap: texts has 1 entries for 2 cells. Give one entry for each.",
  ],
  [
    "ShapeError",
    () => heatmap({ values: [[1, 2]], rowLabels: [] }),
    "heatmap: rowLabels has 0 entries for 1 rows. Give one entry for each.",
  ],
  [
    "InputError",
    () => heatmap({ values: [[1, -2]], scale: "sequential" }),
    'heatmap: a sequential scale begins at 0, but values go down to -2. Use scale: "diverging".',
  ],
  [
    "InputError",
    () => heatmap({ values: [[1]], limit: 0 }),
    "heatmap: limit is 0. Give the positive magnitude that has the full colour.",
  ],
  ["InputError", () => headGrid({ values: [[1]], limit: NaN }), "headGrid: limit is NaN. Give a finite number."],
  [
    "InputError",
    () => heatmap({ values: [[1]], cell: 2.5 }),
    "heatmap: cell is 2.5. Give a whole number of at least 1.",
  ],
  ["ShapeError", () => lineChart({ series: [] }), "lineChart: series is empty. A figure needs at least one entry."],
  [
    "ShapeError",
    () => lineChart({ series: [{ name: "s", y: [] }] }),
    "lineChart: series[0].y is empty. A figure needs at least one entry.",
  ],
  [
    "ShapeError",
    () => lineChart({ series: [{ name: "s", y: [1, 2], x: [1] }] }),
    "lineChart: series[0].x has 1 entries for 2 values of y. Give one entry for each.",
  ],
  [
    "InputError",
    () => lineChart({ series: [{ name: "s", y: [1], x: [NaN] }] }),
    "lineChart: series[0].x[0] is NaN. Give a finite number.",
  ],
  [
    "ShapeError",
    () => lineChart({ series: [{ name: "s", y: [1], band: { lower: [], upper: [1] } }] }),
    "lineChart: series[0].band.lower has 0 entries for 1 values of y. Give one entry for each.",
  ],
  [
    "InputError",
    () => lineChart({ series: [{ name: "s", y: [NaN] }] }),
    "lineChart: no value of any series is finite. There is nothing to draw.",
  ],
  [
    "InputError",
    () => lineChart({ series: [{ name: "s", y: [1] }], yDomain: [1, 1] }),
    "lineChart: yDomain is [1, 1]. Give two finite numbers, the smaller first.",
  ],
  [
    "InputError",
    () => lineChart({ series: [{ name: "s", y: [1] }], regions: [{ from: 3, to: 2 }] }),
    "lineChart: regions[0] is [3, 2]. Give two finite numbers, the smaller first.",
  ],
  [
    "InputError",
    () => lineChart({ series: [{ name: "s", y: [1] }], references: [{ value: Infinity }] }),
    "lineChart: references[0].value is Infinity. Give a finite number.",
  ],
  ["ShapeError", () => barChart({ bars: [] }), "barChart: bars is empty. A figure needs at least one entry."],
  [
    "InputError",
    () => barChart({ bars: [{ label: "a", value: NaN }] }),
    "barChart: no value is finite. There is nothing to draw.",
  ],
  [
    "InputError",
    () => barChart({ bars: [{ label: "a", value: 1, error: -1 }] }),
    "barChart: bars[0].error is -1. Give the length of the whisker, not below zero.",
  ],
  [
    "InputError",
    () => barChart({ bars: [{ label: "a", value: 1, error: NaN }] }),
    "barChart: bars[0].error is NaN. Give a finite number.",
  ],
  ["InputError", () => histogram({ values: [NaN] }), "histogram: no value is finite. There is nothing to draw."],
  ["InputError", () => histogram({ values: [1], bins: 0 }), "histogram: bins is 0. Give a whole number of at least 1."],
  [
    "ShapeError",
    () => complexPlane({ points: [] }),
    "complexPlane: points is empty. A figure needs at least one entry.",
  ],
  [
    "ShapeError",
    () => complexPlane({ points: { re: [1, 2], im: [1] } }),
    "complexPlane: points.im has 1 entries for 2 real parts. Give one entry for each.",
  ],
  [
    "InputError",
    () => complexPlane({ points: [{ re: 1, im: 0 }], rim: -1 }),
    "complexPlane: rim is -1. Give a positive number.",
  ],
  [
    "InputError",
    () => complexPlane({ points: [{ re: 1, im: 0 }], decades: 0 }),
    "complexPlane: decades is 0. Give a positive number.",
  ],
  [
    "InputError",
    () => scatter({ points: [{ x: NaN, y: 1 }] }),
    "scatter: no point is finite. There is nothing to draw.",
  ],
  [
    "InputError",
    () => scatter({ points: [{ x: 0, y: 1 }], xDomain: [1, NaN] }),
    "scatter: xDomain is [1, NaN]. Give two finite numbers, the smaller first.",
  ],
  [
    "InputError",
    () => compositionGraph({ layers: 2, heads: 2, edges: [edge([0, 2], [1, 0])] }),
    "compositionGraph: edges[0].from is head L0H2, but there are 2 layers (L0 to L1) of 2 heads (H0 to H1).",
  ],
  [
    "InputError",
    () => compositionGraph({ layers: 2, heads: 2, edges: [edge([1, 0], [0, 1])] }),
    "compositionGraph: edges[0] leads from L1H0 to L0H1; a head composes only with heads of earlier layers. Swap from and to, or leave it out.",
  ],
  [
    "InputError",
    () =>
      compositionGraph({
        layers: 2,
        heads: 2,
        edges: [],
        roles: [{ name: "induction", heads: [{ layer: 5, head: 0 }] }],
      }),
    "compositionGraph: roles[0] (induction) is head L5H0, but there are 2 layers (L0 to L1) of 2 heads (H0 to H1).",
  ],
  [
    "InputError",
    () => compositionGraph({ layers: 2, heads: 2, edges: [], baseline: { mean: NaN } }),
    "compositionGraph: baseline.mean is NaN. Give a finite number.",
  ],
  [
    "InputError",
    () => compositionGraph({ layers: 0, heads: 2, edges: [] }),
    "compositionGraph: layers is 0. Give a whole number of at least 1.",
  ],
  [
    "ShapeError",
    () => smallMultiples({ figures: [] }),
    "smallMultiples: figures is empty. A figure needs at least one entry.",
  ],
  [
    "ShapeError",
    () => smallMultiples({ figures: [plane(), plane()], columns: 1, rowLabels: ["x"] }),
    "smallMultiples: rowLabels has 1 entries for 2 rows (2 figures in 1 columns). Give one entry for each row.",
  ],
  ["ShapeError", () => table({ columns: [], rows: [] }), "table: columns is empty. A figure needs at least one entry."],
  [
    "ShapeError",
    () => table({ columns: [{ label: "a" }], rows: [[1, 2]] }),
    "table: rows[0] has 2 entries for 1 columns. Give one entry for each.",
  ],
  [
    "InputError",
    () => table({ columns: [{ label: "a", kind: "number" }], rows: [["x"]] }),
    'table: rows[0][0] is "x", but its column is of kind "number" and takes a number. Change the cell or the column\'s kind.',
  ],
  [
    "InputError",
    () => table({ columns: [{ label: "a", kind: "token" }], rows: [[1]] }),
    'table: rows[0][0] is 1, but its column is of kind "token" and takes a string. Change the cell or the column\'s kind.',
  ],
  [
    "InputError",
    () => table({ columns: [{ label: "a", kind: "text" }], rows: [[["x"]]] }),
    'table: rows[0][0] is ["x"], but its column is of kind "text" and takes a string or number. Change the cell or the column\'s kind.',
  ],
  [
    "ShapeError",
    () => tokenStrip({ tokens: two, values: [1] }),
    "tokenStrip: values has 1 entries for 2 tokens. Give one entry for each.",
  ],
  [
    "InputError",
    () => architectureDiagram({ ...sizes, d_head: 0 }),
    "architectureDiagram: d_head is 0. Give a whole number of at least 1.",
  ],
  [
    "ShapeError",
    () => attentionExplorer({ tokens: [], pattern: [] }),
    "attentionExplorer: tokens is empty. A figure needs at least one entry.",
  ],
  [
    "ShapeError",
    () => attentionExplorer({ tokens: two, pattern: [] }),
    "attentionExplorer: pattern is empty. A figure needs at least one entry.",
  ],
  [
    "ShapeError",
    () => attentionExplorer({ tokens: two, pattern: [[[1, 0]]] }),
    "attentionExplorer: pattern of L0H0 has 2 numbers for 2 tokens. Give the 2 × 2 square (4) or its lower triangle (3).",
  ],
  [
    "ShapeError",
    () => attentionExplorer({ tokens: two, pattern: [{ shape: [1, 3, 3], data: new Float32Array(9) }] }),
    "attentionExplorer: pattern[0] has shape [1, 3, 3] and 9 numbers for 2 tokens; it must be [head, 2, 2], or that with a batch of 1 in front.",
  ],
  [
    "ShapeError",
    () => attentionExplorer({ tokens: two, pattern: [[square], [square, square]] }),
    "attentionExplorer: pattern[1] has 2 entries for 1 heads of layer 0. Give one entry for each.",
  ],
  [
    "InputError",
    () => attentionExplorer({ tokens: two, pattern: [[[0.5, 0.5, 0.5, 0.5]]] }),
    "attentionExplorer: pattern of L0H0 is 0.5 at query 0, key 1. Give 0 for keys after the query; the explorer shows causal attention.",
  ],
  [
    "InputError",
    () => attentionExplorer({ tokens: two, pattern: [[[1, NaN, 1]]] }),
    "attentionExplorer: pattern of L0H0 is NaN at query 1, key 0. Give a finite number of at least 0.",
  ],
  [
    "ShapeError",
    () => attentionExplorer({ tokens: two, pattern: [[square]], valueWeighted: [[square, square]] }),
    "attentionExplorer: valueWeighted has 1 layers of 2 heads where pattern has 1 layers of 1 heads. Give the same heads for both.",
  ],
  [
    "InputError",
    () => attentionExplorer({ tokens: two, pattern: [[square]], selected: [{ layer: 1, head: 0 }] }),
    "attentionExplorer: selected[0] is head L1H0, but there are 1 layers (L0 to L0) of 1 heads (H0 to H0).",
  ],
  [
    "InputError",
    () => attentionExplorer({ tokens: two, pattern: [[square]], focus: 2 }),
    "attentionExplorer: focus is 2, but positions go from 0 to 1.",
  ],
  [
    "InputError",
    () => attentionExplorer({ tokens: two, pattern: [[square]], measure: "value-weighted" }),
    'attentionExplorer: measure is "value-weighted", which was not given.',
  ],
  [
    "ShapeError",
    () => attentionExplorer({ tokens: two, pattern: [[square]], logProbs: [1] }),
    "attentionExplorer: logProbs has 1 entries for 2 tokens. Give one entry for each.",
  ],
];

describe("refused with a typed error that says what is wrong", () => {
  test.each(cases)("%s %#", (name, build, message) => {
    let caught: unknown;
    try {
      build();
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(CircuitsError);
    expect([(caught as CircuitsError).name, (caught as CircuitsError).message]).toEqual([name, message]);
  });
});
