/**
 * A run that goes on: keys and values of the positions so far are kept, and each later position attends to them.
 *
 * Position $n$ costs its own products and one row of attention, where a run of the whole text would cost $n$ of each.
 */
import { kernels } from "../kernels/index.ts";
import type { FloatArray, HeadVectorsView } from "../kernels/index.ts";
import { add, Tensor } from "../tensor/index.ts";
import { dataForResult, rawData, tensorOf } from "../tensor/internal.ts";
import type { AttentionLayer } from "./attention.ts";
import { embedTokens } from "./embedding.ts";
import type { ModelParts, RunningModel } from "./embedding.ts";
import { project, writeHeads } from "./head-products.ts";
import type { HeadVectors, Stream } from "./head-products.ts";
import { mlpAdds } from "./mlp.ts";
import { rotate } from "./rotary.ts";
import { unembedded } from "./unembedding.ts";

/**
 * Keys and values of one layer, `[pos, head, d_head]`, once for all heads that share them, with room for `n_ctx`
 * positions.
 */
interface Kept {
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

/** One text that grows, with what its later positions need of the earlier ones. */
export class KeyValueCache {
  readonly #parts: ModelParts;
  readonly #layers: readonly Kept[];
  #length = 0;

  constructor({ inFloat32 }: RunningModel) {
    const { n_ctx, n_heads, n_key_value_heads = n_heads, d_head } = inFloat32.config;
    const room = (): Float32Array => new Float32Array(n_ctx * n_key_value_heads * d_head);
    this.#parts = inFloat32;
    this.#layers = inFloat32.layers.map(() => ({ keys: room(), values: room() }));
  }

  /** Takes tokens that follow those before, and gives the logits after the last of them. */
  extend(ids: readonly number[]): Tensor<"batch pos d_vocab"> {
    const parts = this.#parts;
    const tokens: Tensor<"batch pos"> = Tensor.from("batch pos", [1, ids.length], Int32Array.from(ids), "int32");
    const embed = embedTokens(parts, tokens);
    const positions = this.#positions(ids.length);
    const isStandard = parts.config.positional_embedding_type === "standard";
    let resid = isStandard && positions !== undefined ? add(embed, positions) : embed;
    for (const [index, layer] of parts.layers.entries()) {
      resid = this.#throughLayer(layer, this.#layers[index] as Kept, resid, isStandard ? undefined : positions);
    }
    this.#length += ids.length;
    const last = resid.slice("pos", ids.length - 1, ids.length);
    return unembedded(parts, parts.ln_final?.apply(last) ?? last);
  }

  /** The positional embedding of the positions to come. */
  #positions(count: number): Stream | undefined {
    if (this.#parts.W_pos === undefined) return undefined;
    const d = this.#parts.config.d_model;
    const rows = rawData(this.#parts.weight("pos_embed.W_pos"));
    return Tensor.from("batch pos d_model", [1, count, d], rows.slice(this.#length * d, (this.#length + count) * d));
  }

  #throughLayer(layer: AttentionLayer, kept: Kept, resid: Stream, shortformer: Stream | undefined): Stream {
    const normed = layer.ln1?.apply(resid) ?? resid;
    const placed = shortformer === undefined ? normed : add(normed, shortformer);
    const { config } = this.#parts;
    const turned = (x: HeadVectors): HeadVectors =>
      config.positional_embedding_type === "rotary" ? rotate(x, config, this.#length) : x;
    const q = turned(project(placed, layer.W_Q, layer.b_Q));
    const { W_K, b_K, W_V, b_V } = layer.stored;
    const k = turned(project(placed, W_K, b_K));
    const v = project(normed, W_V, b_V);
    const z = this.#attend(layer, kept, q, k, v);
    const sum = add(resid, writeHeads(layer, z));
    if (layer.mlp === undefined) return sum;
    return add(sum, mlpAdds(layer.mlp, config.parallel_attn_mlp === true ? resid : sum));
  }

  /** What new queries read of all positions so far, and of their own. */
  #attend(layer: AttentionLayer, { keys, values }: Kept, q: HeadVectors, k: HeadVectors, v: HeadVectors): HeadVectors {
    const [, count = 0, heads = 0, width = 0] = q.shape;
    const groups = k.sizeOf("head");
    const row = groups * width;
    keys.set(rawData(k), this.#length * row);
    values.set(rawData(v), this.#length * row);
    const sharing = heads / groups;
    // What several heads share is a batch, in which each of its heads sees the same keys and values.
    const ofHeads = (data: FloatArray, from: number): HeadVectorsView => ({
      data,
      offset: from * heads * width,
      batchStride: sharing * width,
      headStride: width,
      rowStride: heads * width,
    });
    const ofKeys = (data: FloatArray, from: number): HeadVectorsView => ({
      data,
      offset: from * row,
      batchStride: width,
      headStride: 0,
      rowStride: row,
    });
    const out = dataForResult("float32", q.size) as FloatArray;
    const attend = (query: number, queries: number, key: number): void => {
      const seen = this.#length + query - key;
      kernels().attention({
        ...{ batch: groups, heads: sharing, queries, keys: seen + queries, width, valueWidth: width },
        q: ofHeads(rawData(q) as FloatArray, query),
        k: ofKeys(keys, key),
        v: ofKeys(values, key),
        out: ofHeads(out, query),
        scale: Math.fround(layer.attnScale),
        isCausal: true,
        queryOffset: seen,
      });
    };
    const { window = Infinity } = layer;
    // Beyond a window each query has keys of its own.
    if (this.#length + count <= window) attend(0, count, 0);
    else for (let i = 0; i < count; i++) attend(i, 1, Math.max(0, this.#length + i + 1 - window));
    return tensorOf("batch pos head d_head", q.shape, out);
  }
}
