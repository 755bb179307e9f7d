/**
 * The analysis kernels in WebAssembly SIMD. Each falls back to `weights-blocked.ts` where their module does not run.
 */
import { deepProductBySpans } from "../plain/deep.ts";
import { simdKernels } from "./simd.ts";
import { gram } from "./doubles.ts";
import { blockSquares, pairNorms, triangularRoots } from "./pairs.ts";
import { rowScreen } from "./screen.ts";
import { weightEngine } from "./weights-engine.ts";
import { blockedWeightKernels } from "../plain/weights-blocked.ts";
import type { WeightKernels } from "../weights-interface.ts";
import { withWorkspace } from "../workspace.ts";

/** The analysis kernels that go with {@link simdKernels}. */
export const simdWeightKernels: WeightKernels = {
  name: "simd",
  gram(args) {
    const engine = weightEngine();
    if (engine === undefined) blockedWeightKernels.gram(args);
    else gram(engine, args);
  },
  deepProduct(args) {
    const engine = weightEngine();
    if (engine === undefined) blockedWeightKernels.deepProduct(args);
    else
      withWorkspace((take) => deepProductBySpans(simdKernels, args, take("float32", args.m * args.n) as Float32Array));
  },
  blockSquares(args) {
    const engine = weightEngine();
    if (engine === undefined) blockedWeightKernels.blockSquares(args);
    else blockSquares(engine, args);
  },
  triangularRoots(args) {
    const engine = weightEngine();
    if (engine === undefined) blockedWeightKernels.triangularRoots(args);
    else triangularRoots(engine, args);
  },
  pairNorms(args) {
    const engine = weightEngine();
    if (engine === undefined) blockedWeightKernels.pairNorms(args);
    else pairNorms(engine, simdKernels, args);
  },
  rowScreen(args) {
    const engine = weightEngine();
    if (engine === undefined) blockedWeightKernels.rowScreen(args);
    else rowScreen(engine, simdKernels, args);
  },
};
