/**
 * Heads that manage the residual stream's memory: they attend to the present token and take away what they read (*A
 * Mathematical Framework for Transformer Circuits*, "Residual stream bandwidth").
 */
import { requireKind } from "../../errors.ts";
import type { TokensLike, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { currentTokenScores } from "./detectors.ts";
import type { ProgressOptions } from "../../progress.ts";
import { bareOVSpectrum } from "../../circuits/index.ts";

/**
 * The two marks of a memory head: both have to be there.
 * @category Head scores
 */
export interface MemoryScores {
  /**
   * `[layer, head]`: $\sum \lambda / \sum |\lambda|$ of $W_{OV}$ alone; near −1 for a head that erases, 0 where
   * $W_{OV}$ has no eigenvalue but 0.
   */
  readonly OV: Tensor<"layer head">;
  /** `[layer, head]`: mean attention to the present token, 0 to 1. */
  readonly current: Tensor<"layer head">;
}

/**
 * How much each head behaves like one that clears memory: the sign of the eigenvalues of $W_{OV}$, without embedding
 * and unembedding, and its mean attention to the present token. A head near (−1, 1) deletes from the residual stream
 * what it reads there.
 *
 * @param tokens - a prompt, or several of equal length, that attention is measured on.
 * @param options - `signal`, `onProgress` (in heads, of the eigenvalues).
 * @throws {@link InputError} for tokens the model cannot run; the signal's reason when aborted.
 * @category Head scores
 * @example
 * ```ts
 * import { memoryScores } from "transformer-circuits/heads";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model, tokenizer } = await openBundledModel();
 * const { OV, current } = memoryScores(
 *   model,
 *   tokenizer.encode("interface Array<T> { readonly length: number; }", { bos: true }),
 * );
 * console.log(String(OV), OV.at(0, 0).toFixed(2), current.at(0, 0).toFixed(2));
 * // Tensor[layer=2 head=8] float64 0.11 0.08
 * ```
 */
export function memoryScores(model: Transformer, tokens: TokensLike, options: ProgressOptions = {}): MemoryScores {
  requireKind("model", model, "model", "memoryScores", options, "signal onProgress");
  const { n_layers, n_heads } = model.config;
  const { cache } = model.run(tokens, {
    cache: (name) => name.endsWith("attn.hook_pattern"),
    unembed: "none",
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const current = new Float64Array(n_layers * n_heads);
  for (let layer = 0; layer < n_layers; layer++)
    current.set(currentTokenScores(cache.get(`blocks.${layer}.attn.hook_pattern`)).data, layer * n_heads);
  return { OV: bareOVSpectrum(model, options).score, current: Tensor.from("layer head", [n_layers, n_heads], current) };
}
