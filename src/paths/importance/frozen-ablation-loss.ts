/**
 * The loss without some heads while patterns stay as they were (*In-context Learning and Induction Heads*, Olsson et
 * al. 2022).
 */
import { requireKind, requireObject } from "../../errors.ts";
import type { TokensLike, Transformer } from "../../model/index.ts";
import { directStream, freeze } from "../frozen/frozen-run.ts";
import { requireNextTokens } from "../logits/orders.ts";
import { lossesFrom, meanOfPrompts } from "./gains.ts";
import { membership } from "./head-subset.ts";
import type { HeadSubset } from "./head-subset.ts";

/**
 * The mean loss, in nats, of the model without some heads while all patterns and norm scales, and what MLPs write, stay
 * as they were: every path through one of them is gone, with what biases send through them. Olsson et al. call this the
 * pattern-preserving ablation.
 *
 * @param tokens - a prompt, or several of equal length, of at least two tokens.
 * @throws {@link InputError} for a head or layer that the model does not have, or tokens it cannot run or predict.
 * @category Path expansion
 * @example
 * ```ts
 * import { meanLoss } from "transformer-circuits";
 * import { frozenAblationLoss } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const run = model.run([0, 300, 301, 302, 300, 301, 302]);
 * const untouched = frozenAblationLoss(model, run.tokens, { heads: [] });
 * console.log(Math.abs(untouched - meanLoss(run.logits, run.tokens)) < 1e-5);
 * // true
 * ```
 */
export function frozenAblationLoss(model: Transformer, tokens: TokensLike, subset: HeadSubset): number {
  requireKind("model", model, "model", "frozenAblationLoss");
  requireObject(subset, "subset", "frozenAblationLoss");
  if (subset.heads !== undefined) requireKind("list", subset.heads, "subset.heads", "frozenAblationLoss");
  const isMember = membership(model, subset, "frozenAblationLoss");
  const frozen = freeze(model, tokens, "frozenAblationLoss");
  requireNextTokens(frozen, "frozenAblationLoss");
  return meanOfPrompts(lossesFrom(frozen, 0, directStream(frozen), (layer, head) => !isMember(layer, head)));
}
