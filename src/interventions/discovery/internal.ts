/** What discovery/ lends to evaluation/. */
export { requireCircuit } from "./circuits/index.ts";
export { checkPrompts, CircuitRuns } from "./edges/index.ts";
export { ABLATIONS, whyNot } from "./edges/circuit-prompts.ts";
export type { CheckedPrompts } from "./edges/circuit-prompts.ts";
export { isLoss } from "./edges/circuit-runs.ts";
export type { EdgeMask } from "./edges/edge-weights.ts";
