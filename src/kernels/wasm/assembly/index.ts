/** The WebAssembly module of kernels, in AssemblyScript: everything for tensors but the tiles, which it imports. */
export { activate } from "./activate.ts";
export { add } from "./add.ts";
export { multiply, multiplyDoubles } from "./multiply.ts";
export { causalSoftmax, maxAndSum, normalize, softmax, subtractPairs } from "./rows.ts";
export { productLosses } from "./losses.ts";
export { attention, attentionBytes } from "./attention.ts";
// What the module for weights imports, by imported.ts.
export { copyBlock, packDeep, packedProduct, packPanels, product } from "./matmul.ts";
export { copyDoubles, packDoubles } from "./doubles.ts";
