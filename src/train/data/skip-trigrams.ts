/**
 * A language of skip-trigrams, "source … destination → answer": what one layer of attention can learn (Framework paper,
 * "Interpretation as Skip-Trigrams").
 *
 * A prompt begins with a source $s$, and no other comes. After a destination $d$ its answer $a(s, d)$ follows with
 * probability $q$, and any token but sources otherwise; after any other token, any token but sources. With $N$ such
 * tokens and $r = (1 - q) / N$, the entropy of the next one is $\ln N$ or, after a destination,
 * $$-(q + r) \ln (q + r) - (N-1)\, r \ln r.$$
 * The prompt tells all that there is to know, so that the entropy of the language is the optimum.
 */
import { nameOf, requireObject } from "../../errors.ts";
import { Random } from "../../tensor/index.ts";
import { randomAt, refusal, requireCounts, rowTensor } from "./at-step.ts";
import type { KnownData } from "./training-data.ts";

const OPERATION = "skipTrigramData";

/**
 * What {@link skipTrigramData} draws.
 * @category Training
 */
export interface SkipTrigramDataOptions {
  /** The number of tokens: first sources, then destinations, then others. */
  readonly d_vocab: number;
  /** The number of tokens in a prompt. */
  readonly n_ctx: number;
  /** Prompts in a batch; 64 by default. */
  readonly batch?: number | undefined;
  /** How many tokens are sources: ids from 0; 4 by default. */
  readonly sources?: number | undefined;
  /** How many tokens are destinations: ids from `sources`; 4 by default. */
  readonly destinations?: number | undefined;
  /** The probability of the answer after a destination, beside what chance adds; 0.9 by default. */
  readonly probability?: number | undefined;
  /** The seed of the rules and of the prompts; 0 by default. */
  readonly seed?: number | undefined;
}

/**
 * A rule of the language: once `source` stood in the prompt, `answer` comes after `destination`.
 * @category Training
 */
export interface SkipTrigramRule {
  readonly source: number;
  readonly destination: number;
  readonly answer: number;
}

/**
 * What {@link skipTrigramData} gives.
 * @category Training
 */
export interface SkipTrigramData extends KnownData {
  /** A rule for each source and destination; the answer is none of either. */
  readonly rules: readonly SkipTrigramRule[];
  /**
   * The expected loss of the optimum at each position, in nats, over all prompts of the language: what
   * {@link KnownData.optimum} is on average.
   */
  readonly entropy: Float64Array;
}

/**
 * Prompts of a language of skip-trigrams, whose entropy is known.
 *
 * @throws {@link InputError} when a number is not usable, or no token is left for answers.
 * @category Training
 * @example
 * ```ts
 * import { skipTrigramData } from "transformer-circuits/train";
 *
 * const data = skipTrigramData({ d_vocab: 20, n_ctx: 16, sources: 2, destinations: 3, seed: 1 });
 * console.log(data.rules.length, data.rules[0]);
 * // 6 { source: 0, destination: 2, answer: 8 }
 * console.log(data.entropy[0]?.toFixed(4), Math.log(18).toFixed(4));
 * // 2.8904 2.8904
 * ```
 */
export function skipTrigramData(options: SkipTrigramDataOptions): SkipTrigramData {
  requireObject(options, "options", OPERATION, "d_vocab n_ctx batch sources destinations probability seed");
  const { d_vocab, n_ctx, batch = 64, sources = 4, destinations = 4, probability = 0.9, seed = 0 } = options;
  requireCounts(OPERATION, seed, { d_vocab, n_ctx, batch, sources, destinations });
  if (!(probability >= 0 && probability <= 1)) {
    const message = `probability is ${nameOf(probability)}; give a number from 0 to 1.`;
    throw refusal(OPERATION, "probability", probability, message);
  }
  const others = d_vocab - sources - destinations;
  if (others < 1) {
    const message = `${sources} sources and ${destinations} destinations leave no answer of d_vocab=${d_vocab}.`;
    throw refusal(OPERATION, "d_vocab", d_vocab, message);
  }
  const random = new Random(seed);
  const rules = Array.from({ length: sources * destinations }, (_, i) => ({
    source: Math.floor(i / destinations),
    destination: sources + (i % destinations),
    answer: sources + destinations + random.int(others),
  }));
  const language: Language = { sources, destinations, choices: d_vocab - sources, probability, rules };
  const rows = (step: number): Int32Array[] => {
    const drawn = randomAt(seed, step, OPERATION);
    return Array.from({ length: batch }, () => drawPrompt(drawn, language, n_ctx));
  };
  return {
    name: "skip-trigrams",
    d_vocab,
    n_ctx,
    rules,
    entropy: entropyByPosition(language, n_ctx - 1),
    optimumIs: "exact",
    batch: (step) => ({ tokens: rowTensor(rows(step), "int32") }),
    optimum: (step) =>
      rowTensor(
        rows(step).map((ids) => promptLosses(ids, language)),
        "float64",
      ),
  };
}

interface Language {
  readonly sources: number;
  readonly destinations: number;
  /** How many tokens there are but sources. */
  readonly choices: number;
  readonly probability: number;
  readonly rules: readonly SkipTrigramRule[];
}

/** The answer to a source after a token, if that is a destination. */
function answerTo({ rules, sources, destinations }: Language, source: number, token: number): number | undefined {
  const destination = token - sources;
  if (destination < 0 || destination >= destinations) return undefined;
  return rules[source * destinations + destination]?.answer;
}

function drawPrompt(random: Random, language: Language, n_ctx: number): Int32Array {
  const { sources, choices, probability } = language;
  const source = random.int(sources);
  const ids = new Int32Array(n_ctx);
  ids[0] = source;
  for (let t = 1; t < n_ctx; t++) {
    const answer = answerTo(language, source, ids[t - 1] as number);
    ids[t] = answer !== undefined && random.uniform() < probability ? answer : sources + random.int(choices);
  }
  return ids;
}

function promptLosses(ids: Int32Array, language: Language): Float64Array {
  const { choices, probability } = language;
  const byChance = (1 - probability) / choices;
  return Float64Array.from({ length: ids.length - 1 }, (_, t) => {
    const answer = answerTo(language, ids[0] as number, ids[t] as number);
    if (answer === undefined) return Math.log(choices);
    return -Math.log(byChance + (answer === ids[t + 1] ? probability : 0)) + 0;
  });
}

/**
 * The entropy of each next token. Answers are no destinations, so a destination follows a destination only by chance,
 * and their share follows a recursion: $\pi_{t+1} = \frac{D}{N} (1 - q \pi_t)$, from $\pi_0 = 0$, the source.
 */
function entropyByPosition({ choices, destinations, probability }: Language, length: number): Float64Array {
  const plain = Math.log(choices);
  const rest = (1 - probability) / choices;
  const surprise = (p: number): number => (p === 0 ? 0 : -p * Math.log(p));
  const answered = surprise(probability + rest) + (choices - 1) * surprise(rest);
  let share = 0;
  return Float64Array.from({ length }, () => {
    const entropy = (1 - share) * plain + share * answered;
    share = (destinations / choices) * (1 - probability * share);
    return entropy;
  });
}
