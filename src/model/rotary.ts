/**
 * Rotary positions (Su et al. 2021): coordinates of a query or key are rotated in pairs by an angle proportional to the
 * position, so that a score depends on positions through their difference alone.
 */
import { InputError, requireKind, requireObject } from "../errors.ts";
import { Tensor } from "../tensor/index.ts";
import { allocateData, describeTensor, rawData } from "../tensor/internal.ts";
import type { TensorData } from "../tensor/index.ts";
import type { ModelConfig } from "./model-config.ts";

/** @inline */
type RotaryConfig = Pick<ModelConfig, "rotary_dim" | "rotary_base" | "rotary_adjacent_pairs" | "d_head">;

/** The pair of coordinates that the i-th angle turns. */
function pairOf(config: RotaryConfig, half: number, i: number): readonly [number, number] {
  return config.rotary_adjacent_pairs ? [2 * i, 2 * i + 1] : [i, i + half];
}

/**
 * Queries or keys rotated to their positions.
 *
 * @param x - `[batch, pos, head, d_head]`.
 * @param config - `rotary_dim` coordinates are rotated, angle i at position p being
 * $p \cdot \text{base}^{-2i / \text{rotary\_dim}}$.
 * @param firstPosition - the position of the first row.
 * @throws {@link InputError} when the axes are others, or in another order, or the position is not a whole number.
 * @category Model
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { rotate } from "transformer-circuits/model";
 *
 * const config = { d_head: 2, rotary_dim: 2, rotary_base: 10000, rotary_adjacent_pairs: true };
 * const q = Tensor.fromNested("batch pos head d_head", [[[[1, 0]], [[1, 0]]]]);
 * const turned = rotate(q, config);
 * console.log(turned.at(0, 1, 0, 0).toFixed(4), Math.cos(1).toFixed(4));
 * // 0.5403 0.5403
 * ```
 */
export function rotate(
  x: Tensor<"batch pos head d_head">,
  config: RotaryConfig,
  firstPosition = 0,
): Tensor<"batch pos head d_head"> {
  requireObject(config, "config", "rotate");
  requireKind("tensor", x, "x", "rotate");
  if ((x as Tensor).axes !== "batch pos head d_head" || !Number.isSafeInteger(firstPosition)) {
    throw new InputError(
      `takes vectors [batch, pos, head, d_head] and the whole number of the first position: x is ${describeTensor(x)}, firstPosition ${String(firstPosition)}.`,
      { operation: "rotate", argument: "x", expected: "batch pos head d_head", actual: (x as Tensor).axes },
    );
  }
  const [batch = 0, pos = 0] = x.shape;
  const positions = Array.from({ length: batch * pos }, (_, row) => firstPosition + (row % pos));
  return rotateTo(x, config, positions);
}

/** Queries or keys, each rotated to its position, `[batch, pos]`. */
export function rotateTo(
  x: Tensor<"batch pos head d_head">,
  config: RotaryConfig,
  positions: ArrayLike<number>,
): Tensor<"batch pos head d_head"> {
  const out = allocateData(x.dtype, x.size);
  out.set(rawData(x));
  rotateRows(out, positions, config, x.sizeOf("head"));
  return Tensor.from(x.axes, x.shape, out);
}

/** Turns rows of heads' vectors, `[row, head, d_head]`, in place, each to its position. */
export function rotateRows(data: TensorData, positions: ArrayLike<number>, config: RotaryConfig, heads: number): void {
  const d_head = data.length / (positions.length * heads);
  const half = (config.rotary_dim ?? 0) / 2;
  const angles = new Map<number, Float64Array>();
  for (let row = 0; row < positions.length; row++) {
    const position = positions[row] as number;
    const turns = angles.get(position) ?? turnsAt(position, config, half);
    angles.set(position, turns);
    for (let i = 0; i < half; i++) {
      const [cos, sin] = [turns[2 * i] as number, turns[2 * i + 1] as number];
      const [a, b] = pairOf(config, half, i);
      for (let start = row * heads * d_head, h = 0; h < heads; h++, start += d_head) {
        const u = data[start + a] as number;
        const v = data[start + b] as number;
        data[start + a] = u * cos - v * sin;
        data[start + b] = v * cos + u * sin;
      }
    }
  }
}

/** Cosine and sine of each angle at a position. */
function turnsAt(position: number, config: RotaryConfig, half: number): Float64Array {
  const out = new Float64Array(2 * half);
  for (let i = 0; i < half; i++) {
    const angle = position * config.rotary_base ** (-i / half);
    out[2 * i] = Math.cos(angle);
    out[2 * i + 1] = Math.sin(angle);
  }
  return out;
}

/**
 * The rotation $R_\delta$ by which a query at offset $\delta$ after its key is rotated against it, so that the score of
 * the unrotated vectors is $q R_\delta k^\top$; float64.
 *
 * @param config - as for {@link rotate}.
 * @param offset - query position minus key position.
 * @throws {@link InputError} when the offset is not a finite number.
 * @returns `[d_head, d_head_rotated]`, both of size d_head.
 * @category Model
 * @example
 * ```ts
 * import { rotationMatrix } from "transformer-circuits/model";
 *
 * const config = { d_head: 2, rotary_dim: 2, rotary_base: 10000, rotary_adjacent_pairs: true };
 * const R = rotationMatrix(config, 3);
 * console.log(R.at(0, 0).toFixed(4), Math.cos(3).toFixed(4));
 * // -0.9900 -0.9900
 * console.log(R.at(0, 1).toFixed(4), Math.sin(3).toFixed(4));
 * // 0.1411 0.1411
 * ```
 */
export function rotationMatrix(config: RotaryConfig, offset: number): Tensor<"d_head d_head_rotated"> {
  requireObject(config, "config", "rotationMatrix");
  if (!Number.isFinite(offset)) {
    throw new InputError(`offset is ${String(offset)}; it is a number of positions.`, {
      operation: "rotationMatrix",
      argument: "offset",
      expected: "a finite number",
      actual: offset,
    });
  }
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
