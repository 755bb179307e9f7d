/**
 * The first page: what a first hour with the library needs, from every part of it. The rest of each part has an entry
 * of its own: `transformer-circuits/tensor`, `/linear`, `/model`, `/circuits` (what do the weights say?), `/paths` (how
 * does this run decompose?), `/heads` (what do heads do?), `/interventions` (what if?), `/io`. Figures, the report, the
 * file system, the bundled model, `ndarray` and `ndarray-ops` are reached by theirs: `/viz`, `/figures`, `/report`,
 * `/node`, `/bundled`, `/ndarray`, `/ndarray-ops`.
 *
 * @module transformer-circuits
 */
export {
  CircuitsError,
  Tensor,
  add,
  argmax,
  divide,
  logSoftmax,
  map,
  matmul,
  max,
  maxAbsDifference,
  mean,
  multiply,
  softmax,
  stack,
  subtract,
  sum,
  useThreads,
} from "./tensor/index.ts";
export type { Dual } from "./tensor/index.ts";

export { Linear, applyMap, compose, eigenvaluesOf, toDense, topKOfRow, transpose } from "./linear/index.ts";

export { Transformer, allHeads, editAt, expectedWeights, headLabel, meanLoss, parseConfig } from "./model/index.ts";
export type {
  Edit,
  Edits,
  HeadId,
  HeadRef,
  HookName,
  ModelConfig,
  Run,
  RunOptions,
  TokensLike,
} from "./model/index.ts";

export {
  compositionScores,
  copyingScores,
  directPathCircuit,
  fullOVCircuit,
  fullQKCircuit,
  kComposition,
  skipTrigrams,
} from "./circuits/index.ts";
export type { CompositionScores } from "./circuits/index.ts";

export {
  accumulatedResid,
  logitAttribution,
  pathExpansion,
  scoreExpansion,
  termImportance,
  virtualHead,
} from "./paths/index.ts";
export type { PathTerm, Targets } from "./paths/index.ts";

export {
  detectionPattern,
  detectionScores,
  findHeads,
  headAblation,
  headScores,
  inductionScores,
  repeatedTokens,
} from "./heads/index.ts";
export type { FoundHeads, HeadScores } from "./heads/index.ts";

export {
  detectFormat,
  loadTokenizer,
  loadTransformer,
  openCheckpoint,
  parseSafetensors,
  toTokens,
  transformerFromCheckpoint,
  transformerFromTensors,
  writeSafetensors,
} from "./io/index.ts";
export type { Checkpoint, Tokenizer } from "./io/index.ts";
