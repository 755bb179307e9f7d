/**
 * What speaks for a head being of a kind: attention against chance, the positions where it holds, an interval over
 * prompts, and how likely luck with positions would have it.
 *
 * With $x_q$ the mean attention from query $q$ to its targets and $c_q$ what even attention gives them, the excess is
 * $e_q = (x_q - c_q) / (1 - c_q)$: 0 at chance, 1 where all attention goes there. What a head gives the same places
 * when nothing repeats is taken off instead where it is more.
 */
import { studentQuantile } from "./student.ts";

/** One score of one head, prompts by queries. */
export interface Observed {
  readonly prompts: number;
  readonly queries: number;
  readonly scores: ArrayLike<number>;
  /** What even attention gives; NaN where a query cannot tell. */
  readonly chance: ArrayLike<number>;
  /** By query, what the head gives the same places when nothing repeats, where that was seen. */
  readonly blind: ArrayLike<number> | undefined;
}

/** What {@link weigh} finds. */
export interface Weighed {
  /** The excess over all queries that can tell. */
  readonly overall: number;
  /** The first and the last query where it holds. */
  readonly positions: readonly [first: number, last: number];
  readonly isEverywhere: boolean;
  /** Mean attention there, chance, and the excess. */
  readonly score: number;
  readonly chance: number;
  readonly excess: number;
  /** What even attention leaves, by which the excess is divided. */
  readonly rest: number;
  /** Half the width of the score's interval; infinite for a single observation. */
  readonly margin: number;
  /** A bound on the probability that a head which prefers no key scores so high over so many positions. */
  readonly luck: number;
}

/** A range has so many queries at least, and such a share of all; all where there are fewer. */
const FEWEST = 8;
const FEWEST_SHARE = 1 / 8;
/** It ends where the excess falls below this share of that at the best positions. */
const LEVEL_SHARE = 3 / 4;
/** It is all queries where it has more than this share of them, or the excess elsewhere is at least half of its own. */
const EVERYWHERE = 0.9;
const MUCH_ELSEWHERE = 1 / 2;
/** Fewer prompts are cut into parts, so that there are about so many degrees of freedom. */
const FEWEST_UNITS = 8;

/** The queries that can tell in at least half of the prompts. */
export function tellingQueries({
  prompts,
  queries,
  chance,
}: Pick<Observed, "prompts" | "queries" | "chance">): number[] {
  const found: number[] = [];
  for (let query = 0; query < queries; query++) {
    let telling = 0;
    for (let b = 0; b < prompts; b++) if (!Number.isNaN(chance[b * queries + query])) telling++;
    if (2 * telling >= prompts) found.push(query);
  }
  return found;
}

/**
 * Weighs one score of one head.
 *
 * @param at - the queries that can tell, at least one.
 * @param tail - the probability that the interval leaves out on either side.
 */
export function weigh(observed: Observed, at: readonly number[], tail: number): Weighed {
  const { prompts, blind } = observed;
  const profile = at.map((query) => meanOf(observed, 0, prompts, [query]));
  const excesses = profile.map((one) => excessOf(one));
  const least = Math.min(at.length, Math.max(FEWEST, Math.ceil(at.length * FEWEST_SHARE)));
  const sums = cumulated(excesses);
  const level = bestMean(sums, least);
  let [from, to] = bestStretch(cumulated(excesses, LEVEL_SHARE * level), least);
  const total = sums[sums.length - 1] as number;
  const within = (sums[to] as number) - (sums[from] as number);
  const elsewhere = (total - within) / (at.length - (to - from));
  const isMuch = elsewhere >= (MUCH_ELSEWHERE * within) / (to - from);
  if (level <= 0 || to - from > EVERYWHERE * at.length || isMuch) [from, to] = [0, at.length];
  const range = at.slice(from, to);
  const known =
    blind === undefined ? 0 : range.reduce((sum, query) => sum + (blind[query] as number), 0) / range.length;
  const { score, chance } = meanOf(observed, 0, prompts, range);
  return {
    overall: total / at.length,
    positions: [range[0] as number, range[range.length - 1] as number],
    isEverywhere: range.length === at.length,
    score,
    chance: Math.max(chance, known),
    excess: excessOf({ score, chance }, known),
    rest: 1 - chance,
    margin: (1 - chance) * marginOf(observed, range, known, tail),
    luck: Math.min(1, (at.length - least + 1) * luckOf(profile.slice(from, to))),
  };
}

interface Mean {
  readonly score: number;
  readonly chance: number;
}

/** Above even attention and what the head gives these places anyway, as a share of what even attention leaves. */
function excessOf({ score, chance }: Mean, known = 0): number {
  return (score - Math.max(chance, known)) / (1 - chance);
}

/** The means over prompts from `first` to before `end` and some queries, where they can tell; NaN where none can. */
function meanOf({ queries, ...observed }: Observed, first: number, end: number, at: readonly number[]): Mean {
  let [score, chance, count] = [0, 0, 0];
  for (let b = first; b < end; b++) {
    for (const query of at) {
      const even = observed.chance[b * queries + query] as number;
      if (Number.isNaN(even)) continue;
      score += observed.scores[b * queries + query] as number;
      chance += even;
      count++;
    }
  }
  return { score: score / count, chance: chance / count };
}

/** Sums of the first 0, 1, 2 … values, each less `level`. */
function cumulated(values: readonly number[], level = 0): number[] {
  const sums = [0];
  for (const [i, value] of values.entries()) sums.push((sums[i] as number) + value - level);
  return sums;
}

/** The largest mean of `size` neighbours. */
function bestMean(sums: readonly number[], size: number): number {
  let best = -Infinity;
  for (let to = size; to < sums.length; to++)
    best = Math.max(best, ((sums[to] as number) - (sums[to - size] as number)) / size);
  return best;
}

/** The largest sum of at least `least` neighbours. */
function bestStretch(sums: readonly number[], least: number): [from: number, to: number] {
  let best: [number, number] = [0, sums.length - 1];
  let [largest, lowest] = [-Infinity, 0];
  for (let to = least; to < sums.length; to++) {
    if ((sums[to - least] as number) < (sums[lowest] as number)) lowest = to - least;
    const sum = (sums[to] as number) - (sums[lowest] as number);
    if (sum > largest) [largest, best] = [sum, [lowest, to]];
  }
  return best;
}

/**
 * Half the width of Student's interval of the mean excess over a range. Few prompts are cut into parts of consecutive
 * queries, whose means may differ: what varies is one prompt from another within a part. A single prompt has its parts.
 */
function marginOf(observed: Observed, at: readonly number[], known: number, tail: number): number {
  const { prompts } = observed;
  const parts = Math.min(at.length, prompts === 1 ? FEWEST_UNITS : Math.ceil(FEWEST_UNITS / (prompts - 1)));
  const strata = Array.from({ length: parts }, (_, part) => {
    const [from, to] = [part, part + 1].map((bound) => Math.round((bound * at.length) / parts));
    const means = Array.from({ length: prompts }, (__, b) => meanOf(observed, b, b + 1, at.slice(from, to)));
    return means.filter(({ score }) => !Number.isNaN(score)).map((mean) => excessOf(mean, known));
  });
  const samples = (prompts === 1 ? [strata.flat()] : strata).filter((values) => values.length > 1);
  if (samples.length === 0) return Infinity;
  const freedom = samples.reduce((sum, values) => sum + values.length - 1, 0);
  const variance = samples.reduce((sum, values) => sum + varianceOf(values) / values.length, 0) / samples.length ** 2;
  return variance === 0 ? 0 : studentQuantile(tail, freedom) * Math.sqrt(variance);
}

function varianceOf(values: readonly number[]): number {
  const centre = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1);
}

/**
 * Chernoff's bound on the probability of so large a sum of scores, were the attention of each query dealt to its keys
 * at random: $\min_t e^{-tS} \prod_q (1 - c_q + c_q e^t)$, which holds for one-hot attention and so for any.
 */
function luckOf(range: readonly Mean[]): number {
  const total = range.reduce((sum, { score }) => sum + score, 0);
  const tilted = (t: number): number =>
    range.reduce((sum, { chance }) => sum + 1 / (1 + ((1 - chance) / chance) * Math.exp(-t)), 0);
  if (total <= tilted(0)) return 1;
  let [low, high] = [0, 60];
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (tilted(middle) < total) low = middle;
    else high = middle;
  }
  return Math.exp(range.reduce((sum, { chance }) => sum + Math.log1p(chance * Math.expm1(low)), -low * total));
}
