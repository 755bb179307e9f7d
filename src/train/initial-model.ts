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
 * How weights begin. Biases are 0 in all but `pytorch`, and norms begin as the identity in all.
 *
 * - `transformer-lens`: normal of the standard deviation $0.8 / \sqrt{d_{model}}$, its default, which it calls `gpt2`.
 * - `gpt2`: normal of 0.02; what writes to the stream, $W_O$ and $W_{out}$, of $0.02 / \sqrt{2 n_{layers}}$.
 * - `pytorch`: as `nn.Linear`, uniform within $\pm 1 / \sqrt{\text{inputs}}$, biases too; embeddings as `nn.Embedding`,
 *   standard normal.
 * - `xavier_uniform`, `xavier_normal` (Glorot and Bengio 2010): of the standard deviation $\sqrt{2 / (in + out)}$;
 *   `kaiming_uniform`, `kaiming_normal` (He et al. 2015): of $\sqrt{2 / in}$, for each weight as if a ReLU came before.
 *   As TransformerLens has them: $in$ and $out$ are the sizes of a matrix, $d_{vocab}$ and $d_{model}$ of $W_E$; of the
 *   heads' weights `[head, rows, cols]` they are rows and heads · cols, so that $in$ of $W_O$ is $d_{head}$.
 * @category Training
 */
export type Initialization =
  "transformer-lens" | "gpt2" | "pytorch" | "xavier_uniform" | "xavier_normal" | "kaiming_uniform" | "kaiming_normal";

const INITS: readonly Initialization[] = [
  "transformer-lens",
  "gpt2",
  "pytorch",
  "xavier_uniform",
  "xavier_normal",
  "kaiming_uniform",
  "kaiming_normal",
];

/**
 * How {@link initialModel} draws.
 * @category Training
 */
export interface InitialModelOptions {
  readonly seed: number;
  /** `"transformer-lens"` unless given. */
  readonly init?: Initialization | undefined;
  /** The standard deviation, instead of the usual one, of `"transformer-lens"` and `"gpt2"`. */
  readonly std?: number | undefined;
  /** What Xavier's and Kaiming's weights are multiplied by, TransformerLens's `initializer_range`; 1 unless given. */
  readonly gain?: number | undefined;
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
 * @param options - `seed`; `init`, as whose models; `std` or `gain`.
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
  requireObject(options, "options", operation, "seed init std gain");
  requireKind(CONFIG, config, "config", operation);
  const { seed, init = "transformer-lens", std, gain } = options;
  requireSeed(seed, operation);
  requireChoice(init, INITS, "init", operation);
  requireUse("std", std, init === "transformer-lens" || init === "gpt2", '"transformer-lens" and "gpt2"');
  requireUse("gain", gain, FANS.test(init), "what is of Xavier or Kaiming");
  const checked = parseConfig(config);
  const random = new Random(seed);
  const weights = [...expectedWeights(checked)].map(([name, { axes, shape }]): [string, Tensor] => {
    const size = shape.reduce((product, n) => product * n, 1);
    const draw = drawing(checked, name, shape, { init, std, gain }, random);
    return [name, Tensor.from(axes, shape, Float32Array.from({ length: size }, draw))];
  });
  return Transformer.fromWeights(checked, new Map(weights));
}

const FANS = /^(xavier|kaiming)_(uniform|normal)$/;

/** Refuses a scale that is no number, and one that the way of drawing does not have. */
function requireUse(argument: "std" | "gain", value: number | undefined, hasUse: boolean, of: string): void {
  const operation = "initialModel";
  if (value === undefined) return;
  requireAtLeast0(value, argument, operation);
  if (hasUse) return;
  throw new InputError(`${argument} is for ${of}; leave it out, or choose init so.`, {
    operation,
    argument,
    expected: undefined,
    actual: value,
  });
}

/** What the numbers of a weight are drawn by. */
function drawing(
  config: ModelConfig,
  name: string,
  shape: readonly number[],
  { init, std, gain = 1 }: { init: Initialization; std: number | undefined; gain: number | undefined },
  random: Random,
): () => number {
  const kind = parameterKind(name);
  const normal = (deviation: number) => (): number => deviation * random.normal();
  const uniform = (bound: number) => (): number => bound * (2 * random.uniform() - 1);
  if (kind === "norm") return () => (name.endsWith(".w") ? 1 : 0);
  if (init === "pytorch") return kind === "embedding" ? normal(1) : uniform(1 / Math.sqrt(inputsOf(config, name)));
  if (kind === "bias") return () => 0;
  const [, whose, distribution] = FANS.exec(init) ?? [];
  if (whose !== undefined) {
    const { fanIn, fanOut } = fansOf(shape);
    const deviation = gain * Math.sqrt(2 / (whose === "xavier" ? fanIn + fanOut : fanIn));
    return distribution === "uniform" ? uniform(Math.sqrt(3) * deviation) : normal(deviation);
  }
  const usual = std ?? (init === "gpt2" ? 0.02 : 0.8 / Math.sqrt(config.d_model));
  const isWriter = /\.W_(O|out)$/.test(name);
  return normal(init === "gpt2" && isWriter ? usual / Math.sqrt(2 * config.n_layers) : usual);
}

/** The inputs and outputs that TransformerLens counts: of all heads together, but for what a head reads. */
function fansOf(shape: readonly number[]): { fanIn: number; fanOut: number } {
  const [fanIn = 1, cols = 1] = shape.slice(-2);
  return { fanIn, fanOut: shape.slice(0, -2).reduce((heads, n) => heads * n, cols) };
}

/** How many numbers the linear map reads that a weight or a bias belongs to. */
function inputsOf({ d_model, n_heads, d_head, d_mlp = 0 }: ModelConfig, name: string): number {
  if (/_O$/.test(name)) return n_heads * d_head;
  return /_out$/.test(name) ? d_mlp : d_model;
}
