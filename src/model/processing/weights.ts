/** Changing some weights of a model: arithmetic in float64, stored as they were. */
import { ConfigError } from "../../errors.ts";
import { add, astype, mean, multiply, subtract, sum } from "../../tensor/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { ModelConfig } from "../model-config.ts";
import type { Norm } from "../norm.ts";
import { Transformer } from "../transformer.ts";

/** The weights of a model, taken in float64 and put back rounded once to the type that they were stored in. */
export class Workbench {
  readonly #model: Transformer;
  readonly #changed = new Map<string, Tensor>();
  readonly #dropped = new Set<string>();

  constructor(model: Transformer) {
    this.#model = model;
  }

  get config(): ModelConfig {
    return this.#model.config;
  }

  get(name: string): Tensor {
    return this.#changed.get(name) ?? astype(this.#model.weight(name), "float64");
  }

  set(name: string, weight: Tensor): void {
    this.#changed.set(name, weight);
  }

  drop(name: string): void {
    this.#dropped.add(name);
  }

  /**
   * Puts a norm's weights and bias into the map and the bias that read through it, along the axis it normalises over;
   * without a bias there, the norm's must be zero.
   */
  fold(norm: Norm | Norm<"d_mlp"> | undefined, name: string, map: string, bias: string | undefined): void {
    if (norm === undefined) return;
    const { axis } = norm;
    const W = this.get(map);
    if (norm.b !== undefined) this.drop(`${name}.b`);
    if (norm.b !== undefined && bias !== undefined) {
      const b = astype(norm.b as Tensor, "float64");
      this.set(bias, add(this.get(bias), sum(multiply(W, b as never), axis) as never));
    }
    const scaled = norm.w === undefined ? W : multiply(W, astype(norm.w as Tensor, "float64") as never);
    if (norm.w !== undefined) this.drop(`${name}.w`);
    // What reads a centred stream reads nothing of its own mean.
    this.set(map, norm.centers ? centered(scaled, axis) : scaled);
  }

  /** The model with the weights changed. */
  finish(config: ModelConfig): Transformer {
    const weights = new Map<string, Tensor>();
    for (const [name, weight] of this.#model.weights) {
      if (this.#dropped.has(name)) continue;
      const changed = this.#changed.get(name);
      weights.set(name, changed === undefined ? weight : astype(changed, weight.dtype));
    }
    return Transformer.fromWeights(Object.freeze(config), weights);
  }
}

/** A tensor less its mean along an axis. */
export function centered(t: Tensor, axis: string): Tensor {
  return subtract(t, mean(t, axis) as never);
}

/** The error of a step that would change what the model computes. */
export function refused(operation: string, field: keyof ModelConfig, actual: unknown, why: string): ConfigError {
  return new ConfigError(`refused, as it would change what the model computes: ${why}`, {
    operation,
    argument: field,
    actual,
  });
}
