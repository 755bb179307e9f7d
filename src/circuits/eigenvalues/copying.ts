/**
 * The copying score: how far the eigenvalues of a head's full OV circuit are positive (*A Mathematical Framework for
 * Transformer Circuits*, "Summarizing OV/QK matrices").
 */
import { requireKind } from "../../errors.ts";
import { eigenvaluesOf } from "../../linear/index.ts";
import type { HeadRef, Transformer } from "../../model/index.ts";
import { requireSameTokens } from "../../model/internal.ts";
import type { ProgressOptions } from "../../progress.ts";
import type { Tensor } from "../../tensor/index.ts";
import { fullOVCircuit } from "../circuits.ts";
import { ovCores, positivityOf, spectrumOf, unembedEmbed } from "./cores.ts";

/**
 * The copying score of one head, $\sum \lambda / \sum |\lambda|$ over the eigenvalues of its full OV circuit, as
 * {@link copyingScores} has it for all heads.
 *
 * @param head - the head, by place or label.
 * @throws {@link ConfigError} when output tokens are not the input tokens; {@link InputError} when there is no such
 * head.
 * @category Circuits
 * @example
 * ```ts
 * import { copyingScore } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(copyingScore(model, "L1H4").toFixed(2));
 * // 0.99
 * ```
 */
export function copyingScore(model: Transformer, head: HeadRef): number {
  requireKind("model", model, "model", "copyingScore");
  requireSameTokens(model, "copyingScore");
  const { re, im } = eigenvaluesOf(fullOVCircuit(model, head));
  return positivityOf(re.data, im.data);
}

/**
 * The copying score of every head: $\sum \lambda / \sum |\lambda|$ over the eigenvalues of the full OV circuit, 1 when
 * all are positive (*A Mathematical Framework*, "Detecting copying behavior"; *In-context Learning and Induction
 * Heads*, appendix). 0 for a head whose eigenvalues are all 0, such as one that was zeroed.
 *
 * @param options - `signal`, `onProgress` (in heads).
 * @returns `[layer, head]`, from −1 to 1, float64. How far from 0 chance alone reaches, {@link scoreNull} says.
 * @throws {@link ConfigError} when output tokens are not the input tokens; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { copyingScores } from "transformer-circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(copyingScores(model).at(1, 4).toFixed(2));
 * // 0.99
 * ```
 */
export function copyingScores(model: Transformer, options: ProgressOptions = {}): Tensor<"layer head"> {
  requireKind("model", model, "model", "copyingScores", options);
  return spectrumOf(model, ovCores(unembedEmbed(model, "copyingScores")), options).score;
}
