/** The WebAssembly module of kernels, in AssemblyScript: everything but the tiles, which it imports. */
export { multiply } from "./matmul";
export { causalSoftmax, maxAndSum, normalize, softmax, subtractPairs } from "./rows";
export { attention, attentionBytes } from "./attention";
export { rankedProduct } from "./ranks";
