/**
 * A model whose circuits are known exactly: one previous-token head, L0H0, and one induction head, L1H0, that composes with
 * it through its keys.
 *
 * The residual stream has coordinates `[token | previous token | position]`, `d_model = 2 d_vocab + n_ctx`; embeddings are
 * one-hot, positions shortformer, scores unscaled. L0H0 pairs query code i with key code j + 1 (gain `previousGain`) and copies
 * the token coordinates to the previous-token ones; L1H0 pairs the query's token with the key's previous token (gain
 * `matchGain`) and copies token to token (gain `copyGain`); the unembedding reads the token coordinates.
 */
import { parseConfig, Transformer } from "../../src/model/index.ts";
import { Tensor } from "../../src/tensor/index.ts";

export interface PlantedOptions {
  readonly d_vocab?: number;
  readonly n_ctx?: number;
  readonly previousGain?: number;
  readonly matchGain?: number;
  readonly copyGain?: number;
}

export function plantedModel(options: PlantedOptions = {}): Transformer {
  const { d_vocab = 30, n_ctx = 21, previousGain = 40, matchGain = 40, copyGain = 20 } = options;
  const d_model = 2 * d_vocab + n_ctx;
  const d_head = Math.max(d_vocab, n_ctx);
  const previous = d_vocab;
  const position = 2 * d_vocab;
  const config = parseConfig({
    n_layers: 2,
    n_heads: 1,
    d_model,
    d_head,
    d_vocab,
    n_ctx,
    attn_only: true,
    positional_embedding_type: "shortformer",
    normalization_type: null,
    use_attn_scale: false,
  });
  /** `count` ones (or gains), from row `row + i` to column `column + i`. */
  const shift = (axes: string, shape: number[], row: number, column: number, count: number, gain = 1): Tensor => {
    const cols = shape[shape.length - 1] ?? 0;
    const data = new Float32Array(shape.reduce((p, n) => p * n, 1));
    for (let i = 0; i < count; i++) data[(row + i) * cols + column + i] = gain;
    return Tensor.from(axes, shape, data);
  };
  const reader = (row: number, column: number, count: number, gain = 1): Tensor =>
    shift("head d_model d_head", [1, d_model, d_head], row, column, count, gain);
  const writer = (column: number, gain = 1): Tensor =>
    shift("head d_head d_model", [1, d_head, d_model], 0, column, d_vocab, gain);
  const weights = new Map<string, Tensor>([
    ["embed.W_E", shift("d_vocab d_model", [d_vocab, d_model], 0, 0, d_vocab)],
    ["pos_embed.W_pos", shift("pos d_model", [n_ctx, d_model], 0, position, n_ctx)],
    ["blocks.0.attn.W_Q", reader(position, 0, n_ctx, previousGain)],
    ["blocks.0.attn.W_K", reader(position, 1, n_ctx - 1)],
    ["blocks.0.attn.W_V", reader(0, 0, d_vocab)],
    ["blocks.0.attn.W_O", writer(previous)],
    ["blocks.1.attn.W_Q", reader(0, 0, d_vocab, matchGain)],
    ["blocks.1.attn.W_K", reader(previous, 0, d_vocab)],
    ["blocks.1.attn.W_V", reader(0, 0, d_vocab)],
    ["blocks.1.attn.W_O", writer(0, copyGain)],
    ["unembed.W_U", shift("d_model d_vocab", [d_model, d_vocab], 0, 0, d_vocab)],
    ["unembed.b_U", Tensor.zeros("d_vocab", [d_vocab])],
  ]);
  for (const layer of [0, 1]) {
    for (const name of ["b_Q", "b_K", "b_V"]) {
      weights.set(`blocks.${layer}.attn.${name}`, Tensor.zeros("head d_head", [1, d_head]));
    }
    weights.set(`blocks.${layer}.attn.b_O`, Tensor.zeros("d_model", [d_model]));
  }
  return Transformer.fromWeights(config, weights);
}
