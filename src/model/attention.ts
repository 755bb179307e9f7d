/**
 * Heads and layers of attention: weights whose shapes agree, and the two low-rank maps that a head is
 * (A Mathematical Framework for Transformer Circuits, "Attention heads are independent and additive").
 *
 * Vectors are rows: $W_{QK} = W_Q W_K^\top$ and $W_{OV} = W_V W_O$. The paper writes columns; $W_{QK}$ is the same
 * matrix there and $W_{OV}$ the transpose.
 */
import { InputError } from "../errors.ts";
import type { Kind } from "../errors.ts";
import { Shown } from "../show/index.ts";
import type { Showing } from "../show/index.ts";
import { compose, linear, transpose } from "../linear/index.ts";
import type { Linear } from "../linear/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { headLabel } from "../head-id.ts";
import { ofEachHead } from "./key-value-heads.ts";
import type { MLP } from "./mlp.ts";
import type { Norm } from "./norm.ts";

export const ATTENTION_HEAD: Kind = {
  member: "W_OV",
  what: "an AttentionHead",
  remedy: 'Take it from its model: model.head("L1H4")',
};

/**
 * One attention head: four thin maps, and the two circuits they make, $W_{QK}$ (where it looks) and $W_{OV}$ (what it
 * moves).
 *
 * Keys live in the dual of the queries' space, so that a score is a pairing and the compiler knows it.
 *
 * *A Mathematical Framework for Transformer Circuits*, "Attention Heads are Independent and Additive" and "Attention
 * Heads as Information Movement".
 *
 * @category Model
 * @example
 * ```ts
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const head = model.head("L1H4");
 * console.log(String(head.W_QK));
 * // Linear[d_model=128 -> d_model*=128] of rank at most 16
 * console.log(String(head.W_OV));
 * // Linear[d_model=128 -> d_model=128] of rank at most 16
 * ```
 */
export class AttentionHead extends Shown {
  /** The layer, counted from 0. */
  readonly layer: number;
  /** The place in the layer, counted from 0. */
  readonly head: number;
  /** The place of the keys and values that it reads; `head` unless several heads share them. */
  readonly keyValueHead: number;
  /** `[d_model, d_head]`: residual stream to queries. */
  readonly W_Q: Linear<"d_model", "d_head">;
  /** `[d_model, d_head]`: residual stream to keys. */
  readonly W_K: Linear<"d_model", "d_head*">;
  /** `[d_model, d_head]`: residual stream to values. */
  readonly W_V: Linear<"d_model", "d_head">;
  /** `[d_head, d_model]`: weighted values to the residual stream. */
  readonly W_O: Linear<"d_head", "d_model">;
  /** `[d_head]`, added to queries. */
  readonly b_Q: Tensor<"d_head">;
  /** `[d_head]`, added to keys. */
  readonly b_K: Tensor<"d_head">;
  /** `[d_head]`, added to values. */
  readonly b_V: Tensor<"d_head">;
  #W_QK: Linear<"d_model", "d_model*"> | undefined;
  #W_OV: Linear<"d_model", "d_model"> | undefined;

  /** @internal */
  constructor(weights: LayerWeights, layer: number, head: number) {
    super();
    const shared = Math.floor((head * weights.W_K.sizeOf("head")) / weights.W_Q.sizeOf("head"));
    this.layer = layer;
    this.head = head;
    this.keyValueHead = shared;
    this.W_Q = linear("d_model", "d_head", weights.W_Q.select("head", head));
    this.W_K = linear("d_model", "d_head*", weights.W_K.select("head", shared));
    this.W_V = linear("d_model", "d_head", weights.W_V.select("head", shared));
    this.W_O = linear("d_head", "d_model", weights.W_O.select("head", head));
    this.b_Q = weights.b_Q.select("head", head);
    this.b_K = weights.b_K.select("head", shared);
    this.b_V = weights.b_V.select("head", shared);
  }

  /** The head's label, `L1H4`. */
  get label(): `L${number}H${number}` {
    return headLabel(this);
  }

  /**
   * Where the head looks: $W_{QK} = W_Q W_K^\top$, `[d_model, d_model]`, kept in factors; unscaled, without biases and,
   * for rotary models, without the rotation.
   */
  get W_QK(): Linear<"d_model", "d_model*"> {
    this.#W_QK ??= compose(this.W_Q, transpose(this.W_K));
    return this.#W_QK;
  }

  /** What the head moves: $W_{OV} = W_V W_O$, `[d_model, d_model]`, kept in factors; without biases. */
  get W_OV(): Linear<"d_model", "d_model"> {
    this.#W_OV ??= compose(this.W_V, this.W_O);
    return this.#W_OV;
  }

  /** The head's kind and label, `AttentionHead L1H4`. */
  override toString(): string {
    return `AttentionHead ${this.label}`;
  }

  /** Its place, by which `model.head` finds it again. */
  override toJSON(): { type: "AttentionHead"; layer: number; head: number } {
    return { type: "AttentionHead", layer: this.layer, head: this.head };
  }

  /** @internal */
  override showing(): Showing {
    const facts = (["W_QK", "W_OV"] as const).map((name) => [name, this[name].toString()] as const);
    return { title: this.toString(), parts: () => [{ kind: "facts", facts }] };
  }
}

/**
 * The weights of a layer, stacked over its heads; those of keys and values over what heads share, where they do.
 * @category Model
 */
export interface LayerWeights {
  readonly W_Q: Tensor<"head d_model d_head">;
  readonly W_K: Tensor<"head d_model d_head">;
  readonly W_V: Tensor<"head d_model d_head">;
  readonly W_O: Tensor<"head d_head d_model">;
  readonly b_Q: Tensor<"head d_head">;
  readonly b_K: Tensor<"head d_head">;
  readonly b_V: Tensor<"head d_head">;
  readonly b_O: Tensor<"d_model">;
}

/**
 * One layer of attention heads, with the norm before it and the MLP beside or after it.
 *
 * @category Model
 * @example
 * ```ts
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const layer = model.layer(1);
 * console.log(layer.heads.length, layer.attnScale, String(layer.W_Q));
 * // 8 4 Tensor[head=8 d_model=128 d_head=16] float32
 * ```
 */
export class AttentionLayer extends Shown implements LayerWeights {
  /** The layer's place, counted from 0. */
  readonly layer: number;
  readonly W_Q: Tensor<"head d_model d_head">;
  readonly W_O: Tensor<"head d_head d_model">;
  readonly b_Q: Tensor<"head d_head">;
  readonly b_O: Tensor<"d_model">;
  /** The weights as they are stored: those of keys and values once for all heads that share them. */
  readonly stored: LayerWeights;
  /** How many positions a query sees, its own included; `undefined` where it sees all before. */
  readonly window: number | undefined;
  /** The norm that queries, keys and values are read through, if there is one. */
  readonly ln1: Norm | undefined;
  /** What this layer's scores are divided by. */
  readonly attnScale: number;
  /** The layer's MLP; `undefined` in an attention-only model. */
  readonly mlp: MLP | undefined;
  /** The heads, in order. */
  readonly heads: readonly AttentionHead[];
  readonly #perHead = new Map<string, Tensor>();

  /** @internal */
  constructor(
    layer: number,
    weights: LayerWeights,
    ln1: Norm | undefined,
    attnScale: number,
    mlp: MLP | undefined,
    window?: number,
  ) {
    super();
    this.layer = layer;
    this.W_Q = weights.W_Q;
    this.W_O = weights.W_O;
    this.b_Q = weights.b_Q;
    this.b_O = weights.b_O;
    this.stored = weights;
    this.window = window;
    this.ln1 = ln1;
    this.attnScale = attnScale;
    this.mlp = mlp;
    this.heads = Array.from({ length: weights.W_Q.sizeOf("head") }, (_, h) => new AttentionHead(weights, layer, h));
  }

  /** For each head, that which it shares included. */
  get W_K(): Tensor<"head d_model d_head"> {
    return this.#ofEachHead("W_K");
  }

  /** For each head, that which it shares included. */
  get W_V(): Tensor<"head d_model d_head"> {
    return this.#ofEachHead("W_V");
  }

  /** For each head, that which it shares included. */
  get b_K(): Tensor<"head d_head"> {
    return this.#ofEachHead("b_K");
  }

  /** For each head, that which it shares included. */
  get b_V(): Tensor<"head d_head"> {
    return this.#ofEachHead("b_V");
  }

  #ofEachHead<N extends "W_K" | "W_V" | "b_K" | "b_V">(name: N): LayerWeights[N] {
    const kept = this.#perHead.get(name) ?? ofEachHead(this.stored[name] as Tensor, this.heads.length);
    this.#perHead.set(name, kept);
    return kept as LayerWeights[N];
  }

  /** @internal */
  override showing(): Showing {
    const heads = this.heads.map(({ label }) => label).join(" ");
    const groups = this.stored.W_K.sizeOf("head");
    const facts = [
      ["heads", heads],
      ...(groups === this.heads.length ? [] : ([["keys and values", `${groups}, shared`]] as const)),
      ...(this.window === undefined ? [] : ([["sees", `${this.window} positions`]] as const)),
      ["scores over", String(this.attnScale)],
      ["norm", this.ln1?.kind ?? "none"],
      ["MLP", this.mlp?.act_fn ?? "none"],
    ] as const;
    return {
      title: `AttentionLayer ${this.layer} of ${this.heads.length} heads`,
      parts: () => [{ kind: "facts", facts }],
    };
  }

  /**
   * One head of this layer, counted from 0.
   *
   * @throws {@link InputError} when the layer has no such head.
   */
  head(index: number): AttentionHead {
    const head = this.heads[index];
    if (head === undefined) {
      throw new InputError(`layer ${this.layer} has heads 0 to ${this.heads.length - 1}, not ${index}.`, {
        operation: "AttentionLayer.head",
        argument: "index",
        expected: [0, this.heads.length - 1],
        actual: index,
      });
    }
    return head;
  }
}
