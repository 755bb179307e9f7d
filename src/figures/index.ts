/**
 * The figures of the papers, made of any model: for each a function that returns its data and one that draws them, and a list of all.
 *
 * @packageDocumentation
 */
export type { FigureEntry } from "./entry.ts";
export type { FigureInput, FigureNeed, FigureOptions, FigureTokenizer } from "./input.ts";
export { figureJson } from "./json.ts";
export type { FigureToken } from "./labels.ts";
export type { TokenEntry, TrigramRow } from "./sources.ts";
export { figureEntries, figureEntry, makeFigure, type MadeFigure } from "./registry.ts";

export {
  compositionDiagram,
  drawCompositionDiagram,
  type CompositionDiagram,
  type CompositionDiagramOptions,
} from "./composition.ts";
export {
  copyingTable,
  drawCopyingTable,
  type CopyingRow,
  type CopyingTable,
  type CopyingTableOptions,
} from "./copying-table.ts";
export { copyingHistogram, drawCopyingHistogram, type CopyingHistogram } from "./copying-histogram.ts";
export { drawHeadDump, headDump, type HeadDump, type HeadDumpOptions } from "./head-dump.ts";
export { drawLogitExpansion, logitExpansion, type LogitExpansion } from "./logit-expansion.ts";
export { drawOVEigenvalues, ovEigenvalues, type HeadEigenvalues, type OVEigenvalues } from "./ov-eigenvalues.ts";
export { drawQKExpansion, qkExpansion, type QKExpansion } from "./qk-expansion.ts";
export {
  drawPositionalHeads,
  positionalHeads,
  type PositionalHeads,
  type PositionalHeadsOptions,
} from "./positional-heads.ts";
export {
  drawSkipTrigramList,
  skipTrigramList,
  type ListedTrigram,
  type SkipTrigramList,
  type SkipTrigramListOptions,
} from "./skip-trigram-list.ts";
export {
  drawSkipTrigramBugTable,
  skipTrigramBugTable,
  type BugRow,
  type BugTrigram,
  type SkipTrigramBugOptions,
  type SkipTrigramBugTable,
} from "./skip-trigram-bugs.ts";
export {
  drawSplitTokenTable,
  splitTokenTable,
  type SplitToken,
  type SplitTokenOptions,
  type SplitTokenTable,
} from "./split-token-table.ts";
