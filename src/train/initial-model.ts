/** Models before training: weights drawn as others' models begin. */
import { InputError, requireKind, requireObject } from "../errors.ts";
import type { Kind } from "../errors.ts";
import { requireChoice, requireSeed } from "../model/internal.ts";
import { expectedWeights, parseConfig, Transformer } from "../model/index.ts";
import type { ModelConfig } from "../model/index.ts";
import { Random, Tensor } from "../tensor/index.ts";
import { requireAtLeast0 } from "./optimizers.ts";
import { parameterKind } from "./parameter-kind.ts";

/**
 * As whose models weights begin; biases of the first two are 0, and norms begin as the identity in all.
 *
 * - `transformer-lens`: normal of the standard deviation $0.8 / \sqrt{d_{model}}$, its default.
 * - `gpt2`: normal of 0.02; what writes to the stream, $W_O$ and $W_{out}$, of $0.02 / \sqrt{2 n_{layers}}$.
 * - `pytorch`: as `nn.Linear`, uniform within $\pm 1 / \sqrt{\text{inputs}}$, biases too; embeddings as `nn.Embedding`,
 *   standard normal.
 * @category Training
 */
export type Initialization = "transformer-lens" | "gpt2" | "pytorch";

const INITS: readonly Initialization[] = ["transformer-lens", "gpt2", "pytorch"];

/**
 * How {@link initialModel} draws.
 * @category Training
 */
export interface InitialModelOptions {
  readonly seed: number;
  /** As whose models; `"transformer-lens"` unless given. */
  readonly init?: Initialization | undefined;
  /** The standard deviation of what is drawn normal, instead of its usual one; not for `"pytorch"`. */
  readonly std?: number | undefined;
}

const CONFIG: Kind = {
  member: "n_layers",
  what: "a configuration",
  remedy: "Make one with parseConfig({ n_layers, … })",
};

/**
 * A model before training. The same seed gives the same weights on every machine.
 *
 * @param config - what {@link parseConfig} gives, or what it takes.
 * @param options - `seed`; `init`, as whose models; `std`.
 * @throws {@link ConfigError} for a configuration as parseConfig; {@link InputError} for options that are none.
 * @category Training
 * @example
 * ```ts
 * import { initialModel } from "transformer-circuits/train";
 *
 * const config = {
 *   n_layers: 2, n_heads: 4, d_model: 48, n_ctx: 85, d_vocab: 128, attn_only: true, normalization_type: "LN",
 * };
 * const model = initialModel(config, { seed: 1 });
 * console.log(model.parameterCount, String(model.forward([0, 3, 7])));
 * // 35600 Tensor[batch=1 pos=3 d_vocab=128] float32
 * ```
 */
export function initialModel(config: ModelConfig | object, options: InitialModelOptions): Transformer {
  const operation = "initialModel";
  requireObject(options, "options", operation, "seed init std");
  requireKind(CONFIG, config, "config", operation);
  const { seed, init = "transformer-lens", std } = options;
  requireSeed(seed, operation);
  requireChoice(init, INITS, "init", operation);
  if (std !== undefined) requireAtLeast0(std, "std", operation);
  if (std !== undefined && init === "pytorch") {
    throw new InputError('std is for what is drawn normal; as "pytorch" begins, ranges follow from the sizes.', {
      operation,
      argument: "std",
      expected: undefined,
      actual: std,
    });
  }
  const checked = parseConfig(config);
  const random = new Random(seed);
  const weights = [...expectedWeights(checked)].map(([name, { axes, shape }]): [string, Tensor] => {
    const size = shape.reduce((product, n) => product * n, 1);
    const draw = init === "pytorch" ? likeTorch(checked, name, random) : normal(checked, name, init, std, random);
    return [name, Tensor.from(axes, shape, Float32Array.from({ length: size }, draw))];
  });
  return Transformer.fromWeights(checked, new Map(weights));
}

/** What norms begin as: weights of 1 and biases of 0. */
const ofNorm = (name: string) => (): number => (name.endsWith(".w") ? 1 : 0);

function normal(
  config: ModelConfig,
  name: string,
  init: "transformer-lens" | "gpt2",
  given: number | undefined,
  random: Random,
): () => number {
  const kind = parameterKind(name);
  if (kind === "norm") return ofNorm(name);
  if (kind === "bias") return () => 0;
  const usual = given ?? (init === "gpt2" ? 0.02 : 0.8 / Math.sqrt(config.d_model));
  const isWriter = /\.W_(O|out)$/.test(name);
  const std = init === "gpt2" && isWriter ? usual / Math.sqrt(2 * config.n_layers) : usual;
  return () => std * random.normal();
}

function likeTorch(config: ModelConfig, name: string, random: Random): () => number {
  const kind = parameterKind(name);
  if (kind === "norm") return ofNorm(name);
  if (kind === "embedding") return () => random.normal();
  const bound = 1 / Math.sqrt(inputsOf(config, name));
  return () => bound * (2 * random.uniform() - 1);
}

/** How many numbers the linear map reads that a weight or a bias belongs to. */
function inputsOf({ d_model, n_heads, d_head, d_mlp = 0 }: ModelConfig, name: string): number {
  if (/_O$/.test(name)) return n_heads * d_head;
  return /_out$/.test(name) ? d_mlp : d_model;
}
