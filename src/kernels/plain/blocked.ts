/**
 * Plain TypeScript kernels made fast: identical to `reference.ts` except for the order of the sums (packed tiles in the
 * matrix product), the exponential (a table and a short polynomial) and one division a row instead of one an entry.
 */
import { matmul } from "./blocked-matmul.ts";
import { causalSoftmax, crossEntropy, logSoftmax, normalize, softmax } from "./blocked-rows.ts";
import type { Kernels } from "../interface.ts";
import { activate, add } from "../reference.ts";
import { attentionByParts, crossEntropyByParts } from "./parts.ts";

const parts = { matmul, softmax, causalSoftmax, crossEntropy };

/** Tiled matrix product and row functions in plain TypeScript: runs everywhere. */
export const blockedKernels: Kernels = {
  name: "blocked",
  matmul,
  softmax,
  causalSoftmax,
  logSoftmax,
  crossEntropy,
  productCrossEntropy: (args) => crossEntropyByParts(parts, args),
  normalize,
  add,
  activate,
  attention: (args) => attentionByParts(parts, args),
};
