/** The part of the list that is read from weights alone, and the table of bugs. */
import { compositionDiagramEntry } from "./two-layers/composition.ts";
import { copyingHistogramEntry } from "./one-layer/copying-histogram.ts";
import { copyingTableEntry } from "./one-layer/copying-table.ts";
import type { FigureEntry } from "./entry.ts";
import { headDumpEntry } from "./one-layer/head-dump.ts";
import { logitExpansionEntry } from "./two-layers/logit-expansion.ts";
import { ovEigenvaluesEntry } from "./one-layer/ov-eigenvalues.ts";
import { positionalHeadsEntry } from "./one-layer/positional-heads.ts";
import { qkExpansionEntry } from "./two-layers/qk-expansion.ts";
import { skipTrigramBugTableEntry } from "./one-layer/skip-trigram-bugs.ts";
import { skipTrigramListEntry } from "./one-layer/skip-trigram-list.ts";
import { splitTokenTableEntry } from "./one-layer/split-token-table.ts";

/** Figures 1 to 11. */
export function weightFigures(): readonly FigureEntry[] {
  return [
    copyingTableEntry,
    splitTokenTableEntry,
    skipTrigramListEntry,
    headDumpEntry,
    positionalHeadsEntry,
    skipTrigramBugTableEntry,
    ovEigenvaluesEntry,
    copyingHistogramEntry,
    logitExpansionEntry,
    qkExpansionEntry,
    compositionDiagramEntry,
  ];
}
