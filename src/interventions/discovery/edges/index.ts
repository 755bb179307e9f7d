/** Edges: runs that keep some, what each is worth, and which to keep. */
export { checkPrompts } from "./circuit-prompts.ts";
export type { CircuitMask, CircuitPrompts, EdgeAblation } from "./circuit-prompts.ts";
export { CircuitRuns } from "./circuit-runs.ts";
export { compositionEffects } from "./composition-effects.ts";
export { edgeAttribution } from "./edge-attribution.ts";
export type { AttributionMethod, EdgeAttribution, EdgeAttributionOptions } from "./edge-attribution.ts";
export { exactEdges } from "./exact-edges.ts";
export type { EdgeEffects, EdgeScoreOptions } from "./exact-edges.ts";
export { edgeAuroc, rankAgreement } from "./rank-agreement.ts";
export type { RankAgreement } from "./rank-agreement.ts";
export { edgesAbove, greedyEdges, topEdges } from "./select-edges.ts";
export type { SelectionOptions } from "./select-edges.ts";
