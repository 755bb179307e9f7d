/** How far float32 arithmetic errs: the unit roundoff, and sums of products as the kernels take them. */

/** Unit roundoff of float32, and a hundredth for the second order. */
export const U32 = 1.01 * 2 ** -24;

/** Float32 sums take this many terms in a register before they are added up; see src/kernels/wasm/simd.ts. */
const RUN = 256;

/** The error of a float32 sum of `k` products, relative to the sum of their sizes. */
export function sumRounding(k: number): number {
  return U32 * (Math.min(k, RUN) + Math.ceil(k / RUN) + 1);
}
