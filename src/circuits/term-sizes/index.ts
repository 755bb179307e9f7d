/**
 * *How large can the terms of an expansion be?* Frobenius norms of all paths, from the weights.
 *
 * The squared norm of a sum of paths is a trace of products of Gram matrices, so that no path is multiplied out.
 * Source: *A Mathematical Framework for Transformer Circuits*, "Path Expansion of Logits", and the equations of its
 * figures.
 *
 * In reading order: `logit-term-norms.ts`, `score-term-norms.ts`, `path-grams.ts` and `path-cores.ts` (sums over
 * paths), `source-grams.ts` (where paths begin).
 */
export { logitTermNorms } from "./logit-term-norms.ts";
export type { LogitTermNorms, LogitTermNormsOptions, SourceTermNorms } from "./logit-term-norms.ts";
export { scoreTermNorms } from "./score-term-norms.ts";
export type { ScoreTermNorms, ScoreTermNormsOptions, ScoreTermSide } from "./score-term-norms.ts";
