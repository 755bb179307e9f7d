/** One figure of each kind, small enough to be read as text; their drawings are committed beside this file. */
import {
  architectureDiagram,
  arrange,
  attentionExplorer,
  barChart,
  complexPlane,
  compositionGraph,
  type CompositionEdge,
  equation,
  type Figure,
  flipbook,
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
  visibleToken,
} from "transformer-circuits/viz";

/** Tokens that try to break out of markup, hide, or turn text round. */
export const hostileTokens = [
  "<script>alert(1)</script>",
  "&amp;",
  `"'`,
  "\u0000\u0007",
  "\ud800",
  "שלום",
  "\u202eevil",
  "👩‍💻",
  "日本語",
  " \t\r\n",
  "]]>",
  "-->",
  "",
];

const wave = (n: number): number[][] =>
  Array.from({ length: n }, (_, i) =>
    Array.from({ length: n }, (_, j) => Math.round(100 * Math.cos(i / 3) * Math.sin(j / 4)) / 100),
  );
const causal = (n: number): number[][] =>
  Array.from({ length: n }, (_, i) =>
    Array.from({ length: n }, (_, j) => (j > i ? 0 : j === Math.max(0, i - 1) ? 0.75 : j === 0 ? 0.25 : 0)),
  );
const eigenvalues = (h: number) =>
  Array.from({ length: 6 }, (_, k) => ({
    re: Math.round(1000 * Math.cos(k * h) * 1.5 ** k) / 1000,
    im: Math.round(1000 * Math.sin(k * h) * 1.5 ** k) / 1000,
  }));
const edges = (["K", "Q", "V"] as const).flatMap((kind, k) =>
  [0, 1, 2].flatMap((a) =>
    [0, 1, 2].map((b): CompositionEdge => ({
      from: { layer: 0, head: a },
      to: { layer: 1, head: b },
      kind,
      value: ((a * 5 + b * 3 + k * 7) % 11) / 40,
    })),
  ),
);

/** Every kind of figure, by a file name. */
export function gallery(): ReadonlyMap<string, Figure> {
  const planes = [1, 2, 3].map((h) =>
    complexPlane({ points: eigenvalues(h), title: `L0H${h}`, size: 90, rim: 10, caption: (h / 10).toFixed(2) }),
  );
  return new Map<string, Figure>([
    [
      "architecture",
      architectureDiagram({
        layers: 2,
        heads: 8,
        d_model: 128,
        d_head: 16,
        d_vocab: 1024,
        n_ctx: 128,
        positions: "shortformer",
        norm: null,
        parameters: 410112,
        title: "A model",
      }),
    ],
    [
      "architecture-deep",
      architectureDiagram({
        layers: 12,
        heads: 12,
        d_model: 768,
        d_head: 64,
        d_vocab: 50257,
        n_ctx: 1024,
        positions: "standard",
        norm: "LNPre",
      }),
    ],
    [
      "architecture-mlp",
      architectureDiagram({
        layers: 2,
        heads: 4,
        d_model: 512,
        d_head: 128,
        d_mlp: 2048,
        d_vocab: 48262,
        n_ctx: 1024,
        positions: "standard",
        norm: "LN",
      }),
    ],
    [
      "architecture-wide",
      architectureDiagram({ layers: 1, heads: 32, d_model: 2048, d_head: 64, d_vocab: 50257, n_ctx: 2048 }),
    ],
    [
      "arranged",
      arrange({
        rows: [
          [planes[0] as Figure, headGrid({ values: [[0.5, -1]] })],
          [tokenStrip({ tokens: ["a", " b"], values: [0, 1] })],
        ],
        title: "Three figures",
        subtitle: "of their own sizes",
      }),
    ],
    [
      "flipbook",
      flipbook({
        frames: [-0.5, 0.25, 1].map((value) => headGrid({ values: [[value, 0.5]], scale: "diverging", limit: 1 })),
        labels: ["step 0", "step <1>", "step 2"],
        title: "Three checkpoints",
      }),
    ],
    [
      "bars",
      barChart({
        bars: [
          { label: "direct path", value: 1.82 },
          { label: "L0H1→L1H2", value: -0.31, error: 0.08 },
          { label: "unknown", value: NaN },
        ],
        title: "Terms",
        xLabel: "marginal loss reduction (nats)",
      }),
    ],
    [
      "complex-plane",
      complexPlane({
        points: eigenvalues(1),
        title: "L0H1",
        subtitle: "OV eigenvalues, logarithmic radius",
        caption: "copying score 0.10",
      }),
    ],
    ["complex-plane-linear", complexPlane({ points: eigenvalues(2), radius: "linear" })],
    [
      "composition",
      compositionGraph({
        layers: 2,
        heads: 3,
        edges,
        baseline: { mean: 0.09, std: 0.004 },
        roles: [
          { name: "previous token", heads: [{ layer: 0, head: 1 }] },
          {
            name: "induction",
            heads: [
              { layer: 1, head: 0 },
              { layer: 1, head: 2 },
            ],
          },
        ],
        title: "Composition",
      }),
    ],
    [
      "composition-of-two-layers",
      compositionGraph({ layers: 2, heads: 3, edges, layerNames: [3, 11], baseline: { mean: 0.09 } }),
    ],
    [
      "equation",
      equation({
        left: "T",
        terms: [
          { formula: "Id ⊗ W_E W_U", name: "direct path", notes: ["1 term", "0.5"] },
          { formula: "Σ_h A^h ⊗ W_E W_{OV}^h W_U", name: "one head", notes: ["24 terms"] },
          { formula: "a < b & c" },
        ],
        title: "An expansion",
        width: 360,
      }),
    ],
    [
      "head-grid",
      headGrid({
        values: [
          [0.1, -0.2, 0.95],
          [NaN, 0, 0.5],
        ],
        limit: 1,
        title: "Copying score",
      }),
    ],
    [
      "heatmap-diverging",
      heatmap({
        values: [
          [0.5, -0.25, 0],
          [1, NaN, -1],
        ],
        rowLabels: ["L0H0", "L0H1"],
        columnLabels: ["L1H0", "L1H1", "L1H2"],
        showValues: true,
        title: "Diverging",
        xLabel: "reader",
        yLabel: "writer",
        legendLabel: "score",
      }),
    ],
    ["heatmap-image", heatmap({ values: wave(64), title: "64 by 64", xLabel: "column", yLabel: "row" })],
    [
      "heatmap-tokens",
      heatmap({
        values: causal(6),
        rowLabels: hostileTokens.slice(0, 6).map(visibleToken),
        columnLabels: hostileTokens.slice(0, 6).map(visibleToken),
        mask: (i, j) => j > i,
        title: "Attention",
        xLabel: "key",
        yLabel: "query",
      }),
    ],
    [
      "histogram",
      histogram({
        values: Array.from({ length: 60 }, (_, i) => Math.round(100 * Math.sin(i * i)) / 100),
        title: "Null",
        xLabel: "score",
        yLabel: "heads",
        references: [{ value: 0.9, label: "L1H4" }],
      }),
    ],
    [
      "line-chart",
      lineChart({
        series: [
          { name: "first", y: [6, 7, 6.5, 1, 0.5], band: { lower: [5, 6, 6, 0.5, 0.2], upper: [7, 8, 7, 1.5, 0.8] } },
          { name: "second", y: [6, NaN, 5, 4.5, 4] },
        ],
        regions: [{ from: 2, to: 4, label: "second half" }],
        references: [{ value: 6.93, label: "ln V" }],
        title: "Loss",
        xLabel: "position",
        yLabel: "loss (nats)",
      }),
    ],
    [
      "scatter",
      scatter({
        points: [
          { x: 0.9, y: 0.8, label: "L1H4", group: "induction" },
          { x: 0.88, y: 0.79, label: "L1H1", group: "induction" },
          { x: -0.3, y: 0.1, label: "L0H0", group: "other" },
        ],
        xDomain: [-1, 1],
        yDomain: [-1, 1],
        title: "Positivity",
        xLabel: "OV",
        yLabel: "QK",
      }),
    ],
    ["small-multiples", smallMultiples({ figures: planes, columns: 2, rowLabels: ["one", "two"], title: "All heads" })],
    [
      "token-table",
      tokenTable({
        columns: [
          { label: "head" },
          { label: "effect", format: { decimals: 2, sign: true } },
          { label: "source" },
          { label: "out", legend: "logits" },
        ],
        groups: [
          {
            label: "Layer 0",
            note: "copying score 0.5",
            rows: [
              [
                "L0H1",
                1.5,
                [{ token: " keep" }],
                [
                  { token: " mind", value: 2, marked: true },
                  { token: " bay", value: -1 },
                ],
              ],
              [
                "L0H2",
                NaN,
                [{ token: "" }],
                hostileTokens.map((token, i) => ({ token, value: i === 3 ? NaN : i / 8 })),
              ],
            ],
          },
          { rows: [["none", 0, [], []]] },
        ],
        title: "Skip-trigrams",
      }),
    ],
    [
      "token-strip",
      tokenStrip({
        tokens: hostileTokens,
        values: hostileTokens.map((_, i) => i - 6),
        marked: [2],
        title: "Tokens",
        legendLabel: "logits",
        width: 500,
      }),
    ],
    [
      "table",
      table({
        columns: [
          { label: "source", kind: "token" },
          { label: "outputs", kind: "tokens", help: "largest logits" },
          { label: "logit", kind: "bar" },
          { label: "rank" },
        ],
        rows: [
          [" string", [" number", "<b>"], 4.31, 1],
          ["\n", [], -1.5, 2],
          [null, null, null, null],
        ],
        title: "Skip-trigrams",
        subtitle: "of L1H4",
      }),
    ],
    [
      "point-cloud",
      pointCloud({
        points: hostileTokens.map((_, i) => [Math.cos(i), Math.sin(2 * i), i / 8]),
        labels: hostileTokens,
        groups: hostileTokens.map((_, i) => (i % 3 === 0 ? "third <b>" : "other")),
        axes: ["PC 1", "PC 2", "PC 3 & more"],
        title: "Points that turn",
        path: true,
      }),
    ],
    [
      "attention-explorer",
      attentionExplorer({
        tokens: hostileTokens.slice(0, 6),
        pattern: [[causal(6).flat(), causal(6).flat()]],
        title: "Attention <b>",
      }),
    ],
  ]);
}
