/**
 * Path expansion of the logits: the model written as a sum over paths, each through at most one head of every layer (*A
 * Mathematical Framework for Transformer Circuits*, "Path expansion trick").
 *
 * With row vectors, patterns $A$ and norm scales as a run had them,
 *
 * $$\text{logits} = T W_E W_U + \sum_h A^h T W_E W_{OV}^h W_U + \sum_{h_1 < h_2} A^{h_2} A^{h_1} T W_E W_{OV}^{h_1} W_{OV}^{h_2} W_U + \dots + \text{bias}$$
 *
 * (the paper writes columns, so there the order of the OV matrices is reversed). It is exact for every model this
 * library holds; {@link PathExpansion.certificate} says how exactly.
 *
 * In a model with MLPs, paths begin in the embedding, in what an MLP wrote in the run, which is a constant like the
 * patterns, or in a bias: no path goes through an MLP.
 */
import { InputError, requireKind } from "../../errors.ts";
import type { Run, TokensLike, Transformer } from "../../model/index.ts";
import { PathExpansion } from "./expansion.ts";
import { FACTORED_MODEL, FactoredModel } from "../factored-model.ts";
import { frozenOf, isRun } from "../frozen/frozen-run.ts";
import { biasSources, countPaths, editSources, embeddingSources, mlpSources, pathEntries } from "./sources.ts";
import type { FrozenSource, SourceEntry } from "./sources.ts";

/**
 * Which paths {@link pathExpansion} writes out.
 * @category Path expansion
 */
export interface PathExpansionOptions {
  /** The most heads on a path; all layers by default. Longer paths are summed into one term, the remainder. */
  readonly maxOrder?: number | undefined;
  /** The most paths to write out, 4096 by default; more are rejected. */
  readonly maxTerms?: number | undefined;
  /**
   * Whether token and positional embedding begin paths of their own; only where positions enter the residual stream.
   */
  readonly splitPositions?: boolean | undefined;
  /**
   * Whether every bias begins paths of its own, `b_O[0]`, `b_V[0]→L0H3`, rather than all of them standing as one term
   * `bias`; those within MLPs are part of what these wrote.
   */
  readonly splitBiases?: boolean | undefined;
  /** Cancels the run that patterns and scales are taken from. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a model's logits on some tokens as a sum over paths, exactly (*A Mathematical Framework for Transformer
 * Circuits*, "Path expansion trick"; ARENA 1.2 does it for two layers without biases).
 *
 * One ordinary run gives attention patterns, norm scales and what MLPs wrote, which are then constants. Terms are
 * computed when asked for. Of a {@link FactoredModel} the expansion is its product written out.
 *
 * A run that was made before can be given, an edited one too. Patterns and scales are then as edits left them; a head
 * whose weighted values were set to 0 at a position attends to nothing there. What other edits of values, weighted
 * values and the stream added begins paths of its own, `edit[blocks.0.hook_resid_post]→L1H2`.
 *
 * @param tokens - a prompt, or several of equal length.
 * @throws {@link InputError} when there are more paths than `maxTerms`, for an impossible `maxOrder`, for
 * `splitPositions` on a model whose positions do not enter the residual stream, or for tokens the model cannot run.
 * @category Path expansion
 * @example
 * ```ts
 * import { pathExpansion } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const expansion = pathExpansion(model, [0, 300, 301, 302, 300, 301]);
 * console.log(expansion.terms.length, expansion.labels.slice(0, 3).join(" "));
 * // 81 direct L0H0 L0H1
 * const { withinBound, terms } = expansion.certificate();
 * console.log(withinBound, terms);
 * // true 82
 * console.log(expansion.formula("text", expansion.select({ order: 2, head: "L0H5", last: "L1H4" })[0]));
 * // A[L1H4] A[L0H5] T W_E W_OV[L0H5] W_OV[L1H4] W_U
 * ```
 * @example
 * ```ts
 * import { maxAbsDifference, pathExpansion } from "transformer-circuits";
 * import { applyProduct } from "transformer-circuits/linear";
 * import { factoredModel } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const factored = factoredModel(model, [0, 300, 301, 302, 300, 301]);
 * const [term] = pathExpansion(factored).select({ order: 2, head: "L0H5", last: "L1H4" });
 * if (term?.product === undefined) throw new Error("a path is one tensor product");
 * console.log(String(term.product));
 * // TensorProduct[pos=6 -> pos=6] ⊗ [d_model=128 -> d_model=128]
 * console.log(maxAbsDifference(applyProduct(factored.embedding, term.product), term.resid) < 1e-9);
 * // true
 * ```
 */
export function pathExpansion(model: Transformer, tokens: TokensLike, options?: PathExpansionOptions): PathExpansion;
/** As above, of a run that was made before, edits and all. */
export function pathExpansion(run: Run, options?: PathExpansionOptions): PathExpansion;
/** As above, of a model that already stands as the product of its layers: one choice from every factor. */
export function pathExpansion(factored: FactoredModel, options?: PathExpansionOptions): PathExpansion;
export function pathExpansion(
  subject: Transformer | Run | FactoredModel,
  tokensOrOptions?: TokensLike | PathExpansionOptions,
  options?: PathExpansionOptions,
): PathExpansion {
  const operation = "pathExpansion";
  if (isFactored(subject)) {
    const given = (tokensOrOptions ?? {}) as PathExpansionOptions;
    requireKind(FACTORED_MODEL, subject, "factored", operation, given, OPTIONS);
    checkOptions(subject.model, given, operation);
    return expandAs(subject, given, operation);
  }
  const model = isRun(subject) ? subject.model : subject;
  const given = ((isRun(subject) ? tokensOrOptions : options) ?? {}) as PathExpansionOptions;
  requireKind("model", model, isRun(subject) ? "run" : "model", operation, given, OPTIONS);
  checkOptions(model, given, operation);
  const { frozen } = frozenOf(subject, tokensOrOptions, options, operation, OPTIONS);
  return expandAs(new FactoredModel(frozen), given, operation);
}

const OPTIONS = "maxOrder maxTerms splitPositions splitBiases signal";

/** A member tells, since an ESM and a CJS copy of the package may meet. */
function isFactored(subject: Transformer | Run | FactoredModel): subject is FactoredModel {
  return typeof subject === "object" && subject !== null && "frozen" in subject;
}

function expandAs(factored: FactoredModel, options: PathExpansionOptions, operation: string): PathExpansion {
  const { model, frozen } = factored;
  const { n_layers } = model.config;
  const { maxOrder = n_layers, splitPositions = false, splitBiases = false } = options;
  const sources: FrozenSource[] = [
    ...embeddingSources(frozen, splitPositions),
    ...mlpSources(frozen),
    ...editSources(frozen),
    ...(splitBiases ? biasSources(frozen) : []),
  ];
  if (splitBiases || frozen.edits !== undefined) checkCount(model, sources, options, operation);
  return new PathExpansion(factored, sources, Math.min(maxOrder, n_layers), splitBiases);
}

function checkOptions(model: Transformer, options: PathExpansionOptions, operation: string): void {
  const { n_layers, positional_embedding_type } = model.config;
  const { maxOrder = n_layers, splitPositions = false } = options;
  if (!Number.isSafeInteger(maxOrder) || maxOrder < 0) {
    throw refuse(
      `maxOrder is ${maxOrder}; it counts the heads on a path, from 0 to n_layers=${n_layers}.`,
      "maxOrder",
      maxOrder,
      operation,
    );
  }
  if (splitPositions && positional_embedding_type !== "standard") {
    throw refuse(
      `splitPositions asks for the paths of the positional embedding, but ${positional_embedding_type} positions do not enter the residual stream: they act on patterns alone. Leave it out.`,
      "splitPositions",
      positional_embedding_type,
      operation,
    );
  }
  checkCount(model, pathEntries(model, splitPositions ? 2 : 1), options, operation);
}

function checkCount(
  { config }: Transformer,
  sources: readonly SourceEntry[],
  options: PathExpansionOptions,
  operation: string,
): void {
  const { n_layers, n_heads } = config;
  const { maxTerms = 4096 } = options;
  const maxOrder = Math.min(options.maxOrder ?? n_layers, n_layers);
  const count = (order: number): number => countPaths(config, sources, order);
  if (count(maxOrder) <= maxTerms) return;
  let fits = maxOrder;
  while (fits > 0 && count(fits) > maxTerms) fits -= 1;
  throw refuse(
    `there are ${count(maxOrder)} paths of at most ${maxOrder} heads through n_layers=${n_layers} layers of n_heads=${n_heads}, more than maxTerms=${maxTerms}. ` +
      `Keep the short ones with maxOrder (maxOrder=${fits} has ${count(fits)}; the others become one remainder), sum each order without writing it out with logitsByOrder, each head's with pathTotals, or raise maxTerms.`,
    "maxTerms",
    count(maxOrder),
    operation,
  );
}

function refuse(message: string, argument: string, actual: unknown, operation: string): InputError {
  return new InputError(message, { operation, argument, actual });
}
