/**
 * The path of the per-token losses over a model's snapshots (*In-context Learning and Induction Heads*, Olsson et al.
 * 2022).
 */
import { ShapeError } from "../../errors.ts";
import { svd } from "../../linalg/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { describeTensor, rawData, requireAxes } from "../../tensor/internal.ts";
import { requireCount } from "../../model/internal.ts";

/**
 * Snapshots placed by their losses.
 * @category Head scores
 */
export interface LossTrajectory {
  /** `[snapshot, component]`: where each snapshot lies, in nats (times the root of the number of tokens), float64. */
  readonly points: Tensor<"snapshot component">;
  /** `[component]`: the share of the variance that each component explains. */
  readonly variance: Tensor<"component">;
}

/**
 * Principal components of per-token losses over snapshots, of one model or of several jointly: the trajectories that
 * turn where induction heads form. Columns are centred; of each component, the snapshot furthest out has a positive
 * coordinate.
 *
 * Worked out from inner products of snapshots, so that the number of tokens may be large.
 *
 * @param losses - `[snapshot, token]`: the losses of the same tokens for every snapshot.
 * @param components - how many; 2 by default.
 * @throws {@link ShapeError} when there are fewer snapshots than components; {@link InputError} when `components` is
 * not a positive integer.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { lossTrajectory } from "transformer-circuits/heads";
 *
 * const losses = Tensor.fromNested("snapshot token", [[3, 3, 3], [2, 3, 3], [1, 3, 3]]);
 * const { points, variance } = lossTrajectory(losses, 1);
 * console.log([...points.data].map((x) => Math.abs(x).toFixed(2)).join(" "), variance.at(0).toFixed(2));
 * // 1.00 0.00 1.00 1.00
 * ```
 */
export function lossTrajectory(losses: Tensor<"snapshot token">, components = 2): LossTrajectory {
  requireAxes(losses, "snapshot token", "losses", "lossTrajectory");
  const operation = "lossTrajectory";
  requireCount(components, "components", operation);
  const [count = 0, tokens = 0] = losses.shape;
  if (losses.rank !== 2 || count < components || tokens === 0) {
    throw new ShapeError(
      `${components} components need as many snapshots and a token; losses are ${describeTensor(losses)}.`,
      { operation, argument: "losses", expected: [components, "tokens"], actual: losses.shape },
    );
  }
  const centred = Float64Array.from(rawData(losses));
  for (let t = 0; t < tokens; t++) {
    let mean = 0;
    for (let s = 0; s < count; s++) mean += (centred[s * tokens + t] as number) / count;
    for (let s = 0; s < count; s++) centred[s * tokens + t] = (centred[s * tokens + t] as number) - mean;
  }
  const { S, U } = svd({ rows: count, cols: count, data: gramOf(centred, count, tokens) });
  const total = S.reduce((a, b) => a + b, 0);
  const points = new Float64Array(count * components);
  for (let s = 0; s < count; s++) {
    for (let c = 0; c < components; c++)
      points[s * components + c] = (U.data[s * count + c] as number) * Math.sqrt(S[c] as number);
  }
  const variance = Float64Array.from({ length: components }, (_, c) => (total > 0 ? (S[c] as number) / total : 0));
  return {
    points: Tensor.from("snapshot component", [count, components], points),
    variance: Tensor.from("component", [components], variance),
  };
}

function gramOf(rows: Float64Array, count: number, width: number): Float64Array {
  const out = new Float64Array(count * count);
  for (let a = 0; a < count; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = 0;
      for (let t = 0; t < width; t++) sum += (rows[a * width + t] as number) * (rows[b * width + t] as number);
      out[a * count + b] = sum;
      out[b * count + a] = sum;
    }
  }
  return out;
}
