/**
 * Where neurons of an MLP are most active on text: the examples by which they are read (Elhage et al. 2022, "Softmax
 * Linear Units", "dataset examples"; Bills et al. 2023). What a neuron looks for and speaks for by its weights alone
 * say `neuronTokenCircuit` and `neuronLogitCircuit`.
 */
import { ConfigError, InputError, requireKind, requireObject } from "../errors.ts";
import { toTokenTensor } from "../model/index.ts";
import type { Transformer } from "../model/index.ts";
import { requireCount } from "../model/internal.ts";
import { Steps } from "../progress.ts";
import type { ProgressOptions } from "../progress.ts";
import { rawData } from "../tensor/internal.ts";

/**
 * How {@link neuronExamples} looks.
 * @category Head scores
 */
export interface NeuronExampleOptions extends ProgressOptions {
  /** The layer of the MLP, counted from 0. */
  readonly layer: number;
  /** Its neurons; all unless given. */
  readonly neurons?: readonly number[] | undefined;
  /** Examples kept of each neuron, one of each prompt at most; 10 unless given. */
  readonly count?: number | undefined;
  /** Tokens shown before and after the most active one; 12 and 4 unless given. */
  readonly before?: number | undefined;
  readonly after?: number | undefined;
  /** The first position that counts, as 1 where BOS should not; 0 unless given. */
  readonly from?: number | undefined;
}

/**
 * A place where a neuron is active, with its surroundings.
 * @category Head scores
 */
export interface NeuronExample {
  /** `mlp.hook_post` at the place. */
  readonly activation: number;
  /** The prompt, counted from 0 in the order in which they came, and the position in it. */
  readonly prompt: number;
  readonly pos: number;
  /** The tokens around, the place's own among them at index `at`. */
  readonly tokens: readonly number[];
  readonly at: number;
  /** The neuron's activation at each of these tokens. */
  readonly activations: readonly number[];
}

/**
 * One neuron on text.
 * @category Head scores
 */
export interface NeuronActivity {
  readonly layer: number;
  readonly neuron: number;
  /** The most active places, the first the most; of each prompt one. */
  readonly examples: readonly NeuronExample[];
  /** The mean activation over all positions that count, and the share of them at which it is above 0. */
  readonly mean: number;
  readonly active: number;
}

/**
 * Neurons on text, with how much of it there was.
 * @category Head scores
 */
export interface NeuronExamples {
  readonly prompts: number;
  /** Positions that counted. */
  readonly positions: number;
  /** In the order asked for. */
  readonly neurons: readonly NeuronActivity[];
}

/** Tokens of one run, at most. */
const BATCH = 4096;

/**
 * The places of a text at which each neuron of a layer is most active. Prompts come one after the other, from a list or
 * from anything that gives them in turn, so that texts of any length go through; a run ends at the neurons.
 *
 * @param prompts - token ids, as {@link splitWindows} cuts them of a long text; their lengths may differ.
 * @param options - `layer`, `neurons`, `count`, `before`, `after`, `from`; `signal`, `onProgress` (in prompts, of as
 * many as the list has, or of an unknown number, `Infinity`).
 * @throws {@link ConfigError} when the model is attention-only; {@link InputError} for a layer or neuron that it has
 * not, prompts it cannot run, or none with a position that counts; the signal's reason when aborted.
 * @category Head scores
 * @example
 * ```ts
 * import { Transformer, expectedWeights, parseConfig } from "transformer-circuits";
 * import { randomNormal } from "transformer-circuits/tensor";
 * import { neuronExamples } from "transformer-circuits/heads";
 *
 * const config = parseConfig({ n_layers: 1, n_heads: 2, d_model: 8, n_ctx: 16, d_vocab: 10, act_fn: "gelu" });
 * const weights = new Map(
 *   [...expectedWeights(config)].map(([name, { axes, shape }], seed) => [name, randomNormal(axes, shape, { seed })]),
 * );
 * const model = Transformer.fromWeights(config, weights);
 * const found = neuronExamples(model, [[0, 1, 2, 3], [4, 5, 6]], { layer: 0, neurons: [7], before: 1, after: 1 });
 * const [first, second] = found.neurons[0]?.examples ?? [];
 * console.log(found.positions, first !== undefined && second !== undefined && first.activation >= second.activation);
 * // 7 true
 * ```
 */
export function neuronExamples(
  model: Transformer,
  prompts: Iterable<readonly number[]>,
  options: NeuronExampleOptions,
): NeuronExamples {
  const operation = "neuronExamples";
  requireKind("model", model, "model", operation, options, "layer neurons count before after from signal onProgress");
  requireObject(options, "options", operation);
  const { layer, count = 10, before = 12, after = 4, from = 0, signal } = options;
  const { d_mlp = 0 } = model.config;
  if (model.layer(layer).mlp === undefined) {
    throw new ConfigError("this model is attention-only; it has no neurons.", {
      ...{ operation, argument: "model", expected: "a model with MLPs", actual: model.config.attn_only },
    });
  }
  requireCount(count, "count", operation);
  const refuse = (argument: string, message: string, actual: unknown): InputError =>
    new InputError(message, { operation, argument, actual });
  for (const [name, value] of Object.entries({ before, after, from })) {
    if (Number.isSafeInteger(value) && value >= 0) continue;
    throw refuse(name, `${name} is ${String(value)}; give a whole number of at least 0.`, value);
  }
  const { neurons = Array.from({ length: d_mlp }, (_, n) => n) } = options;
  requireKind("list", neurons, "neurons", operation);
  const wrong = neurons.find((n) => !Number.isInteger(n) || n < 0 || n >= d_mlp);
  if (wrong !== undefined || neurons.length === 0) {
    throw refuse(
      "neurons",
      `${wrong === undefined ? "no neuron is named" : `neuron ${wrong} is none of ${d_mlp}`}.`,
      wrong,
    );
  }
  const isText = typeof prompts === "object" && (prompts as unknown) !== null && Symbol.iterator in prompts;
  if (!isText) throw refuse("prompts", "prompts is no list of prompts, nor anything that gives them in turn.", prompts);
  const tally = new Tally(neurons, d_mlp, { count, before, after, from });
  const steps = new Steps(options, Array.isArray(prompts) ? prompts.length : Infinity);
  const name = `blocks.${layer}.mlp.hook_post` as const;
  let done = 0;
  for (const batch of batchesOf(prompts)) {
    signal?.throwIfAborted();
    const tokens = toTokenTensor(model.config, batch, operation);
    const { cache } = model.run(tokens, { cache: [name], unembed: "none", ...(signal && { signal }) });
    tally.add(batch, rawData(cache.get(name)), done);
    done += batch.length;
    steps.advance(batch.length);
  }
  if (tally.positions === 0) throw refuse("prompts", "there is no position that counts. Give longer prompts.", done);
  return { prompts: done, positions: tally.positions, neurons: tally.activities(layer) };
}

/** Neighbouring prompts of one length, so many tokens together at most. */
function* batchesOf(prompts: Iterable<readonly number[]>): Generator<readonly (readonly number[])[]> {
  let batch: (readonly number[])[] = [];
  for (const prompt of prompts) {
    const isFull = (batch.length + 1) * prompt.length > BATCH;
    if (batch.length > 0 && (batch[0]?.length !== prompt.length || isFull)) {
      yield batch;
      batch = [];
    }
    batch.push(prompt);
  }
  if (batch.length > 0) yield batch;
}

/** What {@link Tally} keeps. */
interface Kept {
  readonly count: number;
  readonly before: number;
  readonly after: number;
  readonly from: number;
}

/** The largest activations of some neurons over prompts that come in turn. */
class Tally {
  positions = 0;
  readonly #neurons: readonly number[];
  readonly #width: number;
  readonly #kept: Kept;
  readonly #examples: NeuronExample[][];
  readonly #sums: Float64Array;
  readonly #active: Float64Array;

  constructor(neurons: readonly number[], width: number, kept: Kept) {
    this.#neurons = neurons;
    this.#width = width;
    this.#kept = kept;
    this.#examples = neurons.map(() => []);
    this.#sums = new Float64Array(neurons.length);
    this.#active = new Float64Array(neurons.length);
  }

  /** Adds activations `[prompt, pos, neuron]` of neighbouring prompts, the first of them counted. */
  add(prompts: readonly (readonly number[])[], data: ArrayLike<number>, first: number): void {
    for (const [b, ids] of prompts.entries()) {
      const start = b * ids.length;
      this.positions += Math.max(0, ids.length - this.#kept.from);
      for (const [i, neuron] of this.#neurons.entries()) {
        let best = -1;
        let largest = -Infinity;
        for (let p = this.#kept.from; p < ids.length; p++) {
          const x = data[(start + p) * this.#width + neuron] as number;
          this.#sums[i] = (this.#sums[i] as number) + x;
          if (x > 0) this.#active[i] = (this.#active[i] as number) + 1;
          if (x > largest) [best, largest] = [p, x];
        }
        const list = this.#examples[i] as NeuronExample[];
        const isAmong = list.length < this.#kept.count || largest > (list.at(-1)?.activation ?? -Infinity);
        if (best < 0 || !isAmong) continue;
        const at = (p: number): number => data[(start + p) * this.#width + neuron] as number;
        insert(list, this.#exampleAt(ids, best, first + b, at), this.#kept.count);
      }
    }
  }

  #exampleAt(ids: readonly number[], pos: number, prompt: number, at: (p: number) => number): NeuronExample {
    const { before, after } = this.#kept;
    const from = Math.max(0, pos - before);
    const tokens = ids.slice(from, pos + after + 1);
    const activations = tokens.map((_, i) => at(from + i));
    return { activation: at(pos), prompt, pos, tokens, at: pos - from, activations };
  }

  activities(layer: number): NeuronActivity[] {
    return this.#neurons.map((neuron, i) => ({
      layer,
      neuron,
      examples: this.#examples[i] as NeuronExample[],
      mean: (this.#sums[i] as number) / this.positions,
      active: (this.#active[i] as number) / this.positions,
    }));
  }
}

/** Puts an example in its place, after those of the same activation, and drops the last of too many. */
function insert(list: NeuronExample[], example: NeuronExample, most: number): void {
  const place = list.findIndex(({ activation }) => activation < example.activation);
  list.splice(place < 0 ? list.length : place, 0, example);
  if (list.length > most) list.pop();
}
