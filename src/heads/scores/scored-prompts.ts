/**
 * What the prompts of head scores say before any model runs: where heads of each kind look from each query, and what
 * even attention gives those keys. It takes as long as to run a small model on them, so it is kept with prompts that
 * come as a tensor: a film scores a hundred checkpoints on the same.
 */
import { InputError } from "../../errors.ts";
import { toTokenTensor } from "../../model/index.ts";
import type { ModelConfig, TokensLike } from "../../model/index.ts";
import type { ProgressOptions } from "../../progress.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { bosOf, repeatedTokens } from "../repeated-tokens.ts";
import type { RepeatedTokensOptions } from "../repeated-tokens.ts";
import { chanceByQuery, HEAD_KINDS, targetsOfKinds } from "./by-query.ts";
import type { HeadKind, Targets } from "./by-query.ts";
import { checkPeriod } from "./detectors.ts";

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

/** Prompts that repeat, and what is known of them. */
export interface ScoredPrompts {
  readonly tokens: Tensor<"batch pos">;
  readonly period: number;
  /** The first query of a repeat; before it nothing has occurred twice but by chance. */
  readonly repeat: number;
  /** Of each prompt. */
  readonly targets: readonly Readonly<Record<HeadKind, Targets>>[];
  readonly chance: Readonly<Record<HeadKind, Tensor<"batch layer query_pos">>>;
  /** As many prompts in which nothing repeats, where the period is short. */
  readonly blind: Tensor<"batch pos"> | undefined;
}

/**
 * Up to this period, prompts without repeats are run too: a head that looks so few places back whatever the tokens are
 * is common, as the previous-token head, which looks like an induction head of period 2.
 */
const SHORT_PERIOD = 16;
/** The seed of those prompts: another than users take, so that theirs are others. */
const BLIND_SEED = 0xb11d;

const OPERATION = "headScores";

const kept = new WeakMap<Tensor, { readonly of: string; readonly prompts: ScoredPrompts }>();

/** The prompts that options ask for. */
export function scoredPrompts(config: ModelConfig, options: HeadScoresOptions): ScoredPrompts {
  const { tokens, period, bos } = options;
  if (!(tokens instanceof Tensor)) return prepared(config, options);
  const { n_layers, n_ctx, d_vocab, attention_dir, attn_types, window_size } = config;
  const of = JSON.stringify([period, bos === null, n_layers, n_ctx, d_vocab, attention_dir, attn_types, window_size]);
  const known = kept.get(tokens);
  if (known?.of === of) return known.prompts;
  const prompts = prepared(config, options);
  kept.set(tokens, { of, prompts });
  return prompts;
}

function prepared(config: ModelConfig, options: HeadScoresOptions): ScoredPrompts {
  const { tokens, period } = promptsOf(config, options);
  checkPeriod(period, OPERATION);
  const bos = options.tokens === undefined ? bosOf(config, options) !== null : options.bos !== null;
  const [prompts = 0, pos = 0] = tokens.shape;
  const ids = rawData(tokens);
  const targets = Array.from({ length: prompts }, (_, b) =>
    targetsOfKinds(ids.subarray(b * pos, (b + 1) * pos), period),
  );
  const repeat = period + (bos ? 1 : 0);
  const begins = { current: 0, previous: 0, first: 0, duplicate: repeat, induction: repeat, prefixMatching: repeat };
  const chance = eachKind((kind) => {
    const numbers = targets.flatMap((of) =>
      Array.from({ length: config.n_layers }, (_, layer) => chanceByQuery(of[kind], config, layer, begins[kind])),
    );
    return Tensor.from("batch layer query_pos", [prompts, config.n_layers, pos], Float64Array.from(numbers.flat()));
  });
  const blind = period < SHORT_PERIOD ? blindPrompts(config, tokens, bos) : undefined;
  return { tokens, period, repeat, targets, chance, blind };
}

function blindPrompts(config: ModelConfig, tokens: Tensor<"batch pos">, bos: boolean): Tensor<"batch pos"> {
  const [batch = 0, pos = 0] = tokens.shape;
  const first = bos ? tokens.at(0, 0) : null;
  const length = pos - (bos ? 1 : 0);
  const distinct = config.d_vocab - (bos ? 1 : 0) >= length;
  const drawn = repeatedTokens(config, { length, batch, repeats: 1, bos: first, distinct, seed: BLIND_SEED });
  return toTokenTensor(config, drawn, OPERATION);
}

function promptsOf(
  config: ModelConfig,
  options: HeadScoresOptions,
): { readonly tokens: Tensor<"batch pos">; readonly period: number } {
  const { batch = 10, repeats = 2 } = options;
  const first = bosOf(config, options) === null ? 0 : 1;
  if (options.tokens === undefined) {
    const { length, seed, bos, distinct, chunk } = options;
    const prompts = repeatedTokens(config, { length, batch, seed, bos, repeats, distinct, chunk });
    const period = ((prompts[0]?.length ?? 0) - first) / repeats;
    return { tokens: toTokenTensor(config, prompts, OPERATION), period };
  }
  if (options.period === undefined) {
    throw new InputError("tokens were given without the period at which they repeat. Pass { tokens, period }.", {
      operation: OPERATION,
      argument: "period",
      expected: "a positive integer",
    });
  }
  return { tokens: toTokenTensor(config, options.tokens, OPERATION), period: options.period };
}

export function eachKind<T>(make: (kind: HeadKind) => T): Record<HeadKind, T> {
  return Object.fromEntries(HEAD_KINDS.map((kind) => [kind, make(kind)])) as Record<HeadKind, T>;
}
