/** Token circuits of models with norms: the norm of a layer applied to every row of the embedding, once and for all. */
import { requireKind } from "../errors.ts";
import { Transformer } from "../model/index.ts";
import type { Norm } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { rawData } from "../tensor/internal.ts";

/**
 * A model whose circuits of tokens are those of a layer that reads single tokens through its norm: each row of $W_E$ is
 * what the norm of the layer makes of it, weights and bias included, and $W_U$ carries the weights of the final norm.
 *
 * Functions of tokens alone, such as {@link skipTrigrams} and {@link fullQKCircuit}, leave norms out; given this model
 * they have them in. Exact for the first layer's attention where positions are not in the stream, as *A Mathematical
 * Framework for Transformer Circuits* does it for its tables; the scale of the final norm, which depends on the
 * position, stays out. It is for such questions only: run, it would norm twice.
 *
 * @param layer - whose norm is applied, the first unless given.
 * @returns the model itself where it has no norms.
 * @throws {@link InputError} when there is no such layer.
 * @category Circuits
 * @example
 * ```ts
 * import { normedTokens } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(normedTokens(model) === model, model.config.normalization_type);
 * // true null
 * ```
 */
export function normedTokens(model: Transformer, layer = 0): Transformer {
  requireKind("model", model, "model", "normedTokens");
  return normedReaders(model)(layer);
}

/**
 * {@link normedTokens} of one layer after the other; the last is kept, and layers take from it what they have in
 * common.
 */
export function normedReaders(model: Transformer): (layer: number) => Transformer {
  const changed = new Map<string, Tensor>();
  let last: { readonly norm: Norm; readonly reader: Transformer } | undefined;
  return (layer) => {
    const { ln1 } = model.layer(layer);
    if (ln1 === undefined) return model;
    if (last !== undefined && isSameNorm(last.norm, ln1)) return last.reader;
    // Given up before the next is made, as both are as large as the embedding.
    last = undefined;
    changed.delete("embed.W_E");
    changed.set("embed.W_E", normedRows(model.weight("embed.W_E"), ln1));
    const w = model.ln_final?.w;
    if (w !== undefined && !changed.has("unembed.W_U") && rawData(w).some((x) => x !== 1))
      changed.set("unembed.W_U", scaledRows(model.weight("unembed.W_U"), rawData(w)));
    const weights = new Map([...model.weights, ...changed]);
    const reader = Transformer.passing(model.config, weights, model.weights);
    last = { norm: ln1, reader };
    return reader;
  };
}

function isSameNorm(a: Norm, b: Norm): boolean {
  const isSame = (x: Tensor | undefined, y: Tensor | undefined): boolean => {
    if (x === undefined || y === undefined) return x === y;
    const other = rawData(y);
    return rawData(x).every((value, i) => value === other[i]);
  };
  return a.centers === b.centers && a.eps === b.eps && isSame(a.w, b.w) && isSame(a.b, b.b);
}

/** Each row as the norm makes it. */
function normedRows(W: Tensor, norm: Norm): Tensor {
  const [rows = 0, d = 0] = W.shape;
  const data = rawData(W);
  const out = data instanceof Float64Array ? new Float64Array(W.size) : new Float32Array(W.size);
  const w = norm.w === undefined ? new Float64Array(d).fill(1) : Float64Array.from(rawData(norm.w));
  const b = norm.b === undefined ? new Float64Array(d) : Float64Array.from(rawData(norm.b));
  const row = new Float64Array(d);
  for (let at = 0; at < rows * d; at += d) {
    let sum = 0;
    for (let j = 0; j < d; j++) sum += row[j] = data[at + j] as number;
    const center = norm.centers ? sum / d : 0;
    let squares = 0;
    for (let j = 0; j < d; j++) {
      const x = (row[j] as number) - center;
      row[j] = x;
      squares += x * x;
    }
    const scale = Math.sqrt(squares / d + norm.eps);
    for (let j = 0; j < d; j++) out[at + j] = ((row[j] as number) / scale) * (w[j] as number) + (b[j] as number);
  }
  return Tensor.from(W.axes, W.shape, out);
}

/** Row `i` times `scales[i]`. */
function scaledRows(W: Tensor, scales: ArrayLike<number>): Tensor {
  const cols = W.shape[1] ?? 1;
  const data = rawData(W);
  const out = data instanceof Float64Array ? new Float64Array(W.size) : new Float32Array(W.size);
  for (let start = 0, row = 0; start < out.length; start += cols, row++) {
    const scale = scales[row] as number;
    for (let i = start; i < start + cols; i++) out[i] = (data[i] as number) * scale;
  }
  return Tensor.from(W.axes, W.shape, out);
}
