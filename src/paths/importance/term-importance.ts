/**
 * How much single heads and whole layers of heads matter, by what their paths do to the loss with patterns and norm scales frozen
 * (*A Mathematical Framework for Transformer Circuits*, "Term importance analysis", which splits the single-head terms by layer).
 *
 * The effect of a set of paths depends on which others are there; so it is measured from both ends, as what it adds to the direct
 * path alone and as what its removal from the whole model costs.
 *
 * In a model with MLPs, what these wrote in the run is held fixed: the direct path is embedding and MLP outputs together, and a
 * single-head path begins in whichever of them the head can read.
 */
import { InputError, requireKind, requireObject } from "../../errors.ts";
import type { HeadRef, TokensLike, Transformer } from "../../model/index.ts";
import { add, Tensor } from "../../tensor/index.ts";
import { finalBias, layerTerm } from "../frozen/frozen-layers.ts";
import { directStream, freeze, headlessStream } from "../frozen/frozen-run.ts";
import { headGains, layerGains, lossesFrom, lossesOfPaths } from "./gains.ts";
import { requireNextTokens } from "../logits/orders.ts";
import { Steps } from "../../progress.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * A set of heads: those named, and all of the layers named.
 * @category Path expansion
 */
export interface HeadSubset {
  readonly heads?: readonly HeadRef[] | undefined;
  readonly layers?: readonly number[] | undefined;
}

/** Whether a head is in a subset; refuses heads and layers that the model does not have. */
function membership(
  model: Transformer,
  subset: HeadSubset,
  operation: string,
): (layer: number, head: number) => boolean {
  if (subset.heads === undefined && subset.layers === undefined) {
    throw new InputError(
      'no heads are named. Pass { heads: ["L1H4"] } or { layers: [1] }; an empty list is none of them.',
      {
        operation,
        argument: "subset",
        expected: "heads or layers",
      },
    );
  }
  const members = new Set((subset.heads ?? []).map((ref) => model.head(ref).label as string));
  for (const layer of subset.layers ?? []) for (const { label } of model.layer(layer).heads) members.add(label);
  return (layer, head) => members.has(`L${layer}H${head}`);
}

const mean = (losses: Float64Array): number => losses.reduce((sum, loss) => sum + loss, 0) / losses.length;

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
 * import { firstOrderLoss, lossByMaxOrder } from "transformer-circuits";
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
  return mean(lossesOfPaths(frozen, stream, finalBias(frozen)));
}

/**
 * The mean loss, in nats, of the model without some heads while all patterns and norm scales, and what MLPs write, stay as they
 * were: every path through one of them is gone, with what biases send through them. Olsson et al. call this the pattern-preserving ablation.
 *
 * @param tokens - a prompt, or several of equal length, of at least two tokens.
 * @throws {@link InputError} for a head or layer that the model does not have, or tokens it cannot run or predict.
 * @category Path expansion
 * @example
 * ```ts
 * import { frozenAblationLoss, meanLoss } from "transformer-circuits";
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
  return mean(lossesFrom(frozen, 0, directStream(frozen), (layer, head) => !isMember(layer, head)));
}

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
 * The importance of every head from both ends, with patterns and norm scales frozen: what its own path adds to the direct path,
 * and what removing all paths through it from the model costs. The two need not agree, or even have one sign.
 *
 * @param tokens - a prompt, or several of equal length, of at least two tokens.
 * @param options - `signal`, `onProgress`, per head.
 * @throws {@link InputError} for tokens the model cannot run or predict.
 * @category Path expansion
 * @example
 * ```ts
 * import { headTermImportance } from "transformer-circuits";
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
  options: ProgressOptions = {},
): HeadTermImportance {
  requireKind("model", model, "model", "headTermImportance", options);
  const frozen = freeze(model, tokens, "headTermImportance", options.signal);
  requireNextTokens(frozen, "headTermImportance");
  const { n_layers, n_heads } = model.config;
  const added = new Float64Array(n_layers * n_heads);
  const removed = new Float64Array(n_layers * n_heads);
  const steps = new Steps(options, n_layers * n_heads);
  const { direct, full } = headGains(frozen, ({ layer, head }, gain, cost) => {
    added[layer * n_heads + head] = mean(gain);
    removed[layer * n_heads + head] = mean(cost);
    steps.advance();
  });
  const shape = [n_layers, n_heads];
  return {
    addedToDirect: Tensor.from("layer head", shape, added),
    removedFromFull: Tensor.from("layer head", shape, removed),
    directLoss: mean(direct),
    fullLoss: mean(full),
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
 * The single-head paths split by layer, as the Framework's table of term importance has them: the gain of each layer over the
 * direct path, and over the direct path with the other layers.
 *
 * @param tokens - a prompt, or several of equal length, of at least two tokens.
 * @param options - `signal`, `onProgress`, per layer.
 * @throws {@link InputError} for tokens the model cannot run or predict.
 * @category Path expansion
 * @example
 * ```ts
 * import { layerTermImportance } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { addedToDirect, addedToOthers, directLoss, firstOrderLoss } = layerTermImportance(model, [0, 300, 301, 300, 301]);
 * console.log(Math.abs(addedToDirect.at(0) + addedToOthers.at(1) - (directLoss - firstOrderLoss)) < 1e-9);
 * // true
 * ```
 */
export function layerTermImportance(
  model: Transformer,
  tokens: TokensLike,
  options: ProgressOptions = {},
): LayerTermImportance {
  requireKind("model", model, "model", "layerTermImportance", options);
  const frozen = freeze(model, tokens, "layerTermImportance", options.signal);
  requireNextTokens(frozen, "layerTermImportance");
  const { n_layers } = model.config;
  const added = new Float64Array(n_layers);
  const last = new Float64Array(n_layers);
  const steps = new Steps(options, n_layers);
  const { direct, firstOrder } = layerGains(frozen, (layer, alone, beside) => {
    added[layer] = mean(alone);
    last[layer] = mean(beside);
    steps.advance();
  });
  return {
    addedToDirect: Tensor.from("layer", [n_layers], added),
    addedToOthers: Tensor.from("layer", [n_layers], last),
    directLoss: mean(direct),
    firstOrderLoss: mean(firstOrder),
  };
}
