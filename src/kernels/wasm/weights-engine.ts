/**
 * The WebAssembly module of the analysis kernels (assembly/weights.ts), started on first use. It shares the memory, the
 * tiles and some functions of the module of the tensor kernels. That it is a module of its own spares a bundle that
 * only computes with tensors 28 of 138 kB.
 */
import { startModule, wasmEngine } from "./engine.ts";
import type { Engine, KernelExports } from "./engine.ts";
import { MODULES } from "./jobs.ts";
import { FUSED_WEIGHTS, PLAIN_WEIGHTS } from "./weights-binaries.ts";

/** The functions of assembly/weights.ts. */
export interface WeightExports {
  gram(job: number, space: number): void;
  screenedProduct(job: number, space: number): void;
  packMaps(job: number, space: number): void;
  pairNorms(job: number, space: number): void;
  blockSquares(from: number, rows: number, columns: number, blockRows: number, blockColumns: number, to: number): void;
  triangularRoots(count: number, n: number, matrices: number, least: number, done: number): void;
}

/** An engine that runs the analysis kernels too. */
export interface WeightEngine extends Engine {
  readonly kernels: KernelExports & WeightExports;
}

let weights: WeightEngine | undefined;
let isRefused = false;

/**
 * The engine with the analysis kernels; undefined where WebAssembly is refused, or where no memory is left to hand
 * their module to other threads.
 */
export function weightEngine(): WeightEngine | undefined {
  const engine = wasmEngine();
  if (weights !== undefined || engine === undefined || isRefused) return weights;
  try {
    weights = startWeights(engine);
  } catch {
    isRefused = true;
  }
  return weights;
}

/** Starts the analysis kernels in an engine; undefined where memory runs out. */
export function startWeights(engine: Engine): WeightEngine | undefined {
  const added: unknown = startModule(engine, engine.isFused ? FUSED_WEIGHTS : PLAIN_WEIGHTS, MODULES.weights);
  if (added === undefined) return undefined;
  return { ...engine, kernels: { ...engine.kernels, ...(added as WeightExports) } };
}
