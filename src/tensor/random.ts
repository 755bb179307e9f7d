/** Seeded random numbers, so that a sample can be drawn again. */
import { InputError, requireKind, requireObject } from "../errors.ts";
import { Tensor, DTYPES, noSuchDType } from "./tensor.ts";
import { allocateData, storableSize } from "./storage.ts";

/**
 * A seeded generator of random numbers (xoshiro128++ of Blackman and Vigna, seeded by splitmix32). The same seed gives
 * the same numbers on every machine.
 *
 * @category Tensors
 * @example
 * ```ts
 * import { Random } from "transformer-circuits/tensor";
 *
 * const a = new Random(7);
 * const b = new Random(7);
 * console.log(a.int(1000) === b.int(1000));
 * // true
 * ```
 */
export class Random {
  readonly #state: Uint32Array;
  #spare: number | undefined;

  /** @throws {@link InputError} when the seed is not a non-negative integer below 2³². */
  constructor(seed: number) {
    if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
      throw new InputError(`${seed} is not a seed; use a non-negative integer below 2^32.`, {
        operation: "Random",
        argument: "seed",
        actual: seed,
      });
    }
    this.#state = new Uint32Array(4);
    let z = seed;
    for (let i = 0; i < 4; i++) {
      z = (z + 0x9e3779b9) >>> 0;
      let t = z ^ (z >>> 16);
      t = Math.imul(t, 0x21f0aaad);
      t ^= t >>> 15;
      t = Math.imul(t, 0x735a2d97);
      this.#state[i] = t ^ (t >>> 15);
    }
  }

  /**
   * A generator in a given state of four 32-bit words, not all zero.
   * @internal
   */
  static fromState(state: readonly [number, number, number, number]): Random {
    requireKind("list", state, "state", "Random.fromState");
    const random = new Random(0);
    random.#state.set(state);
    return random;
  }

  /** 32 random bits. */
  bits(): number {
    const s = this.#state;
    // By index: taken apart as a list, this takes three times as long.
    const s0 = s[0] as number;
    const s1 = s[1] as number;
    const s2 = s[2] as number;
    const s3 = s[3] as number;
    const mixed = (s0 + s3) >>> 0;
    const result = (((mixed << 7) | (mixed >>> 25)) + s0) >>> 0;
    const t = s1 << 9;
    const a = s2 ^ s0;
    const b = s3 ^ s1;
    s[1] = s1 ^ a;
    s[0] = s0 ^ b;
    s[2] = a ^ t;
    s[3] = (b << 11) | (b >>> 21);
    return result;
  }

  /** Uniform in [0, 1), with 53 random bits. */
  uniform(): number {
    return ((this.bits() >>> 5) * 67108864 + (this.bits() >>> 6)) / 9007199254740992;
  }

  /** Standard normal, by the polar method of Marsaglia. */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    for (;;) {
      const x = 2 * this.uniform() - 1;
      const y = 2 * this.uniform() - 1;
      const r = x * x + y * y;
      if (r > 0 && r < 1) {
        const f = Math.sqrt((-2 * Math.log(r)) / r);
        this.#spare = y * f;
        return x * f;
      }
    }
  }

  /**
   * An integer from 0 to n − 1, each equally likely.
   * @throws {@link InputError} when n is not a positive integer.
   */
  int(n: number): number {
    if (!Number.isSafeInteger(n) || n < 1) {
      throw new InputError(`${n} is not a number of choices; use a positive integer.`, {
        operation: "Random.int",
        argument: "n",
        actual: n,
      });
    }
    return Math.floor(this.uniform() * n);
  }
}

/**
 * A tensor of independent normal numbers with mean 0.
 *
 * @param options - `seed` of the generator, or the generator itself to go on with; `std`, the standard deviation (1);
 * `dtype`, float32 unless said.
 * @throws {@link ShapeError} when a size is not a non-negative integer; {@link AxisError} when the names do not fit;
 * {@link InputError} for a seed or a standard deviation that is none.
 * @category Tensors
 * @example
 * ```ts
 * import { maxAbsDifference } from "transformer-circuits";
 * import { randomNormal } from "transformer-circuits/tensor";
 *
 * const W = randomNormal("d_model d_head", [64, 8], { seed: 1, std: 0.1 });
 * const again = randomNormal("d_model d_head", [64, 8], { seed: 1, std: 0.1 });
 * console.log(String(W), maxAbsDifference(W, again));
 * // Tensor[d_model=64 d_head=8] float32 0
 * ```
 */
export function randomNormal<const A extends string>(
  axes: A,
  shape: readonly number[],
  options: { readonly seed: number | Random; readonly std?: number; readonly dtype?: "float32" | "float64" },
): Tensor<A> {
  requireObject(options, "options", "randomNormal", "seed std dtype");
  requireKind("list", shape, "shape", "randomNormal", options);
  const { seed, std = 1, dtype = "float32" } = options;
  if (!Number.isFinite(std) || std < 0) {
    throw new InputError(`std is ${String(std)}; a standard deviation is a number of at least 0.`, {
      operation: "randomNormal",
      argument: "std",
      expected: "at least 0",
      actual: std,
    });
  }
  if (!DTYPES.includes(dtype)) throw noSuchDType(dtype, "randomNormal");
  if (typeof seed !== "number" && !(seed instanceof Random)) {
    throw new InputError(`seed is ${String(seed)}; give a number, or a Random to go on from.`, {
      operation: "randomNormal",
      argument: "seed",
      expected: "a number or a Random",
      actual: seed,
    });
  }
  const random = typeof seed === "number" ? new Random(seed) : seed;
  const out = allocateData(dtype, storableSize(shape, "randomNormal"));
  for (let i = 0; i < out.length; i++) out[i] = std * random.normal();
  return Tensor.from(axes, shape, out);
}
