/** The part of the list that is read from weights alone. */
import { copyingHistogramEntry } from "./copying-histogram.ts";
import type { FigureEntry } from "./entry.ts";
import { ovEigenvaluesEntry } from "./ov-eigenvalues.ts";

/** Figures 1 to 11. */
export function weightFigures(): readonly FigureEntry[] {
  return [ovEigenvaluesEntry, copyingHistogramEntry];
}
