/**
 * The maps of talking heads, whose patterns are mixed after or before the softmax (*A Mathematical Framework for
 * Transformer Circuits*, "Additional intuition and observations").
 */
import { InputError, requireKind } from "../errors.ts";
import { scaleMap, sumMaps } from "../linear/index.ts";
import type { Linear } from "../linear/index.ts";
import type { AttentionHead, HeadRef, Transformer } from "../model/index.ts";
import { distinctHeads } from "./circuits.ts";

/** The heads with their weights, one each. */
function weighted(
  model: Transformer,
  heads: readonly HeadRef[],
  weights: readonly number[],
  operation: string,
): readonly (readonly [AttentionHead, number])[] {
  const chosen = distinctHeads(model, heads, operation);
  const at = weights.findIndex((weight) => !Number.isFinite(weight));
  if (weights.length !== chosen.length || at >= 0) {
    throw new InputError(
      at >= 0
        ? `the weight of ${chosen[at]?.label ?? `head ${at}`} is ${weights[at]}; weights are finite numbers.`
        : `there are ${chosen.length} heads but ${weights.length} weights. Give one for each head.`,
      {
        operation,
        argument: "weights",
        expected: at >= 0 ? "finite numbers" : chosen.length,
        actual: at >= 0 ? weights[at] : weights.length,
      },
    );
  }
  return chosen.map((head, i) => [head, weights[i] as number] as const);
}

/**
 * The OV map of a head whose values are mixed from several, $\sum_i \alpha_i W_V^i W_O^i$: of talking heads, which mix
 * patterns after the softmax, the map that goes with pattern h has the weights with which pattern h enters every head.
 * Kept in factors; its rank is at most the sum of theirs.
 *
 * @param heads - the heads mixed, by place or label.
 * @param weights - one number for each, $\alpha_i$.
 * @throws {@link InputError} for a head that the model does not have or that is named twice, no heads, or weights that
 * do not fit.
 * @category Circuits
 * @example
 * ```ts
 * import { mixedOV } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(String(mixedOV(model, ["L1H3", "L1H4"], [0.5, -1])));
 * // Linear[d_model=128 -> d_model=128] of rank at most 32
 * ```
 */
export function mixedOV(
  model: Transformer,
  heads: readonly HeadRef[],
  weights: readonly number[],
): Linear<"d_model", "d_model"> {
  requireKind("model", model, "model", "mixedOV");
  requireKind("list", heads, "heads", "mixedOV");
  requireKind("list", weights, "weights", "mixedOV");
  return sumMaps(weighted(model, heads, weights, "mixedOV").map(([head, weight]) => scaleMap(head.W_OV, weight)));
}

/**
 * The QK map of a head whose scores are mixed from several, $\sum_i \alpha_i W_Q^i (W_K^i)^\top$: of talking heads,
 * which mix scores before the softmax. Unscaled, kept in factors.
 *
 * @param heads - the heads mixed, by place or label; of layers with one attention scale.
 * @param weights - one number for each, $\alpha_i$.
 * @throws {@link InputError} for a head that the model does not have or that is named twice, no heads, or weights that
 * do not fit.
 * @category Circuits
 * @example
 * ```ts
 * import { mixedQK } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(String(mixedQK(model, ["L1H3", "L1H4"], [0.5, 0.5])));
 * // Linear[d_model=128 -> d_model*=128] of rank at most 32
 * ```
 */
export function mixedQK(
  model: Transformer,
  heads: readonly HeadRef[],
  weights: readonly number[],
): Linear<"d_model", "d_model*"> {
  requireKind("model", model, "model", "mixedQK");
  requireKind("list", heads, "heads", "mixedQK");
  requireKind("list", weights, "weights", "mixedQK");
  return sumMaps(weighted(model, heads, weights, "mixedQK").map(([head, weight]) => scaleMap(head.W_QK, weight)));
}
