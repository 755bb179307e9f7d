/**
 * The kernels in WebAssembly SIMD, each falling back to `blocked.ts` where a call is of float64 or finds no memory.
 *
 * Unlike the others they sum float32 products in float32: 256 terms in a register, fused where the engine has relaxed SIMD, and then the
 * sums of 256; so a product of `k` terms errs by at most `min(k, 256) + k / 256` units of roundoff times `Σ |a b|`.
 */
import { blockedKernels } from "./blocked.ts";
import type { Kernels } from "./interface.ts";
import type { Parts } from "./parts.ts";
import { attention } from "./wasm/attention.ts";
import { wasmEngine } from "./wasm/engine.ts";
import type { Engine } from "./wasm/engine.ts";
import { multiply, rowRank, rowTop } from "./wasm/products.ts";
import * as rows from "./wasm/rows.ts";

/** A kernel over the engine where there is one, over `blocked.ts` otherwise. */
function overEngine<A>(run: (engine: Engine, args: A) => void, plain: (args: A) => void): (args: A) => void {
  return (args) => {
    const engine = wasmEngine();
    if (engine === undefined) plain(args);
    else run(engine, args);
  };
}

const matmul = overEngine(multiply, (args) => blockedKernels.matmul(args));
const softmax = overEngine(rows.softmax, (args) => blockedKernels.softmax(args));
const causalSoftmax = overEngine(rows.causalSoftmax, (args) => blockedKernels.causalSoftmax(args));
const parts: Parts = { matmul, softmax, causalSoftmax };

/** The kernels in WebAssembly SIMD. */
export const simdKernels: Kernels = {
  name: "simd",
  matmul,
  softmax,
  causalSoftmax,
  logSoftmax: overEngine(rows.logSoftmax, (args) => blockedKernels.logSoftmax(args)),
  crossEntropy: overEngine(rows.crossEntropy, (args) => blockedKernels.crossEntropy(args)),
  normalize: overEngine(rows.normalize, (args) => blockedKernels.normalize(args)),
  attention: overEngine(
    (engine, args) => attention(engine, parts, args),
    (args) => blockedKernels.attention(args),
  ),
  rowTop: overEngine(
    (engine, args) => rowTop(engine, parts, args),
    (args) => blockedKernels.rowTop(args),
  ),
  rowRank: overEngine(
    (engine, args) => rowRank(engine, parts, args),
    (args) => blockedKernels.rowRank(args),
  ),
};
