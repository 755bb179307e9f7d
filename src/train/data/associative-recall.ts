/**
 * Associative recall: pairs of a key and its value, then keys again, whose values are asked for. It needs induction:
 * find the key, take what followed. Source: Ba et al. 2016, "Using Fast Weights to Attend to the Recent Past"; with
 * several questions, Arora et al. 2023, "Zoology".
 */
import { requireObject } from "../../errors.ts";
import { requireChoice } from "../../model/internal.ts";
import type { Random } from "../../tensor/index.ts";
import { drawDistinct, randomAt, refusal, requireCounts, rowTensor } from "./at-step.ts";
import type { KnownData } from "./training-data.ts";

const OPERATION = "associativeRecallData";

/**
 * What {@link associativeRecallData} draws.
 * @category Training
 */
export interface AssociativeRecallOptions {
  /** How many tokens are keys: ids from 0; 16 by default. */
  readonly keys?: number | undefined;
  /** How many tokens are values: ids from `keys`; 16 by default. */
  readonly values?: number | undefined;
  /** How many pairs stand in a prompt, their keys all different; 8 by default. */
  readonly pairs?: number | undefined;
  /** How many of them are asked for, each drawn evenly from the pairs; 1 by default. */
  readonly questions?: number | undefined;
  /** Prompts in a batch; 64 by default. */
  readonly batch?: number | undefined;
  /** Whose losses count: `answers` by default, or `all`. */
  readonly lossOn?: "answers" | "all" | undefined;
  /** The seed; 0 by default. */
  readonly seed?: number | undefined;
}

/**
 * Prompts of keys and values, and of keys again with their values.
 *
 * The optimum is exact: an answer costs nothing, the i-th new key $\ln(K - i)$, a value $\ln V$, a question $\ln$ of
 * the number of pairs.
 *
 * @throws {@link InputError} when a number is not usable, or there are more pairs than keys.
 * @category Training
 * @example
 * ```ts
 * import { associativeRecallData } from "transformer-circuits/train";
 *
 * const data = associativeRecallData({ keys: 4, values: 4, pairs: 2, batch: 1, seed: 1 });
 * const row = data.batch(0).tokens.data;
 * const asked = row.indexOf(row[4] ?? 0);
 * console.log(data.n_ctx, row.length, row[5] === row[asked + 1]);
 * // 6 6 true
 * console.log(data.batch(0).lossMask?.toNested());
 * // [ [ 0, 0, 0, 0, 1, 0 ] ]
 * ```
 */
export function associativeRecallData(options: AssociativeRecallOptions = {}): KnownData {
  requireObject(options, "options", OPERATION, "keys values pairs questions batch lossOn seed");
  const { keys = 16, values = 16, pairs = 8, questions = 1, batch = 64, lossOn = "answers", seed = 0 } = options;
  requireCounts(OPERATION, seed, { keys, values, pairs, questions, batch });
  requireChoice(lossOn, ["answers", "all"], "lossOn", OPERATION);
  if (pairs > keys) {
    throw refusal(OPERATION, "pairs", pairs, `${pairs} pairs need as many keys, but there are ${keys}.`);
  }
  const n_ctx = 2 * (pairs + questions);
  const rows = (step: number): Int32Array[] => {
    const random = randomAt(seed, step, OPERATION);
    return Array.from({ length: batch }, () => drawPrompt(random, { keys, values, pairs, questions }));
  };
  const isAnswer = (token: number): boolean => token > 2 * pairs && token % 2 === 1;
  const same = <T extends ArrayLike<number>>(row: T): T[] => Array.from({ length: batch }, () => row);
  const weights = Float64Array.from({ length: n_ctx }, (_, i) => (isAnswer(i + 1) && i + 1 < n_ctx ? 1 : 0));
  const losses = Float64Array.from({ length: n_ctx - 1 }, (_, i) => {
    const token = i + 1;
    if (isAnswer(token) || lossOn === "answers") return 0;
    if (token % 2 === 1) return Math.log(values);
    return token < 2 * pairs ? Math.log(keys - token / 2) : Math.log(pairs);
  });
  return {
    name: "associative recall",
    d_vocab: keys + values,
    n_ctx,
    optimumIs: "exact",
    batch: (step) => {
      const tokens = rowTensor(rows(step), "int32");
      return lossOn === "all" ? { tokens } : { tokens, lossMask: rowTensor(same(weights), "float64") };
    },
    optimum: (step) => {
      randomAt(seed, step, OPERATION);
      return rowTensor(same(losses), "float64");
    },
  };
}

interface Sizes {
  readonly keys: number;
  readonly values: number;
  readonly pairs: number;
  readonly questions: number;
}

function drawPrompt(random: Random, { keys, values, pairs, questions }: Sizes): Int32Array {
  const chosen = drawDistinct(random, pairs, keys).map((key) => [key, keys + random.int(values)]);
  const asked = Array.from({ length: questions }, () => chosen[random.int(pairs)] ?? []);
  return Int32Array.from([...chosen, ...asked].flat());
}
