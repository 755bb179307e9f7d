/** Circuits as data: the graph of a model, which of its edges are kept, and the files of both. */
export { Circuit } from "./circuit.ts";
export type { CircuitParts, CircuitProvenance, NodeNeurons } from "./circuit-parts.ts";
export { circuitGraph, CircuitGraph, requireGraph } from "./circuit-graph.ts";
export type { CircuitEdge, CircuitEdgeName, CircuitGraphConfig, CircuitNodeName, Reader } from "./circuit-graph.ts";
export { readCircuit } from "./circuit-json.ts";
export { pruneCircuit, requireCircuit } from "./prune-circuit.ts";
