/** Text written on by a model, token by token. */
import { ConfigError, InputError, requireKind } from "../errors.ts";
import { Random } from "../tensor/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { rawData } from "../tensor/internal.ts";
import { requireCount, requireSameTokens, requireToken } from "./arguments.ts";
import { KeyValueCache } from "./key-value-cache.ts";
import { toTokenTensor } from "./tokens.ts";
import type { TokensLike } from "./tokens.ts";
import type { Transformer } from "./transformer.ts";

/**
 * How {@link generate} writes on.
 * @category Model
 */
export interface GenerateOptions {
  /** The most tokens to add; as many as fit into `n_ctx`, at most 50, unless given. */
  readonly maxNewTokens?: number | undefined;
  /**
   * What logits are divided by before a token is drawn: 1 unless given; 0 takes the largest logit each time, the lowest
   * id of equals.
   */
  readonly temperature?: number | undefined;
  /** Draws from the tokens of the so many largest logits alone. */
  readonly topK?: number | undefined;
  /** Draws from the fewest tokens whose probabilities, after `topK`, sum to at least this. */
  readonly topP?: number | undefined;
  /** The seed of the draws; 0 unless given. */
  readonly seed?: number | undefined;
  /** Tokens after which the text ends, such as the model's end-of-text token; each is still given. */
  readonly stopTokens?: readonly number[] | undefined;
  /** Ends the text between tokens. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A token that a model wrote.
 * @category Model
 */
export interface GeneratedToken {
  readonly token: number;
  /** The natural logarithm of its probability under the model, temperature and cuts left aside. */
  readonly logProbability: number;
  /** The logits that it was drawn by, `[d_vocab]`. */
  readonly logits: Tensor<"d_vocab">;
}

const OPTIONS = "maxNewTokens temperature topK topP seed stopTokens signal";

/**
 * A prompt and what the model writes after it. Keys and values of earlier positions are kept, so that each token costs
 * one position; the logits are those of whole runs, to float32 rounding.
 *
 * @param tokens - one prompt.
 * @returns the ids of the prompt and of the tokens added.
 * @throws {@link InputError} for tokens the model cannot run, for several prompts, where prompt and new tokens exceed
 * `n_ctx`, or for an unusable option; {@link ConfigError} for a model whose attention sees later tokens, or whose
 * output tokens are not its input tokens; the signal's reason when aborted.
 * @category Model
 * @example
 * ```ts
 * import { generate } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model, tokenizer } = await openBundledModel();
 * const prompt = tokenizer.encode("interface Array<T> { readonly", { bos: true });
 * const greedy = generate(model, prompt, { maxNewTokens: 5, temperature: 0 });
 * console.log(greedy.length - prompt.length, greedy.slice(0, 3).join() === Array.from(prompt).slice(0, 3).join());
 * // 5 true
 * const drawn = (seed: number) => generate(model, prompt, { maxNewTokens: 5, temperature: 0.8, topK: 20, seed });
 * console.log(drawn(1).join() === drawn(1).join());
 * // true
 * ```
 */
export function generate(model: Transformer, tokens: TokensLike, options: GenerateOptions = {}): number[] {
  const writer = new Writer(model, tokens, options, "generate");
  const ids = [...writer.prompt];
  for (let next = writer.next(); next !== undefined; next = writer.next()) ids.push(next.token);
  return ids;
}

/**
 * The tokens that {@link generate} adds, one at a time, for showing text as it is written: between tokens, timers and
 * input of the page have their turn.
 *
 * @throws as {@link generate}, at the first token.
 * @category Model
 * @example
 * ```ts
 * import { generateTokens } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model, tokenizer } = await openBundledModel();
 * const prompt = tokenizer.encode("interface Array<T> { readonly", { bos: true });
 * let count = 0;
 * for await (const { logProbability } of generateTokens(model, prompt, { maxNewTokens: 3, temperature: 0 })) {
 *   if (logProbability < 0) count += 1;
 * }
 * console.log(count);
 * // 3
 * ```
 */
export async function* generateTokens(
  model: Transformer,
  tokens: TokensLike,
  options: GenerateOptions = {},
): AsyncGenerator<GeneratedToken, void, undefined> {
  const writer = new Writer(model, tokens, options, "generateTokens");
  for (let next = writer.next(); next !== undefined; next = writer.next()) {
    yield next;
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 0);
    });
  }
}

/** One text in the making. */
class Writer {
  readonly prompt: readonly number[];
  readonly #options: GenerateOptions;
  readonly #cache: KeyValueCache;
  readonly #random: Random;
  readonly #stops: ReadonlySet<number>;
  #left: number;
  #pending: readonly number[];

  constructor(model: Transformer, tokens: TokensLike, options: GenerateOptions, operation: string) {
    requireKind("model", model, "model", operation, options, OPTIONS);
    requireSameTokens(model, operation);
    if (model.config.attention_dir !== "causal") {
      throw new ConfigError(
        "this model's attention sees later tokens, so that a text cannot be written on from its start.",
        { operation, argument: "model", expected: "causal", actual: model.config.attention_dir },
      );
    }
    const checked = toTokenTensor(model.config, tokens, operation);
    const [batch = 0, pos = 0] = checked.shape;
    if (batch !== 1) {
      throw new InputError(`tokens are ${batch} prompts. Give one; others can be written on beside it.`, {
        operation,
        argument: "tokens",
        expected: 1,
        actual: batch,
      });
    }
    requireOptions(model, options, operation);
    const room = model.config.n_ctx - pos;
    const { maxNewTokens = Math.min(50, room), seed = 0, stopTokens = [] } = options;
    if (room < Math.max(1, maxNewTokens)) {
      throw new InputError(
        `a prompt of ${pos} tokens leaves room for ${room} of n_ctx=${model.config.n_ctx}, not for ${Math.max(1, maxNewTokens)}. Cut the prompt, or ask for fewer.`,
        { operation, argument: "maxNewTokens", expected: room, actual: maxNewTokens },
      );
    }
    this.prompt = Array.from(rawData(checked));
    this.#options = options;
    this.#cache = new KeyValueCache(model);
    this.#random = new Random(seed);
    this.#stops = new Set(stopTokens);
    this.#left = maxNewTokens;
    this.#pending = this.prompt;
  }

  /** The next token; `undefined` where the text ends. */
  next(): GeneratedToken | undefined {
    this.#options.signal?.throwIfAborted();
    if (this.#left === 0) return undefined;
    const logits = this.#cache.extend(this.#pending).select("batch", 0).select("pos", 0);
    const numbers = rawData(logits);
    const token = drawnToken(numbers, this.#options, this.#random);
    this.#left = this.#stops.has(token) ? 0 : this.#left - 1;
    this.#pending = [token];
    return { token, logProbability: logProbabilityOf(numbers, token), logits };
  }
}

function requireOptions(model: Transformer, options: GenerateOptions, operation: string): void {
  const { maxNewTokens, temperature = 1, topK, topP, stopTokens = [] } = options;
  if (maxNewTokens !== undefined) requireCount(maxNewTokens, "maxNewTokens", operation);
  if (topK !== undefined) requireCount(topK, "topK", operation);
  requireKind("list", stopTokens, "stopTokens", operation);
  for (const token of stopTokens) requireToken(model, token, "a stop token", operation);
  const refuse = (argument: string, value: unknown, expected: string): InputError =>
    new InputError(`${argument} is ${String(value)}; give ${expected}.`, {
      operation,
      argument,
      expected,
      actual: value,
    });
  if (!(temperature >= 0 && temperature < Infinity)) throw refuse("temperature", temperature, "a number of at least 0");
  if (topP !== undefined && !(topP > 0 && topP <= 1)) throw refuse("topP", topP, "a share above 0, at most 1");
}

/** Draws a token, float64: the largest logit at temperature 0, else one of those that the cuts leave. */
function drawnToken(logits: ArrayLike<number>, options: GenerateOptions, random: Random): number {
  const { temperature = 1, topK, topP } = options;
  const ids = Array.from({ length: logits.length }, (_, id) => id);
  const at = (id: number): number => logits[id] as number;
  if (temperature === 0) return ids.reduce((best, id) => (at(id) > at(best) ? id : best), 0);
  // Equal logits by id, so that cuts are the same everywhere.
  const isCut = topK !== undefined || topP !== undefined;
  const order = isCut ? ids.sort((a, b) => at(b) - at(a) || a - b).slice(0, topK) : ids;
  const largest = order.reduce((most, id) => Math.max(most, at(id)), -Infinity);
  const weights = order.map((id) => Math.exp((at(id) - largest) / temperature));
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  let count = order.length;
  if (topP !== undefined) {
    let sum = 0;
    count = weights.findIndex((weight) => (sum += weight) >= topP * whole) + 1;
    if (count === 0) count = order.length;
  }
  const total = weights.slice(0, count).reduce((sum, weight) => sum + weight, 0);
  let place = random.uniform() * total;
  for (let i = 0; i < count; i++) {
    place -= weights[i] as number;
    if (place < 0) return order[i] as number;
  }
  return order[count - 1] as number;
}

function logProbabilityOf(logits: ArrayLike<number>, token: number): number {
  let largest = -Infinity;
  for (let id = 0; id < logits.length; id++) largest = Math.max(largest, logits[id] as number);
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += Math.exp((logits[id] as number) - largest);
  return (logits[token] as number) - largest - Math.log(sum);
}
