/** How much the terms of a score expansion matter: their standard deviation, and their share of the scores. */
import { InputError } from "../../errors.ts";
import type { Tensor } from "../../tensor/index.ts";
import { dot } from "../../tensor/internal.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import type { ScoreTerm } from "./terms.ts";

/**
 * Which entries the statistics of a score expansion are about.
 * @category Attention scores
 */
export interface ScoreStatisticsOptions extends ProgressOptions {
  /**
   * A stripe of the scores, such as the entries that an induction head attends to: shares are then of how far the
   * stripe stands out. Without it they are shares of the variance.
   */
  readonly entries?: ((query: number, key: number, prompt: number) => boolean) | undefined;
}

/**
 * What {@link ScoreExpansion.statistics} says of one term.
 *
 * Only differences along a row of scores mean anything, so `centeredStd` and `share` are of scores less the mean of
 * their row over the keys that the query saw.
 *
 * @category Attention scores
 */
export interface ScoreTermStatistics {
  readonly term: ScoreTerm;
  /**
   * Standard deviation over all entries, those that a mask would hide included, with n − 1: ARENA's measure of
   * importance. NaN of one entry.
   */
  readonly std: number;
  /** Root mean square of the centred scores, over entries that the query saw. */
  readonly centeredStd: number;
  /** The largest absolute score among entries that the query saw. */
  readonly max: number;
  /**
   * The term's share; all shares sum to 1. With `entries`, of the sum of centred scores over them; otherwise of the
   * variance, $\langle t, S \rangle / \langle S, S \rangle$ of centred scores. NaN where there is nothing to share:
   * scores of a row that are equal, but for rounding.
   */
  readonly share: number;
}

/** Statistics of every term. */
export function termStatistics(
  terms: readonly ScoreTerm[],
  scoresOf: (term: ScoreTerm) => Tensor<"batch query_pos key_pos">,
  total: Tensor<"batch query_pos key_pos">,
  seen: Uint8Array,
  options: ScoreStatisticsOptions,
): ScoreTermStatistics[] {
  const steps = new Steps(options, terms.length);
  const [batch = 0, pos = 0] = total.shape;
  const weights = weightsOf(centered(total, seen), batch, pos, seen, options.entries);
  const whole = dot(weights, 0, centered(total, seen), 0, weights.length);
  const found = terms.map((term) => {
    const scores = scoresOf(term);
    const relative = centered(scores, seen);
    let [squares, count, max] = [0, 0, 0];
    forSeen(batch, pos, seen, (at) => {
      squares += (relative[at] as number) ** 2;
      max = Math.max(max, Math.abs(scores.data[at] as number));
      count += 1;
    });
    steps.advance();
    return {
      term,
      std: standardDeviation(scores.data),
      centeredStd: Math.sqrt(squares / count),
      max,
      share: dot(weights, 0, relative, 0, weights.length) / whole,
    };
  });
  const largest = found.reduce((most, { max }) => Math.max(most, max), 0);
  const isNoise = Math.abs(whole) <= ROUNDING * largest * weights.reduce((sum, w) => sum + Math.abs(w), 0);
  return isNoise ? found.map((one) => ({ ...one, share: NaN })) : found;
}

/** By how much of their terms' largest score scores differ that differ by the rounding of a float32 run alone. */
const ROUNDING = 4 * 2 ** -24;

/** Calls back for every entry that its query saw. */
function forSeen(
  batch: number,
  pos: number,
  seen: Uint8Array,
  visit: (at: number, b: number, i: number, j: number) => void,
): void {
  for (let b = 0, at = 0; b < batch; b++) {
    for (let i = 0; i < pos; i++) for (let j = 0; j < pos; j++, at++) if (seen[at] === 1) visit(at, b, i, j);
  }
}

/** Scores less the mean of their row over what the query saw; 0 elsewhere. */
function centered(scores: Tensor<"batch query_pos key_pos">, seen: Uint8Array): Float64Array {
  const [batch = 0, pos = 0] = scores.shape;
  const { data } = scores;
  const out = new Float64Array(data.length);
  for (let start = 0; start < batch * pos * pos; start += pos) {
    let [sum, count] = [0, 0];
    for (let at = start; at < start + pos; at++) {
      if (seen[at] !== 1) continue;
      sum += data[at] as number;
      count += 1;
    }
    const mean = sum / count;
    for (let at = start; at < start + pos; at++) if (seen[at] === 1) out[at] = (data[at] as number) - mean;
  }
  return out;
}

/** The factor of a term for its share: 1 on the stripe, or the total itself. */
function weightsOf(
  total: Float64Array,
  batch: number,
  pos: number,
  seen: Uint8Array,
  entries: ScoreStatisticsOptions["entries"],
): Float64Array {
  if (entries === undefined) return total;
  const out = new Float64Array(total.length);
  let count = 0;
  forSeen(batch, pos, seen, (at, b, i, j) => {
    if (!entries(i, j, b)) return;
    out[at] = 1;
    count += 1;
  });
  if (count === 0) {
    throw new InputError("entries picks none of the scores that a query may see. Pick at least one.", {
      operation: "statistics",
      argument: "entries",
      actual: 0,
    });
  }
  return out;
}

function standardDeviation(values: ArrayLike<number>): number {
  let mean = 0;
  for (let t = 0; t < values.length; t++) mean += (values[t] as number) / values.length;
  let squares = 0;
  for (let t = 0; t < values.length; t++) squares += ((values[t] as number) - mean) ** 2;
  return Math.sqrt(squares / (values.length - 1));
}
