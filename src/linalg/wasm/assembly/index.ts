/** The module's exports. */
export { chase } from "./chase";
export { bidiagonalize, formVectors, reduceToHessenberg, reflectBack, triangularize } from "./reductions";
export { rotateRows } from "./rotations";
/** First address that is free for data. */
export function dataStart(): usize {
  return (__heap_base + 63) & ~63;
}
