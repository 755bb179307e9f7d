/**
 * How much a head behaves like one of the known kinds, read off its attention patterns: means over a diagonal or a
 * column of $A_{ij}$, the attention from query $i$ to key $j$.
 *
 * The detectors are those of ARENA 1.2 ("Finding induction heads"); the kinds are those of *A Mathematical Framework
 * for Transformer Circuits* and Olsson et al. 2022. Row 0 of a causal pattern is always $[1, 0, \dots]$, which lends
 * the current-token and first-token scores $1/n$ whatever the head does.
 */
import { InputError, requireKind, requireObject } from "../../errors.ts";
import type { Tensor } from "../../tensor/index.ts";
import { requireChoice } from "../../model/internal.ts";
import { diagonal, meanOfTallies, patternSizes, tallyEntries } from "./tally.ts";
import type { Pattern, Tally } from "./tally.ts";

/** The mean attention of each head over a diagonal. */
function tallyDiagonal(pattern: Pattern, offset: number, operation: string, first = 0): Tally {
  const { queries, keys } = patternSizes(pattern, operation);
  const places = diagonal(queries, keys, offset, first);
  return tallyEntries(pattern, operation, () => places);
}

/** {@link currentTokenScores} as sums. */
export function tallyCurrent(pattern: Pattern): Tally {
  return tallyDiagonal(pattern, 0, "currentTokenScores");
}

/** {@link previousTokenScores} as sums. */
export function tallyPrevious(pattern: Pattern): Tally {
  return tallyDiagonal(pattern, 1, "previousTokenScores");
}

/** {@link firstTokenScores} as sums. */
export function tallyFirst(pattern: Pattern): Tally {
  const { queries, keys } = patternSizes(pattern, "firstTokenScores");
  const places = Array.from({ length: keys === 0 ? 0 : queries }, (_, query) => query * keys);
  return tallyEntries(pattern, "firstTokenScores", () => places);
}

/** {@link duplicateTokenScores} as sums. */
export function tallyDuplicate(pattern: Pattern, period: number): Tally {
  checkPeriod(period, "duplicateTokenScores");
  return tallyDiagonal(pattern, period, "duplicateTokenScores");
}

/** {@link inductionScores} as sums. */
export function tallyInduction(pattern: Pattern, options: InductionScoreOptions): Tally {
  const { period, variant = "arena", bos = true } = options;
  checkPeriod(period, "inductionScores");
  requireChoice(variant, ["arena", "strict"], "variant", "inductionScores");
  const first = variant === "strict" ? period + (bos ? 1 : 0) : 0;
  return tallyDiagonal(pattern, period - 1, "inductionScores", first);
}

/**
 * Mean attention to the current token: the mean of the diagonal, $\frac1n \sum_i A_{ii}$.
 *
 * @param pattern - `[batch, head, query_pos, key_pos]`.
 * @returns `[head]`, 0 to 1, float64.
 * @throws {@link AxisError} when the tensor has other axes.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { currentTokenScores } from "transformer-circuits/heads";
 *
 * const pattern = Tensor.fromNested("batch head query_pos key_pos", [[[[1, 0], [0.25, 0.75]]]]);
 * console.log(currentTokenScores(pattern).at(0));
 * // 0.875
 * ```
 */
export function currentTokenScores(pattern: Pattern): Tensor<"head"> {
  requireKind("tensor", pattern, "pattern", "currentTokenScores");
  return meanOfTallies([tallyCurrent(pattern)]);
}

/**
 * Mean attention to the token before: the mean of the first sub-diagonal, $\frac1{n-1} \sum_{i \ge 1} A_{i,i-1}$ (ARENA
 * 1.2; Olsson et al., "previous token head"). NaN for prompts of one token.
 *
 * @param pattern - `[batch, head, query_pos, key_pos]`.
 * @returns `[head]`, 0 to 1, float64.
 * @throws {@link AxisError} when the tensor has other axes.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { previousTokenScores } from "transformer-circuits/heads";
 *
 * const pattern = Tensor.fromNested("batch head query_pos key_pos", [[[[1, 0], [0.25, 0.75]]]]);
 * console.log(previousTokenScores(pattern).at(0));
 * // 0.25
 * ```
 */
export function previousTokenScores(pattern: Pattern): Tensor<"head"> {
  requireKind("tensor", pattern, "pattern", "previousTokenScores");
  return meanOfTallies([tallyPrevious(pattern)]);
}

/**
 * Mean attention to the first token of the prompt, where heads rest: the mean of column 0, $\frac1n \sum_i A_{i0}$.
 *
 * @param pattern - `[batch, head, query_pos, key_pos]`.
 * @returns `[head]`, 0 to 1, float64.
 * @throws {@link AxisError} when the tensor has other axes.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { firstTokenScores } from "transformer-circuits/heads";
 *
 * const pattern = Tensor.fromNested("batch head query_pos key_pos", [[[[1, 0], [0.25, 0.75]]]]);
 * console.log(firstTokenScores(pattern).at(0));
 * // 0.625
 * ```
 */
export function firstTokenScores(pattern: Pattern): Tensor<"head"> {
  requireKind("tensor", pattern, "pattern", "firstTokenScores");
  return meanOfTallies([tallyFirst(pattern)]);
}

/**
 * Mean attention to the same place one period earlier, on a sequence that repeats: the mean of the diagonal at minus
 * the period, $A_{i,i-L}$ for $i \ge L$. NaN when the prompt is no longer than a period.
 *
 * @param pattern - `[batch, head, query_pos, key_pos]`, of a prompt made by {@link repeatedTokens}.
 * @param period - the length of what repeats, in tokens.
 * @returns `[head]`, 0 to 1, float64.
 * @throws {@link AxisError} when the tensor has other axes; {@link InputError} when the period is not a positive
 * integer.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { duplicateTokenScores } from "transformer-circuits/heads";
 *
 * const pattern = Tensor.fromNested("batch head query_pos key_pos", [[[[1, 0, 0], [0.5, 0.5, 0], [0.75, 0, 0.25]]]]);
 * console.log(duplicateTokenScores(pattern, 2).at(0));
 * // 0.75
 * ```
 */
export function duplicateTokenScores(pattern: Pattern, period: number): Tensor<"head"> {
  requireKind("tensor", pattern, "pattern", "duplicateTokenScores");
  return meanOfTallies([tallyDuplicate(pattern, period)]);
}

/**
 * How {@link inductionScores} reads a pattern.
 * @category Head scores
 */
export interface InductionScoreOptions {
  /** The length of what repeats, in tokens. */
  readonly period: number;
  /** `"arena"` (the default): the whole diagonal; `"strict"`: only queries inside a repeat. */
  readonly variant?: "arena" | "strict" | undefined;
  /** Whether the prompt begins with a BOS token before the first copy; true by default. Matters to `"strict"` only. */
  readonly bos?: boolean | undefined;
}

/**
 * Mean attention to the token after the previous occurrence of the current one, on a sequence that repeats: the mean of
 * the diagonal at $-(L-1)$, $A_{i,i-L+1}$.
 *
 * ARENA 1.2 takes every entry of that diagonal. On $[\text{BOS}, r, r]$ it has $L + 2$ of them, the first two of which
 * ($i = L-1, L$) see no repeat yet, so that a perfect induction head which puts nothing there scores $L/(L+2)$. The
 * strict variant starts at the first repeated token, $i = L + 1$ ($i = L$ without BOS), and reaches 1.
 *
 * @param pattern - `[batch, head, query_pos, key_pos]`, of a prompt made by {@link repeatedTokens}.
 * @returns `[head]`, 0 to 1, float64; NaN when the prompt has no such entry.
 * @throws {@link AxisError} when the tensor has other axes; {@link InputError} when the period is not a positive
 * integer.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor, inductionScores } from "transformer-circuits";
 *
 * // BOS a b a b; the head rests on BOS until it can look at the token after the last copy.
 * const rest = [1, 0, 0, 0, 0];
 * const rows = [rest, rest, rest, [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]];
 * const pattern = Tensor.fromNested("batch head query_pos key_pos", [[rows]]);
 * console.log(inductionScores(pattern, { period: 2 }).at(0));
 * // 0.75
 * console.log(inductionScores(pattern, { period: 2, variant: "strict" }).at(0));
 * // 1
 * ```
 */
export function inductionScores(pattern: Pattern, options: InductionScoreOptions): Tensor<"head"> {
  requireKind("tensor", pattern, "pattern", "inductionScores", options, "period variant bos");
  requireObject(options, "options", "inductionScores");
  return meanOfTallies([tallyInduction(pattern, options)]);
}

/** Refuses what is no length of tokens. */
export function checkPeriod(period: number, operation: string): void {
  if (!Number.isSafeInteger(period) || period < 1) {
    throw new InputError(
      `a period of ${period} tokens is none; it is the length of what repeats, a positive integer.`,
      {
        operation,
        argument: "period",
        expected: "a positive integer",
        actual: period,
      },
    );
  }
}
