/**
 * Composition of linear maps: the factors of one after those of the other, nothing multiplied.
 */
import { dual } from "../axes.ts";
import type { Dual } from "../axes.ts";
import { AxisError, InputError, ShapeError, requireKind, requireKinds } from "../errors.ts";
import { transposeProduct } from "./factor.ts";
import { describeMap, Linear, LINEAR_MAP } from "./linear.ts";
import type { OneSpace } from "./one-space.ts";

/**
 * The composition of two to six maps, first map first: `compose(f, g)` is the matrix product `F G`, a row vector going
 * through `f` and then `g`. Its factors are those of all the maps, in order; nothing is multiplied out.
 *
 * The full OV circuit of a head is `compose(W_E, W_OV, W_U)`, its full QK circuit `compose(W_E, W_QK, transpose(W_E))`
 * (*A Mathematical Framework*, "Splitting Attention Head terms into Query-Key and Output-Value Circuits"). A map that
 * does not take what the one before it gives is a compile error at that map; for lists known only at run time there is
 * {@link composeAll}.
 *
 * @returns a map from the space of the first to the space of the last.
 * @throws {@link AxisError} when spaces differ in name; {@link ShapeError} when they differ in size.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, compose, toDense } from "transformer-circuits";
 * import { linear } from "transformer-circuits/linear";
 *
 * const W_E = linear("d_vocab", "d_model", Tensor.fromNested("d_vocab d_model", [[1, 0], [0, 1], [1, 1]]));
 * const W_U = linear("d_model", "d_vocab", Tensor.fromNested("d_model d_vocab", [[1, 2, 3], [4, 5, 6]]));
 * console.log(toDense(compose(W_E, W_U)).toNested());
 * // [ [ 1, 2, 3 ], [ 4, 5, 6 ], [ 5, 7, 9 ] ]
 * ```
 */
export function compose<A extends string, B extends string, C extends string>(
  first: Linear<A, B>,
  second: Linear<NoInfer<B>, C>,
): Linear<A, C>;
export function compose<A extends string, B extends string, C extends string, D extends string>(
  first: Linear<A, B>,
  second: Linear<NoInfer<B>, C>,
  third: Linear<NoInfer<C>, D>,
): Linear<A, D>;
export function compose<A extends string, B extends string, C extends string, D extends string, E extends string>(
  first: Linear<A, B>,
  second: Linear<NoInfer<B>, C>,
  third: Linear<NoInfer<C>, D>,
  fourth: Linear<NoInfer<D>, E>,
): Linear<A, E>;
export function compose<
  A extends string,
  B extends string,
  C extends string,
  D extends string,
  E extends string,
  F extends string,
>(
  first: Linear<A, B>,
  second: Linear<NoInfer<B>, C>,
  third: Linear<NoInfer<C>, D>,
  fourth: Linear<NoInfer<D>, E>,
  fifth: Linear<NoInfer<E>, F>,
): Linear<A, F>;
export function compose<
  A extends string,
  B extends string,
  C extends string,
  D extends string,
  E extends string,
  F extends string,
  G extends string,
>(
  first: Linear<A, B>,
  second: Linear<NoInfer<B>, C>,
  third: Linear<NoInfer<C>, D>,
  fourth: Linear<NoInfer<D>, E>,
  fifth: Linear<NoInfer<E>, F>,
  sixth: Linear<NoInfer<F>, G>,
): Linear<A, G>;
export function compose(...maps: readonly Linear[]): Linear {
  return chain(maps, "compose");
}

/**
 * The composition of a list of maps known only at run time, first map first: maps of one space to itself, or maps
 * without names in their types. A list of maps of different spaces is a compile error.
 *
 * @param maps - at least one map; each must take what the one before it gives.
 * @throws {@link InputError} when the list is empty; {@link AxisError} when spaces differ in name; {@link ShapeError}
 * when they differ in size.
 * @category Linear maps
 * @example
 * ```ts
 * import { composeAll, identityMap, scaleMap, traceOf } from "transformer-circuits/linear";
 *
 * const double = scaleMap(identityMap("d_model", 3), 2);
 * console.log(traceOf(composeAll([double, double, double])));
 * // 24
 * ```
 */
export function composeAll<S extends string>(maps: readonly Linear<S, S>[] & OneSpace<S>): Linear<S, S> {
  return chain(maps, "composeAll") as Linear<S, S>;
}

/** The composition of maps whose spaces the compiler does not know, first map first. */
export function composeMaps(maps: readonly Linear[]): Linear {
  return chain(maps, "composeAll");
}

/**
 * The transpose: `Linear<A, B>` becomes `Linear<B*, A*>`, the factors transposed and in reverse order, without a copy.
 *
 * Rows of the transpose are readings of `B`: `transpose(W_U)` gives one direction of the residual stream per token, and
 * `transpose(W_QK)` swaps query and key.
 *
 * @returns the map of the duals; `transpose(transpose(f))` is `f`.
 * @category Linear maps
 * @example
 * ```ts
 * import { Tensor, toDense, transpose } from "transformer-circuits";
 * import { linear } from "transformer-circuits/linear";
 *
 * const W_K = linear("d_model", "d_head", Tensor.fromNested("d_model d_head", [[1, 2], [3, 4], [5, 6]]));
 * console.log(transpose(W_K).toString());
 * // Linear[d_head*=2 -> d_model*=3] of rank at most 2
 * console.log(toDense(transpose(W_K)).toNested());
 * // [ [ 1, 3, 5 ], [ 2, 4, 6 ] ]
 * ```
 */
export function transpose<In extends string, Out extends string>(f: Linear<In, Out>): Linear<Dual<Out>, Dual<In>> {
  requireKind(LINEAR_MAP, f, "f", "transpose");
  return new Linear(dual(f.out), dual(f.in), transposeProduct(f));
}

const ordinals = ["first", "second", "third", "fourth", "fifth", "sixth"];

function nameOf(index: number, operation: string): string {
  const ordinal = operation === "compose" ? ordinals[index] : undefined;
  return ordinal === undefined ? `map ${index}` : `the ${ordinal} map`;
}

function chain(maps: readonly Linear[], operation: string): Linear {
  requireKinds(LINEAR_MAP, maps, "maps", operation);
  const first = maps[0];
  const last = maps[maps.length - 1];
  if (first === undefined || last === undefined) {
    throw new InputError("there are no maps, so there is no space to map. Give at least one, or use identityMap.", {
      operation,
      argument: "maps",
      expected: "at least one map",
      actual: 0,
    });
  }
  let coefficient = 1;
  for (const [index, map] of maps.entries()) {
    const before = maps[index - 1];
    if (before !== undefined) checkJoin(before, map, index, operation);
    coefficient *= map.coefficient;
  }
  const factors = maps.flatMap((map) => map.factors);
  return new Linear(first.in, last.out, { rows: first.rows, cols: last.cols, coefficient, factors });
}

function checkJoin(before: Linear, map: Linear, index: number, operation: string): void {
  if (before.out === map.in && before.cols === map.rows) return;
  const clash = `${nameOf(index - 1, operation)} gives ${before.out}=${before.cols} but ${nameOf(index, operation)} takes ${map.in}=${map.rows}`;
  const operands = `They are ${describeMap(before)} and ${describeMap(map)}.`;
  const details = {
    operation,
    argument: nameOf(index, operation),
    expected: `${before.out}=${before.cols}`,
    actual: `${map.in}=${map.rows}`,
  };
  if (before.out !== map.in) {
    throw new AxisError(`spaces differ: ${clash}. ${operands}${hint(before, map, index, operation)}`, details);
  }
  throw new ShapeError(`sizes differ: ${clash}. ${operands} Are they of the same model?`, details);
}

function hint(before: Linear, map: Linear, index: number, operation: string): string {
  if (dual(map.out) === before.out && map.cols === before.cols)
    return ` Did you mean transpose of ${nameOf(index, operation)}?`;
  if (dual(before.in) === map.in && before.rows === map.rows) {
    return ` Did you mean transpose of ${nameOf(index - 1, operation)}?`;
  }
  if (dual(before.out) === map.in) {
    return ` Between ${before.out} and ${map.in} there must be a map such as W_QK, or innerProductMap for plain dot products.`;
  }
  return " Each map must take what the one before it gives.";
}
