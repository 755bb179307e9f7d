/** Random models of any shape, attention-only unless asked for MLPs, for property tests and edge cases. */
import { parseConfig, Transformer, expectedWeights } from "../../src/model/index.ts";
import type { ActivationFunction, NormalizationType, PositionalEmbeddingType } from "../../src/model/index.ts";
import { map, Random, randomNormal } from "../../src/tensor/index.ts";
import type { DType, Tensor } from "../../src/tensor/index.ts";

export interface RandomModelOptions {
  readonly n_layers?: number;
  readonly n_heads?: number;
  readonly d_model?: number;
  readonly d_head?: number;
  readonly d_vocab?: number;
  readonly n_ctx?: number;
  readonly position?: PositionalEmbeddingType;
  readonly norm?: NormalizationType;
  /** Whether biases are random (standard deviation 0.3) or zero. */
  readonly bias?: boolean;
  /** What the neurons of MLPs compute; without MLPs unless given. */
  readonly mlp?: ActivationFunction | null;
  /** Whether MLPs read what their layer's attention reads. */
  readonly parallel?: boolean;
  readonly seed?: number;
  /** How weights are stored: float64 where a test compares models whose weights were transformed. */
  readonly dtype?: Exclude<DType, "int32">;
  /** Further fields of the configuration, such as `attn_scale`, `rotary_dim` or `d_vocab_out`. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/**
 * A model with normal weights of sizes that keep activations near 1, so that patterns are neither flat nor one-hot. The same
 * options give the same model.
 */
export function randomModel(options: RandomModelOptions = {}): Transformer {
  const { n_layers = 2, n_heads = 3, d_model = 12, d_head = 4, d_vocab = 17, n_ctx = 10 } = options;
  const { position = "shortformer", norm = null, bias = false, seed = 1, dtype = "float32" } = options;
  const { mlp = null, parallel = false } = options;
  const config = parseConfig({
    n_layers,
    n_heads,
    d_model,
    d_head,
    d_vocab,
    n_ctx,
    ...(mlp === null ? { attn_only: true } : { act_fn: mlp, d_mlp: d_model + 3, parallel_attn_mlp: parallel }),
    positional_embedding_type: position,
    normalization_type: norm,
    ...options.config,
  });
  const random = new Random(seed);
  const weights = new Map<string, Tensor>();
  for (const [name, { axes, shape }] of expectedWeights(config)) {
    const isNorm = name.endsWith(".w") || name.endsWith(".b");
    const isBias = !isNorm && /\.b_([QKVOU]|in|out)$/.test(name);
    const fanIn = shape[shape.length - 2] ?? 1;
    const std = isNorm || isBias ? 0.3 : /W_(E|pos)$/.test(name) ? 1 : 1 / Math.sqrt(fanIn);
    const drawn: Tensor = randomNormal(axes, shape, { seed: random, std: isBias && !bias ? 0 : std, dtype });
    weights.set(name, name.endsWith(".w") ? shifted(drawn, 1) : drawn);
  }
  return Transformer.fromWeights(config, weights);
}

/** The model with some weights replaced by functions of what they were. */
export function withWeights(model: Transformer, change: (name: string, weight: Tensor) => Tensor): Transformer {
  const weights = new Map([...model.weights].map(([name, weight]) => [name, change(name, weight)]));
  return Transformer.fromWeights(model.config, weights);
}

function shifted(t: Tensor, by: number): Tensor {
  return map(t, (x) => x + by);
}
