/**
 * *What changes while a model learns?* Functions of losses at snapshots.
 *
 * Source: *In-context Learning and Induction Heads*, "Macroscopic co-occurrence" and its appendix.
 *
 * In reading order: `in-context-learning.ts`, `log-index-derivative.ts`, `loss-trajectory.ts`,
 * `before-and-after-attribution.ts`.
 */
export { inContextLearningScore } from "./in-context-learning.ts";
export { logIndexDerivative } from "./log-index-derivative.ts";
export type { InContextLearningOptions } from "./in-context-learning.ts";
export { beforeAndAfterAttribution } from "./before-and-after-attribution.ts";
export { lossTrajectory } from "./loss-trajectory.ts";
export type { LossTrajectory } from "./loss-trajectory.ts";
