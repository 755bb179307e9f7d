/**
 * The figures of the papers, made of any model: for each a function that returns its data and one that draws them, and a list of all.
 *
 * @packageDocumentation
 */
export type { FigureEntry } from "./entry.ts";
export type { FigureInput, FigureNeed, FigureOptions, FigureTokenizer } from "./input.ts";
export { figureJson } from "./json.ts";
export type { FigureToken } from "./labels.ts";
export { figureEntries, figureEntry, makeFigure, type MadeFigure } from "./registry.ts";

export { copyingHistogram, drawCopyingHistogram, type CopyingHistogram } from "./copying-histogram.ts";
export { drawOVEigenvalues, ovEigenvalues, type HeadEigenvalues, type OVEigenvalues } from "./ov-eigenvalues.ts";
