/**
 * The embedding as later layers see it once heads of the first layer that attend to the present token have added to it.
 */
import { InputError, requireKind } from "../errors.ts";
import { addMaps, compose, identityMap, sumMaps } from "../linear/index.ts";
import type { Linear } from "../linear/index.ts";
import type { HeadRef, Transformer } from "../model/index.ts";
import { distinctHeads } from "./circuits.ts";

/**
 * What later layers see of a token once some heads of the first layer, which attend to the present token alone, have
 * added to it: $W_E (I + \sum_h W_{OV}^h)$. As good as the heads' mean attention to the present token is near 1.
 *
 * @param heads - heads of layer 0, by place or label.
 * @throws {@link InputError} for a head that the model does not have or that is named twice, no heads, or a head of a
 * later layer.
 * @category Circuits
 * @example
 * ```ts
 * import { effectiveEmbedding } from "transformer-circuits/circuits";
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
