/**
 * Norms as linear maps: with its scale frozen a norm is $\mathrm{diag}(1/s) \otimes C\,\mathrm{diag}(w)$ and a bias,
 * $C$ taking out the mean over d_model (*A Mathematical Framework for Transformer Circuits*, "Handling Layer
 * Normalization"). What does not depend on positions folds into the weights that read through it.
 */
import type { FloatArray } from "../kernels/index.ts";
import { compose, identityMap, linear, subtractMaps } from "../linear/index.ts";
import type { Linear } from "../linear/index.ts";
import type { AttentionLayer, Norm } from "./index.ts";
import { astype, Tensor } from "../tensor/index.ts";
import { rawData } from "../tensor/internal.ts";

/** Weights that heads read the stream by. */
export type ReaderName = "W_Q" | "W_K" | "W_V";

const folded = new WeakMap<AttentionLayer, Map<string, Tensor>>();

/** What was made of a layer's weight before, or is now. */
function kept<T extends Tensor>(layer: AttentionLayer, key: string, compute: () => T): T {
  const all = folded.get(layer) ?? new Map<string, Tensor>();
  folded.set(layer, all);
  const known = all.get(key) as T | undefined;
  if (known !== undefined) return known;
  const computed = compute();
  all.set(key, computed);
  return computed;
}

/**
 * $C\,\mathrm{diag}(w)\,W$ of a layer's readers, in float64 or rounded to float32: what reads the raw stream as the
 * weight reads the normalised one, up to the scale. The weight itself where there is no norm. Kept for the next
 * question.
 */
export function foldedReader(layer: AttentionLayer, name: ReaderName, isSingle = false): Tensor<"head d_model d_head"> {
  const { ln1 } = layer;
  if (ln1 === undefined || (ln1.w === undefined && !ln1.centers)) return layer[name];
  if (!isSingle) return kept(layer, name, () => throughNorm(ln1, layer[name]));
  const exact = folded.get(layer)?.get(name) as Tensor<"head d_model d_head"> | undefined;
  return kept(layer, `${name} float32`, () => astype(exact ?? throughNorm(ln1, layer[name]), "float32"));
}

/**
 * $W_O C$, stored as $W_O$ is: what heads write, but for the mean over d_model, which no norm lets through. Kept for
 * the next question.
 */
export function centredOutput(layer: AttentionLayer): Tensor<"head d_head d_model"> {
  return kept(layer, "W_O", () => {
    const { W_O } = layer;
    const d = W_O.sizeOf("d_model");
    const data = rawData(W_O).slice() as FloatArray;
    for (let start = 0; start < data.length; start += d) {
      let sum = 0;
      for (let i = start; i < start + d; i++) sum += data[i] as number;
      const mean = sum / d;
      for (let i = start; i < start + d; i++) data[i] = (data[i] as number) - mean;
    }
    return Tensor.from(W_O.axes, W_O.shape, data);
  });
}

function throughNorm(norm: Norm, W: Tensor<"head d_model d_head">): Tensor<"head d_model d_head"> {
  const [heads = 0, d = 0, k = 0] = W.shape;
  const data = Float64Array.from(rawData(W));
  const w = norm.w?.data;
  const mean = new Float64Array(k);
  for (let h = 0; h < heads; h++) {
    mean.fill(0);
    const start = h * d * k;
    for (let i = 0; i < d; i++) {
      const gain = w?.[i] ?? 1;
      for (let e = 0; e < k; e++) {
        const at = start + i * k + e;
        data[at] = gain * (data[at] as number);
        mean[e] = (mean[e] as number) + data[at] / d;
      }
    }
    if (!norm.centers) continue;
    for (let t = 0; t < d * k; t++) data[start + t] = (data[start + t] as number) - (mean[t % k] as number);
  }
  return Tensor.from("head d_model d_head", [heads, d, k], data);
}

/** $C\,\mathrm{diag}(w)$, `[d_model, d_model]`, in factors. */
export function normMap(norm: Norm, d_model: number): Linear<"d_model", "d_model"> {
  const gains = norm.w === undefined ? identityMap("d_model", d_model) : diagonal(norm.w);
  if (!norm.centers) return gains;
  const w = Float64Array.from(norm.w?.data ?? new Float64Array(d_model).fill(1));
  const mean = linear("d_model", "mean", { rows: d_model, cols: 1, data: new Float64Array(d_model).fill(1 / d_model) });
  const row = linear("mean", "d_model", { rows: 1, cols: d_model, data: w });
  return subtractMaps(gains, compose(mean, row));
}

function diagonal(w: Tensor<"d_model">): Linear<"d_model", "d_model"> {
  const n = w.size;
  const data = new Float64Array(n * n);
  for (let i = 0; i < n; i++) data[i * (n + 1)] = w.at(i);
  return linear("d_model", "d_model", { rows: n, cols: n, data });
}
