/**
 * Random tokens that repeat, on which induction heads grow: what was seen before is all that helps.
 *
 * Two layouts. In `blocks` a pattern repeats until the prompt is full, as in the run that Nanda published (a start
 * token and three blocks of 28) and in Olsson et al.'s evaluation; the length may be drawn anew for each prompt. In
 * `places` copies of a pattern stand at random places among other random tokens (ARENA 1.2, bonus exercises).
 */
import { nameOf, requireObject } from "../../errors.ts";
import { requireChoice } from "../../model/internal.ts";
import type { Random } from "../../tensor/index.ts";
import { drawDistinct, randomAt, refusal, requireCounts, rowTensor } from "./at-step.ts";
import type { KnownData } from "./training-data.ts";

const OPERATION = "repeatedTokenData";

/**
 * What {@link repeatedTokenData} draws.
 * @category Training
 */
export interface RepeatedTokenOptions {
  /** The number of tokens, that at the start included. */
  readonly d_vocab: number;
  /** The number of tokens in a prompt. */
  readonly n_ctx: number;
  /** Prompts in a batch; 64 by default. */
  readonly batch?: number | undefined;
  /** `blocks`, one copy after another until the prompt is full, by default; or `places`, copies among other tokens. */
  readonly layout?: "blocks" | "places" | undefined;
  /** How many tokens repeat, or the least and the most, drawn evenly for each prompt. A third of `n_ctx` by default. */
  readonly length?: number | readonly [number, number] | undefined;
  /** How many copies stand in a prompt of `places`; 3 by default. Prompts of `blocks` are filled. */
  readonly copies?: number | undefined;
  /** The token that begins each prompt and is not among the random ones; `null`, the default, for none. */
  readonly start?: number | null | undefined;
  /**
   * Whose losses count: `all` by default, or `repeats`, the tokens of later copies but the first of each, which nothing
   * in the prompt foretells.
   */
  readonly lossOn?: "all" | "repeats" | undefined;
  /** The seed; 0 by default. */
  readonly seed?: number | undefined;
}

/** A prompt, and which of its tokens belong to a later copy, from the second of the copy on. */
interface Drawn {
  readonly ids: Int32Array;
  readonly repeats: Uint8Array;
}

/**
 * Prompts of random tokens that repeat.
 *
 * The optimum of `blocks` is exact: new tokens cost $\ln$ of how many there are to draw from, and copies nothing; where
 * lengths are drawn, the ideal predictor weighs those that the prompt still allows. That of `places` is a lower bound:
 * it knows the places.
 *
 * @throws {@link InputError} when a number is not usable, or a pattern and its copies do not fit.
 * @category Training
 * @example
 * ```ts
 * import { repeatedTokenData } from "transformer-circuits/train";
 *
 * const data = repeatedTokenData({ d_vocab: 16, n_ctx: 9, batch: 1, length: 4, start: 0, seed: 1 });
 * const row = data.batch(0).tokens.data;
 * console.log(row[0], String(row.slice(1, 5)) === String(row.slice(5)));
 * // 0 true
 * console.log(Array.from(data.optimum(0).data, (loss) => loss.toFixed(2)).join(" "));
 * // 2.71 2.71 2.71 2.71 0.00 0.00 0.00 0.00
 * ```
 */
export function repeatedTokenData(options: RepeatedTokenOptions): KnownData {
  requireObject(options, "options", OPERATION, "d_vocab n_ctx batch layout length copies start lossOn seed");
  const { d_vocab, n_ctx, batch = 64, layout = "blocks", copies = 3, start = null, lossOn = "all", seed = 0 } = options;
  requireCounts(OPERATION, seed, { d_vocab, n_ctx, batch, copies });
  requireChoice(layout, ["blocks", "places"], "layout", OPERATION);
  requireChoice(lossOn, ["all", "repeats"], "lossOn", OPERATION);
  const head = start === null ? 0 : 1;
  const room = n_ctx - head;
  const lengths = lengthsOf(options.length ?? Math.max(1, Math.floor(room / 3)));
  const [least, most] = lengths;
  const needed = layout === "places" ? most * copies : most;
  if (needed > room) {
    throw refusal(
      OPERATION,
      "length",
      options.length,
      `${layout === "places" ? `${copies} copies of ` : ""}${most} tokens do not fit into the ${room} of a prompt of n_ctx=${n_ctx}.`,
    );
  }
  if (start !== null && !(Number.isInteger(start) && start >= 0 && start < d_vocab)) {
    throw refusal(OPERATION, "start", start, `start is ${nameOf(start)}; give a token id below ${d_vocab}, or null.`);
  }
  const choices = d_vocab - head;
  if (choices < 1) throw refusal(OPERATION, "d_vocab", d_vocab, `d_vocab=${d_vocab} leaves no token to draw.`);
  const token = (random: Random): number => {
    const drawn = random.int(choices);
    return start !== null && drawn >= start ? drawn + 1 : drawn;
  };
  const rows = (step: number): Drawn[] => {
    const random = randomAt(seed, step, OPERATION);
    return Array.from({ length: batch }, () => {
      const length = least + random.int(most - least + 1);
      const places = layout === "places" ? drawPlaces(random, room, length, copies) : undefined;
      return drawPrompt({ n_ctx, head, start, length, places, token: () => token(random) });
    });
  };
  const weigh = (losses: Float64Array, { repeats }: Drawn): Float64Array =>
    lossOn === "all" ? losses : losses.map((loss, i) => loss * (repeats[i + 1] ?? 0));
  return {
    name: layout === "blocks" ? "repeated tokens" : "tokens repeated at random places",
    d_vocab,
    n_ctx,
    optimumIs: layout === "blocks" ? "exact" : "lower bound",
    batch: (step) => {
      const drawn = rows(step);
      const tokens = rowTensor(
        drawn.map(({ ids }) => ids),
        "int32",
      );
      if (lossOn === "all") return { tokens };
      // The prediction made at a position is of the token after it.
      const weights = drawn.map(({ repeats }) => Float64Array.from(repeats, (_, i) => repeats[i + 1] ?? 0));
      return { tokens, lossMask: rowTensor(weights, "float64") };
    },
    optimum: (step) =>
      rowTensor(
        rows(step).map((drawn) => {
          const { ids, repeats } = drawn;
          const losses =
            layout === "blocks"
              ? blockLosses(ids.subarray(head), lengths, choices)
              : Float64Array.from(repeats.subarray(head), (known) => (known === 1 ? 0 : Math.log(choices)));
          return weigh(head === 1 ? losses : losses.subarray(1), drawn);
        }),
        "float64",
      ),
  };
}

function lengthsOf(given: number | readonly [number, number]): readonly [number, number] {
  const [least, most] = typeof given === "number" ? [given, given] : given;
  if (Number.isSafeInteger(least) && Number.isSafeInteger(most) && least >= 1 && least <= most) return [least, most];
  throw refusal(
    OPERATION,
    "length",
    given,
    `length is ${nameOf(given)}; give a whole number of at least 1, or the least and the most: [6, 31].`,
  );
}

/** Where copies begin, so that each arrangement without overlap is equally likely. */
function drawPlaces(random: Random, room: number, length: number, copies: number): number[] {
  const slots = room - copies * (length - 1);
  const chosen = drawDistinct(random, copies, slots).sort((a, b) => a - b);
  return chosen.map((slot, i) => slot + i * (length - 1));
}

interface Layout {
  readonly n_ctx: number;
  /** 1 where there is a start token, 0 where there is none. */
  readonly head: number;
  readonly start: number | null;
  readonly length: number;
  /** Where copies begin, after the start token; one after another unless given. */
  readonly places: readonly number[] | undefined;
  readonly token: () => number;
}

function drawPrompt({ n_ctx, head, start, length, places, token }: Layout): Drawn {
  const ids = new Int32Array(n_ctx);
  const repeats = new Uint8Array(n_ctx);
  if (start !== null) ids[0] = start;
  const pattern = Int32Array.from({ length }, token);
  const copies = places ?? Array.from({ length: Math.ceil((n_ctx - head) / length) }, (_, i) => i * length);
  if (places !== undefined) for (let i = head; i < n_ctx; i++) ids[i] = token();
  for (const [copy, place] of copies.entries()) {
    for (let i = 0; i < length && head + place + i < n_ctx; i++) {
      ids[head + place + i] = pattern[i] as number;
      if (copy > 0 && i > 0) repeats[head + place + i] = 1;
    }
  }
  return { ids, repeats };
}

/**
 * The loss of each token, the first included, for the ideal predictor of blocks: it weighs the lengths by how likely
 * they make what it saw, where a new token has one of `choices` values and a copied one only one.
 */
export function blockLosses(
  ids: ArrayLike<number>,
  [least, most]: readonly [number, number],
  choices: number,
): Float64Array {
  const weights = new Float64Array(most - least + 1).fill(1 / (most - least + 1));
  return Float64Array.from({ length: ids.length }, (_, t) => {
    let total = 0;
    for (let i = 0; i < weights.length; i++) {
      const length = least + i;
      const probability = t < length ? 1 / choices : ids[t] === ids[t - length] ? 1 : 0;
      weights[i] = (weights[i] as number) * probability;
      total += weights[i] as number;
    }
    for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] as number) / total;
    return -Math.log(total) + 0;
  });
}
