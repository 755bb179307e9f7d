/**
 * Which heads' ablation undoes a change of the losses (*In-context Learning and Induction Heads*, Olsson et al. 2022).
 */
import { ShapeError, requireKind, requireKinds, requireObject } from "../../errors.ts";
import type { Tensor } from "../../tensor/index.ts";
import { rawData, requireAxes } from "../../tensor/internal.ts";

/**
 * How far an ablation takes a change of the losses back or further (*In-context Learning and Induction Heads*,
 * "before-and-after vector"): the change from one snapshot to a later one as a unit vector over tokens, times what the
 * ablation adds to each token's loss in the later one, one number for each head. Losses that fell rise again where a
 * head is what made them fall: negative for induction heads.
 *
 * @param change - `before` and `after`: losses of the same tokens at both ends, any axes.
 * @param ablated - for every head the losses of these tokens without it, in the later snapshot.
 * @returns one number for each entry of `ablated`, in nats times the root of the number of tokens; 0 where nothing
 * changed.
 * @throws {@link ShapeError} when numbers of tokens differ.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { beforeAndAfterAttribution } from "transformer-circuits/heads";
 *
 * const loss = (values: number[]) => Tensor.from("token", [values.length], values, "float64");
 * const [before, after] = [loss([5, 5]), loss([1, 5])];
 * // Without the first head the gain is gone; the second has no part in it.
 * console.log(beforeAndAfterAttribution({ before, after }, [loss([5, 5]), loss([1, 6])]).join(" "));
 * // -4 0
 * ```
 */
export function beforeAndAfterAttribution(
  change: { readonly before: Tensor; readonly after: Tensor },
  ablated: readonly Tensor[],
): Float64Array {
  requireObject(change, "change", "beforeAndAfterAttribution");
  requireKind("tensor", change.before, "change.before", "beforeAndAfterAttribution");
  requireKind("tensor", change.after, "change.after", "beforeAndAfterAttribution");
  requireKinds("tensor", ablated, "ablated", "beforeAndAfterAttribution");
  const [before, after] = [rawData(change.before), rawData(change.after)];
  for (const [i, losses] of [change.before, ...ablated].entries()) {
    requireAxes(
      losses,
      change.after.axes,
      i === 0 ? "change.before" : `ablated[${i - 1}]`,
      "beforeAndAfterAttribution",
    );
    if (losses.size === after.length) continue;
    throw new ShapeError(
      `${i === 0 ? "before" : `ablation ${i - 1}`} has ${losses.size} losses but after has ${after.length}; they are of the same tokens.`,
      {
        operation: "beforeAndAfterAttribution",
        argument: i === 0 ? "change" : "ablated",
        expected: after.length,
        actual: losses.size,
      },
    );
  }
  let square = 0;
  for (let t = 0; t < after.length; t++) square += ((after[t] as number) - (before[t] as number)) ** 2;
  const length = Math.sqrt(square);
  return Float64Array.from(ablated, (losses) => {
    const data = rawData(losses);
    let dot = 0;
    for (let t = 0; t < data.length; t++)
      dot += ((after[t] as number) - (before[t] as number)) * ((data[t] as number) - (after[t] as number));
    return length === 0 ? 0 : dot / length;
  });
}
