/**
 * Circuits of MLP neurons, made of weights alone: which tokens move a neuron, directly or through a head, and which
 * tokens' logits it moves (A Mathematical Framework for Transformer Circuits, "MLP layers"). Norms are not in them;
 * fold their weights first.
 */
import { ConfigError, InputError, requireKind } from "../errors.ts";
import { compose } from "../linear/index.ts";
import type { Linear } from "../linear/index.ts";
import type { HeadRef, MLP, Transformer } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { rawData } from "../tensor/internal.ts";

function mlpOf(model: Transformer, layer: number, operation: string): MLP {
  const { mlp } = model.layer(layer);
  if (mlp !== undefined) return mlp;
  throw new ConfigError("this model is attention-only; it has no neurons.", {
    operation,
    argument: "model",
    expected: "a model with MLPs",
    actual: model.config.attn_only,
  });
}

/**
 * What each token adds to the pre-activations of a layer's neurons: directly, $W_E W_{in}$, or as a head moves it
 * there, $W_E W_{OV}^h W_{in}$; `[d_vocab, d_mlp]`, kept in factors. Its columns are the tokens that a neuron looks
 * for. Where activations are a gate, these are the gate's, $W_E W_{gate}$; `compose(model.W_E, mlp.W_in)` has what they
 * let pass.
 *
 * @param layer - of the MLP, counted from 0.
 * @param via - a head that the MLP can read: of an earlier layer, or of its own where it comes after the attention.
 * @throws {@link ConfigError} when the model is attention-only; {@link InputError} when there is no such layer or head,
 * or the head comes too late.
 * @category Circuits
 * @example
 * ```ts
 * import { Transformer, expectedWeights, parseConfig } from "transformer-circuits";
 * import { randomNormal } from "transformer-circuits/tensor";
 * import { neuronTokenCircuit } from "transformer-circuits/circuits";
 *
 * const config = parseConfig({ n_layers: 1, n_heads: 2, d_model: 8, n_ctx: 16, d_vocab: 10, act_fn: "gelu" });
 * const weights = new Map(
 *   [...expectedWeights(config)].map(([name, { axes, shape }], seed) => [name, randomNormal(axes, shape, { seed })]),
 * );
 * const model = Transformer.fromWeights(config, weights);
 * console.log(String(neuronTokenCircuit(model, 0)));
 * // Linear[d_vocab=10 -> d_mlp=32] of rank at most 8
 * console.log(String(neuronTokenCircuit(model, 0, "L0H1")));
 * // Linear[d_vocab=10 -> d_mlp=32] of rank at most 4
 * ```
 */
export function neuronTokenCircuit(model: Transformer, layer: number, via?: HeadRef): Linear<"d_vocab", "d_mlp"> {
  requireKind("model", model, "model", "neuronTokenCircuit");
  const mlp = mlpOf(model, layer, "neuronTokenCircuit");
  const W_in = mlp.W_gate ?? mlp.W_in;
  if (via === undefined) return compose(model.W_E, W_in);
  const head = model.head(via);
  const last = model.config.parallel_attn_mlp === true ? layer - 1 : layer;
  if (head.layer > last) {
    throw new InputError(
      `the MLP of layer ${layer} does not read what ${head.label} writes; it reads heads of layers up to ${last}.`,
      { operation: "neuronTokenCircuit", argument: "via", expected: `layer at most ${last}`, actual: head.label },
    );
  }
  return compose(model.W_E, head.W_OV, W_in);
}

/**
 * What each neuron of a layer adds to the logits per unit of its activation, $W_{out} W_U$; `[d_mlp, d_vocab]`, kept in
 * factors. Its rows are the tokens that a neuron speaks for.
 *
 * @param layer - of the MLP, counted from 0.
 * @throws {@link ConfigError} when the model is attention-only; {@link InputError} when there is no such layer.
 * @category Circuits
 * @example
 * ```ts
 * import { Transformer, expectedWeights, parseConfig, topKOfRow } from "transformer-circuits";
 * import { randomNormal } from "transformer-circuits/tensor";
 * import { neuronLogitCircuit } from "transformer-circuits/circuits";
 *
 * const config = parseConfig({ n_layers: 1, n_heads: 2, d_model: 8, n_ctx: 16, d_vocab: 10, act_fn: "gelu" });
 * const weights = new Map(
 *   [...expectedWeights(config)].map(([name, { axes, shape }], seed) => [name, randomNormal(axes, shape, { seed })]),
 * );
 * const circuit = neuronLogitCircuit(Transformer.fromWeights(config, weights), 0);
 * console.log(String(circuit), topKOfRow(circuit, 3, 2).length);
 * // Linear[d_mlp=32 -> d_vocab=10] of rank at most 8 2
 * ```
 */
export function neuronLogitCircuit(model: Transformer, layer: number): Linear<"d_mlp", "d_vocab"> {
  requireKind("model", model, "model", "neuronLogitCircuit");
  return compose(mlpOf(model, layer, "neuronLogitCircuit").W_out, model.W_U);
}

/**
 * The cosine between what each neuron of a layer reads and what it writes, between column m of $W_{in}$ and row m of
 * $W_{out}$; where activations are a gate, of what they let pass. Strongly negative ones mark neurons that erase what
 * they read (*A Mathematical Framework*, "Residual stream bandwidth", on memory management).
 *
 * @param layer - of the MLP, counted from 0.
 * @returns `[d_mlp]`, −1 to 1, float64; 0 where either vector is zero.
 * @throws {@link ConfigError} when the model is attention-only; {@link InputError} when there is no such layer.
 * @category Circuits
 * @example
 * ```ts
 * import { Transformer, expectedWeights, parseConfig, Tensor } from "transformer-circuits";
 * import { neuronCosines } from "transformer-circuits/circuits";
 *
 * // Every neuron writes the negative of what it reads.
 * const config = parseConfig({ n_layers: 1, n_heads: 1, d_model: 2, d_mlp: 2, n_ctx: 4, d_vocab: 3, act_fn: "relu" });
 * const weights = [...expectedWeights(config)].map(([name, { axes, shape }]) => {
 *   const size = shape.reduce((product, n) => product * n, 1);
 *   return [name, Tensor.from(axes, shape, new Float32Array(size).fill(name.endsWith("W_out") ? -1 : 1))] as const;
 * });
 * console.log(
 *   [...neuronCosines(Transformer.fromWeights(config, new Map(weights)), 0).data].map((x) => x.toFixed(3)).join(" "),
 * );
 * // -1.000 -1.000
 * ```
 */
export function neuronCosines(model: Transformer, layer: number): Tensor<"d_mlp"> {
  requireKind("model", model, "model", "neuronCosines");
  mlpOf(model, layer, "neuronCosines");
  const W_in = rawData(model.weight(`blocks.${layer}.mlp.W_in`));
  const W_out = rawData(model.weight(`blocks.${layer}.mlp.W_out`));
  const d = model.config.d_model;
  const count = W_out.length / d;
  const [dots, reads, writes] = [new Float64Array(count), new Float64Array(count), new Float64Array(count)];
  for (let i = 0; i < d; i++) {
    for (let m = 0; m < count; m++) {
      const [x, y] = [W_in[i * count + m] as number, W_out[m * d + i] as number];
      dots[m] = (dots[m] as number) + x * y;
      reads[m] = (reads[m] as number) + x * x;
      writes[m] = (writes[m] as number) + y * y;
    }
  }
  const cosines = dots.map((dot, m) => {
    const lengths = Math.sqrt((reads[m] as number) * (writes[m] as number));
    return lengths === 0 ? 0 : dot / lengths;
  });
  return Tensor.from("d_mlp", [count], cosines);
}
