/** The tables of sines and cosines that TransformerLens stores beside weights, compared with the configuration. */
import type { ConfigError } from "../../errors.ts";
import type { ModelConfig } from "../../model/index.ts";
import type { Checkpoint, Taking } from "./checkpoint.ts";

/** What rounding to float16 or bfloat16 moves a sine or cosine by, at most. */
const F16 = 2 ** -11;
const BF16 = 2 ** -8;

/** Whether a number keeps at most so many bits after its first. */
function hasBits(x: number, bits: number): boolean {
  const scale = 2 ** (bits - Math.floor(Math.log2(Math.abs(x) || 1)));
  return Number.isInteger(x * scale);
}

/** How precisely a table was stored: numbers that all fit a 16-bit type came from one. */
function unitOf(data: ArrayLike<number>): number {
  const all = (bits: number): boolean => {
    for (let i = 0; i < data.length; i++) if (!hasBits(data[i] as number, bits)) return false;
    return true;
  };
  return all(7) ? BF16 : all(10) ? F16 : 1e-6;
}

/** A stored table that is not the configuration's own rotation would silently be another model. */
export function* checkRotaryTable(checkpoint: Checkpoint, name: string, config: ModelConfig): Taking<void> {
  const table = yield* checkpoint.take(name);
  const dim = config.rotary_dim ?? 0;
  const half = dim / 2;
  const wrong = (message: string): ConfigError =>
    checkpoint.fault(
      name,
      `${message}, rotary_dim=${dim}, rotary_base=${config.rotary_base}, rotary_adjacent_pairs=${config.rotary_adjacent_pairs}. Other rotations are not supported.`,
      [config.n_ctx, dim],
      table.shape,
    );
  if (config.rotary_dim === null || table.shape.join() !== `${config.n_ctx},${dim}`) {
    throw wrong(`a rotary table of shape [${table.shape.join(", ")}] does not belong to n_ctx=${config.n_ctx}`);
  }
  const of = name.endsWith("sin") ? Math.sin : Math.cos;
  const unit = unitOf(table.data);
  for (let pos = 0; pos < config.n_ctx; pos++) {
    for (let i = 0; i < dim; i++) {
      const pair = config.rotary_adjacent_pairs ? Math.floor(i / 2) : i % half;
      const expected = of(pos * config.rotary_base ** (-pair / half));
      const actual = table.at(pos, i);
      // The angles, up to pos radians, were float32 too.
      if (!(Math.abs(actual - expected) <= unit + 1e-6 * pos)) {
        throw wrong(
          `the rotary table has ${actual} at [${pos}, ${i}], not the ${expected.toFixed(6)} of this configuration`,
        );
      }
    }
  }
}
