/** The WebAssembly module of kernels, in AssemblyScript: everything but the tiles, which it imports. */
export { packPanels } from "./matmul.ts";
export { multiply, multiplyDoubles } from "./multiply.ts";
export { gram } from "./gram.ts";
export { causalSoftmax, maxAndSum, normalize, softmax, subtractPairs } from "./rows.ts";
export { attention, attentionBytes } from "./attention.ts";
export { rankedProduct } from "./ranks.ts";
export { screenedProduct } from "./screen.ts";
export { blockSquares, packMaps, pairNorms } from "./pairs.ts";
export { triangularRoots } from "./roots.ts";
export { addSingles, leftSums, rightSums } from "./deep.ts";
