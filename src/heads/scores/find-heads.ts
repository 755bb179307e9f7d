/** Which heads of a model are of which kind: the scores of all heads at once, and the heads above a threshold. */
import { InputError, requireKind, requireObject } from "../../errors.ts";
import { allHeads, headLabel, toTokenTensor } from "../../model/index.ts";
import type { HeadId, HookName, TokensLike, Transformer } from "../../model/index.ts";
import { shownAs } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { describeTensor, requireAxes } from "../../tensor/internal.ts";
import { tallyCurrent, tallyDuplicate, tallyFirst, tallyInduction, tallyPrevious } from "./detectors.ts";
import { tallyPrefixMatching } from "./prefix-matching.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { bosOf, repeatedTokens } from "../repeated-tokens.ts";
import type { RepeatedTokensOptions } from "../repeated-tokens.ts";
import { meanOfTallies } from "./tally.ts";
import type { Pattern, Tally } from "./tally.ts";

/**
 * On which prompts {@link headScores} runs a model: repeated tokens made for it, or `tokens` of your own that repeat
 * with a given `period`.
 * @category Head scores
 */
export interface HeadScoresOptions extends RepeatedTokensOptions, ProgressOptions {
  /** Prompts to use instead of random ones. */
  readonly tokens?: TokensLike | undefined;
  /** The period of `tokens`. */
  readonly period?: number | undefined;
}

/**
 * The scores of all heads of a model, each `[layer, head]`, 0 to 1, float64; NaN where the prompts have no entry to
 * score.
 * @category Head scores
 */
export interface HeadScores {
  /** The prompts, `[batch, pos]`. */
  readonly tokens: Tensor<"batch pos">;
  /** The length of what repeats in them. */
  readonly period: number;
  /** {@link currentTokenScores}. */
  readonly current: Tensor<"layer head">;
  /** {@link previousTokenScores}. */
  readonly previous: Tensor<"layer head">;
  /** {@link firstTokenScores}. */
  readonly first: Tensor<"layer head">;
  /** {@link duplicateTokenScores}. */
  readonly duplicate: Tensor<"layer head">;
  /** {@link inductionScores}, ARENA's variant. */
  readonly induction: Tensor<"layer head">;
  /** {@link inductionScores}, the strict variant. */
  readonly inductionStrict: Tensor<"layer head">;
  /** {@link prefixMatchingScores}, the attention on all targets of a query together. */
  readonly prefixMatching: Tensor<"layer head">;
}

/** Entries of the patterns of prompts that are run together, at most. */
const MOST_ATTENTION = 2 ** 23;

type ScoreName = Exclude<keyof HeadScores, "tokens" | "period">;

function tallyAll(
  pattern: Pattern,
  tokens: Tensor<"batch pos">,
  period: number,
  bos: boolean,
): Record<ScoreName, Tally> {
  return {
    current: tallyCurrent(pattern),
    previous: tallyPrevious(pattern),
    first: tallyFirst(pattern),
    duplicate: tallyDuplicate(pattern, period),
    induction: tallyInduction(pattern, { period }),
    inductionStrict: tallyInduction(pattern, { period, variant: "strict", bos }),
    prefixMatching: tallyPrefixMatching(pattern, tokens),
  };
}

/**
 * Scores every head of a model as a current-token, previous-token, first-token, duplicate-token and induction head, on
 * random tokens that repeat (ARENA 1.2, "Finding induction heads"; prefix matching after Olsson et al. 2022).
 *
 * Ten prompts $[\text{BOS}, r, r]$ by default, $[r, r]$ where neither the options nor the configuration name a BOS
 * token; the same options give the same scores.
 *
 * @throws {@link InputError} as {@link repeatedTokens}, or when `tokens` come without their `period`.
 * @category Head scores
 * @example
 * ```ts
 * import { findHeads, headLabel, headScores } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const scores = headScores(model, { batch: 5 });
 * const { previousToken, induction } = findHeads(scores);
 * console.log(previousToken.map(headLabel).join(" "));
 * // L0H5 L0H7
 * console.log(induction.map(headLabel).sort().join(" "));
 * // L1H1 L1H2 L1H3 L1H4 L1H7
 * ```
 */
export function headScores(model: Transformer, options: HeadScoresOptions = {}): HeadScores {
  requireKind(
    "model",
    model,
    "model",
    "headScores",
    options,
    "tokens period length batch seed bos repeats distinct chunk signal onProgress",
  );
  const { tokens, period } = promptsOf(model, options);
  const { n_layers, n_heads } = model.config;
  const bos = options.tokens === undefined ? bosOf(model.config, options) !== null : options.bos !== null;
  const prompts = tokens.sizeOf("batch");
  const steps = new Steps(options, prompts);
  const tallies: Record<ScoreName, Tally>[][] = Array.from({ length: n_layers }, () => []);
  const pos = tokens.sizeOf("pos");
  const together = Math.max(1, Math.floor(MOST_ATTENTION / Math.max(1, n_layers * n_heads * pos * pos)));
  for (let first = 0; first < prompts; first += together) {
    const some = tokens.slice("batch", first, Math.min(prompts, first + together));
    const { cache } = model.run(some, { cache: (name: HookName) => name.endsWith(".hook_pattern"), unembed: "none" });
    for (let b = 0; b < some.sizeOf("batch"); b++) {
      const prompt = some.slice("batch", b, b + 1);
      for (const [layer, list] of tallies.entries()) {
        const pattern = cache.get(`blocks.${layer}.attn.hook_pattern`).slice("batch", b, b + 1);
        list.push(tallyAll(pattern, prompt, period, bos));
      }
      steps.advance();
    }
  }
  const score = (name: ScoreName): Tensor<"layer head"> => {
    const data = new Float64Array(n_layers * n_heads);
    for (const [layer, list] of tallies.entries())
      data.set(meanOfTallies(list.map((tally) => tally[name])).data, layer * n_heads);
    return Tensor.from("layer head", [n_layers, n_heads], data);
  };
  const scores: HeadScores = {
    tokens,
    period,
    current: score("current"),
    previous: score("previous"),
    first: score("first"),
    duplicate: score("duplicate"),
    induction: score("induction"),
    inductionStrict: score("inductionStrict"),
    prefixMatching: score("prefixMatching"),
  };
  return shownAs(scores, scoresShowing);
}

/** A row a head, those that do one thing most first. */
function scoresShowing({ tokens, period, ...scores }: HeadScores): Showing {
  const columns = Object.keys(scores) as ScoreName[];
  const [n_layers = 0, n_heads = 0] = scores.current.shape;
  const rows = allHeads({ n_layers, n_heads })
    .map((id) => ({ id, values: columns.map((name) => scores[name].at(id.layer, id.head)) }))
    .sort((a, b) => Math.max(...b.values) - Math.max(...a.values))
    .map(({ id, values }) => [headLabel(id), ...values]);
  const title = `HeadScores on tokens ${describeTensor(tokens)} that repeat every ${period}`;
  return { title, parts: () => [{ kind: "rows", columns: ["head", ...columns], rows }] };
}

function promptsOf(model: Transformer, options: HeadScoresOptions): { tokens: Tensor<"batch pos">; period: number } {
  const operation = "headScores";
  const { batch = 10, repeats = 2 } = options;
  const first = bosOf(model.config, options) === null ? 0 : 1;
  if (options.tokens === undefined) {
    const { length, seed, bos, distinct, chunk } = options;
    const prompts = repeatedTokens(model.config, { length, batch, seed, bos, repeats, distinct, chunk });
    const period = ((prompts[0]?.length ?? 0) - first) / repeats;
    return { tokens: toTokenTensor(model.config, prompts, operation), period };
  }
  if (options.period === undefined) {
    throw new InputError("tokens were given without the period at which they repeat. Pass { tokens, period }.", {
      operation,
      argument: "period",
      expected: "a positive integer",
    });
  }
  return { tokens: toTokenTensor(model.config, options.tokens, operation), period: options.period };
}

/**
 * The heads that {@link findHeads} found of each kind, the highest score first.
 * @category Head scores
 */
export interface FoundHeads {
  readonly currentToken: HeadId[];
  readonly previousToken: HeadId[];
  readonly firstToken: HeadId[];
  readonly duplicateToken: HeadId[];
  readonly induction: HeadId[];
}

/**
 * The heads whose scores lie above a threshold, by kind; one that lies at it is not found (ARENA 1.2, `score > 0.4` for
 * every kind). A head may be of several kinds. A score that is NaN, as of prompts without such an entry, is above
 * nothing.
 *
 * @param scores - from {@link headScores}.
 * @param threshold - what a score has to exceed; 0.4 by default.
 * @throws {@link InputError} when the threshold is not a number.
 * @category Head scores
 * @example
 * ```ts
 * import { Tensor, findHeads, headLabel } from "transformer-circuits";
 *
 * const score = (numbers: number[][]) => Tensor.fromNested("layer head", numbers);
 * const low = score([[0, 0], [0, 0]]);
 * const [previous, induction] = [score([[0.9, 0.1], [0, 0]]), score([[0, 0], [0.5, 0.7]])];
 * const scores = { current: low, previous, first: low, duplicate: low, induction };
 * const found = findHeads(scores);
 * console.log(found.previousToken.map(headLabel), found.induction.map(headLabel));
 * // [ 'L0H0' ] [ 'L1H1', 'L1H0' ]
 * ```
 */
export function findHeads(
  scores: Pick<HeadScores, "current" | "previous" | "first" | "duplicate" | "induction">,
  threshold = 0.4,
): FoundHeads {
  requireObject(scores, "scores", "findHeads");
  for (const kind of ["current", "previous", "first", "duplicate", "induction"] as const) {
    requireAxes(scores[kind], "layer head", `scores.${kind}`, "findHeads");
  }
  if (!Number.isFinite(threshold)) {
    throw new InputError(`${threshold} is not a threshold; scores lie between 0 and 1.`, {
      operation: "findHeads",
      argument: "threshold",
      actual: threshold,
    });
  }
  const above = (score: Tensor<"layer head">): HeadId[] => {
    const n_heads = score.sizeOf("head");
    return [...score.data]
      .map((value, i) => ({ value, id: { layer: Math.floor(i / n_heads), head: i % n_heads } }))
      .filter(({ value }) => value > threshold)
      .sort((a, b) => b.value - a.value)
      .map(({ id }) => id);
  };
  const found: FoundHeads = {
    currentToken: above(scores.current),
    previousToken: above(scores.previous),
    firstToken: above(scores.first),
    duplicateToken: above(scores.duplicate),
    induction: above(scores.induction),
  };
  return shownAs(found, (kinds) => {
    const labels = (ids: readonly HeadId[]): string => ids.map(headLabel).join(" ") || "none";
    const facts = Object.entries(kinds).map(([kind, ids]) => [kind, labels(ids as HeadId[])] as const);
    return { title: `FoundHeads: scores above ${threshold}`, parts: () => [{ kind: "facts", facts }] };
  });
}
