/** The profile of a pattern over offsets from the query back to the key. */
import { ShapeError } from "../../errors.ts";
import { Tensor } from "../../tensor/index.ts";
import { describeTensor, rawData, requireAxes } from "../../tensor/internal.ts";

/**
 * The mean attention of a pattern at each offset, $r(\delta) = \mathrm{mean}_{i \ge \delta} A_{i,\,i-\delta}$: 1 at
 * offset 1 for a perfect previous-token head.
 *
 * The first row of a causal pattern can only look at itself, which offset 0 includes.
 *
 * @param pattern - `[query_pos, key_pos]`, square.
 * @returns `[offset]`: query position minus key position from 0, float64.
 * @throws {@link ShapeError} when the pattern is not square.
 * @category Circuits
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { attentionByOffset } from "transformer-circuits/circuits";
 *
 * const previous = Tensor.fromNested("query_pos key_pos", [[1, 0, 0], [1, 0, 0], [0, 1, 0]]);
 * console.log(Array.from(attentionByOffset(previous).data, (x) => x.toFixed(2)).join(" "));
 * // 0.33 1.00 0.00
 * ```
 */
export function attentionByOffset(pattern: Tensor<"query_pos key_pos">): Tensor<"offset"> {
  requireAxes(pattern, "query_pos key_pos", "pattern", "attentionByOffset");
  const [n = 0, keys = 0] = pattern.shape;
  if (pattern.rank !== 2 || n !== keys) {
    throw new ShapeError(`takes one square pattern [query_pos, key_pos]; this is ${describeTensor(pattern)}.`, {
      operation: "attentionByOffset",
      argument: "pattern",
      actual: pattern.shape,
    });
  }
  const data = rawData(pattern);
  const profile = new Float64Array(n);
  for (let offset = 0; offset < n; offset++) {
    let total = 0;
    for (let i = offset; i < n; i++) total += data[i * n + i - offset] as number;
    profile[offset] = total / (n - offset);
  }
  return Tensor.from("offset", [n], profile);
}
