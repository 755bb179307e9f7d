/**
 * *Which head reads which?* Composition scores of pairs of heads.
 *
 * K-composition of a writer and a reader is
 * $\lVert W_{OV} W_{QK}^\top \rVert_F / (\lVert W_{OV} \rVert_F \lVert W_{QK} \rVert_F)$, and so for Q and V. Source:
 * *A Mathematical Framework for Transformer Circuits*, "Composition of attention heads".
 *
 * In reading order: `composition.ts` (the definition), `baseline.ts` (what chance gives), `of-maps.ts` (of any two
 * maps), `all-pairs.ts` (the same for all pairs, fast), `erratum.ts` (as first published).
 */
export { compositionScores, kComposition, qComposition, vComposition } from "./composition.ts";
export type { CompositionOptions, CompositionScores, PairScores } from "./composition.ts";
export { compositionBaseline, compositionExcess, compositionZScores, sampleCompositionBaseline } from "./baseline.ts";
export type { CompositionBaseline, CompositionMaps, CompositionSampleOptions, HeadSizes } from "./baseline.ts";
export { cycledCompositionScores } from "./erratum.ts";
export type { CycledCompositionScores } from "./erratum.ts";
export { compositionOfMaps } from "./of-maps.ts";
