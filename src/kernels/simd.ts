/**
 * The blocked kernels with the tiles of the matrix product in WebAssembly SIMD: the same sums in the same order, so the results are
 * those of `blocked.ts` to the bit.
 */
import { multiplyWith } from "./blocked-matmul.ts";
import { causalSoftmax, crossEntropy, logSoftmax, normalize, softmax } from "./blocked-rows.ts";
import type { Kernels } from "./interface.ts";
import { simdOrPlainEngine } from "./wasm/engine.ts";

/** Blocked kernels over WebAssembly SIMD tiles. */
export const simdKernels: Kernels = {
  name: "simd",
  matmul: (args) => multiplyWith(simdOrPlainEngine(), args),
  softmax,
  causalSoftmax,
  logSoftmax,
  crossEntropy,
  normalize,
};
