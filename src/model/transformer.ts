/** A transformer, attention-only or with MLPs: its configuration, its weights, and the parts they make. */
import { InputError, requireOptions } from "../errors.ts";
import { Shown } from "../show/index.ts";
import type { Showing } from "../show/index.ts";
import { linear } from "../linear/index.ts";
import type { Linear } from "../linear/index.ts";
import { moveToKernels } from "../tensor/internal.ts";
import { astype } from "../tensor/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { AttentionLayer } from "./attention.ts";
import type { AttentionHead, LayerWeights } from "./attention.ts";
import type { ModelConfig } from "./model-config.ts";
import { modelShowing } from "./model-showing.ts";
import { forwardPass, logitsOf } from "./forward.ts";
import type { AllRunOptions, AnyRun, RunOptionsBy, StopOptions, Unembeds } from "./run.ts";
import { headIdOf, headLabel } from "../head-id.ts";
import type { HeadRef } from "../head-id.ts";
import { mlpFrom } from "./mlp.ts";
import type { Norm } from "./norm.ts";
import { toTokenTensor } from "./tokens.ts";
import type { TokensLike } from "./tokens.ts";
import { checkWeights, finalNormKind, queryKeyValueNames, normFrom } from "./weights.ts";
import type { Weights } from "./weights.ts";

/**
 * A transformer, attention-only or with MLPs: token embedding and positions → layers of heads, each with an MLP or
 * without → unembedding.
 *
 * It says what the model *is*; what to think of it are functions over it, such as `pathExpansion(model, tokens)`. A
 * model never changes: runs take what to keep and what to edit as arguments.
 *
 * @category Model
 * @example
 * ```ts
 * import { compose, copyingScores } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const head = model.head("L1H4");
 * console.log(String(compose(model.W_E, head.W_OV, model.W_U)));
 * // Linear[d_vocab=1024 -> d_vocab=1024] of rank at most 16
 * console.log(String(copyingScores(model)));
 * // Tensor[layer=2 head=8] float64
 * ```
 */
export class Transformer extends Shown {
  /** Sizes and kinds, under TransformerLens's names. */
  readonly config: ModelConfig;
  /** All weights by their TransformerLens 3.x names. */
  readonly weights: Weights;
  /** The layers of heads, in order. */
  readonly layers: readonly AttentionLayer[];
  /** The norm before the unembedding, if there is one. */
  readonly ln_final: Norm | undefined;
  /** Token embedding, `[d_vocab, d_model]`. */
  readonly W_E: Linear<"d_vocab", "d_model">;
  /** Positional embedding, `[pos, d_model]`; absent for rotary positions or none. */
  readonly W_pos: Linear<"pos", "d_model"> | undefined;
  /** Unembedding, `[d_model, d_vocab]`. */
  readonly W_U: Linear<"d_model", "d_vocab">;
  /** Added to the logits, `[d_vocab]`. */
  readonly b_U: Tensor<"d_vocab">;
  /** What was taken for granted and what was passed over when it was read from a checkpoint, a sentence each. */
  readonly notes: readonly string[];

  #inFloat32: Transformer | undefined;

  private constructor(config: ModelConfig, weights: Weights, notes: readonly string[] = []) {
    super();
    this.config = config;
    this.weights = weights;
    this.notes = Object.freeze([...notes]);
    this.layers = Array.from({ length: config.n_layers }, (_, layer) => {
      const scale = config.attn_scale * (config.scale_attn_by_inverse_layer_idx ? layer + 1 : 1);
      const ln1 = normFrom(weights, `blocks.${layer}.ln1`, config.normalization_type, config.eps);
      const window = config.attn_types?.[layer] === "local" ? config.window_size : undefined;
      const own = layerWeights(config, weights, layer);
      return new AttentionLayer(layer, own, ln1, scale, mlpFrom(config, weights, layer), window);
    });
    this.ln_final = normFrom(weights, "ln_final", finalNormKind(config), config.eps);
    this.W_E = linear("d_vocab", "d_model", this.weight("embed.W_E"));
    this.W_pos = weights.has("pos_embed.W_pos") ? linear("pos", "d_model", this.weight("pos_embed.W_pos")) : undefined;
    this.W_U = linear("d_model", "d_vocab", this.weight("unembed.W_U"));
    this.b_U = this.weight("unembed.b_U") as Tensor<"d_vocab">;
  }

  /**
   * Makes a model of its configuration and its weights under TransformerLens 3.x's names; they are taken as they are,
   * nothing is folded or centred. Weights of float64 stay so for questions about weights; runs round them to float32.
   *
   * @param options - `notes`, what there is to say about where they come from.
   * @throws {@link ConfigError} when a weight is missing, left over or of the wrong shape; {@link InputError} when one
   * holds a number that is not finite. The text names the weight.
   * @example
   * ```ts
   * import { Transformer, expectedWeights, parseConfig } from "transformer-circuits";
   * import { randomNormal } from "transformer-circuits/tensor";
   *
   * const config = parseConfig({
   *   n_layers: 1, n_heads: 2, d_model: 8, d_head: 4, n_ctx: 16, d_vocab: 10, attn_only: true,
   *   positional_embedding_type: "shortformer", normalization_type: null,
   * });
   * const weights = new Map(
   *   [...expectedWeights(config)].map(([name, { axes, shape }], seed) => [
   *     name,
   *     randomNormal(axes, shape, { seed, std: 0.1 }),
   *   ]),
   * );
   * const model = Transformer.fromWeights(config, weights);
   * console.log(model.parameterCount, String(model.forward([0, 3, 7])));
   * // 586 Tensor[batch=1 pos=3 d_vocab=10] float32
   * ```
   */
  static fromWeights(
    config: ModelConfig,
    weights: Weights,
    options: { readonly notes?: readonly string[] } = {},
  ): Transformer {
    requireOptions(options, "Transformer.fromWeights", "notes");
    const checked = checkWeights(config, weights, "Transformer.fromWeights");
    for (const weight of checked.values()) moveToKernels(weight);
    return new Transformer(config, checked, options.notes);
  }

  /**
   * A model that serves a few questions: its weights stay where they are, as the kernels' memory takes back no weights
   * within a task.
   *
   * @param known - weights whose numbers are known to be finite.
   * @internal
   */
  static passing(config: ModelConfig, weights: Weights, known?: Weights): Transformer {
    return new Transformer(config, checkWeights(config, weights, "Transformer.passing", known));
  }

  /**
   * The model that runs: this one, or with weights of another element type one whose weights are rounded to float32, as
   * activations are.
   * @internal
   */
  get inFloat32(): Transformer {
    this.#inFloat32 ??= this.#toFloat32();
    return this.#inFloat32;
  }

  #toFloat32(): Transformer {
    if ([...this.weights.values()].every(({ dtype }) => dtype === "float32")) return this;
    const rounded = new Map([...this.weights].map(([name, weight]) => [name, astype(weight, "float32")]));
    return new Transformer(this.config, checkWeights(this.config, rounded, "Transformer.run"), this.notes);
  }

  /**
   * A weight by its TransformerLens 3.x name, `blocks.0.attn.W_Q`.
   *
   * @throws {@link InputError} when the model has no such weight.
   * @example
   * ```ts
   * import { openBundledModel } from "transformer-circuits/bundled";
   *
   * const { model } = await openBundledModel();
   * console.log(String(model.weight("blocks.0.attn.W_Q")));
   * // Tensor[head=8 d_model=128 d_head=16] float32
   * ```
   */
  weight(name: string): Tensor {
    const weight = this.weights.get(name);
    if (weight === undefined) {
      throw new InputError(
        `there is no weight "${name}" in this model; it has ${[...this.weights.keys()].join(", ")}.`,
        {
          operation: "weight",
          argument: "name",
          expected: [...this.weights.keys()],
          actual: name,
        },
      );
    }
    return weight;
  }

  /**
   * One layer of heads, counted from 0.
   *
   * @throws {@link InputError} when the model has no such layer.
   */
  layer(index: number): AttentionLayer {
    const layer = this.layers[index];
    if (layer === undefined) {
      throw new InputError(
        `this model has n_layers=${this.config.n_layers} layers, counted from 0; there is no layer ${index}.`,
        {
          operation: "layer",
          argument: "index",
          expected: [0, this.config.n_layers - 1],
          actual: index,
        },
      );
    }
    return layer;
  }

  /**
   * One head, by place or label.
   *
   * @throws {@link InputError} when the model has no such head.
   * @example
   * ```ts
   * import { openBundledModel } from "transformer-circuits/bundled";
   *
   * const { model } = await openBundledModel();
   * console.log(String(model.head("L1H4")), model.head({ layer: 1, head: 4 }) === model.head("L1H4"));
   * // AttentionHead L1H4 true
   * ```
   */
  head(ref: HeadRef): AttentionHead {
    const id = headIdOf(ref, "head", "ref");
    const head = this.layers[id.layer]?.heads[id.head];
    if (head === undefined) {
      const { n_layers, n_heads } = this.config;
      throw new InputError(
        `there is no head ${headLabel(id)} in this model of n_layers=${n_layers} and n_heads=${n_heads}, both counted from 0.`,
        { operation: "head", argument: "ref", expected: { n_layers, n_heads }, actual: id },
      );
    }
    return head;
  }

  /** The heads of all layers, in order. */
  get heads(): readonly AttentionHead[] {
    return this.layers.flatMap((layer) => layer.heads);
  }

  /** The number of weights. */
  get parameterCount(): number {
    let count = 0;
    for (const weight of this.weights.values()) count += weight.size;
    return count;
  }

  /** Its configuration and size; the weights are for `writeSafetensors(model.weights)`. */
  override toJSON(): { type: "Transformer"; config: ModelConfig; parameterCount: number; notes: readonly string[] } {
    const { config, parameterCount, notes } = this;
    return { type: "Transformer", config, parameterCount, notes };
  }

  /** @internal */
  override showing(): Showing {
    return modelShowing(this.config, this.parameterCount, this.notes);
  }

  /**
   * The logits of a prompt or of several of equal length, `[batch, pos, d_vocab]`.
   *
   * @param tokens - ids, the BOS token included where the model expects one.
   * @throws {@link InputError} for an empty or too long prompt or an id out of range.
   * @example
   * ```ts
   * import { argmax } from "transformer-circuits";
   * import { openBundledModel } from "transformer-circuits/bundled";
   *
   * const { model, tokenizer } = await openBundledModel();
   * const tokens = tokenizer.encode("interface Array<T> { readonly length", { bos: true });
   * const next = argmax(model.forward(tokens), "d_vocab").at(0, tokens.length - 1);
   * console.log(JSON.stringify(tokenizer.tokenString(next)));
   * // ":"
   * ```
   */
  forward(tokens: TokensLike): Tensor<"batch pos d_vocab"> {
    return logitsOf(this, toTokenTensor(this.config, tokens, "forward"));
  }

  /**
   * Runs the model, keeps activations and makes edits on the way.
   *
   * It computes what is asked for: `unembed` says the positions whose logits are, `directions` the output tokens;
   * `unembed: "none"` ends it after the last activation that is kept or edited, `stopAt` before a layer or after a
   * hook. Such a run has no logits, and its type says so. `from` begins it at a layer, or at a hook of an earlier run.
   *
   * @param tokens - ids of a prompt, or of several of equal length.
   * @param options - `cache`: which activations to keep, all by default; `edits`: functions that change activations as
   * they pass, by hook name; `from`, `stopAt`, `unembed`, `directions`; `attentionMask`; `signal` cancels.
   * @throws {@link InputError} for tokens as in {@link Transformer.forward}, a hook name that the model does not
   * have, or one that the run never passes; {@link AxisError} or {@link ShapeError} when an edit returns other axes or
   * sizes, even ones that would broadcast.
   * @example
   * ```ts
   * import { map, maxAbsDifference } from "transformer-circuits";
   * import { openBundledModel } from "transformer-circuits/bundled";
   *
   * const { model } = await openBundledModel();
   * const tokens = [0, 5, 6, 7, 5];
   * const clean = model.run(tokens, { cache: ["blocks.1.attn.hook_pattern"] });
   * console.log(clean.cache.names());
   * // [ 'blocks.1.attn.hook_pattern' ]
   * const withoutLayer0 = model.run(tokens, {
   *   edits: { "blocks.0.hook_attn_out": (out) => map(out, () => 0) },
   * });
   * console.log(maxAbsDifference(clean.logits, withoutLayer0.logits) > 1);
   * // true
   * const { resid } = model.run(tokens, { stopAt: 1 });
   * const { logits } = model.run(tokens, { from: { layer: 1, resid }, unembed: "last", directions: [6, 8] });
   * console.log(String(logits), Math.abs(logits.at(0, 0, 1) - clean.logits.at(0, 4, 8)) < 1e-4);
   * // Tensor[batch=1 pos=1 d_vocab=2] float32 true
   * ```
   */
  run<const U extends AllRunOptions["unembed"] = undefined, const S extends AllRunOptions["stopAt"] = undefined>(
    tokens: TokensLike,
    options: RunOptionsBy<U, S> & StopOptions<S> = {},
  ): RunBy<U, S> {
    requireOptions(options, "run", "cache edits from stopAt unembed directions attentionMask signal");
    return forwardPass(this, toTokenTensor(this.config, tokens, "run"), options) as RunBy<U, S>;
  }
}

/**
 * The outcome of a run by its `unembed` and `stopAt`.
 * @inline
 */
type RunBy<U, S> = Unembeds<U, S> extends true ? Run : [S] extends [number] ? StoppedRun : PartialRun;

/**
 * The outcome of a run that computed no logits.
 * @category Model
 */
export interface PartialRun extends AnyRun {
  /** The model that ran. */
  readonly model: Transformer;
}

/**
 * The outcome of a run that stopped before a layer.
 * @category Model
 */
export interface StoppedRun extends PartialRun {
  /** The stream before that layer, `[batch, pos, d_model]`. */
  readonly resid: Tensor<"batch pos d_model">;
}

/**
 * The outcome of a run.
 * @category Model
 */
export interface Run extends PartialRun {
  /** The logits, `[batch, pos, d_vocab]`. */
  readonly logits: Tensor<"batch pos d_vocab">;
}

function layerWeights(config: ModelConfig, weights: Weights, layer: number): LayerWeights {
  const names = queryKeyValueNames(config);
  const get = <A extends string>(name: string): Tensor<A> => weights.get(`blocks.${layer}.attn.${name}`) as Tensor<A>;
  return {
    W_Q: get("W_Q"),
    W_K: get(names.W_K),
    W_V: get(names.W_V),
    W_O: get("W_O"),
    b_Q: get("b_Q"),
    b_K: get(names.b_K),
    b_V: get(names.b_V),
    b_O: get("b_O"),
  };
}
