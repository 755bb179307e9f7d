/**
 * The tensor kernels in WebAssembly SIMD. Each falls back to `blocked.ts` where a call finds no memory; row functions
 * fall back for float64 too.
 *
 * These kernels sum float32 products in float32: 256 terms in a register, fused where the engine has relaxed SIMD, then
 * the sums of 256. So a product of `k` terms errs by at most `min(k, 256) + k / 256` units of roundoff times `Σ |a b|`.
 * The other implementations sum in float64.
 */
import { blockedKernels } from "../plain/blocked.ts";
import type { CausalSoftmaxArgs, CrossEntropyArgs, Kernels, MatmulArgs, SoftmaxArgs } from "../interface.ts";
import type { LossParts, Parts } from "../plain/parts.ts";
import { activate } from "./activate.ts";
import { add } from "./add.ts";
import { attention } from "./attention.ts";
import { wasmEngine } from "./engine.ts";
import { productCrossEntropy } from "./losses.ts";
import { multiply } from "./products.ts";
import * as rows from "./rows.ts";

// Functions, not values made by calls: what runs when a module loads is kept in every bundle.
function matmul(args: MatmulArgs): void {
  const engine = wasmEngine();
  if (engine === undefined) blockedKernels.matmul(args);
  else multiply(engine, args);
}

function softmax(args: SoftmaxArgs): void {
  const engine = wasmEngine();
  if (engine === undefined) blockedKernels.softmax(args);
  else rows.softmax(engine, args);
}

function causalSoftmax(args: CausalSoftmaxArgs): void {
  const engine = wasmEngine();
  if (engine === undefined) blockedKernels.causalSoftmax(args);
  else rows.causalSoftmax(engine, args);
}

function crossEntropy(args: CrossEntropyArgs): void {
  const engine = wasmEngine();
  if (engine === undefined) blockedKernels.crossEntropy(args);
  else rows.crossEntropy(engine, args);
}

const parts: Parts & LossParts = { matmul, softmax, causalSoftmax, crossEntropy };

/** The kernels in WebAssembly SIMD. */
export const simdKernels: Kernels = {
  name: "simd",
  matmul,
  softmax,
  causalSoftmax,
  logSoftmax(args) {
    const engine = wasmEngine();
    if (engine === undefined) blockedKernels.logSoftmax(args);
    else rows.logSoftmax(engine, args);
  },
  crossEntropy,
  productCrossEntropy(args) {
    const engine = wasmEngine();
    if (engine === undefined) blockedKernels.productCrossEntropy(args);
    else productCrossEntropy(engine, parts, args);
  },
  normalize(args) {
    const engine = wasmEngine();
    if (engine === undefined) blockedKernels.normalize(args);
    else rows.normalize(engine, args);
  },
  add(args) {
    add(wasmEngine(), args);
  },
  activate(args) {
    activate(wasmEngine(), args);
  },
  attention(args) {
    const engine = wasmEngine();
    if (engine === undefined) blockedKernels.attention(args);
    else attention(engine, parts, args);
  },
};
