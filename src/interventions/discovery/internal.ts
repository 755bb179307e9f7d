/** What discovery/ lends to evaluation/. */
export { pruned, requireCircuit, requireRunnable } from "./circuits/index.ts";
export { checkPrompts, CircuitRuns } from "./edges/index.ts";
export { ABLATIONS, ablationOf, isLoss } from "./edges/circuit-runs.ts";
export type { CheckedPrompts } from "./edges/circuit-runs.ts";
export type { EdgeMask } from "./edges/edge-weights.ts";
