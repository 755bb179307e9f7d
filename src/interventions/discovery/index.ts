/**
 * *Which edges do it?* Circuits as values, what each edge of a model is worth, and which to keep.
 *
 * In reading order: `circuits/` (graph, circuit, file), `edges/` (runs that keep some edges, their effects,
 * selections),
 * `discover-circuit.ts`, `acdc-circuit.ts`.
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
export { acdcCircuit } from "./acdc-circuit.ts";
export type { AcdcOptions } from "./acdc-circuit.ts";
export { discoverCircuit } from "./discover-circuit.ts";
export type { Discovery, DiscoveryOptions } from "./discover-circuit.ts";
export {
  compositionEffects,
  edgeAttribution,
  edgeAuroc,
  edgesAbove,
  exactEdges,
  greedyEdges,
  rankAgreement,
  topEdges,
} from "./edges/index.ts";
export type {
  AttributionMethod,
  CircuitMask,
  CircuitPrompts,
  EdgeAblation,
  EdgeAttribution,
  EdgeAttributionOptions,
  EdgeEffects,
  EdgeScoreOptions,
  RankAgreement,
  SelectionOptions,
} from "./edges/index.ts";
