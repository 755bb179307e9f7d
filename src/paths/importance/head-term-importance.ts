/**
 * How much single heads and whole layers of heads matter: what their paths do to the loss with patterns and norm scales
 * frozen (*A Mathematical Framework for Transformer Circuits*, "Term importance analysis", which splits the single-head
 * terms by layer).
 *
 * The effect of a set of paths depends on which others are there. So it is measured from both ends: what the paths add
 * to the direct path alone, and what their removal from the whole model costs.
 *
 * MLP outputs are constants as the run had them. The direct path is the embedding and the MLP outputs together, and a
 * single-head path begins in any of them that the head can read.
 */
import type { Run, TokensLike, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { frozenOf } from "../frozen/frozen-run.ts";
import { headGains, layerGains, meanOfPrompts } from "./gains.ts";
import { requireNextTokens } from "../logits/orders.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * What each head is worth, in nats of mean loss; positive where the head helps.
 * @category Path expansion
 */
export interface HeadTermImportance {
  /** `[layer, head]`: by how much the head's single-head path lowers the loss of the direct path alone. */
  readonly addedToDirect: Tensor<"layer head">;
  /** `[layer, head]`: by how much the loss of the whole model rises without any path through the head. */
  readonly removedFromFull: Tensor<"layer head">;
  /** The loss of the direct path. */
  readonly directLoss: number;
  /** The loss of the model. */
  readonly fullLoss: number;
}

/**
 * The importance of every head from both ends, with patterns and norm scales frozen: what its own path adds to the
 * direct path, and what removing all paths through it from the model costs. The two need not agree, or even have one
 * sign.
 *
 * @param tokens - a prompt, or several of equal length, of at least two tokens.
 * @param options - `signal`, `onProgress`, per head.
 * @throws {@link InputError} for tokens the model cannot run or predict.
 * @category Path expansion
 * @example
 * ```ts
 * import { headTermImportance } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { addedToDirect, removedFromFull } = headTermImportance(model, [0, 300, 301, 302, 300, 301, 302]);
 * console.log(String(addedToDirect), String(removedFromFull));
 * // Tensor[layer=2 head=8] float64 Tensor[layer=2 head=8] float64
 * ```
 */
export function headTermImportance(
  model: Transformer,
  tokens: TokensLike,
  options?: ProgressOptions,
): HeadTermImportance;
/** As above, of a run that was made before, edits and all. */
export function headTermImportance(run: Run, options?: ProgressOptions): HeadTermImportance;
export function headTermImportance(
  subject: Transformer | Run,
  tokensOrOptions?: TokensLike | ProgressOptions,
  given?: ProgressOptions,
): HeadTermImportance {
  const operation = "headTermImportance";
  const { frozen, options } = frozenOf(subject, tokensOrOptions, given, operation, "signal onProgress");
  const { model } = frozen;
  requireNextTokens(frozen, "headTermImportance");
  const { n_layers, n_heads } = model.config;
  const added = new Float64Array(n_layers * n_heads);
  const removed = new Float64Array(n_layers * n_heads);
  const steps = new Steps(options, n_layers * n_heads);
  const { direct, full } = headGains(frozen, ({ layer, head }, gain, cost) => {
    added[layer * n_heads + head] = meanOfPrompts(gain);
    removed[layer * n_heads + head] = meanOfPrompts(cost);
    steps.advance();
  });
  const shape = [n_layers, n_heads];
  return {
    addedToDirect: Tensor.from("layer head", shape, added),
    removedFromFull: Tensor.from("layer head", shape, removed),
    directLoss: meanOfPrompts(direct),
    fullLoss: meanOfPrompts(full),
  };
}

/**
 * What the single-head paths of each layer are worth, in nats of mean loss; positive where they help.
 * @category Path expansion
 */
export interface LayerTermImportance {
  /** `[layer]`: by how much they lower the loss of the direct path alone. */
  readonly addedToDirect: Tensor<"layer">;
  /** `[layer]`: by how much they lower the loss of the direct path with the single-head paths of all other layers. */
  readonly addedToOthers: Tensor<"layer">;
  /** The loss of the direct path. */
  readonly directLoss: number;
  /** The loss of the direct path with all single-head paths. */
  readonly firstOrderLoss: number;
}

/**
 * The single-head paths split by layer, as the Framework's table of term importance has them: the gain of each layer
 * over the direct path, and over the direct path with the other layers.
 *
 * @param tokens - a prompt, or several of equal length, of at least two tokens.
 * @param options - `signal`, `onProgress`, per layer.
 * @throws {@link InputError} for tokens the model cannot run or predict.
 * @category Path expansion
 * @example
 * ```ts
 * import { layerTermImportance } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { addedToDirect, addedToOthers, directLoss, firstOrderLoss } = layerTermImportance(
 *   model,
 *   [0, 300, 301, 300, 301],
 * );
 * console.log(Math.abs(addedToDirect.at(0) + addedToOthers.at(1) - (directLoss - firstOrderLoss)) < 1e-9);
 * // true
 * ```
 */
export function layerTermImportance(
  model: Transformer,
  tokens: TokensLike,
  options?: ProgressOptions,
): LayerTermImportance;
/** As above, of a run that was made before, edits and all. */
export function layerTermImportance(run: Run, options?: ProgressOptions): LayerTermImportance;
export function layerTermImportance(
  subject: Transformer | Run,
  tokensOrOptions?: TokensLike | ProgressOptions,
  given?: ProgressOptions,
): LayerTermImportance {
  const operation = "layerTermImportance";
  const { frozen, options } = frozenOf(subject, tokensOrOptions, given, operation, "signal onProgress");
  const { model } = frozen;
  requireNextTokens(frozen, "layerTermImportance");
  const { n_layers } = model.config;
  const added = new Float64Array(n_layers);
  const last = new Float64Array(n_layers);
  const steps = new Steps(options, n_layers);
  const { direct, firstOrder } = layerGains(frozen, (layer, alone, beside) => {
    added[layer] = meanOfPrompts(alone);
    last[layer] = meanOfPrompts(beside);
    steps.advance();
  });
  return {
    addedToDirect: Tensor.from("layer", [n_layers], added),
    addedToOthers: Tensor.from("layer", [n_layers], last),
    directLoss: meanOfPrompts(direct),
    firstOrderLoss: meanOfPrompts(firstOrder),
  };
}
