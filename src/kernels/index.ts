/**
 * The kernels, and the one place that chooses between their implementations.
 */
import { InputError, nameOf } from "../errors.ts";
import { blockedKernels } from "./plain/blocked.ts";
import type { KernelName, Kernels, MatrixView, PackedMatrix } from "./interface.ts";
import { referenceKernels } from "./reference.ts";
import { simdKernels } from "./wasm/simd.ts";
import { wasmEngine } from "./wasm/engine.ts";
import { threadCount } from "./wasm/jobs.ts";
import { isInHeap, lend } from "./wasm/memory.ts";
import { pack } from "./wasm/packed.ts";
import { blockedWeightKernels } from "./plain/weights-blocked.ts";
import type { WeightKernels } from "./weights-interface.ts";
import { referenceWeightKernels } from "./weights-reference.ts";
import { simdWeightKernels } from "./wasm/weights-simd.ts";
import type { GradientKernels } from "./gradient-interface.ts";
import { simdGradientKernels } from "./wasm/gradient-simd.ts";

export { blockedKernels } from "./plain/blocked.ts";
export { normalCdf } from "./activations.ts";
export type {
  ActivateArgs,
  ActivationKind,
  AddArgs,
  AttentionArgs,
  CausalSoftmaxArgs,
  CrossEntropyArgs,
  FloatArray,
  HeadVectorsView,
  KernelName,
  Kernels,
  MatmulArgs,
  MatrixView,
  NormArgs,
  PackedMatrix,
  ProductCrossEntropyArgs,
  SoftmaxArgs,
} from "./interface.ts";
export { referenceKernels } from "./reference.ts";
export { simdKernels } from "./wasm/simd.ts";
export { useThreads } from "./wasm/threads.ts";
export type { ThreadOptions, WorkerLike } from "./wasm/threads.ts";
export { blockedWeightKernels } from "./plain/weights-blocked.ts";
export type {
  BlockSquaresArgs,
  DeepProductArgs,
  GramArgs,
  PairNormsArgs,
  RootsArgs,
  RowScreenArgs,
  WeightKernels,
} from "./weights-interface.ts";
export { referenceWeightKernels } from "./weights-reference.ts";
export { simdWeightKernels } from "./wasm/weights-simd.ts";
export type {
  AttentionGradientArgs,
  GradientKernels,
  LinearGradientArgs,
  LossGradientArgs,
  NormGradientArgs,
} from "./gradient-interface.ts";
export { referenceGradientKernels } from "./gradient-reference.ts";
export { simdGradientKernels } from "./wasm/gradient-simd.ts";
export { matrix, transposed } from "./view.ts";
export { kindOf, withRecycling, withWorkspace } from "./workspace.ts";
export type { TakeArray } from "./workspace.ts";

const implementations: readonly Kernels[] = [referenceKernels, blockedKernels, simdKernels];

let asked: Kernels | undefined;

/**
 * Those that run here, slowest first: WebAssembly may be refused by an old engine or a page's content-security policy.
 */
function available(): readonly Kernels[] {
  return wasmEngine() === undefined ? [referenceKernels, blockedKernels] : implementations;
}

/** The implementation in use: the one asked for by {@link useKernels}, otherwise the fastest that runs here. */
export function kernels(): Kernels {
  return asked ?? (wasmEngine() === undefined ? blockedKernels : simdKernels);
}

/** The kernels for weights of that implementation. A bundle holds them only where something calls this. */
export function weightKernels(): WeightKernels {
  const { name } = kernels();
  if (name === "simd") return simdWeightKernels;
  return name === "blocked" ? blockedWeightKernels : referenceWeightKernels;
}

/**
 * The kernels of backward passes, where they are faster than the products that they stand for. A bundle holds them only
 * where something calls this.
 */
export function gradientKernels(): GradientKernels | undefined {
  return kernels().name === "simd" ? simdGradientKernels : undefined;
}

/**
 * Makes every later computation use one named kernel implementation, for tests and comparisons; `"auto"` goes back to
 * the fastest one.
 *
 * @throws {@link InputError} when there is no implementation of that name, or it does not run here.
 * @category Kernels
 * @example
 * ```ts
 * import { kernelInfo, useKernels } from "transformer-circuits/tensor";
 *
 * useKernels("reference");
 * console.log(kernelInfo().name);
 * // reference
 * useKernels("auto");
 * ```
 */
export function useKernels(name: KernelName | "auto"): void {
  const found = available().find((implementation) => implementation.name === name);
  if (name !== "auto" && found === undefined) {
    const choices = [...available().map((implementation) => implementation.name), "auto"];
    throw new InputError(`there are no kernels named ${nameOf(name)} here; the names are ${choices.join(", ")}.`, {
      operation: "useKernels",
      argument: "name",
      expected: choices,
      actual: name,
    });
  }
  asked = found;
}

/**
 * What {@link kernelInfo} reports.
 * @category Kernels
 */
export interface KernelInfo {
  /** The implementation in use. */
  readonly name: KernelName;
  /** Every implementation that runs here, slowest first. */
  readonly available: readonly KernelName[];
  /** Why this one is in use. */
  readonly reason: string;
  /** Whether products are fused multiply-adds (relaxed SIMD), rounded once instead of twice. */
  readonly fused: boolean;
  /** Threads that large products run on; see {@link useThreads}. */
  readonly threads: number;
  /** Bytes of the WebAssembly memory that tensors and kernels share; 0 where there is none. */
  readonly memoryBytes: number;
}

/**
 * Says which kernel implementation computes matrix products, softmax and norms, which others run here, and why this one
 * was chosen.
 *
 * @category Kernels
 * @example
 * ```ts
 * import { kernelInfo } from "transformer-circuits/tensor";
 *
 * const { name, available } = kernelInfo();
 * console.log(available.includes(name));
 * // true
 * ```
 */
export function kernelInfo(): KernelInfo {
  return {
    name: kernels().name,
    available: available().map(({ name }) => name),
    reason: reasonOfChoice(),
    fused: kernels().name === "simd" && wasmEngine()?.isFused === true,
    threads: kernels().name === "simd" ? threadCount() : 1,
    memoryBytes: wasmEngine()?.heap.memory.buffer.byteLength ?? 0,
  };
}

function reasonOfChoice(): string {
  if (asked !== undefined) return "asked for by useKernels";
  if (wasmEngine() !== undefined) return "the fastest implementation that runs here";
  return "the fastest implementation that runs here; WebAssembly SIMD was refused";
}

/** Float32 storage of `length` zeros: every float32 tensor's data comes from here. */
export function allocate(length: number): Float32Array {
  return lent(length)?.fill(0) ?? new Float32Array(length);
}

/** Float32 storage whose content is undefined: for results that a kernel writes whole. */
export function allocateForResult(length: number): Float32Array {
  return lent(length) ?? new Float32Array(length);
}

function lent(length: number): Float32Array | undefined {
  if (kernels().name !== "simd") return undefined;
  const heap = wasmEngine()?.heap;
  return heap === undefined ? undefined : lend(heap, length, "result");
}

/**
 * A copy of numbers in the kernels' memory, where they are used without being copied again; undefined where there is no
 * room: for weights as long as the memory lasts, for other operands as long as not too many are there.
 */
export function keepForKernels(data: Float32Array, use: "operand" | "weight"): Float32Array | undefined {
  const heap = wasmEngine()?.heap;
  const kept = heap === undefined ? undefined : lend(heap, data.length, use);
  kept?.set(data);
  return kept;
}

/**
 * A stack of `batch` matrices `[k, n]` packed, for products in which it is the right operand again and again and does
 * not change; undefined where kernels do not pack, it does not lie in their memory, or there is no room.
 */
export function packForKernels(b: MatrixView, batch: number, k: number, n: number): PackedMatrix | undefined {
  const engine = kernels().name === "simd" ? wasmEngine() : undefined;
  return engine === undefined ? undefined : pack(engine, b, batch, k, n);
}

/** Whether an array lies in the kernels' memory: never handed to a user, whose array could outlive its block. */
export function isKernelMemory(data: { readonly buffer: ArrayBufferLike }): boolean {
  const heap = wasmEngine()?.heap;
  return heap !== undefined && isInHeap(heap, data);
}
