/**
 * The arrays of a run of training: weights, gradients and moments, each made once and then written over, in the
 * kernels' memory where they are large enough.
 */
import { expectedWeights, Transformer } from "../model/index.ts";
import type { EditsLike, ModelConfig, Weights } from "../model/index.ts";
import { gradientsInto, parameterArrays } from "../model/internal.ts";
import { rawData, tensorOf } from "../tensor/internal.ts";
import type { PreparedBatch } from "./batch.ts";
import { momentsOf } from "./optimizers.ts";
import type { Optimizer } from "./optimizers.ts";
import { updateWeight } from "./updates.ts";

type Arrays = ReadonlyMap<string, Float32Array>;

/** The weights of a run, which change, and what belongs to them. */
export class Parameters {
  readonly config: ModelConfig;
  readonly gradients: Arrays;
  readonly #weights: Arrays;
  readonly #moments: ReadonlyMap<string, Arrays>;
  readonly #optimizer: Optimizer;

  constructor(start: Transformer, optimizer: Optimizer, moments: ReadonlyMap<string, Weights> | undefined) {
    this.config = start.config;
    this.#optimizer = optimizer;
    this.#weights = filled(parameterArrays(start), start.weights);
    this.gradients = parameterArrays(start);
    this.#moments = new Map(
      momentsOf(optimizer).map((name) => [name, filled(parameterArrays(start), moments?.get(name))]),
    );
  }

  /** The loss of a batch; {@link gradients} are then its gradients. */
  backward(batch: PreparedBatch, edits: EditsLike | undefined, signal: AbortSignal | undefined): number {
    const { tokens, metric, attentionMask } = batch;
    // A model of each step's own: what its parts have worked out of weights holds as long as weights stay.
    const model = Transformer.passing(this.config, this.#tensors(this.#weights));
    const options = { ...(edits && { edits }), ...(attentionMask && { attentionMask }), ...(signal && { signal }) };
    return gradientsInto(this.gradients, model, tokens, metric, options).value;
  }

  /** One step of the optimizer; whether weights and moments are still finite. */
  update(step: number, rate: number): boolean {
    let isFinite = true;
    for (const [name, weight] of this.#weights) {
      const gradient = this.gradients.get(name) as Float32Array;
      const moments = [...this.#moments.values()].map((arrays) => arrays.get(name) as Float32Array);
      if (!updateWeight(name, { weight, gradient, moments }, this.#optimizer, step, rate)) isFinite = false;
    }
    return isFinite;
  }

  /** The model as it is now, in arrays of its own. */
  model(): Transformer {
    return Transformer.fromWeights(this.config, this.#copies(this.#weights));
  }

  /** What the optimizer keeps as it is now, in arrays of its own. */
  moments(): ReadonlyMap<string, Weights> {
    return new Map([...this.#moments].map(([name, arrays]) => [name, this.#copies(arrays)]));
  }

  #tensors(arrays: Arrays): Weights {
    const named = [...expectedWeights(this.config)];
    return new Map(
      named.map(([name, { axes, shape }]) => [name, tensorOf(axes, shape, arrays.get(name) as Float32Array)]),
    );
  }

  #copies(arrays: Arrays): Weights {
    return this.#tensors(new Map([...arrays].map(([name, array]) => [name, Float32Array.from(array)])));
  }
}

function filled(arrays: Arrays, from: Weights | undefined): Arrays {
  for (const [name, array] of arrays) {
    const data = from?.get(name);
    if (data !== undefined) array.set(rawData(data));
  }
  return arrays;
}
