/** Edges: runs that keep some, what each is worth, and which to keep. */
export { checkPrompts, CircuitRuns } from "./circuit-runs.ts";
export type { CircuitPrompts, EdgeAblation } from "./circuit-runs.ts";
export { exactEdges } from "./exact-edges.ts";
export type { EdgeEffects, EdgeScoreOptions } from "./exact-edges.ts";
export { edgesAbove, greedyEdges, topEdges } from "./select-edges.ts";
export type { SelectionOptions } from "./select-edges.ts";
