/**
 * Sums of named tensor products, and products of such sums written out:
 * $(\mathrm{Id} + \sum_a A_a)(\mathrm{Id} + \sum_b B_b) = \mathrm{Id} + \sum_a A_a + \sum_b B_b + \sum_{a,b} B_b A_a$.
 * A transformer's layers are such factors; {@link expandSums} is the path expansion trick without a model.
 */
import {
  AxisError,
  InputError,
  ShapeError,
  requireKind,
  requireKinds,
  requireObject,
  requireOrderBound,
} from "../../errors.ts";
import { Shown } from "../../show/index.ts";
import type { Showing } from "../../show/index.ts";
import { add } from "../../tensor/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import { applyProduct } from "./apply-product.ts";
import { describeMap, identityMap } from "../linear.ts";
import type { OneSpace } from "../one-space.ts";
import { TENSOR_PRODUCT, composeProducts, onFeatures } from "./tensor-product.ts";
import type { TensorProduct } from "./tensor-product.ts";
import type { Kind } from "../../errors.ts";

const TENSOR_SUM: Kind = { member: "terms", what: "a TensorSum", remedy: "Make one with sumProducts" };

/**
 * A tensor product with a name. The identity's name is `Id`.
 * @category Tensor products
 */
export interface NamedProduct<In extends string = string, Out extends string = string> {
  readonly label: string;
  readonly product: TensorProduct<In, Out>;
}

/**
 * One term of a product of sums written out.
 * @category Tensor products
 */
export interface ExpandedProduct<In extends string = string, Out extends string = string> extends NamedProduct<
  In,
  Out
> {
  /** The names of what it is made of, identities left out, the one that acts first at the front. */
  readonly parts: readonly string[];
  /** How many those are. */
  readonly order: number;
}

/**
 * A sum of named tensor products between the same spaces, as a layer of a transformer is:
 * $\mathrm{Id} \otimes \mathrm{Id} + \sum_h A^h \otimes W_{OV}^h$. Made by {@link sumProducts}.
 *
 * @category Tensor products
 * @example
 * ```ts
 * import { factoredModel } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const [layer] = factoredModel(model, [0, 300, 301]).layers;
 * console.log(String(layer));
 * // Id + L0H0 + L0H1 + L0H2 + L0H3 + L0H4 + L0H5 + L0H6 + L0H7
 * ```
 */
export class TensorSum<In extends string = string, Out extends string = string> extends Shown {
  readonly terms: readonly NamedProduct<In, Out>[];

  /** For the functions of this folder; use {@link sumProducts}. */
  constructor(terms: readonly NamedProduct<In, Out>[]) {
    super();
    this.terms = terms;
  }

  /** The names of the terms, with plus signs between. */
  override toString(): string {
    return this.terms.map(({ label }) => label).join(" + ");
  }

  /** @internal */
  override showing(): Showing {
    const facts = this.terms.map(({ label, product }) => [label, product.toString()] as const);
    return { title: `TensorSum of ${facts.length} terms`, parts: () => [{ kind: "facts", facts }] };
  }
}

/**
 * The sum of named tensor products.
 *
 * @param terms - at least one, all between the same spaces; names are free, but no two alike.
 * @throws {@link InputError} when the list is empty or a name stands twice; {@link AxisError} when spaces differ in
 * name; {@link ShapeError} when they differ in size.
 * @category Tensor products
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { applySum, identityMap, onFeatures, sumProducts, tensorProduct } from "transformer-circuits/linear";
 *
 * const Id = identityMap("d_model", 1);
 * const previous = Tensor.fromNested("query_pos key_pos", [[0, 0], [1, 0]]);
 * const layer = sumProducts([
 *   { label: "Id", product: onFeatures(Id) },
 *   { label: "previous", product: tensorProduct(previous, Id) },
 * ]);
 * console.log(applySum(Tensor.fromNested("batch pos d_model", [[[1], [10]]]), layer).toNested());
 * // [ [ [ 1 ], [ 11 ] ] ]
 * ```
 */
export function sumProducts<In extends string, Out extends string>(
  terms: readonly NamedProduct<In, Out>[] & OneSpace<In> & OneSpace<Out>,
): TensorSum<In, Out> {
  requireKind("list", terms, "terms", "sumProducts");
  const operation = "sumProducts";
  const first = terms[0];
  if (first === undefined) {
    throw new InputError("there are no terms, so there are no spaces to map between. Give at least one.", {
      operation,
      argument: "terms",
      actual: 0,
    });
  }
  const labels = new Set<string>();
  for (const term of terms) {
    requireObject(term, "a term", operation);
    const { label, product } = term;
    requireKind(TENSOR_PRODUCT, product, `the term ${label}`, operation);
    const [f, g] = [first.product.features, product.features];
    if (labels.has(label)) {
      throw new InputError(`two terms are named ${JSON.stringify(label)}; give each a name of its own.`, {
        operation,
        argument: "terms",
        actual: label,
      });
    }
    labels.add(label);
    const text = `the term ${label} maps ${describeMap(g)} but ${first.label} maps ${describeMap(f)}. A sum needs maps between the same spaces.`;
    const details = { operation, argument: label, expected: describeMap(f), actual: describeMap(g) };
    if (f.in !== g.in || f.out !== g.out) throw new AxisError(text, details);
    if (f.rows !== g.rows || f.cols !== g.cols) throw new ShapeError(text, details);
  }
  return new TensorSum(terms);
}

/**
 * A sum of tensor products applied to a stream, term by term.
 *
 * @param x - `[batch, pos, In]`.
 * @returns `[batch, pos, Out]`.
 * @throws as {@link applyProduct}.
 * @category Tensor products
 * @example
 * ```ts
 * import { applySum } from "transformer-circuits/linear";
 * import { factoredModel } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { layers, embedding } = factoredModel(model, [0, 300, 301]);
 * const after = layers.reduce((x, layer) => applySum(x, layer), embedding);
 * console.log(String(after));
 * // Tensor[batch=1 pos=3 d_model=128] float64
 * ```
 */
export function applySum<In extends string, Out extends string>(
  x: Tensor<`batch pos ${In}`>,
  sum: TensorSum<NoInfer<In>, Out>,
): Tensor<`batch pos ${Out}`> {
  requireKind("tensor", x, "x", "applySum");
  requireKind(TENSOR_SUM, sum, "sum", "applySum");
  return sum.terms.map(({ product }) => applyProduct(x, product)).reduce((a, b) => add(a, b));
}

/**
 * Options of {@link expandSums}.
 * @category Tensor products
 */
export interface ExpandOptions {
  /** The most factors other than the identity in a term; all by default. Longer terms are left out. */
  readonly maxOrder?: number | undefined;
  /** The most terms to write out, 4096 by default; more are rejected. */
  readonly maxTerms?: number | undefined;
}

/**
 * A product of sums multiplied out into its terms, the first sum applied first: one choice from every factor, by the
 * mixed product rule. Terms come by the number of their factors other than the identity, then in the order of the
 * choices; nothing is multiplied.
 *
 * @throws {@link InputError} when there are no factors, or more terms than `maxTerms`, with their number.
 * @category Tensor products
 * @example
 * ```ts
 * import { expandSums } from "transformer-circuits/linear";
 * import { factoredModel } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const terms = expandSums(factoredModel(model, [0, 300, 301]).layers);
 * console.log(terms.length, terms[80]?.label, terms[80]?.order);
 * // 81 L0H7→L1H7 2
 * ```
 */
export function expandSums<S extends string>(
  factors: readonly TensorSum<S, S>[] & OneSpace<S>,
  options: ExpandOptions = {},
): ExpandedProduct<S, S>[] {
  requireKinds(TENSOR_SUM, factors, "factors", "expandSums", options, "maxOrder maxTerms");
  const { maxOrder = factors.length, maxTerms = 4096 } = options;
  const operation = "expandSums";
  const first = factors[0]?.terms[0];
  if (first === undefined) {
    throw new InputError("there are no factors to multiply out. Give at least one sum.", {
      operation,
      argument: "factors",
      actual: 0,
    });
  }
  requireOrderBound(maxOrder, operation);
  const count = countTerms(factors, maxOrder);
  if (!(count <= maxTerms)) {
    throw new InputError(
      `the product has ${count} terms of at most ${maxOrder} factors, more than maxTerms=${maxTerms}. Lower maxOrder, apply the sums one by one with applySum, or raise maxTerms.`,
      { operation, argument: "maxTerms", expected: maxTerms, actual: count },
    );
  }
  const { in: space, rows } = first.product.features;
  let terms: Choice<S>[] = [{ places: [], parts: [], product: onFeatures(identityMap(space, rows)) }];
  for (const [place, factor] of factors.entries()) {
    terms = terms.flatMap((term) =>
      factor.terms.flatMap(({ label, product }, which) => {
        if (product.isIdentity) return [term];
        if (term.parts.length === maxOrder) return [];
        const places = [...term.places, place, which];
        return [{ places, parts: [...term.parts, label], product: composeProducts(term.product, product) }];
      }),
    );
  }
  return terms.sort(byOrderThenPlace).map(({ parts, product }) => ({
    label: parts.length === 0 ? "Id" : parts.join("→"),
    parts,
    order: parts.length,
    product,
  }));
}

interface Choice<S extends string> {
  /** The factor and the term in it of every part, flat. */
  readonly places: readonly number[];
  readonly parts: readonly string[];
  readonly product: TensorProduct<S, S>;
}

function byOrderThenPlace<S extends string>(a: Choice<S>, b: Choice<S>): number {
  const at = a.places.findIndex((place, i) => place !== b.places[i]);
  return a.places.length - b.places.length || (a.places[at] ?? 0) - (b.places[at] ?? 0);
}

/**
 * How many terms of at most `maxOrder` factors other than the identity a product of sums has, without writing them out.
 *
 * @category Tensor products
 * @example
 * ```ts
 * import { countTerms } from "transformer-circuits/linear";
 * import { factoredModel } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { layers } = factoredModel(model, [0, 300, 301]);
 * console.log(countTerms(layers), countTerms(layers, 1));
 * // 81 17
 * ```
 */
export function countTerms(factors: readonly TensorSum[], maxOrder = factors.length): number {
  requireKinds(TENSOR_SUM, factors, "factors", "countTerms");
  requireOrderBound(maxOrder, "countTerms");
  // Coefficients of Π (identities + others · z), cut at z^maxOrder.
  let counts = [1];
  for (const { terms } of factors) {
    const identities = terms.filter(({ product }) => product.isIdentity).length;
    const others = terms.length - identities;
    counts = Array.from(
      { length: Math.min(maxOrder, counts.length) + 1 },
      (_, p) => identities * (counts[p] ?? 0) + others * (counts[p - 1] ?? 0),
    );
  }
  return counts.reduce((a, b) => a + b, 0);
}
