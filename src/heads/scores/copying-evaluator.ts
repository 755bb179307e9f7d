/**
 * The copying evaluator of *In-context Learning and Induction Heads* (Olsson et al. 2022, "Head activation
 * evaluators"): does a head that attends to a token raise that token's logit, among tokens drawn at random?
 */
import { requireKind } from "../../errors.ts";
import type { Transformer } from "../../model/index.ts";
import { astype, gather, matmul, mean, subtract, Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { checkSamples, requireSameTokens } from "../../model/internal.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";
import { bosOf, repeatedTokens } from "../repeated-tokens.ts";

/**
 * Options of {@link copyingEvaluator}.
 * @category Head scores
 */
export interface CopyingEvaluatorOptions extends ProgressOptions {
  /** How many random tokens a sample has, all different; 25 by default, or what the model has room for. */
  readonly length?: number | undefined;
  /** How many samples are averaged over; 10 by default. */
  readonly samples?: number | undefined;
  /** The seed of the random tokens; 0 by default. */
  readonly seed?: number | undefined;
  /** The token that begins each sample, `null` for none; the configuration's `bos_token_id` by default. */
  readonly bos?: number | null | undefined;
}

/**
 * How much of what a head does to the logits of some random tokens goes to the one it attends to: for each token $j$ of
 * a sample, the values it has there are taken through $W_O$ and the unembedding to the logits of the sample's tokens,
 * $l_j$, less their mean over the vocabulary; with $s = \mathrm{ReLU}(l_{jj})$ and $T = \sum_c \mathrm{ReLU}(l_{jc})$
 * the score is the mean of $4 \frac{s}{s + T} - 1$.
 *
 * The paper gives the ratio's range as 0 to 0.5, rescaled to −1 to 1, and leaves its denominator open; this is the
 * reading that has that range. A head that raises only the token it reads scores 1, one that raises all others alone
 * −1, and one that takes no notice of what it reads about $\frac{4}{n + 1} - 1$ for $n$ tokens, −0.85 for 25. The final
 * norm's centring and weights are applied; its scale, one positive number for each $l_j$, cancels.
 *
 * @param options - `length`, `samples`, `seed`, `bos`, `signal`, `onProgress` (in samples).
 * @returns `[layer, head]`, −1 to 1, float64; tokens of which a head raises nothing are left out, 0 where it raises
 * nothing at all.
 * @throws {@link InputError} for numbers that make no sample; {@link ConfigError} when output tokens are not the input
 * tokens; the signal's reason when aborted.
 * @category Head scores
 * @example
 * ```ts
 * import { copyingEvaluator } from "transformer-circuits/heads";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const scores = copyingEvaluator(model);
 * console.log(scores.at(1, 4).toFixed(2), scores.at(0, 5).toFixed(2));
 * // -0.30 -0.87
 * ```
 */
export function copyingEvaluator(model: Transformer, options: CopyingEvaluatorOptions = {}): Tensor<"layer head"> {
  requireKind("model", model, "model", "copyingEvaluator", options, "length samples seed bos signal onProgress");
  const operation = "copyingEvaluator";
  const { n_layers, n_heads, n_ctx, d_vocab } = model.config;
  requireSameTokens(model, operation);
  const { seed = 0, samples: asked = 10 } = options;
  const bos = bosOf(model.config, options);
  const samples = checkSamples(asked, operation);
  const first = bos === null ? 0 : 1;
  const { length = Math.min(25, n_ctx - first, d_vocab - first) } = options;
  const prompts = repeatedTokens(model.config, { length, batch: samples, seed, bos, repeats: 1, distinct: true });
  const ratios = new Float64Array(n_layers * n_heads);
  const counts = new Float64Array(n_layers * n_heads);
  const meanColumn = mean(unembedding(model), "d_vocab");
  const steps = new Steps(options, samples);
  for (const prompt of prompts) {
    const { cache } = model.run(prompt, { cache: (name) => name.endsWith("attn.hook_v"), unembed: "none" });
    const columns = readColumns(model, prompt.slice(first), meanColumn);
    for (const { layer, W_O, heads } of model.layers) {
      const v = cache.get(`blocks.${layer}.attn.hook_v`).select("batch", 0).slice("pos", first, prompt.length);
      for (const { head, keyValueHead } of heads) {
        const written = matmul(astype(v.select("head", keyValueHead), "float64"), W_O.select("head", head));
        const at = layer * n_heads + head;
        const [sum, count] = ratiosOf(rawData(matmul(written, columns)), length);
        ratios[at] = (ratios[at] as number) + sum;
        counts[at] = (counts[at] as number) + count;
      }
    }
    steps.advance();
  }
  const scores = ratios.map((sum, i) => (counts[i] === 0 ? 0 : (4 * sum) / (counts[i] as number) - 1));
  return Tensor.from("layer head", [n_layers, n_heads], scores);
}

/** The unembedding with the final norm's linear part before it, float64. */
function unembedding(model: Transformer): Tensor<"d_model d_vocab"> {
  return model.weight("unembed.W_U") as Tensor<"d_model d_vocab">;
}

/** What the logits of some tokens read of a stream, less what all logits read: `[d_model, token]`, float64. */
function readColumns(
  model: Transformer,
  ids: readonly number[],
  meanColumn: Tensor<"d_model">,
): Tensor<"d_model token"> {
  const picked = astype(gather(unembedding(model), "d_vocab", ids), "float64").rename("d_vocab", "token");
  const data = rawData(picked);
  const [d = 0, count = 0] = picked.shape;
  const [means, w] = [rawData(meanColumn), model.ln_final?.w];
  const weights = w === undefined ? undefined : rawData(w);
  const out = new Float64Array(d * count);
  for (let i = 0; i < d; i++) {
    for (let c = 0; c < count; c++)
      out[i * count + c] = (weights?.[i] ?? 1) * ((data[i * count + c] as number) - (means[i] as number));
  }
  const columns = Tensor.from("d_model token", [d, count], out);
  // Centring a stream is centring what reads it.
  return model.ln_final?.centers === true ? subtract(columns, mean(columns, "d_model")) : columns;
}

/** The sum of $s / (s + T)$ over tokens that anything is raised for, and how many they are. */
function ratiosOf(logits: ArrayLike<number>, length: number): [sum: number, count: number] {
  let [sum, count] = [0, 0];
  for (let j = 0; j < length; j++) {
    let total = 0;
    for (let c = 0; c < length; c++) total += Math.max(0, logits[j * length + c] as number);
    if (total === 0) continue;
    const own = Math.max(0, logits[j * length + j] as number);
    sum += own / (own + total);
    count += 1;
  }
  return [sum, count];
}
