/**
 * The derivative of a norm. With $n = (x - \bar x) / s$ and $g$ the gradient by $n$: the gradient by the scale is
 * $g_s = -\sum_i g_i n_i / s$, and the one by $x$ is $c - \bar c$ with $c = g / s + g_s\, (x - \bar x) / (d\, s)$; an
 * RMSNorm takes no mean away.
 */
import { gradientKernels } from "../../kernels/index.ts";
import type { FloatArray } from "../../kernels/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { Norm } from "../norm.ts";
import type { Backward } from "./pass.ts";
import { sumRows } from "./products.ts";

/** Rows as a norm saw them in a run. */
export interface NormRows {
  readonly normalized: FloatArray;
  readonly scale: FloatArray;
}

type NormPlace = "ln_final" | `blocks.${number}.${"ln1" | "ln2" | "mlp.ln"}`;

/** The gradient by what a norm read, through its hooks, of the gradient by what it gave; undefined norm: the same. */
export function backThroughNorm(
  pass: Backward,
  norm: Norm | Norm<"d_mlp"> | undefined,
  place: NormPlace,
  x: () => Tensor,
  gradient: Float32Array,
): Float32Array {
  if (norm === undefined) return gradient;
  const { hooks, take, batch, pos } = pass;
  const d = gradient.length / (batch * pos);
  const names = [`${place}.hook_scale`, `${place}.hook_normalized`] as const;
  const scale = rawData(pass.activation(names[0])) as FloatArray;
  const normalized = rawData(pass.activation(names[1])) as FloatArray;
  const kernel = names.some((name) => hooks.sees(name)) ? undefined : gradientKernels();
  if (kernel !== undefined) {
    const out = take(gradient.length);
    const w = norm.w === undefined ? undefined : (rawData(norm.w) as FloatArray);
    const byW = w === undefined ? undefined : pass.parameter(`${place}.w`);
    const byB = norm.b === undefined ? undefined : pass.parameter(`${place}.b`);
    const rows = { rows: batch * pos, cols: d, center: norm.centers, gradient, normalized, scale };
    kernel.norm({ ...rows, w, out, accumulate: false, byW, byB });
    return out;
  }
  parameterGradients(pass, norm, place, normalized, gradient);
  const own = names.some((name) => hooks.edits(name))
    ? norm.normalize(x() as Tensor<"batch pos d_model"> & Tensor<"batch pos d_mlp">)
    : undefined;
  const atNormalized = hooks.pass(
    names[1],
    `batch pos ${norm.axis}`,
    [batch, pos, d],
    weighted(norm, gradient, take(gradient.length)),
  );
  const ownScale = own === undefined ? scale : (rawData(own.scale) as FloatArray);
  const rows: NormRows =
    own === undefined ? { normalized, scale } : { normalized: rescaled(own, scale, take(gradient.length)), scale };
  const byScale = scaleGradient(rows, d, atNormalized, take(batch * pos));
  const atScale = hooks.pass(names[0], "batch pos scale", [batch, pos, 1], byScale);
  return rowsGradient(norm.centers, d, rows, ownScale, atNormalized, atScale, take(gradient.length));
}

/** The gradient by rows that went through a norm of their own, as heads' inputs do; hooks and parameters left aside. */
export function backThroughRows(
  norm: Norm | undefined,
  rows: NormRows,
  d: number,
  gradient: Float32Array,
): Float32Array {
  if (norm === undefined) return gradient;
  const atNormalized = weighted(norm, gradient, gradient);
  const atScale = scaleGradient(rows, d, atNormalized, new Float32Array(rows.scale.length));
  return rowsGradient(norm.centers, d, rows, rows.scale, atNormalized, atScale, gradient);
}

/** Gradients of the weight and the bias of a norm. */
function parameterGradients(
  pass: Backward,
  norm: Norm | Norm<"d_mlp">,
  place: NormPlace,
  normalized: FloatArray,
  gradient: Float32Array,
): void {
  const byWeight = norm.w === undefined ? undefined : pass.parameter(`${place}.w`);
  const byBias = norm.b === undefined ? undefined : pass.parameter(`${place}.b`);
  if (byBias !== undefined) sumRows(gradient, byBias.length, byBias);
  if (byWeight === undefined) return;
  const sums = new Float64Array(byWeight.length);
  for (let start = 0; start < gradient.length; start += sums.length) {
    for (let j = 0; j < sums.length; j++) {
      sums[j] = (sums[j] as number) + (gradient[start + j] as number) * (normalized[start + j] as number);
    }
  }
  byWeight.set(sums);
}

/** The gradient by what the weights of a norm multiply. */
function weighted(norm: Norm | Norm<"d_mlp">, gradient: Float32Array, out: Float32Array): Float32Array {
  if (norm.w === undefined) return gradient;
  const w = rawData(norm.w);
  for (let start = 0; start < gradient.length; start += w.length) {
    for (let j = 0; j < w.length; j++) out[start + j] = (gradient[start + j] as number) * (w[j] as number);
  }
  return out;
}

/** Rows divided by another scale than their own. */
function rescaled(
  own: { readonly normalized: Tensor; readonly scale: Tensor },
  scale: FloatArray,
  out: Float32Array,
): Float32Array {
  const normalized = rawData(own.normalized);
  const ownScale = rawData(own.scale);
  const d = out.length / scale.length;
  for (let i = 0; i < out.length; i++) {
    const row = Math.floor(i / d);
    out[i] = ((normalized[i] as number) * (ownScale[row] as number)) / (scale[row] as number);
  }
  return out;
}

function scaleGradient({ normalized, scale }: NormRows, d: number, g: Float32Array, out: Float32Array): Float32Array {
  for (let row = 0; row < out.length; row++) {
    let sum = 0;
    for (let i = row * d; i < (row + 1) * d; i++) sum += (g[i] as number) * (normalized[i] as number);
    out[row] = -sum / (scale[row] as number);
  }
  return out;
}

/** `out` may be `g`. */
function rowsGradient(
  centers: boolean,
  d: number,
  { normalized, scale }: NormRows,
  ownScale: FloatArray,
  g: Float32Array,
  atScale: Float32Array,
  out: Float32Array,
): Float32Array {
  for (let row = 0; row < scale.length; row++) {
    const start = row * d;
    const divisor = scale[row] as number;
    const factor = ((atScale[row] as number) * divisor) / (d * (ownScale[row] as number));
    let mean = 0;
    if (centers) {
      for (let i = start; i < start + d; i++) mean += (g[i] as number) / divisor + factor * (normalized[i] as number);
      mean /= d;
    }
    for (let i = start; i < start + d; i++) {
      out[i] = (g[i] as number) / divisor + factor * (normalized[i] as number) - mean;
    }
  }
  return out;
}
