/**
 * The kernels, and the one place that chooses between their implementations.
 */
import { InputError } from "../errors.ts";
import { blockedKernels } from "./blocked.ts";
import type { KernelName, Kernels } from "./interface.ts";
import { referenceKernels } from "./reference.ts";

export { blockedKernels } from "./blocked.ts";
export type {
  CausalSoftmaxArgs,
  CrossEntropyArgs,
  FloatArray,
  KernelName,
  Kernels,
  MatmulArgs,
  MatrixView,
  NormArgs,
  SoftmaxArgs,
} from "./interface.ts";
export { referenceKernels } from "./reference.ts";

const names: readonly KernelName[] = ["reference", "blocked"];

let asked: KernelName | undefined;

function named(name: KernelName): Kernels {
  return name === "reference" ? referenceKernels : blockedKernels;
}

/** The implementation in use: the one asked for by {@link useKernels}, otherwise the fastest that runs here. */
export function kernels(): Kernels {
  return named(asked ?? "blocked");
}

/**
 * Makes every later computation use one named kernel implementation, for tests and comparisons; `"auto"` goes back to
 * the fastest one.
 *
 * @throws InputError when there is no implementation of that name.
 * @category Kernels
 * @example
 * ```ts
 * import { kernelInfo, useKernels } from "transformer-circuits";
 *
 * useKernels("reference");
 * console.log(kernelInfo().name);
 * // reference
 * useKernels("auto");
 * ```
 */
export function useKernels(name: KernelName | "auto"): void {
  if (name !== "auto" && !names.includes(name)) {
    throw new InputError(
      `there are no kernels named ${JSON.stringify(name)}; the names are ${[...names, "auto"].join(", ")}.`,
      { operation: "useKernels", argument: "name", expected: [...names, "auto"], actual: name },
    );
  }
  asked = name === "auto" ? undefined : name;
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
}

/**
 * Says which kernel implementation computes matrix products, softmax and norms, which others run here, and why this one
 * was chosen.
 *
 * @category Kernels
 * @example
 * ```ts
 * import { kernelInfo } from "transformer-circuits";
 *
 * const { name, available } = kernelInfo();
 * console.log(available.includes(name));
 * // true
 * ```
 */
export function kernelInfo(): KernelInfo {
  return {
    name: kernels().name,
    available: [...names],
    reason: asked === undefined ? "the fastest implementation that runs here" : "asked for by useKernels",
  };
}

/** Float32 storage of `length` zeros: every float32 tensor's data comes from here. */
export function allocate(length: number): Float32Array {
  return new Float32Array(length);
}
