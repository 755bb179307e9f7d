/**
 * *Which edges do it?* Circuits as values, what each edge of a model is worth, and which to keep.
 *
 * In reading order: `circuits/` (graph, circuit, file), `edges/` (runs that keep some edges, their effects, selections).
 */
export { Circuit, circuitGraph, CircuitGraph, pruneCircuit, readCircuit } from "./circuits/index.ts";
export type {
  CircuitEdge,
  CircuitEdgeName,
  CircuitGraphConfig,
  CircuitNodeName,
  CircuitParts,
  CircuitProvenance,
  NodeNeurons,
} from "./circuits/index.ts";
export { edgesAbove, exactEdges, greedyEdges, topEdges } from "./edges/index.ts";
export type { CircuitPrompts, EdgeAblation, EdgeEffects, EdgeScoreOptions, SelectionOptions } from "./edges/index.ts";
