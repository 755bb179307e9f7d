/**
 * Sums, differences and multiples of linear maps, still in factors.
 */
import { AxisError, InputError, ShapeError, requireKind, requireKinds } from "../errors.ts";
import { sameFactor, sumWidth } from "./factor.ts";
import type { Factor, Product, SumFactor } from "./factor.ts";
import { describeMap, Linear, LINEAR_MAP } from "./linear.ts";
import type { OneSpace } from "./one-space.ts";

/**
 * The sum of maps between the same spaces, kept in factors.
 *
 * Two products side by side are one product, $A_1 B_1 + A_2 B_2 = [A_1\; A_2]\,[B_1;\, B_2]$, so ranks add. Factors
 * that all maps begin or end with are taken out first, $W_E A W_U + W_E B W_U = W_E (A + B) W_U$: the effective
 * circuit of a set of heads costs hardly more than that of one.
 *
 * @throws {@link AxisError} when spaces differ in name; {@link ShapeError} when they differ in size.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, toDense } from "transformer-circuits";
 * import { addMaps, linear } from "transformer-circuits/linear";
 *
 * const f = linear("d_head", "d_model", Tensor.fromNested("d_head d_model", [[1, 2], [3, 4]]));
 * const g = linear("d_head", "d_model", Tensor.fromNested("d_head d_model", [[10, 0], [0, 10]]));
 * console.log(toDense(addMaps(f, g)).toNested());
 * // [ [ 11, 2 ], [ 3, 14 ] ]
 * ```
 */
export function addMaps<In extends string, Out extends string>(
  f: Linear<In, Out>,
  ...others: readonly Linear<NoInfer<In>, NoInfer<Out>>[]
): Linear<In, Out> {
  requireKind(LINEAR_MAP, f, "f", "addMaps");
  return added([f, ...others], "addMaps");
}

/**
 * The sum of a list of maps known only at run time; see {@link addMaps}. The effective OV circuit of several heads
 * that attend alike is the sum of their OV circuits. A list of maps between different spaces is a compile error.
 *
 * @param maps - at least one map, all between the same spaces.
 * @throws {@link InputError} when the list is empty; {@link AxisError} when spaces differ in name; {@link ShapeError}
 * when they differ in size.
 * @category Linear maps
 * @example
 * ```ts
 * import { identityMap, sumMaps, traceOf } from "transformer-circuits/linear";
 *
 * const identity = identityMap("d_model", 3);
 * console.log(traceOf(sumMaps([identity, identity, identity])));
 * // 9
 * ```
 */
export function sumMaps<In extends string, Out extends string>(
  maps: readonly Linear<In, Out>[] & OneSpace<In> & OneSpace<Out>,
): Linear<In, Out> {
  return added(maps, "sumMaps");
}

/**
 * `f - g`, kept in factors; see {@link addMaps}.
 *
 * @throws {@link AxisError} when spaces differ in name; {@link ShapeError} when they differ in size.
 * @category Linear maps
 * @example
 * ```ts
 * import { frobeniusNormOf, identityMap, subtractMaps } from "transformer-circuits/linear";
 *
 * const identity = identityMap("d_model", 3);
 * console.log(frobeniusNormOf(subtractMaps(identity, identity)));
 * // 0
 * ```
 */
export function subtractMaps<In extends string, Out extends string>(
  f: Linear<In, Out>,
  g: Linear<NoInfer<In>, NoInfer<Out>>,
): Linear<In, Out> {
  requireKind(LINEAR_MAP, g, "g", "subtractMaps");
  return added([f, multiplied(g, -1)], "subtractMaps");
}

/**
 * A map times a number; no matrix is touched.
 *
 * @throws {@link InputError} when the number is not finite.
 * @category Linear maps
 * @example
 * ```ts
 * import { toDense } from "transformer-circuits";
 * import { identityMap, scaleMap } from "transformer-circuits/linear";
 *
 * console.log(toDense(scaleMap(identityMap("d_head", 2), 0.5)).toNested());
 * // [ [ 0.5, 0 ], [ 0, 0.5 ] ]
 * ```
 */
export function scaleMap<In extends string, Out extends string>(f: Linear<In, Out>, by: number): Linear<In, Out> {
  requireKind(LINEAR_MAP, f, "f", "scaleMap");
  if (!Number.isFinite(by)) {
    throw new InputError(`cannot multiply ${describeMap(f)} by ${by}; use a finite number.`, {
      operation: "scaleMap",
      argument: "by",
      actual: by,
    });
  }
  return multiplied(f, by);
}

function multiplied<In extends string, Out extends string>(f: Linear<In, Out>, by: number): Linear<In, Out> {
  const { rows, cols, factors } = f;
  return new Linear(f.in, f.out, { rows, cols, factors, coefficient: by * f.coefficient });
}

function added<In extends string, Out extends string>(
  maps: readonly Linear<In, Out>[],
  operation: string,
): Linear<In, Out> {
  requireKinds(LINEAR_MAP, maps, "maps", operation);
  const first = maps[0];
  if (first === undefined) {
    throw new InputError("there are no maps, so there are no spaces to map between. Give at least one.", {
      operation,
      argument: "maps",
      expected: "at least one map",
      actual: 0,
    });
  }
  for (const [index, map] of maps.entries()) checkAlike(first, map, index, operation);
  return new Linear(first.in, first.out, sumOf(maps));
}

function checkAlike(first: Linear, map: Linear, index: number, operation: string): void {
  const sameSpaces = map.in === first.in && map.out === first.out;
  if (sameSpaces && map.rows === first.rows && map.cols === first.cols) return;
  const text = `${sameSpaces ? "sizes" : "spaces"} differ: map 0 is ${describeMap(first)} but map ${index} is ${describeMap(map)}. A sum needs maps between the same spaces.`;
  const details = { operation, argument: `map ${index}`, expected: describeMap(first), actual: describeMap(map) };
  throw sameSpaces ? new ShapeError(text, details) : new AxisError(text, details);
}

/** The sum of products of equal sizes as one product. */
export function sumOf(products: readonly Product[]): Product {
  const terms = gathered(products);
  const { rows, cols } = terms[0] as Product;
  if (terms.length === 1) return terms[0] as Product;
  const { prefix, suffix, inner } = takeOutEnds(terms);
  const innerTerms = gathered(inner.flatMap(termsOf));
  const head = innerTerms[0] as Product;
  const sum: SumFactor = { kind: "sum", rows: head.rows, cols: head.cols, terms: innerTerms };
  const middle: Product = innerTerms.length === 1 ? head : { ...head, coefficient: 1, factors: [sum] };
  return { rows, cols, coefficient: middle.coefficient, factors: [...prefix, ...middle.factors, ...suffix] };
}

/** Terms of the same factors become one, their coefficients added. */
function gathered(terms: readonly Product[]): readonly Product[] {
  const kept: Product[] = [];
  for (const term of terms) {
    const at = kept.findIndex((other) => sameFactors(other.factors, term.factors));
    const other = kept[at];
    if (other === undefined) kept.push(term);
    else kept[at] = { ...plain(other), coefficient: other.coefficient + term.coefficient };
  }
  return kept;
}

function sameFactors(a: readonly Factor[], b: readonly Factor[]): boolean {
  return a.length === b.length && a.every((factor, t) => sameFactor(factor, b[t] as Factor));
}

function plain(product: Product): Product {
  const { rows, cols, coefficient, factors } = product;
  return { rows, cols, coefficient, factors };
}

/** A term that is itself nothing but a sum, as its terms. */
function termsOf(term: Product): readonly Product[] {
  const only = term.factors[0];
  if (term.factors.length !== 1 || only?.kind !== "sum") return [term];
  return only.terms.map((t) => ({ ...plain(t), coefficient: t.coefficient * term.coefficient }));
}

interface Ends {
  readonly prefix: readonly Factor[];
  readonly suffix: readonly Factor[];
  readonly inner: readonly Product[];
}

/**
 * The factors that all terms begin and end with, and the terms without them. A step that would leave a bare identity
 * is taken only where that identity is no wider than the terms side by side.
 */
function takeOutEnds(terms: readonly Product[]): Ends {
  const width = sumWidth(terms);
  const prefix: Factor[] = [];
  const suffix: Factor[] = [];
  let inner = terms;
  for (;;) {
    const first = commonFactor(inner, 0);
    const fromStart = first !== undefined && leavesNoWideIdentity(inner, first.cols, width);
    const last = fromStart ? undefined : commonFactor(inner, -1);
    if (first !== undefined && fromStart) {
      prefix.push(first);
      inner = inner.map((t) => ({ ...plain(t), rows: first.cols, factors: t.factors.slice(1) }));
    } else if (last !== undefined && leavesNoWideIdentity(inner, last.rows, width)) {
      suffix.unshift(last);
      inner = inner.map((t) => ({ ...plain(t), cols: last.rows, factors: t.factors.slice(0, -1) }));
    } else return { prefix, suffix, inner };
  }
}

function commonFactor(terms: readonly Product[], at: number): Factor | undefined {
  const first = terms[0]?.factors.at(at);
  if (first === undefined) return undefined;
  const isCommon = terms.every((t) => {
    const other = t.factors.at(at);
    return other !== undefined && sameFactor(first, other);
  });
  return isCommon ? first : undefined;
}

function leavesNoWideIdentity(terms: readonly Product[], size: number, width: number): boolean {
  return size <= width || terms.every((t) => t.factors.length > 1);
}
