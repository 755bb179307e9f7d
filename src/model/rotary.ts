/**
 * Rotary positions (Su et al. 2021): coordinates of a query or key are rotated in pairs by an angle proportional to the
 * position, so that a score depends on positions through their difference alone.
 */
import { allocateData, Tensor } from "../tensor/index.ts";
import type { ModelConfig } from "./config.ts";

type RotaryConfig = Pick<ModelConfig, "rotary_dim" | "rotary_base" | "rotary_adjacent_pairs" | "d_head">;

/** The pair of coordinates that the i-th angle turns. */
function pairOf(config: RotaryConfig, half: number, i: number): readonly [number, number] {
  return config.rotary_adjacent_pairs ? [2 * i, 2 * i + 1] : [i, i + half];
}

/**
 * Queries or keys rotated to their positions.
 *
 * @param x - `[batch, pos, head, d_head]`.
 * @param config - `rotary_dim` coordinates are rotated, angle i at position p being p · base^(−2i / rotary_dim).
 * @param firstPosition - the position of the first row.
 * @category Model
 */
export function rotate(
  x: Tensor<"batch pos head d_head">,
  config: RotaryConfig,
  firstPosition = 0,
): Tensor<"batch pos head d_head"> {
  const [batch = 0, pos = 0, heads = 0, d_head = 0] = x.shape;
  const half = (config.rotary_dim ?? 0) / 2;
  const out = allocateData(x.dtype, x.size);
  out.set(x.data);
  for (let p = 0; p < pos; p++) {
    for (let i = 0; i < half; i++) {
      const angle = (p + firstPosition) * config.rotary_base ** (-i / half);
      const cos = Math.cos(angle);
      const sin = Math.sin(angle);
      const [a, b] = pairOf(config, half, i);
      for (let n = 0; n < batch; n++) {
        for (let h = 0; h < heads; h++) {
          const row = ((n * pos + p) * heads + h) * d_head;
          const u = out[row + a] as number;
          const v = out[row + b] as number;
          out[row + a] = u * cos - v * sin;
          out[row + b] = v * cos + u * sin;
        }
      }
    }
  }
  return Tensor.from(x.axes, x.shape, out);
}

/**
 * The rotation by which a query at offset δ after its key is turned against it: the matrix R with
 * score = q R kᵀ, float64.
 *
 * @param offset - query position minus key position.
 * @returns `[d_head, d_head]`.
 * @category Model
 */
export function rotationMatrix(config: RotaryConfig, offset: number): Tensor<"d_head d_head_rotated"> {
  const d = config.d_head;
  const half = (config.rotary_dim ?? 0) / 2;
  const out = new Float64Array(d * d);
  for (let i = 0; i < d; i++) out[i * d + i] = 1;
  for (let i = 0; i < half; i++) {
    const angle = offset * config.rotary_base ** (-i / half);
    const [a, b] = pairOf(config, half, i);
    out[a * d + a] = Math.cos(angle);
    out[b * d + b] = Math.cos(angle);
    out[a * d + b] = Math.sin(angle);
    out[b * d + a] = -Math.sin(angle);
  }
  return Tensor.from("d_head d_head_rotated", [d, d], out);
}
