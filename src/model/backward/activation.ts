/** Derivatives of what neurons compute of their pre-activations. */
import { kernels, normalCdf } from "../../kernels/index.ts";
import type { FloatArray } from "../../kernels/index.ts";
import type { ActivationFunction } from "../activation.ts";

/** $\sqrt{2/\pi}$, which `gelu_fast` rounds. */
const SLOPE = Math.sqrt(2 / Math.PI);
const ROUNDED_SLOPE = 0.7978845608;

const tanhGelu = (slope: number) => (x: number) => {
  const t = Math.tanh(slope * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope * (1 + 3 * 0.044715 * x * x);
};

/** Derivatives of the functions of one neuron alone. */
const OF_ONE: Readonly<Record<Exclude<ActivationFunction, "solu" | "solu_ln">, (x: number) => number>> = {
  gelu: (x) => normalCdf(x) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI),
  gelu_new: tanhGelu(SLOPE),
  gelu_pytorch_tanh: tanhGelu(SLOPE),
  gelu_fast: tanhGelu(ROUNDED_SLOPE),
  // At 0 as PyTorch has it.
  relu: (x) => (x > 0 ? 1 : 0),
  silu: (x) => {
    const s = 1 / (1 + Math.exp(-x));
    return s * (1 + x * (1 - s));
  },
};

/**
 * The gradient by pre-activations `[rows, d_mlp]` of that by activations; for `solu_ln` the SoLU alone. With
 * $p = \mathrm{softmax}(x)$ SoLU is $x \odot p$: its gradient is $p \odot (g + g \odot x - \sum_j g_j x_j p_j)$.
 */
export function backThroughActivation(
  name: ActivationFunction,
  pre: FloatArray,
  d_mlp: number,
  gradient: Float32Array,
  out: Float32Array,
): Float32Array {
  if (name !== "solu" && name !== "solu_ln") {
    const derivative = OF_ONE[name];
    for (let i = 0; i < out.length; i++) out[i] = (gradient[i] as number) * derivative(pre[i] as number);
    return out;
  }
  const rows = out.length / d_mlp;
  kernels().softmax({ rows, cols: d_mlp, input: pre, inputOffset: 0, output: out, outputOffset: 0 });
  for (let start = 0; start < out.length; start += d_mlp) {
    let sum = 0;
    for (let i = start; i < start + d_mlp; i++)
      sum += (gradient[i] as number) * (pre[i] as number) * (out[i] as number);
    for (let i = start; i < start + d_mlp; i++) {
      const g = gradient[i] as number;
      out[i] = (out[i] as number) * (g + g * (pre[i] as number) - sum);
    }
  }
  return out;
}
