/** The part of the list that runs the model, and what looks at several heads together. */
import type { FigureEntry } from "./entry.ts";

/** Figures 12 to 25. */
export function runFigures(): readonly FigureEntry[] {
  return [];
}
