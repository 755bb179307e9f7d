/** Where a run begins: the embedding of tokens, and of positions. */
import { Tensor } from "../tensor/index.ts";
import { dataForResult, rawData, reshaped, viewOf } from "../tensor/internal.ts";
import type { AttentionLayer } from "./attention.ts";
import type { PaddingMask } from "./attention-mask.ts";
import type { Stream } from "./head-products.ts";
import type { ModelConfig } from "./model-config.ts";
import type { Norm } from "./norm.ts";
import { copyRows } from "./rows.ts";

/** What a pass reads of a model. */
export interface ModelParts {
  readonly config: ModelConfig;
  readonly layers: readonly AttentionLayer[];
  readonly ln_final: Norm | undefined;
  readonly b_U: Tensor<"d_vocab">;
  /** Whether there are positions. */
  readonly W_pos: unknown;
  weight(name: string): Tensor;
}

/** A model that runs, and itself in float32. */
export interface RunningModel {
  readonly inFloat32: ModelParts;
}

/** The embedding of each token, $t W_E$. */
export function embedTokens(model: ModelParts, tokens: Tensor<"batch pos">): Stream {
  const W_E = model.weight("embed.W_E");
  const rows = rawData(W_E);
  const d = model.config.d_model;
  const ids = rawData(tokens);
  const out = dataForResult("float32", tokens.size * d);
  copyRows(rows, ids, d, out);
  return Tensor.from("batch pos d_model", [...tokens.shape, d], out);
}

/** The positional embedding of each position of each prompt: a view where no padding shifts it. */
export function positionalEmbedding(
  model: ModelParts,
  tokens: Tensor<"batch pos">,
  mask?: PaddingMask,
): Stream | undefined {
  if (model.W_pos === undefined) return undefined;
  const d = model.config.d_model;
  const W_pos = reshaped(model.weight("pos_embed.W_pos"), "pos d_model", [model.config.n_ctx, d]);
  if (mask === undefined) {
    return viewOf(W_pos, "batch pos d_model", { shape: [...tokens.shape, d], strides: [0, d, 1], offset: 0 });
  }
  const rows = rawData(W_pos);
  const out = dataForResult("float32", tokens.size * d).fill(0);
  for (const [i, place] of mask.places.entries()) {
    if (mask.visible[i] === 1) out.set(rows.subarray(place * d, (place + 1) * d), i * d);
  }
  return Tensor.from("batch pos d_model", [...tokens.shape, d], out);
}
