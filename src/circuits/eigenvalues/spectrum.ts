/**
 * Eigenvalues of the OV and QK circuits of all heads, and their positivity: does a head copy, does it match?
 *
 * A positive real eigenvalue of the full OV circuit is a combination of tokens that raises its own logits; of the full
 * QK circuit, one that attends to itself. Eigenvectors need not be orthogonal, so positivity is evidence, not proof (*A
 * Mathematical Framework for Transformer Circuits*, "Summarizing OV/QK matrices"). Everything is float64 and read from
 * the raw weights, without biases, norms and rotations.
 */
import { requireKind } from "../../errors.ts";
import type { Transformer } from "../../model/index.ts";
import { embeddingGram, ovCores, qkCores, spectrumOf, unembedEmbed } from "./cores.ts";
import type { Spectrum } from "./cores.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * The eigenvalues of the full OV circuit $W_E W_V W_O W_U$ of every head, but for the zeros that its rank makes
 * certain.
 *
 * They are those of the small matrix $W_O (W_U W_E) W_V$, with $W_U W_E$ computed once for the model; there are
 * $\min(d_{head}, d_{model})$ for each head. `score` is the copying score.
 *
 * @param options - `signal`, `onProgress` (in heads).
 * @throws {@link ConfigError} when output tokens are not the input tokens; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { ovSpectrum } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { eigenvalues, score } = ovSpectrum(model);
 * console.log(String(eigenvalues.re));
 * // Tensor[layer=2 head=8 eigenvalue=16] float64
 * console.log(score.at(1, 4).toFixed(2));
 * // 0.99
 * ```
 */
export function ovSpectrum(model: Transformer, options: ProgressOptions = {}): Spectrum {
  requireKind("model", model, "model", "ovSpectrum", options);
  return spectrumOf(model, ovCores(unembedEmbed(model, "ovSpectrum")), options);
}

/**
 * The eigenvalues of the full QK circuit $W_E W_Q W_K^\top W_E^\top$ of every head, from the small matrix
 * $W_K^\top (W_E^\top W_E) W_Q$. `score` is the matching score: positive where tokens attend to their like.
 *
 * For the matching of an induction head see {@link inductionPositivity}: its keys are not the tokens themselves.
 *
 * @param options - `signal`, `onProgress` (in heads).
 * @throws the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { qkSpectrum } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { score, trace } = qkSpectrum(model);
 * console.log(Math.sign(score.at(0, 5)) === Math.sign(trace.at(0, 5)));
 * // true
 * ```
 */
export function qkSpectrum(model: Transformer, options: ProgressOptions = {}): Spectrum {
  requireKind("model", model, "model", "qkSpectrum", options);
  return spectrumOf(model, qkCores(embeddingGram(model)), options);
}

/**
 * The eigenvalues of $W_{OV} = W_V W_O$ of every head, from $W_O W_V$: what it does within the residual stream, without
 * embedding and unembedding. Large negative ones mark heads that erase what they read (*A Mathematical Framework*,
 * "Residual stream bandwidth", on memory management).
 *
 * The score of this matrix and the copying score of the full circuit are different numbers.
 *
 * @param options - `signal`, `onProgress` (in heads).
 * @throws the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { bareOVSpectrum } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { eigenvalues } = bareOVSpectrum(model);
 * console.log(String(eigenvalues.re));
 * // Tensor[layer=2 head=8 eigenvalue=16] float64
 * ```
 */
export function bareOVSpectrum(model: Transformer, options: ProgressOptions = {}): Spectrum {
  requireKind("model", model, "model", "bareOVSpectrum", options);
  return spectrumOf(model, ovCores(undefined), options);
}

/**
 * The eigenvalues of $W_{QK} = W_Q W_K^\top$ of every head, from $W_K^\top W_Q$: matching within the residual stream,
 * without the embedding.
 *
 * @param options - `signal`, `onProgress` (in heads).
 * @throws the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { bareQKSpectrum } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * console.log(bareQKSpectrum(model).score.at(0, 1).toFixed(2));
 * // 0.91
 * ```
 */
export function bareQKSpectrum(model: Transformer, options: ProgressOptions = {}): Spectrum {
  requireKind("model", model, "model", "bareQKSpectrum", options);
  return spectrumOf(model, qkCores(undefined), options);
}
