/**
 * Figures: data in, SVG and HTML strings out. No DOM, no model, nothing fetched, the same text for the same data.
 *
 * @packageDocumentation
 */
export { architectureDiagram, type ArchitectureDiagramOptions } from "./architecture-diagram.ts";
export { arrange, type ArrangeOptions } from "./arrange.ts";
export { attentionExplorer, type AttentionExplorerOptions } from "./attention-explorer.ts";
export { barChart, type Bar, type BarChartOptions } from "./bar-chart.ts";
export type { HeadRef, MatrixLike, ShapedData } from "./check.ts";
export type { ColorScale } from "./color.ts";
export { complexPlane, type Complex, type ComplexPlaneOptions } from "./complex-plane.ts";
export {
  compositionGraph,
  type CompositionBaseline,
  type CompositionEdge,
  type CompositionGraphOptions,
  type CompositionKind,
  type HeadRole,
} from "./composition-graph.ts";
export type { AttentionStack } from "./explorer-data.ts";
export { equation, type EquationOptions, type EquationTerm } from "./equation.ts";
export { Figure, figureStyles } from "./figure.ts";
export type { Captions } from "./frame.ts";
export { headGrid, type HeadGridOptions } from "./head-grid.ts";
export { heatmap, type HeatmapOptions } from "./heatmap.ts";
export { histogram, type HistogramOptions } from "./histogram.ts";
export { lineChart, type LineChartOptions, type LineSeries, type ReferenceLine, type Region } from "./line-chart.ts";
export type { Domain } from "./scale.ts";
export { scatter, type ScatterOptions, type ScatterPoint } from "./scatter.ts";
export { smallMultiples, type SmallMultiplesOptions } from "./small-multiples.ts";
export { table, type TableCell, type TableColumn, type TableOptions } from "./table.ts";
export { escapeHtml, formatNumber, visibleToken, type NumberFormat } from "./text.ts";
export {
  tokenTable,
  type TokenChip,
  type TokenTableCell,
  type TokenTableColumn,
  type TokenTableGroup,
  type TokenTableOptions,
} from "./token-table.ts";
export { tokenStrip, type TokenStripOptions } from "./token-strip.ts";
