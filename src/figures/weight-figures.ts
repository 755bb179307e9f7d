/** The part of the list that is read from weights alone, and the table of bugs. */
import { compositionDiagramEntry } from "./composition.ts";
import { copyingHistogramEntry } from "./copying-histogram.ts";
import { copyingTableEntry } from "./copying-table.ts";
import type { FigureEntry } from "./entry.ts";
import { headDumpEntry } from "./head-dump.ts";
import { logitExpansionEntry } from "./logit-expansion.ts";
import { ovEigenvaluesEntry } from "./ov-eigenvalues.ts";
import { positionalHeadsEntry } from "./positional-heads.ts";
import { qkExpansionEntry } from "./qk-expansion.ts";
import { skipTrigramBugTableEntry } from "./skip-trigram-bugs.ts";
import { skipTrigramListEntry } from "./skip-trigram-list.ts";
import { splitTokenTableEntry } from "./split-token-table.ts";

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
