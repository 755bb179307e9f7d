/** The part of the list that runs the model, and what looks at several heads together. */
import { ablationRisesEntry, offsetRisesEntry } from "./arena/ablation.ts";
import { allHeadPatternsEntry } from "./two-layers/all-heads.ts";
import { arenaAttentionEntry, repeatedAttentionEntry, storyAttentionEntry } from "./two-layers/attention.ts";
import { attributionMapEntry } from "./arena/attribution-map.ts";
import { circuitEntries } from "./interventions/circuit.ts";
import { changeAttributionEntry } from "./training/change-attribution.ts";
import { compositionChanceEntry, compositionMapsEntry } from "./two-layers/composition-maps.ts";
import { positionEmbeddingsEntry, tokenEmbeddingsEntry } from "./embeddings/embedding-cloud.ts";
import type { FigureEntry } from "./entry.ts";
import { evaluatorEntries } from "./training/evaluator-figures.ts";
import { importanceByHeadEntry, importanceByLayerEntry, importanceByOrderEntry } from "./two-layers/importance.ts";
import { inductionPatchingEntry } from "./interventions/induction-patching.ts";
import { inductionExamplesEntry } from "./two-layers/induction-examples.ts";
import { inductionStripesEntry } from "./arena/induction-stripes.ts";
import { jointComponentsEntry } from "./two-layers/joint-components.ts";
import { lensEntries } from "./interventions/lens-readings.ts";
import { lossOnRepeatsEntry } from "./arena/loss-on-repeats.ts";
import { neuronExamplesEntry } from "./neuron-examples.ts";
import { ovSampleEntry } from "./arena/ov-sample.ts";
import { pathEffectsEntry } from "./two-layers/path-effects.ts";
import { positivityScatterEntry } from "./two-layers/positivity.ts";
import { previousPatternEntry } from "./arena/previous-pattern.ts";
import { scoreIntensityEntry } from "./two-layers/score-intensity.ts";
import { scoreSourcesEntry } from "./two-layers/score-sources.ts";
import { scorePartsEntries } from "./arena/score-figures.ts";
import { trainingEntries } from "./training/training-figures.ts";
import { trainingFilmEntry } from "./training/training-film.ts";

/** Figures 12 to 28. */
export function runFigures(): readonly FigureEntry[] {
  return [
    storyAttentionEntry,
    allHeadPatternsEntry,
    inductionExamplesEntry,
    repeatedAttentionEntry,
    scoreIntensityEntry,
    scoreSourcesEntry,
    positivityScatterEntry,
    pathEffectsEntry,
    importanceByOrderEntry,
    importanceByLayerEntry,
    importanceByHeadEntry,
    jointComponentsEntry,
    arenaAttentionEntry,
    lossOnRepeatsEntry,
    inductionStripesEntry,
    attributionMapEntry,
    ablationRisesEntry,
    offsetRisesEntry,
    inductionPatchingEntry,
    ...lensEntries(),
    ovSampleEntry,
    previousPatternEntry,
    ...scorePartsEntries(),
    compositionMapsEntry,
    compositionChanceEntry,
    ...trainingEntries(),
    ...evaluatorEntries(),
    changeAttributionEntry,
    trainingFilmEntry,
    ...circuitEntries(),
    tokenEmbeddingsEntry,
    positionEmbeddingsEntry,
    neuronExamplesEntry,
  ];
}
