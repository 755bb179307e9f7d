/**
 * Circuits of MLP neurons, made of weights alone: which tokens move a neuron, directly or through a head, and which tokens' logits it
 * moves (A Mathematical Framework for Transformer Circuits, "MLP layers"). Norms are not in them; fold their weights first.
 */
import { ConfigError, InputError } from "../errors.ts";
import { compose } from "../linear/index.ts";
import type { Linear } from "../linear/index.ts";
import type { HeadRef, MLP, Transformer } from "../model/index.ts";

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
 * What each token adds to the pre-activations of a layer's neurons: directly, $W_E W_{in}$, or as a head moves it there,
 * $W_E W_{OV}^h W_{in}$; `[d_vocab, d_mlp]`, kept in factors. Its columns are the tokens that a neuron looks for.
 *
 * @param layer - of the MLP, counted from 0.
 * @param via - a head that the MLP can read: of an earlier layer, or of its own where it comes after the attention.
 * @throws {@link ConfigError} when the model is attention-only; {@link InputError} when there is no such layer or head, or the head comes too
 * late.
 * @category Circuits
 * @example
 * ```ts
 * import { Transformer, expectedWeights, neuronTokenCircuit, parseConfig, randomNormal } from "transformer-circuits";
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
  const { W_in } = mlpOf(model, layer, "neuronTokenCircuit");
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
 * What each neuron of a layer adds to the logits per unit of its activation, $W_{out} W_U$; `[d_mlp, d_vocab]`, kept in factors. Its rows
 * are the tokens that a neuron speaks for.
 *
 * @param layer - of the MLP, counted from 0.
 * @throws {@link ConfigError} when the model is attention-only; {@link InputError} when there is no such layer.
 * @category Circuits
 * @example
 * ```ts
 * import { Transformer, expectedWeights, neuronLogitCircuit, parseConfig, randomNormal, topKOfRow } from "transformer-circuits";
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
  return compose(mlpOf(model, layer, "neuronLogitCircuit").W_out, model.W_U);
}
