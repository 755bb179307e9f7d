/**
 * Figures: data in, SVG and HTML strings out. No DOM, no model, nothing fetched, the same text for the same data; and
 * how they come into a page.
 *
 * @packageDocumentation
 */
export { architectureDiagram, type ArchitectureDiagramOptions } from "./charts/architecture-diagram.ts";
export { arrange, type ArrangeOptions } from "./charts/arrange.ts";
export { attentionExplorer, type AttentionExplorerOptions } from "./explorer/attention-explorer.ts";
export { barChart, type Bar, type BarChartOptions } from "./charts/bar-chart.ts";
export type { MatrixLike, ShapedData } from "./check.ts";
export type { ColorScale } from "./parts/color.ts";
export { circuitDiagram, type CircuitDiagramEdge, type CircuitDiagramOptions } from "./charts/circuit-diagram.ts";
export { complexPlane, type PlanePoint, type ComplexPlaneOptions } from "./charts/complex-plane.ts";
export { compositionGraph } from "./charts/composition-graph.ts";
export type {
  GraphBaseline,
  CompositionEdge,
  CompositionGraphOptions,
  CompositionKind,
  HeadRole,
} from "./charts/composition-panel.ts";
export type { AttentionStack } from "./explorer/data.ts";
export { equation, type EquationOptions, type EquationTerm } from "./charts/equation.ts";
export { Figure, figureScript, figureStyles } from "./figure.ts";
export { defineFigureElement } from "./page/figure-element.ts";
export { enliven, mount, type MountTarget } from "./page/mount.ts";
export { pointCloud, type PointCloudOptions } from "./charts/point-cloud.ts";
export { flipbook, type FlipbookOptions } from "./charts/flipbook.ts";
export type { PngOptions } from "./page/png-bytes.ts";
export type { Captions } from "./parts/frame.ts";
export { headGrid, type HeadGridOptions } from "./charts/head-grid.ts";
export { heatmap, type HeatmapOptions } from "./charts/heatmap.ts";
export { histogram, type HistogramOptions } from "./charts/histogram.ts";
export {
  lineChart,
  type LineChartOptions,
  type LineSeries,
  type ReferenceLine,
  type Region,
} from "./charts/line-chart.ts";
export type { Domain } from "./parts/scale.ts";
export { scatter, type ScatterOptions, type ScatterPoint } from "./charts/scatter.ts";
export { smallMultiples, type SmallMultiplesOptions } from "./charts/small-multiples.ts";
export { table, type TableCell, type TableColumn, type TableOptions } from "./charts/table.ts";
export { escapeHtml, formatNumber, visibleToken, type NumberFormat } from "./parts/text.ts";
export {
  tokenTable,
  type TokenTableCell,
  type TokenTableColumn,
  type TokenTableGroup,
  type TokenTableOptions,
} from "./charts/token-table.ts";
export type { TokenChip } from "./parts/token-chips.ts";
export { tokenStrip, type TokenStripOptions } from "./charts/token-strip.ts";
