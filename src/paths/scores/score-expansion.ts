/**
 * Attention scores of a head as a sum over what moved information to its queries and to its keys (*A Mathematical
 * Framework for Transformer Circuits*, "Path expansion of attention scores QK circuit"; ARENA 1.2, "decomposed
 * scores").
 *
 * With the parts $y_a$ of what the layer reads, $S = \sum_{a,b} y_a W_{QK}\, y_b^\top / c$: the terms
 * $A_q \otimes A_k \otimes W$ of the paper, without composition where both parts are embeddings, with Q-composition
 * where a head moved the query's, with K-composition where one moved the key's, and with both.
 */
import { InputError, requireKind } from "../../errors.ts";
import type { HeadRef, PartialRun, TokensLike, Transformer } from "../../model/index.ts";
import { headLabel } from "../../model/index.ts";
import { requireChoice } from "../../model/internal.ts";
import { freezeRun, freezeToScores, isRun } from "../frozen/frozen-run.ts";
import { checkTermCount, scoreComponents } from "./components.ts";
import { ScoreExpansion } from "./expansion.ts";

/**
 * How {@link scoreExpansion} takes scores apart.
 * @category Attention scores
 */
export interface ScoreExpansionOptions {
  /**
   * The parts of queries and keys: what each earlier head really wrote, all that it read included (`"head"`, the
   * default, as ARENA's decomposition), or every path of the embeddings through earlier heads (`"path"`). In a
   * two-layer model they are the same, unless positions are in the stream, which paths tell from tokens. In deep models
   * paths are too many to list: all of each number of heads are one part (`"order"`: `1 head`, `2 heads`), or all that
   * begin with each head (`"firstHead"`: `L0H5⋯`); `"head"` has them by the last. What MLPs wrote in the run are parts
   * of their own (`0_mlp_out`), by path also through the heads after them (`0_mlp_out→L1H2`).
   */
  readonly by?: "head" | "path" | "order" | "firstHead" | undefined;
  /**
   * With `by: "path"` or `"order"`, the most heads on a path; longer ones are one part, the remainder. All by default.
   */
  readonly maxOrder?: number | undefined;
  /** The most terms, 65,536 by default; more are rejected. */
  readonly maxTerms?: number | undefined;
  /** Cancels the run that patterns and scales are taken from. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a head's attention scores on some tokens as a sum over what moved information to its queries and to its keys,
 * patterns and norm scales as one ordinary run had them (*A Mathematical Framework for Transformer Circuits*, "Path
 * expansion of attention scores QK circuit"; ARENA 1.2, "decomposing attention scores"). Exact for every kind of
 * positions, norms and biases; for rotary positions every part is rotated to its position, so that a term's score
 * depends on the offset as the model's does.
 *
 * @param tokens - a prompt, or several of equal length.
 * @param head - the head, by place or label; in layer 0 nothing but token, position and biases is there.
 * @throws {@link InputError} for a head that the model does not have, tokens it cannot run, an impossible `maxOrder`,
 * or more terms than `maxTerms`, with their number.
 * @category Attention scores
 * @example
 * ```ts
 * import { scoreExpansion } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const expansion = scoreExpansion(model, [0, 300, 301, 302, 300, 301], "L1H4");
 * const { withinBound, terms } = expansion.certificate();
 * console.log(withinBound, terms);
 * // true 121
 * console.log(expansion.select({ composition: "K", query: "embed" }).length);
 * // 8
 * console.log(String(expansion.scores({ query: "embed", key: "L0H5" })));
 * // Tensor[batch=1 query_pos=6 key_pos=6] float64
 * ```
 */
export function scoreExpansion(
  model: Transformer,
  tokens: TokensLike,
  head: HeadRef,
  options?: ScoreExpansionOptions,
): ScoreExpansion;
/** As above, of a run that was made before, edits and all. */
export function scoreExpansion(run: PartialRun, head: HeadRef, options?: ScoreExpansionOptions): ScoreExpansion;
export function scoreExpansion(
  subject: Transformer | PartialRun,
  tokensOrHead: TokensLike | HeadRef,
  headOrOptions?: HeadRef | ScoreExpansionOptions,
  given?: ScoreExpansionOptions,
): ScoreExpansion {
  const operation = "scoreExpansion";
  const ofRun = isRun(subject);
  const options = ((ofRun ? headOrOptions : given) ?? {}) as ScoreExpansionOptions;
  const model = ofRun ? subject.model : subject;
  requireKind("model", model, ofRun ? "run.model" : "model", operation, options, "by maxOrder maxTerms signal");
  const { layer, head: index } = model.head((ofRun ? tokensOrHead : headOrOptions) as HeadRef);
  const { by = "head", maxOrder = layer, maxTerms = 65_536 } = options;
  requireChoice(by, ["head", "path", "order", "firstHead"], "by", operation);
  if (!Number.isSafeInteger(maxOrder) || maxOrder < 0) {
    throw new InputError(
      `maxOrder is ${maxOrder}; it counts the heads on a path to ${headLabel({ layer, head: index })}, from 0 to ${layer}.`,
      { operation, argument: "maxOrder", expected: [0, layer], actual: maxOrder },
    );
  }
  const id = { layer, head: index };
  checkTermCount(model, id, by, Math.min(maxOrder, layer), maxTerms, ofRun ? subject.edited.length : 0);
  const frozen = ofRun
    ? freezeRun(subject, operation, { needsLogits: false })
    : freezeToScores(model, tokensOrHead as TokensLike, layer, operation, options.signal);
  return new ScoreExpansion(frozen, id, scoreComponents(frozen, id, by, Math.min(maxOrder, layer)), by);
}
