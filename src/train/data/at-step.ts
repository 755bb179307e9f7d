/** What the generators of data share: numbers drawn by step, rows as tensors, checks of options. */
import { InputError, nameOf } from "../../errors.ts";
import { requireCount, requireSeed } from "../../model/internal.ts";
import { Random, Tensor } from "../../tensor/index.ts";

/** A generator of its own for each step of each seed: the same numbers whatever was drawn before. */
export function randomAt(seed: number, step: number, operation: string): Random {
  if (!Number.isInteger(step) || step < 0 || step >= 2 ** 32) {
    throw new InputError(`step is ${nameOf(step)}; steps are whole numbers from 0 to 2^32 - 1.`, {
      operation,
      argument: "step",
      expected: [0, 2 ** 32 - 1],
      actual: step,
    });
  }
  const ofSeed = new Random(seed);
  const ofStep = new Random((step ^ ofSeed.bits()) >>> 0);
  const word = (): number => (ofSeed.bits() + ofStep.bits()) >>> 0;
  return Random.fromState([word(), word(), word(), (word() | 1) >>> 0]);
}

/** Rows of numbers as a tensor `[batch, pos]`: token ids in int32, losses and weights in float64. */
export function rowTensor(rows: readonly ArrayLike<number>[], dtype: "int32" | "float64"): Tensor<"batch pos"> {
  const pos = rows[0]?.length ?? 0;
  const data = new (dtype === "int32" ? Int32Array : Float64Array)(rows.length * pos);
  for (const [b, row] of rows.entries()) data.set(row, b * pos);
  return Tensor.from("batch pos", [rows.length, pos], data);
}

/** Refuses counts that are none, and a seed that is none. */
export function requireCounts(operation: string, seed: number, counts: Readonly<Record<string, number>>): void {
  requireSeed(seed, operation);
  for (const [argument, count] of Object.entries(counts)) requireCount(count, argument, operation);
  if (counts["n_ctx"] === 1) throw refusal(operation, "n_ctx", 1, "a prompt of n_ctx=1 token asks for no prediction.");
}

/** An error of an option of a generator. */
export function refusal(operation: string, argument: string, actual: unknown, message: string): InputError {
  return new InputError(message, { operation, argument, actual });
}

/** Different whole numbers below `n`, in random order: the head of a Fisher–Yates shuffle. */
export function drawDistinct(random: Random, count: number, n: number): number[] {
  const all = Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < count; i++) {
    const j = i + random.int(n - i);
    [all[i], all[j]] = [all[j] as number, all[i] as number];
  }
  return all.slice(0, count);
}
