/** Attention patterns of scores that were computed apart from a run. */
import { kernels } from "../kernels/index.ts";
import type { FloatArray } from "../tensor/internal.ts";

/**
 * The softmax of scores `[stack, query_pos, key_pos]`, already divided by the attention scale, over the keys that a
 * query may see.
 */
export function patternOf(scores: FloatArray, pos: number, isCausal: boolean, output: FloatArray): void {
  const batch = pos === 0 ? 0 : scores.length / pos ** 2;
  if (isCausal) {
    const sizes = { batch, queries: pos, keys: pos, queryOffset: 0 };
    kernels().causalSoftmax({ ...sizes, scores, scoresOffset: 0, output, outputOffset: 0 });
  } else {
    kernels().softmax({ rows: batch * pos, cols: pos, input: scores, inputOffset: 0, output, outputOffset: 0 });
  }
}
