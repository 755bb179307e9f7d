/**
 * Path expansion of the logits: the model written as a sum over paths, each through at most one head of every layer (*A
 * Mathematical Framework for Transformer Circuits*, "Path expansion trick").
 *
 * With row vectors, patterns $A$ and norm scales as a run had them,
 *
 * $$\text{logits} = T W_E W_U + \sum_h A^h T W_E W_{OV}^h W_U + \sum_{h_1 < h_2} A^{h_2} A^{h_1} T W_E W_{OV}^{h_1} W_{OV}^{h_2} W_U + \dots + \text{bias}$$
 *
 * (the paper writes columns, so there the order of the OV matrices is reversed). It is exact for every model this library holds;
 * {@link PathExpansion.certificate} says how exactly.
 *
 * In a model with MLPs, paths begin in the embedding or in what an MLP wrote in the run, which is a constant like the patterns: no
 * path goes through an MLP.
 */
import { InputError } from "../errors.ts";
import type { TokensLike, Transformer } from "../model/index.ts";
import { Tensor } from "../tensor/index.ts";
import { PathExpansion } from "./expansion.ts";
import { directStream, freeze, mlpLabel, mlpStream, sourceStreams } from "./frozen-run.ts";
import type { FrozenRun } from "./frozen-run.ts";
import { countPaths, PathNode } from "./path-terms.ts";

/**
 * Which paths {@link pathExpansion} writes out.
 * @category Path expansion
 */
export interface PathExpansionOptions {
  /** The most heads on a path; all layers by default. Longer paths are summed into one term, the remainder. */
  readonly maxOrder?: number | undefined;
  /** The most paths to write out, 4096 by default; more are refused. */
  readonly maxTerms?: number | undefined;
  /** Whether token and positional embedding begin paths of their own; only where positions enter the residual stream. */
  readonly splitPositions?: boolean | undefined;
  /** Cancels the run that patterns and scales are taken from. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a model's logits on some tokens as a sum over paths, exactly (*A Mathematical Framework for Transformer Circuits*, "Path
 * expansion trick"; ARENA 1.2 does it for two layers without biases).
 *
 * One ordinary run gives attention patterns, norm scales and what MLPs wrote, which are then constants. Terms are computed when
 * asked for.
 *
 * @param tokens - a prompt, or several of equal length.
 * @throws {@link InputError} when there are more paths than `maxTerms`, for an impossible `maxOrder`, for `splitPositions` on a
 * model whose positions do not enter the residual stream, or for tokens the model cannot run.
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
 */
export function pathExpansion(
  model: Transformer,
  tokens: TokensLike,
  options: PathExpansionOptions = {},
): PathExpansion {
  const { n_layers, positional_embedding_type } = model.config;
  const { maxOrder = n_layers, maxTerms = 4096, splitPositions = false } = options;
  if (!Number.isSafeInteger(maxOrder) || maxOrder < 0) {
    throw refuse(
      `maxOrder is ${maxOrder}; it counts the heads on a path, from 0 to n_layers=${n_layers}.`,
      "maxOrder",
      maxOrder,
    );
  }
  if (splitPositions && positional_embedding_type !== "standard") {
    throw refuse(
      `splitPositions asks for the paths of the positional embedding, but ${positional_embedding_type} positions do not enter the residual stream: they act on patterns alone. Leave it out.`,
      "splitPositions",
      positional_embedding_type,
    );
  }
  checkCount(model, Math.min(maxOrder, n_layers), maxTerms, splitPositions ? 2 : 1);
  const frozen = freeze(model, tokens, "pathExpansion", options.signal);
  return new PathExpansion(frozen, rootsOf(frozen, splitPositions), Math.min(maxOrder, n_layers));
}

function rootsOf(frozen: FrozenRun, splitPositions: boolean): PathNode[] {
  const mlps = frozen.model.layers.flatMap(({ layer }) => {
    const written = mlpStream(frozen, layer);
    return written === undefined ? [] : [PathNode.root(frozen, mlpLabel(layer), written, layer + 1)];
  });
  if (!splitPositions) return [PathNode.root(frozen, "direct", directStream(frozen)), ...mlps];
  const { embed, pos_embed } = sourceStreams(frozen);
  const positions = pos_embed ?? Tensor.zeros("batch pos d_model", embed.shape, "float64");
  return [PathNode.root(frozen, "embed", embed), PathNode.root(frozen, "pos_embed", positions), ...mlps];
}

function checkCount({ config, layers }: Transformer, maxOrder: number, maxTerms: number, sources: number): void {
  const { n_layers, n_heads } = config;
  const count = (order: number): number =>
    layers.reduce(
      (sum, { layer, mlp }) => sum + (mlp === undefined ? 0 : countPaths(n_layers - layer - 1, n_heads, order)),
      sources * countPaths(n_layers, n_heads, order),
    );
  if (count(maxOrder) <= maxTerms) return;
  let fits = maxOrder;
  while (fits > 0 && count(fits) > maxTerms) fits -= 1;
  throw refuse(
    `there are ${count(maxOrder)} paths of at most ${maxOrder} heads through n_layers=${n_layers} layers of n_heads=${n_heads}, more than maxTerms=${maxTerms}. ` +
      `Keep the short ones with maxOrder (maxOrder=${fits} has ${count(fits)}; the others become one remainder), sum each order without writing it out with logitsByOrder, or raise maxTerms.`,
    "maxTerms",
    count(maxOrder),
  );
}

function refuse(message: string, argument: string, actual: unknown): InputError {
  return new InputError(message, { operation: "pathExpansion", argument, actual });
}
