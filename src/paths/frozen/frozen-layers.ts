/** Whole layers of a frozen run: the linear part, which paths go through, and the constants, where biases begin. */
import { add, Tensor } from "../../tensor/index.ts";
import { addTo, rawData } from "../../tensor/internal.ts";
import { frozenHeads } from "./frozen-heads.ts";
import type { FrozenHeads } from "./frozen-heads.ts";
import { addFinalEdits, throughFrozenNorm } from "./frozen-run.ts";
import type { FrozenRun, Stream } from "./frozen-run.ts";

/** A stream's numbers in float64. */
export function flat(x: Stream): Float64Array {
  return x.dtype === "float64" ? (x.data as Float64Array) : Float64Array.from(rawData(x));
}

/** Numbers as a stream of the run's sizes. */
export function toStream({ run, model }: FrozenRun, data: Float64Array): Stream {
  return Tensor.from("batch pos d_model", [...run.tokens.shape, model.config.d_model], data);
}

/**
 * The linear part of what a layer adds, $\sum_h A^h\,\mathrm{n}(x) W_{OV}^h$, over all heads or those that `keep`
 * picks.
 */
export function layerTerm(frozen: FrozenRun, layer: number, x: Stream, keep?: (head: number) => boolean): Stream {
  const heads = frozenHeads(frozen, layer);
  return toStream(frozen, writeKept(heads, heads.attend(heads.values(flat(x))), keep));
}

/** All that a layer adds, constants included, over the heads that `keep` picks; $b_O$ is always added. */
export function layerOutput(frozen: FrozenRun, layer: number, x: Stream, keep?: (head: number) => boolean): Stream {
  const heads = frozenHeads(frozen, layer);
  const values = heads.values(flat(x));
  const constants = constantValues(heads);
  for (let start = 0; start < values.length; start += heads.width) addTo(values, constants, start);
  return add(toStream(frozen, writeKept(heads, heads.attend(values), keep)), heads.layer.b_O);
}

/** The output of a layer's heads in the run, from the weighted values that it stored, $b_O$ included. */
export function layerWritten(frozen: FrozenRun, layer: number): Stream {
  const heads = frozenHeads(frozen, layer);
  const z = Float64Array.from(rawData(frozen.run.cache.get(`blocks.${layer}.attn.hook_z`)));
  return add(toStream(frozen, heads.write(z)), heads.layer.b_O);
}

/** The part of $b_V$ and of the norm's bias in the values of every position, `[head, d_head]`. */
export function constantValues({ layer, width, d_head }: FrozenHeads): Float64Array {
  const out = Float64Array.from(rawData(layer.b_V));
  const fromNorm = normBiasValues(layer);
  for (let t = 0; t < width && d_head > 0; t++) out[t] = (out[t] as number) + (fromNorm?.[t] ?? 0);
  return out;
}

/** The norm's bias through $W_V$, `[head, d_head]`; `undefined` where the norm has none. */
export function normBiasValues({ ln1, W_V }: FrozenHeads["layer"]): Float64Array | undefined {
  if (ln1?.b === undefined) return undefined;
  const [heads = 0, d = 0, k = 0] = W_V.shape;
  const out = new Float64Array(heads * k);
  if (isAllZero(ln1.b)) return out;
  const [b, W] = [rawData(ln1.b), rawData(W_V)];
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < d; i++) {
      for (let e = 0; e < k; e++) {
        out[h * k + e] = (out[h * k + e] as number) + (b[i] as number) * (W[(h * d + i) * k + e] as number);
      }
    }
  }
  return out;
}

function writeKept(heads: FrozenHeads, z: Float64Array, keep?: (head: number) => boolean): Float64Array {
  if (keep !== undefined) {
    const isKept = Array.from({ length: heads.heads }, (_, h) => keep(h));
    for (let t = 0; t < z.length; t++) {
      if (isKept[Math.floor((t % heads.width) / heads.d_head)] !== true) z[t] = 0;
    }
  }
  return heads.write(z);
}

/**
 * Everything that begins in a bias, before a layer (by default at the end): the affine model applied to no embedding at
 * all.
 */
export function biasStream(frozen: FrozenRun, before = frozen.model.config.n_layers): Stream {
  let stream: Stream = Tensor.zeros("batch pos d_model", frozen.run.cache.get("hook_embed").shape, "float64");
  let isZero = true;
  for (const { layer, b_O } of frozen.model.layers.slice(0, before)) {
    // Nothing comes of nothing: most models without biases have them as zeros.
    isZero &&= isAllZero(b_O) && constantValues(frozenHeads(frozen, layer)).every((x) => x === 0);
    if (!isZero) stream = add(stream, layerOutput(frozen, layer, stream));
  }
  return stream;
}

const isAllZero = (t: Tensor): boolean => rawData(t).every((x) => x === 0);

/** The bias stream through the final norm, its own bias included: what the unembedding reads. */
export function finalBias(frozen: FrozenRun): Stream {
  const linear = throughFrozenNorm(frozen, frozen.model.config.n_layers, biasStream(frozen));
  return frozen.model.ln_final === undefined ? linear : frozen.model.ln_final.addBias(linear);
}

/** The input of the unembedding that no path brings from embeddings or MLPs: {@link finalBias} and late edits. */
export function finalConstants(frozen: FrozenRun): Stream {
  return addFinalEdits(frozen, finalBias(frozen));
}
