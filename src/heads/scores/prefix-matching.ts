/**
 * Prefix matching (Olsson et al. 2022, "Head activation evaluators"): does a head attend from a token to what came
 * after the earlier occurrences of that token?
 */
import { ShapeError, requireKind } from "../../errors.ts";
import type { Tensor } from "../../tensor/index.ts";
import { describeTensor, rawData, requireAxes } from "../../tensor/internal.ts";
import { requireChoice } from "../../model/internal.ts";
import { meanOfTallies, patternSizes } from "./tally.ts";
import type { Pattern, Tally } from "./tally.ts";

/**
 * How {@link prefixMatchingScores} reads a pattern. A query's targets are the keys next to each earlier occurrence of
 * its token; there may be several.
 * @category Head scores
 */
export interface PrefixMatchingOptions {
  /**
   * `"sum"` (the default): the attention on all targets of a query together, averaged over queries; `"mean"`: the mean
   * over a query's targets, averaged over queries; `"entries"`: the mean over all pairs of query and target;
   * `"latest"`: the target of the latest earlier occurrence only, averaged over queries.
   */
  readonly averaging?: "sum" | "mean" | "entries" | "latest" | undefined;
  /**
   * `"next"` (the default): the key after the earlier occurrence, which an induction head looks at; `"previous"`: the
   * key before it, which one sentence of the paper names.
   */
  readonly target?: "next" | "previous" | undefined;
}

/** The keys next to earlier occurrences of the token at `query`, earliest first. */
export function nextToEarlier(ids: ArrayLike<number>, start: number, query: number, step: 1 | -1): number[] {
  const targets: number[] = [];
  for (let key = 0; key < query; key++) {
    if (ids[start + key] === ids[start + query] && key + step >= 0) targets.push(key + step);
  }
  return targets;
}

/** {@link prefixMatchingScores} as sums. */
export function tallyPrefixMatching(
  pattern: Pattern,
  tokens: Tensor<"batch pos">,
  options: PrefixMatchingOptions = {},
): Tally {
  const operation = "prefixMatchingScores";
  const { averaging = "sum", target = "next" } = options;
  const { batch, heads, queries, keys } = patternSizes(pattern, operation);
  checkTokens(pattern, tokens, operation);
  requireChoice(averaging, ["sum", "mean", "entries", "latest"], "averaging", operation);
  requireChoice(target, ["next", "previous"], "target", operation);
  const [data, ids] = [rawData(pattern), rawData(tokens)];
  const sums = new Float64Array(heads);
  let count = 0;
  for (let b = 0; b < batch; b++) {
    for (let query = 0; query < queries; query++) {
      const all = nextToEarlier(ids, b * queries, query, target === "next" ? 1 : -1);
      if (all.length === 0) continue;
      const targets = averaging === "latest" ? all.slice(-1) : all;
      count += averaging === "entries" ? targets.length : 1;
      const weight = averaging === "mean" ? 1 / targets.length : 1;
      for (let h = 0; h < heads; h++) {
        const row = ((b * heads + h) * queries + query) * keys;
        for (const key of targets) sums[h] = (sums[h] as number) + weight * (data[row + key] as number);
      }
    }
  }
  return { sums, count };
}

/**
 * The prefix matching score of each head: mean attention from a token to the tokens next to its earlier occurrences.
 *
 * Works on any prompt; the paper uses 25 random tokens repeated four times after a start token. Queries whose token has
 * not occurred before are left out, and a key counts as a target by its position alone, a BOS token included. The
 * averagings differ once a token has occurred more than once: a head that spreads evenly over the matches of four
 * copies scores 1 (`"sum"`), 0.611 (`"mean"`) or 0.5 (`"entries"`); the paper's wording is an average over entries.
 *
 * @param pattern - `[batch, head, query_pos, key_pos]`.
 * @param tokens - `[batch, pos]`, the prompts that the patterns came from.
 * @returns `[head]`, 0 to 1, float64; NaN when no token occurs twice.
 * @throws {@link AxisError} or {@link ShapeError} when the tensors do not fit; {@link InputError} for an unknown
 * option.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { prefixMatchingScores } from "transformer-circuits/heads";
 *
 * // a b a: the second a may look back at b, which came after the first.
 * const tokens = Tensor.from("batch pos", [1, 3], [5, 6, 5], "int32");
 * const pattern = Tensor.fromNested("batch head query_pos key_pos", [[[[1, 0, 0], [1, 0, 0], [0.25, 0.75, 0]]]]);
 * console.log(prefixMatchingScores(pattern, tokens).at(0));
 * // 0.75
 * ```
 */
export function prefixMatchingScores(
  pattern: Pattern,
  tokens: Tensor<"batch pos">,
  options: PrefixMatchingOptions = {},
): Tensor<"head"> {
  requireKind("tensor", pattern, "pattern", "prefixMatchingScores", options, "averaging target");
  requireAxes(tokens, "batch pos", "tokens", "prefixMatchingScores");
  return meanOfTallies([tallyPrefixMatching(pattern, tokens, options)]);
}

/** Refuses tokens that patterns cannot have come from. */
function checkTokens(pattern: Pattern, tokens: Tensor<"batch pos">, operation: string): void {
  const { batch, queries, keys } = patternSizes(pattern, operation);
  if (tokens.shape[0] !== batch || tokens.shape[1] !== queries || queries !== keys || tokens.rank !== 2) {
    throw new ShapeError(
      `the pattern is ${describeTensor(pattern)} but the tokens are ${describeTensor(tokens)}. Pass the tokens that the pattern came from, [batch, pos].`,
      { operation, argument: "tokens", expected: [batch, queries], actual: tokens.shape },
    );
  }
}
