/**
 * The WebAssembly module of backward passes (assembly/gradients.ts), started on first use. It shares the memory, the
 * tiles and some functions of the module of the tensor kernels.
 */
import { startModule, wasmEngine } from "./engine.ts";
import type { Engine, KernelExports } from "./engine.ts";
import { FUSED_GRADIENTS, PLAIN_GRADIENTS } from "./gradient-binaries.ts";
import { MODULES } from "./jobs.ts";

/** The functions of assembly/gradients.ts. */
export interface GradientExports {
  attentionGradients(job: number, space: number): void;
  attentionGradientBytes(positions: number, d_head: number): number;
  linearGradients(job: number, space: number): void;
  addColumns(sums: number, from: number, row: number, rows: number, columns: number): void;
  addRowsAt(to: number, from: number, places: number, rows: number, columns: number): void;
  lossGradients(job: number, space: number): void;
  normGradients(job: number, space: number): void;
}

/** An engine that runs the kernels of backward passes too. */
export interface GradientEngine extends Engine {
  readonly kernels: KernelExports & GradientExports;
}

let gradients: GradientEngine | undefined;
let isRefused = false;

/** The engine with the kernels of backward passes; undefined where WebAssembly is refused, or memory is at its end. */
export function gradientEngine(): GradientEngine | undefined {
  const engine = wasmEngine();
  if (gradients !== undefined || engine === undefined || isRefused) return gradients;
  try {
    gradients = startGradients(engine);
  } catch {
    isRefused = true;
  }
  return gradients;
}

/** Starts the kernels of backward passes in an engine; undefined where memory runs out. */
export function startGradients(engine: Engine): GradientEngine | undefined {
  const added: unknown = startModule(engine, engine.isFused ? FUSED_GRADIENTS : PLAIN_GRADIENTS, MODULES.gradients);
  if (added === undefined) return undefined;
  return { ...engine, kernels: { ...engine.kernels, ...(added as GradientExports) } };
}
