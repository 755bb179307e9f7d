/**
 * *Which edges do it?* Circuits as values, what each edge of a model is worth, and which to keep.
 *
 * In reading order: `circuit-graph.ts` (nodes and edges), `circuit.ts` and `circuit-json.ts`, `exact-edges.ts`,
 * `select-edges.ts`.
 */
export { Circuit } from "./circuit.ts";
export type { CircuitParts, CircuitProvenance, NodeNeurons } from "./circuit.ts";
export { circuitGraph, CircuitGraph } from "./circuit-graph.ts";
export type { CircuitEdge, CircuitEdgeName, CircuitGraphConfig, CircuitNodeName } from "./circuit-graph.ts";
export { readCircuit } from "./circuit-json.ts";
export type { CircuitPrompts, EdgeAblation } from "./circuit-runs.ts";
export { exactEdges } from "./exact-edges.ts";
export type { EdgeEffects, EdgeScoreOptions } from "./exact-edges.ts";
export { edgesAbove, greedyEdges, pruneCircuit, topEdges } from "./select-edges.ts";
export type { SelectionOptions } from "./select-edges.ts";
