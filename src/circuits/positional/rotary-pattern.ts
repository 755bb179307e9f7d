/** What a head of a rotary model does by position alone. */
import { ConfigError, InputError, requireKind } from "../../errors.ts";
import { rotationMatrix } from "../../model/index.ts";
import type { AttentionLayer, HeadRef, Norm, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";

/**
 * The attention pattern that a head of a rotary model would have if every score were the mean over all pairs of tokens
 * at that offset, $\bar q R_\delta \bar k^\top / \text{scale}$ with $\bar q$ and $\bar k$ the mean query and key of the
 * vocabulary: the rotary counterpart of {@link positionalPattern}.
 *
 * Queries and keys are those of embedded tokens, with the layer's norm and biases; exact for the first layer, and for
 * later ones without what other heads write.
 *
 * @param head - the head, by place or label.
 * @param n - how many positions, the model's n_ctx unless given.
 * @returns `[query_pos, key_pos]`: rows sum to 1; float64.
 * @throws {@link ConfigError} when the model's positions are not rotary; {@link InputError} when `n` is not from 1 to
 * n_ctx or the model has no such head.
 * @category Circuits
 * @example
 * ```ts
 * import { Tensor, Transformer, expectedWeights, parseConfig } from "transformer-circuits";
 * import { meanRotaryPattern } from "transformer-circuits/circuits";
 *
 * // One head of width 2, every weight 1: scores fall with the cosine of the offset.
 * const config = parseConfig({
 *   n_layers: 1, n_heads: 1, d_model: 1, d_head: 2, n_ctx: 8, d_vocab: 2, attn_only: true,
 *   positional_embedding_type: "rotary", normalization_type: null, use_attn_scale: false,
 * });
 * const weights = [...expectedWeights(config)].map(([name, { axes, shape }]) => {
 *   const size = shape.reduce((product, n) => product * n, 1);
 *   const values = Array.from({ length: size }, () => (name.includes(".b_") ? 0 : 1));
 *   return [name, Tensor.from(axes, shape, values)] as const;
 * });
 * const pattern = meanRotaryPattern(Transformer.fromWeights(config, new Map(weights)), "L0H0", 2);
 * console.log(Math.log(pattern.at(1, 1) / pattern.at(1, 0)).toFixed(4), (2 - 2 * Math.cos(1)).toFixed(4));
 * // 0.9194 0.9194
 * ```
 */
export function meanRotaryPattern(
  model: Transformer,
  head: HeadRef,
  n: number = (model as Partial<Transformer> | undefined)?.config?.n_ctx ?? 0,
): Tensor<"query_pos key_pos"> {
  requireKind("model", model, "model", "meanRotaryPattern");
  const operation = "meanRotaryPattern";
  const { config } = model;
  if (config.positional_embedding_type !== "rotary") {
    throw new ConfigError(
      `this model's positions are not rotary: positional_embedding_type=${config.positional_embedding_type}. Use positionalPattern.`,
      { operation, argument: "model", expected: "rotary", actual: config.positional_embedding_type },
    );
  }
  if (!Number.isInteger(n) || n < 1 || n > config.n_ctx) {
    throw new InputError(`n is ${n}, but the model has positions for 1 to n_ctx=${config.n_ctx} tokens.`, {
      operation,
      argument: "n",
      expected: [1, config.n_ctx],
      actual: n,
    });
  }
  const bidirectional = config.attention_dir === "bidirectional";
  const scores = scoresByOffset(model, head, n, bidirectional);
  const { window = Infinity } = model.layer(model.head(head).layer);
  const pattern = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const last = bidirectional ? n : i + 1;
    const first = bidirectional ? 0 : Math.max(0, i + 1 - window);
    let largest = -Infinity;
    for (let j = first; j < last; j++) largest = Math.max(largest, scores(i - j));
    let total = 0;
    for (let j = first; j < last; j++) total += pattern[i * n + j] = Math.exp(scores(i - j) - largest);
    for (let j = first; j < last; j++) pattern[i * n + j] = (pattern[i * n + j] as number) / total;
  }
  return Tensor.from("query_pos key_pos", [n, n], pattern);
}

/** The mean scores at offsets below `n`, of later keys too if asked. */
function scoresByOffset(model: Transformer, ref: HeadRef, n: number, later: boolean): (offset: number) => number {
  const head = model.head(ref);
  const layer = model.layer(head.layer);
  const mean = meanInput(model, layer);
  const through = (weights: Tensor, bias: Tensor): Float64Array => {
    const [W, b] = [rawData(weights), rawData(bias)];
    const k = b.length;
    return Float64Array.from(b, (start, c) => mean.reduce((sum, x, d) => sum + x * (W[d * k + c] as number), start));
  };
  const query = through(layer.W_Q.select("head", head.head), head.b_Q);
  const key = through(layer.W_K.select("head", head.head), head.b_K);
  const first = later ? 1 - n : 0;
  const scores = Float64Array.from({ length: n - first }, (_, i) => {
    const rotation = rawData(rotationMatrix(model.config, first + i));
    let sum = 0;
    for (let a = 0; a < query.length; a++)
      for (let b = 0; b < key.length; b++)
        sum += (query[a] as number) * (rotation[a * key.length + b] as number) * (key[b] as number);
    return sum / layer.attnScale;
  });
  return (offset) => scores[offset - first] as number;
}

const meanInputs = new WeakMap<AttentionLayer, Float64Array>();

/** The mean over the vocabulary of what a layer reads of an embedded token, `[d_model]`; computed once for a layer. */
function meanInput(model: Transformer, layer: AttentionLayer): Float64Array {
  const known = meanInputs.get(layer);
  if (known !== undefined) return known;
  const { ln1: norm } = layer;
  const W_E = model.weight("embed.W_E");
  const data = rawData(W_E);
  const [d_vocab = 0, d_model = 0] = W_E.shape;
  const mean = new Float64Array(d_model);
  for (let token = 0; token < d_vocab; token++) {
    const row = data.subarray(token * d_model, (token + 1) * d_model);
    const [center, scale] = norm === undefined ? [0, 1] : momentsOf(row, norm);
    for (let d = 0; d < d_model; d++) mean[d] = (mean[d] as number) + ((row[d] as number) - center) / scale / d_vocab;
  }
  const [w, b] = [norm?.w && rawData(norm.w), norm?.b && rawData(norm.b)];
  const read = mean.map((x, d) => x * (w?.[d] ?? 1) + (b?.[d] ?? 0));
  meanInputs.set(layer, read);
  return read;
}

function momentsOf(row: ArrayLike<number>, norm: Norm): [center: number, scale: number] {
  let sum = 0;
  for (let d = 0; d < row.length; d++) sum += row[d] as number;
  const center = norm.centers ? sum / row.length : 0;
  let squares = 0;
  for (let d = 0; d < row.length; d++) squares += ((row[d] as number) - center) ** 2;
  return [center, Math.sqrt(squares / row.length + norm.eps)];
}
