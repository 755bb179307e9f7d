/**
 * The WebAssembly module of the analysis kernels (assembly/weights.ts), started on first use. It shares the memory, the
 * tiles and some functions of the module of the tensor kernels. That it is a module of its own spares a bundle that
 * only computes with tensors 28 of 138 kB.
 */
import { moduleBytes, wasmEngine } from "./engine.ts";
import type { Engine, KernelExports } from "./engine.ts";
import { MODULE, MODULE_BYTES } from "./jobs.ts";
import { takeBlock } from "./memory.ts";
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
  const { heap, isFused, wasm, imports } = engine;
  const bytes = moduleBytes(isFused ? FUSED_WEIGHTS : PLAIN_WEIGHTS, heap);
  const address = takeBlock(heap, bytes.length);
  if (address === undefined) return undefined;
  const { exports } = new wasm.Instance(new wasm.Module(bytes), imports);
  // Helpers compile it from here: they are deaf to messages while they wait for jobs.
  new Uint8Array(heap.floats.buffer, address, bytes.length).set(bytes);
  heap.ints[MODULE_BYTES] = bytes.length;
  heap.ints[MODULE] = address;
  const added: unknown = exports;
  return { ...engine, kernels: { ...engine.kernels, ...(added as WeightExports) } };
}
