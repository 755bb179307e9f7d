/**
 * *How do circuits form?* Models trained from nothing, so that everything that looks at weights can look at each
 * checkpoint on the way.
 *
 * One step goes down on $L = \sum_i w_i \cdot -\ln p(t_i) / \sum_i w_i$, over the predictions of a batch. Source:
 * "In-context Learning and Induction Heads", "Phase change".
 *
 * In reading order: `train.ts` (the loop), `batch.ts` and `batches.ts` (what it reads), `initial-model.ts`,
 * `optimizers.ts` and `updates.ts`, `schedules.ts`, `clip.ts`, `edit-stretches.ts` (activations changed on the way),
 * `checkpoints.ts`, `training-state.ts` and `state-safetensors.ts` (a run taken up again); `data/` (made-up languages
 * with their optimum, text), `film/` (what formed, checkpoint by checkpoint), `recipes/` (runs as data),
 * `training-job.ts` (runs as jobs of a sweep).
 *
 * @packageDocumentation
 */
export { train } from "./train.ts";
export type { TrainingStep, TrainOptions } from "./train.ts";
export type { TrainingBatch } from "./batch.ts";
export type { Batches, TrainingData } from "./batches.ts";
export { initialModel } from "./initial-model.ts";
export type { Initialization, InitialModelOptions } from "./initial-model.ts";
export { adam, adamW, sgd } from "./optimizers.ts";
export type { AdamOptimizer, AdamOptions, Optimizer, SgdOptimizer, SgdOptions } from "./optimizers.ts";
export { parameterKind } from "./parameter-kind.ts";
export type { Decays, ParameterKind } from "./parameter-kind.ts";
export {
  constantSchedule,
  cosineSchedule,
  inverseSquareRootSchedule,
  linearSchedule,
  scheduleFactor,
  stepSchedule,
} from "./schedules.ts";
export type { Schedule, ScheduleLike } from "./schedules.ts";
export type { ClipLike } from "./clip.ts";
export type { EditStretch, TrainingEdits } from "./edit-stretches.ts";
export type { CheckpointSteps, TrainingCheckpoint } from "./checkpoints.ts";
export type { Training, TrainingState } from "./training-state.ts";
export { trainingStateFromSafetensors, trainingStateToSafetensors } from "./state-safetensors.ts";
export { TrainingError } from "./training-error.ts";
export {
  filmFrame,
  filmProbe,
  filmRecorder,
  trainingFilm,
  trainingFilmFromJSON,
  trainingPhases,
} from "./film/index.ts";
export type {
  FilmComposition,
  FilmData,
  FilmEstimate,
  FilmFloor,
  FilmFrame,
  FilmFrameOptions,
  FilmHeads,
  FilmMeasure,
  FilmProbe,
  FilmProbeOptions,
  FilmRecorder,
  FilmRecorderOptions,
  MeasuredLosses,
  PhaseEvidence,
  TrainingFilm,
  TrainingFilmOptions,
  TrainingPhase,
} from "./film/index.ts";
export {
  associativeRecallData,
  markovChainData,
  maxOfKData,
  mixedData,
  repeatedTokenData,
  skipTrigramData,
  textData,
} from "./data/index.ts";
export type {
  AssociativeRecallOptions,
  DrawnBatch,
  DrawnData,
  KnownData,
  MarkovChainData,
  MarkovChainOptions,
  MarkovPredictor,
  MaxOfKOptions,
  RepeatedTokenOptions,
  SkipTrigramData,
  SkipTrigramDataOptions,
  SkipTrigramRule,
  TextData,
  TextDataOptions,
  TextEncoding,
} from "./data/index.ts";
export { trainingRecipe } from "./recipes/index.ts";
export type { RecipeData, RecipeJSON, RecipeOptions, TrainingRecipe } from "./recipes/index.ts";
export { trainingJob } from "./training-job.ts";
