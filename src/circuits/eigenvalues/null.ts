/** What positivity scores would be by chance, for heads without any structure. */
import { ConfigError, InputError, requireKind } from "../../errors.ts";
import { eigenvalues } from "../../linalg/index.ts";
import type { Transformer } from "../../model/index.ts";
import { Random, randomNormal, Tensor } from "../../tensor/index.ts";
import { checkSamples, requireChoice } from "../../model/internal.ts";
import { stackOfTensor } from "../../linear/internal.ts";
import { cyclic, embeddingGram, positivityOf, unembedEmbed } from "./cores.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * Options of {@link scoreNull}.
 * @category Circuits
 */
export interface ScoreNullOptions extends ProgressOptions {
  /**
   * `ginibre`: eigenvalues of a d_head x d_head matrix of normal numbers. `random-head` (the default): those of the
   * circuit that a head of normal weights would have between this model's own embedding and unembedding.
   */
  readonly kind?: "ginibre" | "random-head" | undefined;
  /** Which circuit a random head has: OV (copying scores, the default) or QK (matching scores). */
  readonly circuit?: "OV" | "QK" | undefined;
  /** How many heads to draw; 200 by default. */
  readonly samples?: number | undefined;
  /** The seed of the draws; 0 by default. */
  readonly seed?: number | undefined;
}

/**
 * The distribution of a score over random draws.
 * @category Circuits
 */
export interface SampledScore {
  readonly mean: number;
  /** Standard deviation of the sample, with n − 1; NaN for a sample of one. */
  readonly std: number;
  /** `[sample]`, float64, ascending. */
  readonly samples: Tensor<"sample">;
  /**
   * The value below which a share of the samples lies, from 0 to 1, interpolated between neighbours.
   * @throws {@link InputError} when the share is not from 0 to 1.
   */
  quantile(share: number): number;
}

/**
 * Copying (or matching) scores of heads drawn at random: the yardstick for {@link copyingScores}, so that 0.1 means
 * much for 64 dimensions and nothing for 8 (*A Mathematical Framework*, "Detecting copying behavior", on random
 * matrices). The mean is 0.
 *
 * The standard deviation is $1 / (d_{head} I)$, $I$ being the mean modulus of the eigenvalues over the radius of their
 * disk. For `ginibre` $I = 2/3$, hence $1.5 / d_{head}$. For `random-head` the disk is denser in the middle: with $m$
 * the squared singular values of $W_U W_E$ (of $W_E^\top W_E$ for QK) over their mean,
 * $y(F) = (1 - F) d_{head} / d_{model}$, and $w$ the root of $\mathrm{mean}(m w / (1 + m w)) = y$,
 *
 * $$I = \int_0^1 \sqrt{F\, y / w}\; dF$$
 *
 * by the multiplicative free convolution of the three factors (Haagerup and Larsen 2000), right to 3 % from 8
 * dimensions on. That is $1.6 / d_{head}$ for random embeddings and $d_{model} = 4 d_{head}$, $2 / d_{head}$ for the
 * trained bundled model, whose $W_U W_E$ has few large directions, and more the fewer there are.
 *
 * @param model - gives the sizes and, for `random-head`, embedding and unembedding.
 * @param options - kind of random head, circuit, number of draws, seed, `signal`, `onProgress` (in draws).
 * @throws {@link InputError} when `samples` or `seed` is unusable; {@link ConfigError} when output tokens are not the
 * input tokens; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { copyingScores } from "transformer-circuits";
 * import { scoreNull } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const chance = scoreNull(model, { samples: 100, seed: 1 });
 * console.log(Math.abs(chance.mean) < 0.05, chance.std < 0.15);
 * // true true
 * console.log(copyingScores(model).at(1, 4) > chance.quantile(0.99));
 * // true
 * ```
 */
export function scoreNull(model: Transformer, options: ScoreNullOptions = {}): SampledScore {
  requireKind("model", model, "model", "scoreNull", options);
  const operation = "scoreNull";
  const { kind = "random-head", circuit = "OV", samples = 200, seed = 0 } = options;
  requireChoice(kind, ["ginibre", "random-head"], "kind", operation);
  requireChoice(circuit, ["OV", "QK"], "circuit", operation);
  const count = checkSamples(samples, operation);
  const steps = new Steps(options, count);
  const draw = kind === "ginibre" ? ginibre(model) : randomHead(model, circuit, operation);
  const random = new Random(seed);
  const scores = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const { size, data } = draw(random);
    const { re, im } = eigenvalues({ rows: size, cols: size, data });
    scores[i] = positivityOf(re, im);
    steps.advance();
  }
  return sampledScore(scores);
}

/** Mean, standard deviation and order of some draws. */
export function sampledScore(draws: Float64Array): SampledScore {
  const n = draws.length;
  const sorted = draws.slice().sort();
  const mean = sorted.reduce((sum, x) => sum + x, 0) / n;
  const squares = sorted.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  const quantile = (share: number): number => {
    if (typeof share !== "number" || !(share >= 0 && share <= 1)) {
      throw new InputError(`${share} is not a share; give a number from 0 to 1.`, {
        operation: "quantile",
        argument: "share",
        expected: [0, 1],
        actual: share,
      });
    }
    const place = share * (n - 1);
    const below = Math.floor(place);
    const low = sorted[below] as number;
    const high = sorted[Math.min(n - 1, below + 1)] as number;
    return low + (place - below) * (high - low);
  };
  return { mean, std: Math.sqrt(squares / (n - 1)), samples: Tensor.from("sample", [n], sorted), quantile };
}

type Draw = (random: Random) => { readonly size: number; readonly data: Float64Array };

function ginibre(model: Transformer): Draw {
  const size = Math.min(model.config.d_head, model.config.d_model);
  return (random) => ({ size, data: Float64Array.from({ length: size * size }, () => random.normal()) });
}

function randomHead(model: Transformer, circuit: "OV" | "QK", operation: string): Draw {
  const { d_model, d_head } = model.config;
  const middle = circuit === "OV" ? unembedEmbed(model, operation) : embeddingGram(model);
  if (middle.every((x) => x === 0)) {
    throw new ConfigError("the embedding or the unembedding is zero, so that every circuit is.", {
      operation,
      argument: "model",
      actual: 0,
    });
  }
  return (random) => {
    const options = { seed: random, dtype: "float64" } as const;
    const writer = randomNormal("head d_head d_model", [1, d_head, d_model], options);
    const reader = randomNormal("head d_model d_head", [1, d_model, d_head], options);
    return cyclic(stackOfTensor(writer), middle, stackOfTensor(reader));
  };
}
