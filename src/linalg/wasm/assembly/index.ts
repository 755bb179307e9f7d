/** The module's exports. */
export { chase } from "./chase.ts";
export { bidiagonalize, formVectors, reduceToHessenberg, reflectBack, triangularize } from "./reductions.ts";
export { rotateRows } from "./rotations.ts";
/** First address that is free for data. */
export function dataStart(): usize {
  return (__heap_base + 63) & ~63;
}
