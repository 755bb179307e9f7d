/**
 * MLPs: $f(\mathrm{n}(x) W_{in} + b_{in}) W_{out} + b_{out}$, neurons that read the residual stream and write to it;
 * with a gate (llama) $(f(\mathrm{n}(x) W_{gate}) \odot \mathrm{n}(x) W_{in} + b_{in}) W_{out} + b_{out}$.
 * What a neuron reads of a path and what it does to the logits are linear and made of weights alone (A Mathematical
 * Framework for Transformer Circuits, "MLP layers"); what it computes between is not, so path expansion begins anew in
 * what an MLP writes.
 */
import { Shown } from "../show/index.ts";
import type { Showing } from "../show/index.ts";
import { linear } from "../linear/index.ts";
import type { Linear } from "../linear/index.ts";
import { matmul, multiply } from "../tensor/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { activate } from "./activation.ts";
import type { ActivationFunction } from "./activation.ts";
import { withBias } from "./bias.ts";
import type { ModelConfig } from "./model-config.ts";
import type { Norm } from "./norm.ts";
import type { HookSession } from "./session.ts";
import { neuronNormKind, normFrom } from "./weights.ts";
import type { Weights } from "./weights.ts";

interface MlpParts {
  readonly W_gate: Tensor<"d_model d_mlp"> | undefined;
  readonly W_in: Tensor<"d_model d_mlp">;
  readonly b_in: Tensor<"d_mlp">;
  readonly W_out: Tensor<"d_mlp d_model">;
  readonly b_out: Tensor<"d_model">;
  readonly act_fn: ActivationFunction;
  readonly ln2: Norm | undefined;
  readonly ln: Norm<"d_mlp"> | undefined;
}

/**
 * The MLP of one layer, with the norm it reads through: two maps and the activation function between them.
 *
 * *A Mathematical Framework for Transformer Circuits*, "MLP Layers".
 *
 * @category Model
 * @example
 * ```ts
 * import { Transformer, compose, expectedWeights, parseConfig } from "transformer-circuits";
 * import { randomNormal } from "transformer-circuits/tensor";
 *
 * const config = parseConfig({ n_layers: 1, n_heads: 2, d_model: 8, n_ctx: 16, d_vocab: 10, act_fn: "gelu" });
 * const weights = new Map(
 *   [...expectedWeights(config)].map(([name, { axes, shape }], seed) => [name, randomNormal(axes, shape, { seed })]),
 * );
 * const model = Transformer.fromWeights(config, weights);
 * const { mlp } = model.layer(0);
 * if (mlp === undefined) throw new Error("this model is attention-only");
 * console.log(String(compose(model.W_E, mlp.W_in)));
 * // Linear[d_vocab=10 -> d_mlp=32] of rank at most 8
 * console.log(String(compose(mlp.W_out, model.W_U)));
 * // Linear[d_mlp=32 -> d_vocab=10] of rank at most 8
 * ```
 */
export class MLP extends Shown {
  /** The layer, counted from 0. */
  readonly layer: number;
  /**
   * `[d_model, d_mlp]`: residual stream to pre-activations; with a gate, to what activations multiply.
   */
  readonly W_in: Linear<"d_model", "d_mlp">;
  /** `[d_model, d_mlp]`: residual stream to pre-activations where they gate what $W_{in}$ reads. */
  readonly W_gate: Linear<"d_model", "d_mlp"> | undefined;
  /** `[d_mlp]`, added to pre-activations; with a gate, to the product. */
  readonly b_in: Tensor<"d_mlp">;
  /** `[d_mlp, d_model]`: activations to the residual stream. */
  readonly W_out: Linear<"d_mlp", "d_model">;
  /** `[d_model]`, added to what is written. */
  readonly b_out: Tensor<"d_model">;
  /** What the neurons compute. */
  readonly act_fn: ActivationFunction;
  /** The norm that the MLP reads through, if there is one. */
  readonly ln2: Norm | undefined;
  /** The norm over the neurons that follows the activation function `solu_ln`. */
  readonly ln: Norm<"d_mlp"> | undefined;
  readonly #parts: MlpParts;

  /** @internal */
  constructor(layer: number, parts: MlpParts) {
    super();
    this.layer = layer;
    this.W_in = linear("d_model", "d_mlp", parts.W_in);
    this.W_gate = parts.W_gate && linear("d_model", "d_mlp", parts.W_gate);
    this.b_in = parts.b_in;
    this.W_out = linear("d_mlp", "d_model", parts.W_out);
    this.b_out = parts.b_out;
    this.act_fn = parts.act_fn;
    this.ln2 = parts.ln2;
    this.ln = parts.ln;
    this.#parts = parts;
  }

  /** @internal */
  override showing(): Showing {
    const { rows, cols } = this.W_in;
    return { title: `MLP of layer ${this.layer}: d_model=${rows} -> d_mlp=${cols}, ${this.act_fn}` };
  }

  /** Pre-activations of a normalised stream. */
  preActivations(normalized: Tensor<"batch pos d_model">): Tensor<"batch pos d_mlp"> {
    const { W_gate, W_in } = this.#parts;
    return W_gate === undefined ? withBias(matmul(normalized, W_in), this.b_in) : matmul(normalized, W_gate);
  }

  /** What activations multiply where they are a gate, of a normalised stream: $x W_{in}$. */
  gatedInput(normalized: Tensor<"batch pos d_model">): Tensor<"batch pos d_mlp"> {
    return matmul(normalized, this.#parts.W_in);
  }

  /** What is behind a gate: activations times what they let pass, $b_{in}$ added. */
  throughGate(active: Tensor<"batch pos d_mlp">, input: Tensor<"batch pos d_mlp">): Tensor<"batch pos d_mlp"> {
    return withBias(multiply(active, input), this.b_in);
  }

  /** What activations write to the residual stream, $b_{out}$ included. */
  write(post: Tensor<"batch pos d_mlp">): Tensor<"batch pos d_model"> {
    return withBias(matmul(post, this.#parts.W_out), this.b_out);
  }
}

/** The MLP of a layer; none in an attention-only model. */
export function mlpFrom(config: ModelConfig, weights: Weights, layer: number): MLP | undefined {
  if (config.act_fn === undefined) return undefined;
  const at = `blocks.${layer}` as const;
  const get = <A extends string>(name: string): Tensor<A> => weights.get(`${at}.mlp.${name}`) as Tensor<A>;
  return new MLP(layer, {
    W_gate: config.gated_mlp === true ? get("W_gate") : undefined,
    W_in: get("W_in"),
    b_in: get("b_in"),
    W_out: get("W_out"),
    b_out: get("b_out"),
    act_fn: config.act_fn,
    ln2: normFrom(weights, `${at}.ln2`, config.normalization_type, config.eps),
    ln: normFrom(weights, `${at}.mlp.ln`, neuronNormKind(config), config.eps, "d_mlp"),
  });
}

/** What an MLP adds to a stream, through the hooks of a run. */
export function mlpOutput(
  mlp: MLP,
  resid: Tensor<"batch pos d_model">,
  hooks: HookSession,
): Tensor<"batch pos d_model"> {
  const at = `blocks.${mlp.layer}` as const;
  const input = hooks.fire(`${at}.hook_mlp_in`, resid);
  const normalized = hooks.throughNorm(mlp.ln2, input, `${at}.ln2`);
  const pre = hooks.fire(`${at}.mlp.hook_pre`, mlp.preActivations(normalized));
  const active = activate(mlp.act_fn, pre);
  if (mlp.W_gate !== undefined) {
    const linear = hooks.fire(`${at}.mlp.hook_pre_linear`, mlp.gatedInput(normalized));
    const post = hooks.fire(`${at}.mlp.hook_post`, mlp.throughGate(active, linear));
    return hooks.fire(`${at}.hook_mlp_out`, mlp.write(post));
  }
  // After SoLU there is a norm of the neurons.
  const mid = mlp.ln === undefined ? active : hooks.fire(`${at}.mlp.hook_mid`, active);
  const post = hooks.fire(`${at}.mlp.hook_post`, hooks.throughNorm(mlp.ln, mid, `${at}.mlp.ln`));
  return hooks.fire(`${at}.hook_mlp_out`, mlp.write(post));
}

/** {@link mlpOutput} where nobody looks on. */
export function mlpAdds(mlp: MLP, resid: Tensor<"batch pos d_model">): Tensor<"batch pos d_model"> {
  const normalized = mlp.ln2 === undefined ? resid : mlp.ln2.apply(resid);
  const active = activate(mlp.act_fn, mlp.preActivations(normalized));
  if (mlp.W_gate !== undefined) return mlp.write(mlp.throughGate(active, mlp.gatedInput(normalized)));
  return mlp.write(mlp.ln === undefined ? active : mlp.ln.apply(active));
}
