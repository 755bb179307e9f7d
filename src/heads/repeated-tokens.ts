/** Random tokens repeated: prompts on which only what was seen before helps to predict what comes next. */
import { InputError, requireOptions, requireObject } from "../errors.ts";
import type { ModelConfig } from "../model/index.ts";
import { Random } from "../tensor/index.ts";

/**
 * What {@link repeatedTokens} makes.
 * @category Head scores
 */
export interface RepeatedTokensOptions {
  /** The number of random tokens that repeat; 50 by default, or what fits into `n_ctx`. */
  readonly length?: number | undefined;
  /** The number of prompts; 1 by default. */
  readonly batch?: number | undefined;
  /** The seed of the random tokens; 0 by default. The same options give the same tokens. */
  readonly seed?: number | undefined;
  /**
   * The token that begins each prompt and is not among the random ones, `null` for none; the configuration's
   * `bos_token_id` by default, and none where it names none.
   */
  readonly bos?: number | null | undefined;
  /** How often the random tokens appear; 2 by default. */
  readonly repeats?: number | undefined;
  /** Whether the random tokens of a prompt all differ; false by default, as in ARENA. */
  readonly distinct?: boolean | undefined;
  /**
   * Makes the later copies of runs of so many tokens, cut out of the first at random, so that only a longer match tells
   * what comes next; whole copies unless given. The period of scores by diagonals does not hold then; prefix matching
   * does.
   */
  readonly chunk?: number | undefined;
}

/**
 * Prompts $[\text{BOS}, r, r]$ of random tokens that repeat (ARENA 1.2, "Finding induction heads"; the Framework paper
 * shows three copies of 20 tokens, Olsson et al. four of 25).
 *
 * Tokens are drawn evenly from all ids but BOS, so two of a prompt may be equal by chance; `distinct` forbids that.
 *
 * @param config - whose `d_vocab` and `n_ctx` bound the prompts.
 * @returns `batch` prompts of `repeats · length` token ids, after BOS where there is one.
 * @throws {@link InputError} when a prompt would be longer than `n_ctx`, when there are fewer ids than distinct tokens
 * asked for, or when a number is not usable.
 * @category Head scores
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 *
 * const [prompt = []] = repeatedTokens({ d_vocab: 100, n_ctx: 32 }, { length: 4, seed: 1, bos: 0 });
 * console.log(prompt.length, prompt[0], String(prompt.slice(1, 5)) === String(prompt.slice(5)));
 * // 9 0 true
 * ```
 */
export function repeatedTokens(
  config: Pick<ModelConfig, "d_vocab" | "n_ctx" | "bos_token_id">,
  options: RepeatedTokensOptions = {},
): number[][] {
  requireObject(config, "config", "repeatedTokens");
  requireOptions(options, "repeatedTokens");
  const { batch = 1, seed = 0, repeats = 2, distinct = false, chunk } = options;
  const bos = bosOf(config, options);
  const first = bos === null ? [] : [bos];
  const { length = Math.min(50, Math.floor((config.n_ctx - first.length) / repeats)) } = options;
  for (const [argument, value] of Object.entries({ length, batch, repeats })) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw refuse(`${argument} is ${value}; it must be a positive integer.`, argument, value);
  }
  checkSizes(config, { bos, length, repeats, distinct });
  if (chunk !== undefined && !(Number.isSafeInteger(chunk) && chunk >= 1 && chunk <= length))
    throw refuse(`chunk is ${chunk}; it is a number of the ${length} tokens, from 1.`, "chunk", chunk);
  const random = new Random(seed);
  const choices = config.d_vocab - first.length;
  // Ids from BOS on move up by one, so that BOS itself is never drawn.
  const idOf = (choice: number): number => (bos !== null && choice >= bos ? choice + 1 : choice);
  return Array.from({ length: batch }, () => {
    const chosen = distinct ? drawDistinct(random, length, choices) : Array.from({ length }, () => random.int(choices));
    const ids = chosen.map(idOf);
    const later = Array.from({ length: repeats - 1 }, () => (chunk === undefined ? ids : chunksOf(random, ids, chunk)));
    return [...first, ...ids, ...later.flat()];
  });
}

/** The token that begins prompts: the one asked for, or the model's own. */
export function bosOf(
  { bos_token_id }: Pick<ModelConfig, "bos_token_id">,
  { bos }: { readonly bos?: number | null | undefined },
): number | null {
  return bos === undefined ? (bos_token_id ?? null) : bos;
}

/** As many tokens as there are, in runs of `size` that begin anywhere; the last is cut. */
function chunksOf(random: Random, ids: readonly number[], size: number): number[] {
  const out: number[] = [];
  while (out.length < ids.length) {
    const start = random.int(ids.length - size + 1);
    out.push(...ids.slice(start, start + size));
  }
  return out.slice(0, ids.length);
}

/** Different numbers below `n`, in random order: the head of a Fisher–Yates shuffle that stores only what it moved. */
function drawDistinct(random: Random, count: number, n: number): number[] {
  const moved = new Map<number, number>();
  return Array.from({ length: count }, (_, i) => {
    const j = i + random.int(n - i);
    const drawn = moved.get(j) ?? j;
    moved.set(j, moved.get(i) ?? i);
    return drawn;
  });
}

function checkSizes(
  { d_vocab, n_ctx }: Pick<ModelConfig, "d_vocab" | "n_ctx">,
  { bos, length, repeats, distinct }: { bos: number | null; length: number; repeats: number; distinct: boolean },
): void {
  if (bos !== null && (!Number.isInteger(bos) || bos < 0 || bos >= d_vocab)) {
    throw refuse(
      `bos ${bos} is not a token id; the model has d_vocab=${d_vocab}. Pass null for prompts without one.`,
      "bos",
      bos,
    );
  }
  const choices = d_vocab - (bos === null ? 0 : 1);
  const total = (bos === null ? 0 : 1) + repeats * length;
  if (total > n_ctx) {
    throw refuse(
      `${repeats} copies of ${length} tokens${bos === null ? "" : " after a BOS"} make ${total}, but the model has n_ctx=${n_ctx} positions. Use a smaller length.`,
      "length",
      length,
    );
  }
  if (choices < 1 || (distinct && choices < length)) {
    throw refuse(
      `there are only ${choices} tokens to draw ${length}${distinct ? " different ones" : ""} from (d_vocab=${d_vocab}).`,
      "length",
      length,
    );
  }
}

function refuse(message: string, argument: string, actual: unknown): InputError {
  return new InputError(message, { operation: "repeatedTokens", argument, actual });
}
