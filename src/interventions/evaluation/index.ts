/**
 * *Is it a circuit?* How faithful circuits are, in every usual way, and against chance.
 *
 * In reading order: `circuit-faithfulness.ts` (CPR and CMD), `circuit-grid.ts` (every usual way), `random-circuits.ts`,
 * `circuit-stability.ts`, `evaluate-circuit.ts` (all of it in one call).
 */
export { CircuitCertificate } from "./certificate.ts";
export type { PromptFaithfulness, RandomBaseline } from "./certificate.ts";
export { circuitFaithfulness } from "./circuit-faithfulness.ts";
export type { CircuitFaithfulness, FaithfulnessCurve, FaithfulnessOptions } from "./circuit-faithfulness.ts";
export { circuitGrid } from "./circuit-grid.ts";
export type { CircuitGrid, CircuitGridOptions, GridCell } from "./circuit-grid.ts";
export { circuitPositions } from "./circuit-positions.ts";
export { circuitStability } from "./circuit-stability.ts";
export type { CircuitStability, StabilityOptions } from "./circuit-stability.ts";
export { evaluateCircuit } from "./evaluate-circuit.ts";
export type { EvaluationOptions } from "./evaluate-circuit.ts";
export { randomCircuits } from "./random-circuits.ts";
export type { RandomCircuitOptions } from "./random-circuits.ts";
export type { SampleSummary } from "./statistics.ts";
