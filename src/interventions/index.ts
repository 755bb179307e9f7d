/**
 * *What if?* Models run changed: edits of a run as values.
 *
 * An edit says where and what: `edit("L0H5", "zero")`. A run takes one, or a list of which each takes what the one
 * before gave; it leaves nothing behind. Source: "A Mathematical Framework for Transformer Circuits", "Ablating
 * ... to measure the marginal effect"; "In-context Learning and Induction Heads", "ablations".
 *
 * In reading order: `edits/` (where and what), `sweeps/` (one activation after another), `discovery/` (which edges do
 * it), `evaluation/` (is it a circuit).
 *
 * @packageDocumentation
 */
export { edit, parseEdits, withRuns } from "./edits/index.ts";
export type {
  Action,
  ActivationEdit,
  EditFunction,
  EditTarget,
  EditTargets,
  Heads,
  HookPredicate,
  HookSite,
  RunSource,
  RunsByName,
  RunWithCache,
  Selection,
  Values,
} from "./edits/index.ts";
export { attributionPatching, pathPatching, sweep, Sweep, sweepEdits } from "./sweeps/index.ts";
export type {
  AttributionPatchingOptions,
  PathPatchingOptions,
  PathReceiver,
  PathSender,
  Replacement,
  SweepEditsOptions,
  SweepOptions,
  SweepMask,
  SweepPrompts,
} from "./sweeps/index.ts";
export {
  acdcCircuit,
  Circuit,
  circuitGraph,
  CircuitGraph,
  compositionEffects,
  discoverCircuit,
  edgeAttribution,
  edgeAuroc,
  edgesAbove,
  exactEdges,
  greedyEdges,
  pruneCircuit,
  rankAgreement,
  readCircuit,
  topEdges,
} from "./discovery/index.ts";
export type {
  AcdcOptions,
  AttributionMethod,
  CircuitEdge,
  CircuitEdgeName,
  CircuitGraphConfig,
  CircuitMask,
  CircuitNodeName,
  CircuitParts,
  CircuitPrompts,
  CircuitProvenance,
  Discovery,
  DiscoveryOptions,
  EdgeAblation,
  EdgeAttribution,
  EdgeAttributionOptions,
  EdgeEffects,
  EdgeScoreOptions,
  NodeNeurons,
  RankAgreement,
  SelectionOptions,
} from "./discovery/index.ts";
export {
  CircuitCertificate,
  circuitFaithfulness,
  circuitGrid,
  circuitPositions,
  circuitStability,
  evaluateCircuit,
  randomCircuits,
} from "./evaluation/index.ts";
export type {
  CircuitFaithfulness,
  CircuitGrid,
  CircuitGridOptions,
  CircuitStability,
  EvaluationOptions,
  FaithfulnessCurve,
  FaithfulnessOptions,
  GridCell,
  PromptFaithfulness,
  RandomBaseline,
  RandomCircuitOptions,
  SampleSummary,
  StabilityOptions,
} from "./evaluation/index.ts";
