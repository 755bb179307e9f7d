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
  const { ln1 } = model.layer(layer);
  if (ln1 === undefined) return model;
  const weights = new Map(model.weights);
  weights.set("embed.W_E", normedRows(model.weight("embed.W_E"), ln1));
  const w = model.ln_final?.w;
  if (w !== undefined && rawData(w).some((x) => x !== 1))
    weights.set("unembed.W_U", scaledRows(model.weight("unembed.W_U"), rawData(w)));
  return Transformer.passing(model.config, weights);
}

/** Each row as the norm makes it. */
function normedRows(W: Tensor, norm: Norm): Tensor {
  const [rows = 0, d = 0] = W.shape;
  const data = rawData(W);
  const [w, b] = [norm.w && rawData(norm.w), norm.b && rawData(norm.b)];
  const out = data instanceof Float64Array ? new Float64Array(W.size) : new Float32Array(W.size);
  for (let i = 0; i < rows; i++) {
    const at = i * d;
    let sum = 0;
    for (let j = 0; j < d; j++) sum += data[at + j] as number;
    const center = norm.centers ? sum / d : 0;
    let squares = 0;
    for (let j = 0; j < d; j++) squares += ((data[at + j] as number) - center) ** 2;
    const scale = Math.sqrt(squares / d + norm.eps);
    for (let j = 0; j < d; j++)
      out[at + j] = (((data[at + j] as number) - center) / scale) * (w?.[j] ?? 1) + (b?.[j] ?? 0);
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
