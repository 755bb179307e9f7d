/** Where heads of each kind look from each query of a prompt, and what even attention gives those keys. */
import type { ModelConfig } from "../../model/index.ts";
import { nextToEarlier } from "./prefix-matching.ts";

/** The kinds of heads, under the names of their scores. */
export const HEAD_KINDS: readonly HeadKind[] = [
  "current",
  "previous",
  "first",
  "duplicate",
  "induction",
  "prefixMatching",
];

/**
 * A kind of head, under the name of its score in {@link HeadScores}.
 * @category Head scores
 */
export type HeadKind = "current" | "previous" | "first" | "duplicate" | "induction" | "prefixMatching";

/** The keys that each query's kind looks at: those of query q are `keys` from `starts[q]` up to `starts[q + 1]`. */
export interface Targets {
  readonly starts: Int32Array;
  readonly keys: Int32Array;
}

/** The targets of every kind in a prompt that repeats with a period. */
export function targetsOfKinds(ids: ArrayLike<number>, period: number): Record<HeadKind, Targets> {
  const before = (offset: number) => (query: number) => (query >= offset ? [query - offset] : []);
  return {
    current: listed(ids.length, before(0)),
    previous: listed(ids.length, before(1)),
    first: listed(ids.length, () => [0]),
    duplicate: listed(ids.length, before(period)),
    induction: listed(ids.length, before(period - 1)),
    prefixMatching: listed(ids.length, (query) => nextToEarlier(ids, 0, query, 1)),
  };
}

function listed(queries: number, keysOf: (query: number) => readonly number[]): Targets {
  const lists = Array.from({ length: queries }, (_, query) => keysOf(query));
  const starts = new Int32Array(queries + 1);
  for (const [query, list] of lists.entries()) starts[query + 1] = (starts[query] ?? 0) + list.length;
  return { starts, keys: Int32Array.from(lists.flat()) };
}

/**
 * The attention from each query to its targets together, NaN where it has none.
 *
 * @param pattern - one head's, `[query_pos, key_pos]`, from `start` on.
 * @param out - one number a query, from `to` on.
 */
export function attentionByQuery(
  pattern: ArrayLike<number>,
  start: number,
  { starts, keys }: Targets,
  out: Float64Array,
  to: number,
): void {
  const queries = starts.length - 1;
  for (let query = 0; query < queries; query++) {
    const [first, end] = [starts[query] as number, starts[query + 1] as number];
    let sum = first === end ? NaN : 0;
    const row = start + query * queries;
    for (let i = first; i < end; i++) sum += pattern[row + (keys[i] as number)] as number;
    out[to + query] = sum;
  }
}

/**
 * What even attention over the keys that a query sees gives its targets: their number over that of the keys; NaN where
 * that says nothing, as there are no targets or no others.
 *
 * @param from - the first query at which the kind can be told.
 */
export function chanceByQuery({ starts, keys }: Targets, config: ModelConfig, layer: number, from: number): number[] {
  const queries = starts.length - 1;
  const { attention_dir, attn_types, window_size = Infinity } = config;
  const window = attn_types?.[layer] === "local" ? window_size : Infinity;
  return Array.from({ length: queries }, (_, query) => {
    const seen = attention_dir === "causal" ? Math.min(query + 1, window) : queries;
    let targets = 0;
    for (let i = starts[query] as number; i < (starts[query + 1] as number); i++)
      if (query - (keys[i] as number) < window) targets++;
    return query < from || targets === 0 || targets >= seen ? NaN : targets / seen;
  });
}
