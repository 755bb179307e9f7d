/** The WebAssembly module of the kernels for weights, in AssemblyScript; it imports the tiles, and functions of the module of kernels. */
export { gram } from "./gram.ts";
export { screenedProduct } from "./screen.ts";
export { blockSquares, packMaps, pairNorms } from "./pairs.ts";
export { triangularRoots } from "./roots.ts";
