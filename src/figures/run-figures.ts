/** The part of the list that runs the model, and what looks at several heads together. */
import { ablationRisesEntry, offsetRisesEntry } from "./ablation.ts";
import { allHeadPatternsEntry } from "./all-heads.ts";
import { arenaAttentionEntry, repeatedAttentionEntry, storyAttentionEntry } from "./attention.ts";
import { attributionMapEntry } from "./attribution-map.ts";
import { changeAttributionEntry } from "./change-attribution.ts";
import { compositionChanceEntry, compositionMapsEntry } from "./composition-maps.ts";
import type { FigureEntry } from "./entry.ts";
import { evaluatorEntries } from "./evaluator-figures.ts";
import { importanceByLayerEntry, importanceByOrderEntry } from "./importance.ts";
import { inductionExamplesEntry } from "./induction-examples.ts";
import { inductionStripesEntry } from "./induction-stripes.ts";
import { jointComponentsEntry } from "./joint-components.ts";
import { lossOnRepeatsEntry } from "./loss-on-repeats.ts";
import { ovSampleEntry } from "./ov-sample.ts";
import { positivityScatterEntry } from "./positivity.ts";
import { previousPatternEntry } from "./previous-pattern.ts";
import { scoreIntensityEntry } from "./score-intensity.ts";
import { scorePartsEntries } from "./score-figures.ts";
import { trainingEntries } from "./training-figures.ts";

/** Figures 12 to 25. */
export function runFigures(): readonly FigureEntry[] {
  return [
    storyAttentionEntry,
    allHeadPatternsEntry,
    inductionExamplesEntry,
    repeatedAttentionEntry,
    scoreIntensityEntry,
    positivityScatterEntry,
    importanceByOrderEntry,
    importanceByLayerEntry,
    jointComponentsEntry,
    arenaAttentionEntry,
    lossOnRepeatsEntry,
    inductionStripesEntry,
    attributionMapEntry,
    ablationRisesEntry,
    offsetRisesEntry,
    ovSampleEntry,
    previousPatternEntry,
    ...scorePartsEntries(),
    compositionMapsEntry,
    compositionChanceEntry,
    ...trainingEntries(),
    ...evaluatorEntries(),
    changeAttributionEntry,
  ];
}
