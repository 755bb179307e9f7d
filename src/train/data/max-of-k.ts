/**
 * The largest of k numbers, to be said at the last of them: the task of Gross et al., "Compact Proofs of Model
 * Performance via Mechanistic Interpretability" (2024), whose model has one layer of one head.
 */
import { requireObject } from "../../errors.ts";
import { randomAt, requireCounts, rowTensor } from "./at-step.ts";
import type { KnownData } from "./training-data.ts";

const OPERATION = "maxOfKData";

/**
 * What {@link maxOfKData} draws.
 * @category Training
 */
export interface MaxOfKOptions {
  /** How many numbers a prompt has; 4 by default. */
  readonly k?: number | undefined;
  /** How many numbers there are, from 0; 64 by default. */
  readonly d_vocab?: number | undefined;
  /** Prompts in a batch; 128 by default. */
  readonly batch?: number | undefined;
  /** The seed; 0 by default. */
  readonly seed?: number | undefined;
}

/**
 * Prompts of k numbers, drawn evenly; the target at the last position is the largest, and no other prediction counts.
 * The optimum is 0.
 *
 * @throws {@link InputError} when a number is not usable.
 * @category Training
 * @example
 * ```ts
 * import { maxOfKData } from "transformer-circuits/train";
 *
 * const { tokens, targets, lossMask } = maxOfKData({ k: 3, d_vocab: 10, batch: 1, seed: 3 }).batch(0);
 * console.log(targets?.at(0, 2) === Math.max(...tokens.data), lossMask?.toNested());
 * // true [ [ 0, 0, 1 ] ]
 * ```
 */
export function maxOfKData(options: MaxOfKOptions = {}): KnownData {
  requireObject(options, "options", OPERATION, "k d_vocab batch seed");
  const { k = 4, d_vocab = 64, batch = 128, seed = 0 } = options;
  requireCounts(OPERATION, seed, { k, d_vocab, batch });
  const same = (row: Float64Array): Float64Array[] => Array.from({ length: batch }, () => row);
  const weights = Float64Array.from({ length: k }, (_, i) => (i === k - 1 ? 1 : 0));
  return {
    name: `max of ${k}`,
    d_vocab,
    n_ctx: k,
    optimumIs: "exact",
    batch: (step) => {
      const random = randomAt(seed, step, OPERATION);
      const rows = Array.from({ length: batch }, () => Int32Array.from({ length: k }, () => random.int(d_vocab)));
      // The predictions before the last count 0; their targets are the largest so far.
      const targets = rows.map((row) => row.map((_, i) => Math.max(...row.subarray(0, i + 1))));
      return {
        tokens: rowTensor(rows, "int32"),
        targets: rowTensor(targets, "int32"),
        lossMask: rowTensor(same(weights), "float64"),
      };
    },
    optimum: (step) => {
      randomAt(seed, step, OPERATION);
      return rowTensor(same(new Float64Array(k)), "float64");
    },
  };
}
