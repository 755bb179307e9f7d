/**
 * *What is lost without a head?* Losses, in nats, of runs without it.
 *
 * Source: *In-context Learning and Induction Heads*, "Ablations"; ARENA 1.2.
 *
 * In reading order: `head-ablation.ts` (zero or mean, patterns as they come or kept), `offset-ablation.ts`.
 */
export { ablatedLosses, headAblation } from "./head-ablation.ts";
export type { AblationOptions, HeadAblation, HeadAblationOptions } from "./head-ablation.ts";
export { offsetAblatedLosses } from "./offset-ablation.ts";
export type { OffsetAblationOptions } from "./offset-ablation.ts";
