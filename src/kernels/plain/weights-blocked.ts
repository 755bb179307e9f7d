/** The analysis kernels, made of the plain TypeScript matrix product of `blocked.ts`. */
import { gram } from "./blocked-matmul.ts";
import { blockedKernels } from "./blocked.ts";
import { deepProductInDoubles } from "./deep.ts";
import { pairNormsByBands } from "./pair-norms.ts";
import { rowScreenByParts } from "./parts.ts";
import type { WeightKernels } from "../weights-interface.ts";
import { blockSquares, triangularRoots } from "../weights-reference.ts";

/** The analysis kernels that go with {@link blockedKernels}. */
export const blockedWeightKernels: WeightKernels = {
  name: "blocked",
  gram,
  deepProduct: (args) => deepProductInDoubles(blockedKernels, args),
  blockSquares,
  triangularRoots,
  pairNorms: (args) => pairNormsByBands(blockedKernels, args),
  rowScreen: (args) => rowScreenByParts(blockedKernels, args),
};
