/**
 * A model as the product of its layers: with patterns and norm scales as a run had them, every layer is a sum of tensor
 * products and the logits are
 *
 * $$(\mathrm{Id} \otimes W_U) \prod_{l} \Big(\mathrm{Id} \otimes \mathrm{Id} + \sum_h A^{lh} \otimes W_{OV}^{lh}\Big)\, T W_E$$
 *
 * and what biases add (*A Mathematical Framework for Transformer Circuits*, "The path expansion trick"; the paper
 * writes columns). Norms are factors too, $\mathrm{diag}(1/s) \otimes C\,\mathrm{diag}(w)$, and stand within the heads
 * that read through them.
 *
 * An MLP is no factor: what it wrote in the run is a constant that joins the stream after its layer and goes through
 * the layers after it.
 */
import type { Kind } from "../errors.ts";
import { Shown } from "../show/index.ts";
import type { Showing } from "../show/index.ts";
import { onFeatures, identityMap, sumProducts } from "../linear/index.ts";
import type { TensorProduct, TensorSum } from "../linear/index.ts";
import { headLabel } from "../model/index.ts";
import type { Run, TokensLike, Transformer } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { describeTensor } from "../tensor/internal.ts";
import { headProduct, unembedProduct } from "./factors.ts";
import { addMlp, directStream, editsFrom, frozenOf } from "./frozen/frozen-run.ts";
import type { FrozenRun, Stream } from "./frozen/frozen-run.ts";

export const FACTORED_MODEL: Kind = {
  member: "unembed",
  what: "a FactoredModel",
  remedy: "Make one with factoredModel",
};

/**
 * A model on some tokens as a product of sums of tensor products, patterns and norm scales frozen, and what MLPs wrote
 * with them. Made by {@link factoredModel}; {@link pathExpansion} writes it out as a sum over paths.
 *
 * @category Path expansion
 * @example
 * ```ts
 * import { add, maxAbsDifference, pathExpansion } from "transformer-circuits";
 * import { applySum, applyProduct } from "transformer-circuits/linear";
 * import { factoredModel } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const factored = factoredModel(model, [0, 300, 301, 300]);
 * const end = factored.layers.reduce((x, layer) => applySum(x, layer), factored.embedding);
 * const expansion = pathExpansion(factored);
 * const logits = add(applyProduct(end, factored.unembed), expansion.logits(expansion.bias));
 * console.log(maxAbsDifference(logits, factored.modelLogits) < 1e-4);
 * // true
 * ```
 */
export class FactoredModel extends Shown {
  readonly model: Transformer;
  /** `[batch, pos]`. */
  readonly tokens: Tensor<"batch pos">;
  /** What enters the first layer: $T W_E$, with positions where they are in the residual stream; float64. */
  readonly embedding: Stream;
  /** @internal */
  readonly frozen: FrozenRun;
  #layers: readonly TensorSum<"d_model", "d_model">[] | undefined;
  #mlpOutputs: readonly (Stream | undefined)[] | undefined;

  /** @internal */
  constructor(frozen: FrozenRun) {
    super();
    this.model = frozen.model;
    this.tokens = frozen.run.tokens;
    this.embedding = directStream(frozen);
    this.frozen = frozen;
  }

  /** The logits of the model's own run. */
  get modelLogits(): Tensor<"batch pos d_vocab"> {
    return this.frozen.run.logits;
  }

  /** @internal */
  override showing(): Showing {
    const layers = Array.from({ length: this.model.config.n_layers }, (_, layer) => `layer ${layer}`);
    const product = ["T W_E", ...layers, "W_U"].join(" · ");
    return {
      title: `FactoredModel on tokens ${describeTensor(this.tokens)}`,
      parts: () => [{ kind: "words", text: product }],
    };
  }

  /**
   * A sum for every layer, first layer first: the identity, then each head with the norm it reads through, named `Id`,
   * `L0H0`, ….
   */
  get layers(): readonly TensorSum<"d_model", "d_model">[] {
    this.#layers ??= this.model.layers.map((layer) =>
      sumProducts([
        { label: "Id", product: onFeatures(identityMap("d_model", this.model.config.d_model)) },
        ...layer.heads.map((head) => ({ label: headLabel(head), product: headProduct(this.frozen, head) })),
      ]),
    );
    return this.#layers;
  }

  /**
   * What the MLP of each layer wrote in the run, $b_{out}$ included, float64: it joins the stream after that layer's
   * factor. Of an edited run, what edits added by then is in it. `undefined` where nothing was written or added.
   */
  get mlpOutputs(): readonly (Stream | undefined)[] {
    const isEdited = (layer: number): boolean => editsFrom(this.frozen, layer + 1, "paths").length > 0;
    this.#mlpOutputs ??= this.model.layers.map(({ layer, mlp }) =>
      mlp === undefined && !isEdited(layer) ? undefined : addMlp(this.frozen, layer, zerosOf(this.embedding)),
    );
    return this.#mlpOutputs;
  }

  /** From the last residual stream to the logits: the final norm's linear part and $W_U$. */
  get unembed(): TensorProduct<"d_model", "d_vocab"> {
    return unembedProduct(this.frozen);
  }
}

const zerosOf = ({ shape }: Stream): Stream => Tensor.zeros("batch pos d_model", shape, "float64");

/**
 * A model on some tokens as the product of its layers: one ordinary run gives patterns, norm scales and what MLPs
 * wrote, which are then constants.
 *
 * @param tokens - a prompt, or several of equal length.
 * @param options - `signal` cancels the run.
 * @throws {@link InputError} for tokens the model cannot run.
 * @category Path expansion
 * @example
 * ```ts
 * import { factoredModel } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { layers } = factoredModel(model, [0, 300, 301]);
 * console.log(layers.length, String(layers[1]?.terms[5]?.product));
 * // 2 TensorProduct[pos=3 -> pos=3] ⊗ [d_model=128 -> d_model=128]
 * ```
 */
export function factoredModel(
  model: Transformer,
  tokens: TokensLike,
  options?: { readonly signal?: AbortSignal | undefined },
): FactoredModel;
/** As above, of a run that was made before, edits and all. */
export function factoredModel(run: Run, options?: { readonly signal?: AbortSignal | undefined }): FactoredModel;
export function factoredModel(
  subject: Transformer | Run,
  tokensOrOptions?: TokensLike | { readonly signal?: AbortSignal | undefined },
  given?: { readonly signal?: AbortSignal | undefined },
): FactoredModel {
  const operation = "factoredModel";
  return new FactoredModel(frozenOf(subject, tokensOrOptions, given, operation, "signal").frozen);
}
