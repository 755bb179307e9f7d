/**
 * The WebAssembly module of backward passes, in AssemblyScript. It imports the tiles, and functions of the module of the
 * tensor kernels.
 */
export { attentionGradientBytes, attentionGradients } from "./attention-gradients.ts";
export { addColumns, addRowsAt } from "./column-sums.ts";
export { linearGradients } from "./linear-gradients.ts";
export { lossGradients } from "./loss-gradients.ts";
export { normGradients } from "./norm-gradients.ts";
