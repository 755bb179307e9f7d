/**
 * *Which head reads which?* Composition scores of pairs of heads.
 *
 * K-composition of a writer and a reader is
 * $\lVert W_{OV} W_{QK}^\top \rVert_F / (\lVert W_{OV} \rVert_F \lVert W_{QK} \rVert_F)$, and so for Q and V. Source:
 * *A Mathematical Framework for Transformer Circuits*, "Composition of attention heads".
 *
 * In reading order: `composition.ts` (the definition), `baseline.ts` (what chance gives), `of-maps.ts` (of any two
 * maps), `all-pairs.ts` (the same for all pairs, fast; the maps it takes: `unit-maps.ts`, `head-weights.ts`),
 * `erratum.ts` (as first published), `restricted/` (in the directions that are used).
 */
export { kComposition, qComposition, vComposition } from "./composition.ts";
export { compositionScores } from "./all-pairs.ts";
export type { CompositionOptions } from "./all-pairs.ts";
export type { CompositionBaseline, CompositionMaps, CompositionScores, PairScores } from "./pair-scores.ts";
export { compositionBaseline, sampleCompositionBaseline } from "./baseline.ts";
export type { CompositionSampleOptions, HeadSizes } from "./baseline.ts";
export { cycledCompositionScores } from "./erratum.ts";
export type { CycledCompositionScores } from "./erratum.ts";
export { compositionOfMaps } from "./of-maps.ts";
export { restrictedComposition } from "./restricted/index.ts";
export type {
  RestrictedComposition,
  RestrictedCompositionOptions,
  RestrictedScores,
  RestrictedWeightScores,
} from "./restricted/index.ts";
