/**
 * The loss of the direct path and some heads' single-head paths (*A Mathematical Framework for Transformer Circuits*,
 * "Term importance analysis").
 */
import { requireKind, requireObject } from "../../errors.ts";
import type { TokensLike, Transformer } from "../../model/index.ts";
import { add } from "../../tensor/index.ts";
import { finalConstants, layerTerm } from "../frozen/frozen-layers.ts";
import { freeze, headlessStream } from "../frozen/frozen-run.ts";
import { requireNextTokens } from "../logits/orders.ts";
import { lossesOfPaths, meanOfPrompts } from "./gains.ts";
import { membership } from "./head-subset.ts";
import type { HeadSubset } from "./head-subset.ts";

/**
 * The mean loss, in nats, of the direct path together with the single-head paths of some heads, and the biases: no path
 * through two heads is kept. An empty subset gives the loss of the direct path.
 *
 * The Framework's table of term importance by layer is made of differences of these.
 *
 * @param tokens - a prompt, or several of equal length, of at least two tokens.
 * @throws {@link InputError} for a head or layer that the model does not have, or tokens it cannot run or predict.
 * @category Path expansion
 * @example
 * ```ts
 * import { firstOrderLoss, lossByMaxOrder } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = [0, 300, 301, 302, 303, 300, 301, 302, 303];
 * const { loss } = lossByMaxOrder(model, tokens);
 * console.log(Math.abs(firstOrderLoss(model, tokens, { layers: [0, 1] }) - loss.at(1)) < 1e-9);
 * // true
 * ```
 */
export function firstOrderLoss(model: Transformer, tokens: TokensLike, subset: HeadSubset): number {
  requireKind("model", model, "model", "firstOrderLoss");
  requireObject(subset, "subset", "firstOrderLoss");
  if (subset.heads !== undefined) requireKind("list", subset.heads, "subset.heads", "firstOrderLoss");
  const isMember = membership(model, subset, "firstOrderLoss");
  const frozen = freeze(model, tokens, "firstOrderLoss");
  requireNextTokens(frozen, "firstOrderLoss");
  const stream = model.layers.reduce(
    (sum, { layer }) =>
      add(
        sum,
        layerTerm(frozen, layer, headlessStream(frozen, layer), (head) => isMember(layer, head)),
      ),
    headlessStream(frozen, model.config.n_layers),
  );
  return meanOfPrompts(lossesOfPaths(frozen, stream, finalConstants(frozen)));
}
