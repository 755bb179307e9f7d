/**
 * What the neurons of an MLP compute of their pre-activations, under TransformerLens's names.
 *
 * The exact GELU is $x\,\Phi(x)$ with the normal distribution function $\Phi$, which JavaScript lacks. It is expanded
 * around the nearest multiple of 1/16: $\Phi^{(n+1)}(a) = (-1)^n He_n(a)\,\varphi(a)$, and seven terms at a distance of
 * 1/32 leave less than $10^{-11}$ of $\Phi$ wherever it exceeds $10^{-18}$.
 */
import { InputError, requireKind } from "../errors.ts";
import { softmax, Tensor } from "../tensor/index.ts";
import { allocateData, rawData } from "../tensor/internal.ts";

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

const STEP = 1 / 16;
/** Beyond it $x\,\Phi(x)$ is $x$, or less than $10^{-17}$. */
const LIMIT = 9;
const TERMS = 8;
let table: Float64Array | undefined;

/**
 * $\Phi(-a)$ for $a \ge 0$: the power series of $\Phi$ near 0, the continued fraction of the Mills ratio further out.
 */
function lowerTail(a: number): number {
  const density = Math.exp((-a * a) / 2) / Math.sqrt(2 * Math.PI);
  if (a < 2.5) {
    let [term, sum] = [a, a];
    for (let n = 3; term > 1e-18; n += 2) {
      term *= (a * a) / n;
      sum += term;
    }
    return 0.5 - density * sum;
  }
  let fraction = a;
  for (let n = 120; n >= 1; n--) fraction = a + n / fraction;
  return density / fraction;
}

/** The Taylor coefficients of $\Phi$ at every multiple of {@link STEP}. */
function taylorTable(): Float64Array {
  const nodes = (2 * LIMIT) / STEP + 1;
  const out = new Float64Array(nodes * TERMS);
  for (let i = 0; i < nodes; i++) {
    const a = i * STEP - LIMIT;
    const at = i * TERMS;
    out[at] = a <= 0 ? lowerTail(-a) : 1 - lowerTail(a);
    // He_{n+1} = a He_n − n He_{n−1}; coefficient n + 1 is (−1)ⁿ He_n φ / (n + 1)!.
    let [before, hermite] = [0, 1];
    let scale = Math.exp((-a * a) / 2) / Math.sqrt(2 * Math.PI);
    for (let n = 0; n + 1 < TERMS; n++) {
      scale /= n + 1;
      out[at + n + 1] = (n % 2 === 0 ? 1 : -1) * hermite * scale;
      [before, hermite] = [hermite, a * hermite - n * before];
    }
  }
  return out;
}

/** The normal distribution function $\Phi$. */
export function normalCdf(x: number): number {
  if (x >= LIMIT) return 1;
  if (!(x > -LIMIT)) return x <= -LIMIT ? 0 : NaN;
  table ??= taylorTable();
  const node = Math.round((x + LIMIT) / STEP);
  const h = x - (node * STEP - LIMIT);
  const at = node * TERMS;
  let sum = 0;
  for (let n = TERMS - 1; n >= 0; n--) sum = sum * h + (table[at + n] as number);
  return sum;
}

const tanhGelu = (slope: number) => (x: number) => 0.5 * x * (1 + Math.tanh(slope * (x + 0.044715 * x * x * x)));

/** The functions of one neuron alone. */
const OF_ONE: Readonly<Record<Exclude<ActivationFunction, "solu" | "solu_ln">, (x: number) => number>> = {
  gelu: (x) => x * normalCdf(x),
  gelu_new: tanhGelu(Math.sqrt(2 / Math.PI)),
  gelu_pytorch_tanh: tanhGelu(Math.sqrt(2 / Math.PI)),
  gelu_fast: tanhGelu(0.7978845608),
  relu: (x) => Math.max(0, x),
  silu: (x) => x / (1 + Math.exp(-x)),
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
  const input = rawData(x);
  const out = allocateData(x.dtype === "int32" ? "float32" : x.dtype, x.size);
  if (name === "solu" || name === "solu_ln") {
    const shares = softmax(x as Tensor, "d_mlp").data;
    for (let i = 0; i < out.length; i++) out[i] = (input[i] as number) * (shares[i] as number);
  } else {
    const f = OF_ONE[name];
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
    for (let i = 0; i < out.length; i++) out[i] = f(input[i] as number);
  }
  return Tensor.from(x.axes, x.shape, out);
}
