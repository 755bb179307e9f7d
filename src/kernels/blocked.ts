/**
 * Plain TypeScript kernels made fast: identical to `reference.ts` except for the order of the sums (packed tiles in the
 * matrix product), the exponential (a table and a short polynomial) and one division a row instead of one an entry.
 */
import { gram, matmul } from "./blocked-matmul.ts";
import { causalSoftmax, crossEntropy, logSoftmax, normalize, softmax } from "./blocked-rows.ts";
import { deepProductInDoubles } from "./deep.ts";
import type { Kernels } from "./interface.ts";
import { pairNormsByBands } from "./pair-norms.ts";
import { attentionByParts, rowRankByParts, rowScreenByParts, rowTopByParts } from "./parts.ts";
import { blockSquares, triangularRoots } from "./weights.ts";

const parts = { matmul, softmax, causalSoftmax };

/** Tiled matrix product and row functions in plain TypeScript: runs everywhere. */
export const blockedKernels: Kernels = {
  name: "blocked",
  matmul,
  gram,
  deepProduct: (args) => deepProductInDoubles(parts, args),
  blockSquares,
  triangularRoots,
  pairNorms: (args) => pairNormsByBands(parts, args),
  softmax,
  causalSoftmax,
  logSoftmax,
  crossEntropy,
  normalize,
  attention: (args) => attentionByParts(parts, args),
  rowTop: (args) => rowTopByParts(parts, args),
  rowRank: (args) => rowRankByParts(parts, args),
  rowScreen: (args) => rowScreenByParts(parts, args),
};
