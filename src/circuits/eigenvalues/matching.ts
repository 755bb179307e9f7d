/**
 * The matching score: how far the eigenvalues of a head's full QK circuit are positive, so that tokens attend to their
 * like.
 */
import { requireKind } from "../../errors.ts";
import type { Transformer } from "../../model/index.ts";
import type { ProgressOptions } from "../../progress.ts";
import type { Tensor } from "../../tensor/index.ts";
import { qkSpectrum } from "./spectrum.ts";

/**
 * The matching score of every head: $\sum \lambda / \sum |\lambda|$ over the eigenvalues of the full QK circuit, 0
 * where all are 0.
 *
 * @param options - `signal`, `onProgress` (in heads).
 * @returns `[layer, head]`, from −1 to 1, float64.
 * @throws the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { matchingScores } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(matchingScores(model).at(0, 1).toFixed(2));
 * // 0.97
 * ```
 */
export function matchingScores(model: Transformer, options: ProgressOptions = {}): Tensor<"layer head"> {
  requireKind("model", model, "model", "matchingScores", options);
  return qkSpectrum(model, options).score;
}
