/** What the neurons of an MLP compute of their pre-activations, under TransformerLens's names. */
import { InputError, requireKind } from "../errors.ts";
import { kernels } from "../kernels/index.ts";
import type { ActivationKind, FloatArray } from "../kernels/index.ts";
import { softmax, Tensor } from "../tensor/index.ts";
import { allocateData, dataForResult, rawData } from "../tensor/internal.ts";

/**
 * The name of an activation function, as TransformerLens has it: the exact GELU, its two tanh forms (`gelu_new` and
 * `gelu_pytorch_tanh` are one function, `gelu_fast` is it with a rounded constant), ReLU, SiLU, and SoLU
 * ($x \odot \operatorname{softmax}(x)$ over the neurons) alone or followed by a norm.
 * @category Model
 */
export type ActivationFunction =
  "gelu" | "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" | "relu" | "silu" | "solu" | "solu_ln";

export const ACTIVATIONS: readonly ActivationFunction[] = [
  "gelu",
  "gelu_new",
  "gelu_fast",
  "gelu_pytorch_tanh",
  "relu",
  "silu",
  "solu",
  "solu_ln",
];

/** The kernel of each function of one neuron alone. */
const OF_ONE: Readonly<Record<Exclude<ActivationFunction, "solu" | "solu_ln">, ActivationKind>> = {
  gelu: "gelu",
  gelu_new: "tanhGelu",
  gelu_pytorch_tanh: "tanhGelu",
  gelu_fast: "roundedTanhGelu",
  relu: "relu",
  silu: "silu",
};

/**
 * An activation function applied to pre-activations; for `solu_ln` the SoLU alone, without its norm.
 *
 * @param x - `[..., d_mlp]`.
 * @throws {@link InputError} when there is no function of that name.
 * @category Model
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { activate } from "transformer-circuits/model";
 *
 * const pre = Tensor.fromNested("d_mlp", [-1, 0, 1]);
 * console.log([...activate("gelu", pre).data].map((x) => x.toFixed(4)).join(" "));
 * // -0.1587 0.0000 0.8413
 * console.log([...activate("relu", pre).data].join(" "));
 * // 0 0 1
 * ```
 */
export function activate<A extends string>(name: ActivationFunction, x: Tensor<A>): Tensor<A> {
  requireKind("tensor", x, "x", "activate");
  const dtype = x.dtype === "int32" ? "float32" : x.dtype;
  const input = rawData(x);
  if (name === "solu" || name === "solu_ln") {
    const out = allocateData(dtype, x.size);
    const shares = softmax(x as Tensor, "d_mlp").data;
    for (let i = 0; i < out.length; i++) out[i] = (input[i] as number) * (shares[i] as number);
    return Tensor.from(x.axes, x.shape, out);
  }
  if (!ACTIVATIONS.includes(name)) {
    throw new InputError(
      `there is no activation function "${String(name)}"; the choices are ${ACTIVATIONS.join(", ")}.`,
      {
        operation: "activate",
        argument: "name",
        expected: ACTIVATIONS,
        actual: name,
      },
    );
  }
  const out = dataForResult(dtype, x.size) as FloatArray;
  const floats = (x.dtype === "int32" ? Float32Array.from(input) : input) as FloatArray;
  kernels().activate({ kind: OF_ONE[name], input: floats, output: out });
  return Tensor.from(x.axes, x.shape, out);
}
