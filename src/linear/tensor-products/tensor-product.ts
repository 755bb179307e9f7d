/**
 * Tensor products `A ⊗ W`: a map of positions beside a map of features (*A Mathematical Framework for Transformer
 * Circuits*, "Attention heads as information movement", and its appendix on tensor product notation).
 *
 * Row convention: $(A \otimes W)\, x = A\, x\, W$ for a stream $x$, `[pos, In]` (the paper's $W$ is the transpose).
 * Positions and features do not interfere, so that products multiply side by side, the mixed product rule
 * $(B \otimes Z)(A \otimes W) = BA \otimes WZ$. Both sides stay in factors: nothing is multiplied by composing.
 */
import { AxisError, ShapeError, requireKind } from "../../errors.ts";
import type { Kind } from "../../errors.ts";
import { Shown } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import { astype, type Tensor } from "../../tensor/index.ts";
import { describeTensor } from "../../tensor/internal.ts";
import { compose } from "../compose.ts";
import { describeMap, identityMap, LINEAR_MAP } from "../linear.ts";
import type { Linear } from "../linear.ts";
import { scaleMap } from "../sum.ts";

export const TENSOR_PRODUCT: Kind = {
  member: "isIdentity",
  what: "a TensorProduct",
  remedy: "Make one with tensorProduct",
};

/**
 * What a tensor product does to positions: an attention pattern of every prompt, or one matrix for all prompts.
 * @category Tensor products
 */
export type PositionMap = Tensor<"batch query_pos key_pos"> | Tensor<"query_pos key_pos">;

/**
 * One factor of the position side: a matrix, or a number for every position (the scale of a norm, frozen).
 * @category Tensor products
 */
export interface PositionFactor {
  readonly kind: "matrix" | "diagonal";
  /** The number of prompts it holds for; `undefined` where it is the same for all. */
  readonly batch: number | undefined;
  /** How many positions it gives. */
  readonly queries: number;
  /** How many positions it takes. */
  readonly keys: number;
  /** `[batch, queries, keys]`, or `[batch, queries]` for a diagonal; float64, row-major. */
  readonly data: Float64Array;
}

/**
 * `A ⊗ W`, both in factors: a map from streams `[pos, In]` to streams `[pos, Out]` that moves information between
 * positions by `A` and between features by `W`. Made by {@link tensorProduct}, {@link onFeatures},
 * {@link scalePositions} and {@link composeProducts}.
 *
 * A head is one, $A^h \otimes W_{OV}^h$; so is every path through a model.
 *
 * @category Tensor products
 * @example
 * ```ts
 * import { tensorProduct } from "transformer-circuits/linear";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { cache } = model.run([0, 300, 301]);
 * const pattern = cache.get("blocks.1.attn.hook_pattern").select("head", 4);
 * console.log(String(tensorProduct(pattern, model.head("L1H4").W_OV)));
 * // TensorProduct[pos=3 -> pos=3] ⊗ [d_model=128 -> d_model=128]
 * ```
 */
export class TensorProduct<In extends string = string, Out extends string = string> extends Shown {
  /** The factors of `A`, the one that acts first at the front; none are the identity. */
  readonly positions: readonly PositionFactor[];
  /** `W`. */
  readonly features: Linear<In, Out>;

  /** For the functions of this folder; use {@link tensorProduct}. */
  constructor(positions: readonly PositionFactor[], features: Linear<In, Out>) {
    super();
    this.positions = positions;
    this.features = features;
  }

  /** The number of prompts it holds for; `undefined` where it is the same for all. */
  get batch(): number | undefined {
    return this.positions.find(({ batch }) => batch !== undefined)?.batch;
  }

  /** How many positions it takes; `undefined` where it takes any number. */
  get keys(): number | undefined {
    return this.positions[0]?.keys;
  }

  /** How many positions it gives; `undefined` where it gives as many as it takes. */
  get queries(): number | undefined {
    return this.positions.at(-1)?.queries;
  }

  /** Whether it is `Id ⊗ Id`. */
  get isIdentity(): boolean {
    return this.positions.length === 0 && this.features.factors.length === 0 && this.features.coefficient === 1;
  }

  /** Both sides with their sizes. */
  override toString(): string {
    const sides = this.keys === undefined ? "Id" : `[pos=${this.keys} -> pos=${this.queries}]`;
    return `TensorProduct${sides === "Id" ? " Id" : sides} ⊗ ${describeMap(this.features)}`;
  }

  /** @internal */
  override showing(): Showing {
    return { title: this.toString() };
  }
}

/**
 * The tensor product of a position map and a map of features.
 *
 * @param A - `[batch, query_pos, key_pos]`, a pattern of each prompt, or `[query_pos, key_pos]` for all of them.
 * @param W - `[In, Out]`.
 * @throws {@link AxisError} when `A` has other axes.
 * @category Tensor products
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { applyProduct, linear, tensorProduct } from "transformer-circuits/linear";
 *
 * const A = Tensor.fromNested("query_pos key_pos", [[1, 0], [0.5, 0.5]]);
 * const W = linear("d_model", "d_model", Tensor.fromNested("d_model_in d_model_out", [[0, 1], [1, 0]]));
 * const x = Tensor.fromNested("batch pos d_model", [[[1, 2], [3, 4]]]);
 * console.log(applyProduct(x, tensorProduct(A, W)).toNested());
 * // [ [ [ 2, 1 ], [ 3, 2 ] ] ]
 * ```
 */
export function tensorProduct<In extends string, Out extends string>(
  A: PositionMap,
  W: Linear<In, Out>,
): TensorProduct<In, Out> {
  requireKind("tensor", A, "A", "tensorProduct");
  requireKind(LINEAR_MAP, W, "W", "tensorProduct");
  const isShared = (A.axes as string) === "query_pos key_pos";
  if (!isShared && (A.axes as string) !== "batch query_pos key_pos") {
    throw new AxisError(
      `A is ${describeTensor(A)}; a position map has axes "batch query_pos key_pos", or "query_pos key_pos" for all prompts alike. Rename or permute them.`,
      { operation: "tensorProduct", argument: "A", expected: "batch query_pos key_pos", actual: A.axes },
    );
  }
  const [queries = 0, keys = 0] = A.shape.slice(-2);
  const data = astype(A as Tensor, "float64").data as Float64Array;
  const batch = isShared ? undefined : (A.shape[0] ?? 0);
  return new TensorProduct([{ kind: "matrix", batch, queries, keys, data }], W);
}

/**
 * `Id ⊗ W`: a map of features at every position, as embedding and unembedding are.
 *
 * @category Tensor products
 * @example
 * ```ts
 * import { onFeatures } from "transformer-circuits/linear";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(String(onFeatures(model.W_U)));
 * // TensorProduct Id ⊗ [d_model=128 -> d_vocab=1024]
 * ```
 */
export function onFeatures<In extends string, Out extends string>(W: Linear<In, Out>): TensorProduct<In, Out> {
  requireKind(LINEAR_MAP, W, "W", "onFeatures");
  return new TensorProduct([], W);
}

/**
 * `diag(s) ⊗ Id`: every position times a number of its own, as a norm with frozen scales divides.
 *
 * @param scales - `[batch, pos]`.
 * @param space - the space of the features.
 * @param size - its size.
 * @throws {@link AxisError} when the scales have other axes or the space is not a name; {@link InputError} when the
 * size is not a non-negative integer.
 * @category Tensor products
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { applyProduct, scalePositions } from "transformer-circuits/linear";
 *
 * const halves = scalePositions(Tensor.fromNested("batch pos", [[1, 0.5]]), "d_model", 2);
 * console.log(applyProduct(Tensor.fromNested("batch pos d_model", [[[1, 2], [3, 4]]]), halves).toNested());
 * // [ [ [ 1, 2 ], [ 1.5, 2 ] ] ]
 * ```
 */
export function scalePositions<S extends string>(
  scales: Tensor<"batch pos">,
  space: S,
  size: number,
): TensorProduct<S, S> {
  requireKind("tensor", scales, "scales", "scalePositions");
  if ((scales.axes as string) !== "batch pos") {
    throw new AxisError(`scales are ${describeTensor(scales)}, not [batch pos]. Rename or permute their axes.`, {
      operation: "scalePositions",
      argument: "scales",
      expected: "batch pos",
      actual: scales.axes,
    });
  }
  const [batch = 0, pos = 0] = scales.shape;
  const data = astype(scales, "float64").data as Float64Array;
  return new TensorProduct([{ kind: "diagonal", batch, queries: pos, keys: pos, data }], identityMap(space, size));
}

/**
 * Two tensor products one after the other, the first applied first, by the mixed product rule:
 * $(B \otimes Z)(A \otimes W) = BA \otimes WZ$. Of two heads it is the virtual head of *A Mathematical Framework*.
 *
 * @returns from the space of the first to the space of the second; nothing is multiplied.
 * @throws {@link AxisError} when spaces differ in name; {@link ShapeError} when spaces, positions or prompts differ in
 * number.
 * @category Tensor products
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { composeProducts, identityMap, positionMatrixOf, tensorProduct } from "transformer-circuits/linear";
 *
 * const previous = tensorProduct(
 *   Tensor.fromNested("query_pos key_pos", [[1, 0, 0], [1, 0, 0], [0, 1, 0]]),
 *   identityMap("d_model", 8),
 * );
 * console.log(positionMatrixOf(composeProducts(previous, previous)).toNested());
 * // [ [ [ 1, 0, 0 ], [ 1, 0, 0 ], [ 1, 0, 0 ] ] ]
 * ```
 */
export function composeProducts<A extends string, B extends string, C extends string>(
  first: TensorProduct<A, B>,
  second: TensorProduct<NoInfer<B>, C>,
): TensorProduct<A, C> {
  requireKind(TENSOR_PRODUCT, first, "first", "composeProducts");
  requireKind(TENSOR_PRODUCT, second, "second", "composeProducts");
  const [gives, takes] = [first.queries, second.keys];
  const [b1, b2] = [first.batch, second.batch];
  const isMismatch = gives !== undefined && takes !== undefined && gives !== takes;
  if (isMismatch || (b1 !== undefined && b2 !== undefined && b1 !== b2)) {
    const what = isMismatch
      ? `the first gives ${gives} positions but the second takes ${takes}`
      : `the first holds for ${b1} prompts but the second for ${b2}`;
    throw new ShapeError(`positions do not fit: ${what}. They are ${String(first)} and ${String(second)}.`, {
      operation: "composeProducts",
      argument: "second",
      expected: isMismatch ? gives : b1,
      actual: isMismatch ? takes : b2,
    });
  }
  return new TensorProduct([...first.positions, ...second.positions], compose(first.features, second.features));
}

/**
 * A tensor product times a number.
 *
 * @throws {@link InputError} when the number is not finite.
 * @category Tensor products
 * @example
 * ```ts
 * import { identityMap, onFeatures, scaleProduct } from "transformer-circuits/linear";
 *
 * console.log(scaleProduct(onFeatures(identityMap("d_model", 2)), 3).features.coefficient);
 * // 3
 * ```
 */
export function scaleProduct<In extends string, Out extends string>(
  product: TensorProduct<In, Out>,
  by: number,
): TensorProduct<In, Out> {
  requireKind(TENSOR_PRODUCT, product, "product", "scaleProduct");
  return new TensorProduct(product.positions, scaleMap(product.features, by));
}
