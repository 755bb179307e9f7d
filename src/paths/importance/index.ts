/**
 * *What is each order of paths worth?* Losses, in nats, with and without some of the paths.
 *
 * Patterns are frozen: order $m$ is what paths of at most $m$ heads bring to the loss. Source: *A Mathematical
 * Framework for Transformer Circuits*, "Term Importance Analysis".
 *
 * In reading order: `term-importance.ts` (the table with its errors), `head-term-importance.ts`, `first-order-loss.ts`,
 * `frozen-ablation-loss.ts`, `composition-importance.ts` (split by Q, K and V), `gains.ts` (losses prompt by prompt).
 */
export { firstOrderLoss } from "./first-order-loss.ts";
export { frozenAblationLoss } from "./frozen-ablation-loss.ts";
export type { HeadSubset } from "./head-subset.ts";
export { headTermImportance, layerTermImportance } from "./head-term-importance.ts";
export type { HeadTermImportance, LayerTermImportance } from "./head-term-importance.ts";
export { termImportance } from "./term-importance.ts";
export type { TermImportanceOptions, TermImportanceRow } from "./term-importance.ts";
export { compositionImportance } from "./composition-importance.ts";
export type { CompositionImportance } from "./composition-importance.ts";
