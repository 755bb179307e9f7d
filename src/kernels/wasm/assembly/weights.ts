/**
 * The WebAssembly module of the analysis kernels, in AssemblyScript. It imports the tiles, and functions of the module
 * of the tensor kernels.
 */
export { gram } from "./gram.ts";
export { screenedProduct } from "./screen.ts";
export { blockSquares, packMaps, pairNorms } from "./pairs.ts";
export { triangularRoots } from "./roots.ts";
