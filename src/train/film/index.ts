/**
 * *What forms in a model while it learns?* The film of a training run.
 *
 * A frame measures one checkpoint: what its heads do, which of them compose, whether they copy, what each order of
 * paths is worth, how the loss falls along the context. Sources: *In-context Learning and Induction Heads*,
 * "Macroscopic co-occurrence"; *A Mathematical Framework*, "Two-Layer Attention-Only Transformers".
 *
 * In reading order: `probe.ts` (on what checkpoints are measured), `frame.ts` and `losses.ts` (one checkpoint),
 * `film.ts` (all of them), `film-json.ts`, `phases.ts` and `curves.ts` (what formed when).
 */
export { filmProbe } from "./probe.ts";
export type { FilmData, FilmProbe, FilmProbeOptions } from "./probe.ts";
export { filmFrame } from "./frame.ts";
export type { FilmComposition, FilmFrame, FilmFrameOptions, FilmHeads, FilmMeasure } from "./frame.ts";
export type { FilmEstimate, MeasuredLosses } from "./losses.ts";
export { filmRecorder, trainingFilm } from "./film.ts";
export { trainingFilmFromJSON } from "./film-json.ts";
export type { FilmFloor, FilmRecorder, FilmRecorderOptions, TrainingFilm, TrainingFilmOptions } from "./film.ts";
export { trainingPhases } from "./phases.ts";
export type { PhaseEvidence, TrainingPhase } from "./phases.ts";
