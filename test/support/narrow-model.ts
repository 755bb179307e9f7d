/**
 * A planted model of two layers of four heads whose previous-token head, L0H2, looks back with a given strength at each
 * position, with three induction heads behind it, L1H1 to L1H3; the other heads look at all keys alike.
 *
 * The residual stream has coordinates `[token | previous token | position]`. From query i a score of
 * $g_i = \ln (p_i i / (1 - p_i))$ on key i - 1 gives it the share p_i of i + 1 keys.
 */
import { parseConfig, Transformer } from "../../src/model/index.ts";
import { Tensor } from "../../src/tensor/index.ts";

const D_VOCAB = 60;
const N_CTX = 84;
const N_HEADS = 4;

/** A published model's: 0.84 to 0.90 at positions 8 to 27, 0.36 to 0.93 at 2 to 7, chance or less elsewhere. */
export function publishedProfile(query: number): number {
  if (query >= 8 && query <= 27) return 0.84 + (0.06 * ((query * 7) % 10)) / 9;
  const early: Readonly<Record<number, number>> = { 2: 0.9, 3: 0.93, 4: 0.77, 5: 0.36, 6: 0.59, 7: 0.59 };
  return early[query] ?? 1 / (query + 1);
}

/** The model; `profile` gives the share of attention from each query to the token before. */
export function narrowModel(profile: (query: number) => number = publishedProfile): Transformer {
  const d_model = 2 * D_VOCAB + N_CTX;
  const d_head = N_CTX;
  const [previous, position] = [D_VOCAB, 2 * D_VOCAB];
  const config = parseConfig({
    ...{ n_layers: 2, n_heads: N_HEADS, d_model, d_head, d_vocab: D_VOCAB, n_ctx: N_CTX, attn_only: true },
    positional_embedding_type: "shortformer",
    normalization_type: null,
    use_attn_scale: false,
  });
  type Entry = readonly [head: number, row: number, column: number, value: number];
  const stack = (axes: string, rows: number, columns: number, entries: readonly Entry[]): Tensor => {
    const data = new Float32Array(N_HEADS * rows * columns);
    for (const [head, row, column, value] of entries) data[(head * rows + row) * columns + column] = value;
    return Tensor.from(axes, [N_HEADS, rows, columns], data);
  };
  const reads = (entries: Entry[]): Tensor => stack("head d_model d_head", d_model, d_head, entries);
  const writes = (entries: Entry[]): Tensor => stack("head d_head d_model", d_head, d_model, entries);
  const each = (count: number, entry: (i: number) => Entry): Entry[] =>
    Array.from({ length: count }, (_, i) => entry(i));
  const gain = (query: number): number => {
    const share = profile(query);
    return Math.log((share * query) / (1 - share));
  };
  const induction = [1, 2, 3];
  const token = (heads: readonly number[]): Tensor =>
    reads(heads.flatMap((head) => each(D_VOCAB, (i) => [head, i, i, 1])));
  const eye = (axes: string, rows: number, columns: number, from = 0): Tensor => {
    const data = new Float32Array(rows * columns);
    for (let i = 0; i < Math.min(rows, columns - from); i++) data[i * columns + from + i] = 1;
    return Tensor.from(axes, [rows, columns], data);
  };
  const weights = new Map<string, Tensor>([
    ["embed.W_E", eye("d_vocab d_model", D_VOCAB, d_model)],
    ["pos_embed.W_pos", eye("pos d_model", N_CTX, d_model, position)],
    ["blocks.0.attn.W_Q", reads(each(N_CTX - 1, (i) => [2, position + i + 1, i, gain(i + 1)]))],
    ["blocks.0.attn.W_K", reads(each(N_CTX - 1, (i) => [2, position + i, i, 1]))],
    ["blocks.0.attn.W_V", token([2])],
    ["blocks.0.attn.W_O", writes(each(D_VOCAB, (i) => [2, i, previous + i, 1]))],
    [
      "blocks.1.attn.W_Q",
      reads(induction.flatMap((head) => each(D_VOCAB, (i) => [head, i, i, 4.3 + 0.1 * head] as const))),
    ],
    [
      "blocks.1.attn.W_K",
      reads(induction.flatMap((head) => each(D_VOCAB, (i) => [head, previous + i, i, 1] as const))),
    ],
    ["blocks.1.attn.W_V", token(induction)],
    ["blocks.1.attn.W_O", writes(induction.flatMap((head) => each(D_VOCAB, (i) => [head, i, i, 5] as const)))],
    ["unembed.W_U", eye("d_model d_vocab", d_model, D_VOCAB)],
    ["unembed.b_U", Tensor.zeros("d_vocab", [D_VOCAB])],
  ]);
  for (const layer of [0, 1]) {
    for (const name of ["b_Q", "b_K", "b_V"])
      weights.set(`blocks.${layer}.attn.${name}`, Tensor.zeros("head d_head", [N_HEADS, d_head]));
    weights.set(`blocks.${layer}.attn.b_O`, Tensor.zeros("d_model", [d_model]));
  }
  return Transformer.fromWeights(config, weights);
}
