/**
 * Heads' maps taken together: of talking heads, whose patterns are mixed after or before the softmax, and of heads that always look at the present token
 * (*A Mathematical Framework for Transformer Circuits*, "Additional intuition and observations"; ARENA 1.2, effective embedding).
 */
import { InputError, requireKind } from "../errors.ts";
import { addMaps, compose, identityMap, scaleMap, sumMaps } from "../linear/index.ts";
import type { Linear } from "../linear/index.ts";
import type { AttentionHead, HeadRef, Transformer } from "../model/index.ts";
import { distinctHeads } from "./full-circuits.ts";

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
 * The OV map of a head whose values are mixed from several, $\sum_i \alpha_i W_V^i W_O^i$: of talking heads, which mix patterns after the softmax, the map that
 * goes with pattern h has the weights with which pattern h enters every head. Kept in factors; its rank is at most the sum of theirs.
 *
 * @param heads - the heads mixed, by place or label.
 * @param weights - one number for each, $\alpha_i$.
 * @throws {@link InputError} for a head that the model does not have or that is named twice, no heads, or weights that do not fit.
 * @category Circuits
 * @example
 * ```ts
 * import { mixedOV } from "transformer-circuits";
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
 * The QK map of a head whose scores are mixed from several, $\sum_i \alpha_i W_Q^i (W_K^i)^\top$: of talking heads, which mix scores before the softmax. Unscaled, kept
 * in factors.
 *
 * @param heads - the heads mixed, by place or label; of layers with one attention scale.
 * @param weights - one number for each, $\alpha_i$.
 * @throws {@link InputError} for a head that the model does not have or that is named twice, no heads, or weights that do not fit.
 * @category Circuits
 * @example
 * ```ts
 * import { mixedQK } from "transformer-circuits";
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

/**
 * What later layers see of a token once some heads of the first layer, which attend to the present token alone, have added to it:
 * $W_E (I + \sum_h W_{OV}^h)$. As good as the heads' mean attention to the present token is near 1.
 *
 * @param heads - heads of layer 0, by place or label.
 * @throws {@link InputError} for a head that the model does not have or that is named twice, no heads, or a head of a later layer.
 * @category Circuits
 * @example
 * ```ts
 * import { effectiveEmbedding } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(String(effectiveEmbedding(model, ["L0H1"])));
 * // Linear[d_vocab=1024 -> d_model=128] of rank at most 128
 * ```
 */
export function effectiveEmbedding(model: Transformer, heads: readonly HeadRef[]): Linear<"d_vocab", "d_model"> {
  requireKind("model", model, "model", "effectiveEmbedding");
  requireKind("list", heads, "heads", "effectiveEmbedding");
  const operation = "effectiveEmbedding";
  const chosen = distinctHeads(model, heads, operation);
  const later = chosen.find(({ layer }) => layer > 0);
  if (later !== undefined) {
    throw new InputError(
      `${later.label} is not of layer 0; only heads that read the embedding itself can be put into it.`,
      {
        operation,
        argument: "heads",
        expected: "heads of layer 0",
        actual: later.label,
      },
    );
  }
  const sum = sumMaps(chosen.map((head) => head.W_OV));
  return compose(model.W_E, addMaps(identityMap("d_model", model.config.d_model), sum));
}
