/**
 * The eigenvalue test of induction heads: does a later head copy, and does it match the token before its keys with the
 * present one? (*A Mathematical Framework for Transformer Circuits*, "Checking the mechanistic theory".)
 */
import { InputError, ShapeError, requireKind, requireObject } from "../../errors.ts";
import { multiplyStacks, stackOf, stackOfTensor } from "../../linear/internal.ts";
import type { AttentionLayer, HeadRef, Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { describeTensor, requireAxes, rawData } from "../../tensor/internal.ts";
import { embeddingGram, ovCores, qkCores, spectrumOf, squareProduct, unembedEmbed } from "./cores.ts";
import type { Spectrum } from "./cores.ts";
import { distinctHeads } from "../circuits.ts";
import type { ProgressOptions } from "../../progress.ts";

/**
 * The two coordinates of every head in the paper's scatter of induction heads, with the eigenvalues they come from.
 * @category Circuits
 */
export interface InductionPositivity {
  /** Of the full OV circuit: `OV.score` is whether the head copies. */
  readonly OV: Spectrum;
  /**
   * Of the K-composition circuit with the previous heads: `QK.score` is whether the head matches the token before its
   * keys with the present one, `QK.trace` the measure of *In-context Learning and Induction Heads*. All 0 for heads
   * that no previous head comes before.
   */
  readonly QK: Spectrum;
}

/**
 * Options of {@link inductionPositivity}.
 * @category Circuits
 */
export interface InductionPositivityOptions extends ProgressOptions {
  /**
   * The heads through which keys are read: a list of heads, each with weight 1, or a weight for every head
   * `[layer, head]`, such as measured previous-token scores. Choose them by what they attend to, not by K-composition,
   * which would test a quantity on what it selected.
   */
  readonly previous: readonly HeadRef[] | Tensor<"layer head">;
}

/**
 * Positivity of the eigenvalues of the full OV circuit and of the K-composition circuit
 * $W_E W_{QK} \left(\sum_e p_e W_{OV}^e\right)^\top W_E^\top$ of every head, $e$ going through the previous heads of
 * earlier layers with weights $p_e$: the scatter in which the paper finds induction heads in the corner (1, 1) (*A
 * Mathematical Framework*, "Checking the mechanistic theory"; the weighting is that of *In-context Learning and
 * Induction Heads*, appendix).
 *
 * Eigenvalues are those of $W_K^\top \left(\sum_e p_e W_{OV}^e\right)^\top (W_E^\top W_E)\, W_Q$. Raw weights, float64;
 * rotary rotations are left out.
 *
 * @param options - `previous`, `signal`, `onProgress` (in heads, of both spectra).
 * @throws {@link InputError} when the list of previous heads is empty, names a head twice or one that does not exist,
 * or a weight is not finite; {@link ShapeError} when weights are not `[n_layers, n_heads]`; {@link ConfigError} when
 * output tokens are not the input tokens; the signal's reason when aborted.
 * @category Circuits
 * @example
 * ```ts
 * import { inductionPositivity } from "transformer-circuits/circuits";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { OV, QK } = inductionPositivity(model, { previous: ["L0H5", "L0H7"] });
 * console.log(OV.score.at(1, 4).toFixed(2), QK.score.at(1, 4).toFixed(2));
 * // 0.99 1.00
 * console.log(QK.score.at(0, 0));
 * // 0
 * ```
 */
export function inductionPositivity(model: Transformer, options: InductionPositivityOptions): InductionPositivity {
  requireKind("model", model, "model", "inductionPositivity", options);
  requireObject(options, "options", "inductionPositivity");
  const operation = "inductionPositivity";
  const { previous, signal, onProgress } = options;
  const weights = isTensor(previous) ? checkWeights(model, previous, operation) : indicator(model, previous, operation);
  const { n_layers, n_heads, d_model } = model.config;
  const count = n_layers * n_heads;
  const half = (offset: number): ProgressOptions => ({
    signal,
    onProgress: (done) => onProgress?.(offset + done, 2 * count),
  });
  const OV = spectrumOf(model, ovCores(unembedEmbed(model, operation)), half(0));
  const gram = embeddingGram(model);
  const moved = new Float64Array(d_model * d_model);
  const QK = spectrumOf(
    model,
    (layer) => {
      const cores = qkCores(squareProduct(d_model, moved, gram, true))(layer);
      addWeightedOV(moved, layer, weights, d_model);
      return cores;
    },
    half(count),
  );
  return { OV, QK };
}

/** Adds $\sum_h p_h W_V^h W_O^h$ of a layer. */
function addWeightedOV(into: Float64Array, layer: AttentionLayer, weights: Float64Array, d_model: number): void {
  const heads = layer.heads.length;
  for (let h = 0; h < heads; h++) {
    const weight = weights[layer.layer * heads + h] as number;
    if (weight === 0) continue;
    const W_V = layer.W_V.select("head", h);
    const W_O = stackOfTensor(layer.W_O.select("head", h));
    const scaled = Float64Array.from(W_V.data, (x) => weight * x);
    const d_head = W_V.sizeOf("d_head");
    const square = stackOf(into, [1, d_model, d_model]);
    multiplyStacks(stackOf(scaled, [1, d_model, d_head]), W_O, square, true);
  }
}

function isTensor(previous: readonly HeadRef[] | Tensor<"layer head">): previous is Tensor<"layer head"> {
  return previous instanceof Tensor;
}

function indicator(model: Transformer, heads: readonly HeadRef[], operation: string): Float64Array {
  const { n_layers, n_heads } = model.config;
  const weights = new Float64Array(n_layers * n_heads);
  for (const head of distinctHeads(model, heads, operation)) weights[head.layer * n_heads + head.head] = 1;
  return weights;
}

function checkWeights(model: Transformer, weights: Tensor<"layer head">, operation: string): Float64Array {
  const { n_layers, n_heads } = model.config;
  if (weights.rank !== 2 || weights.shape[0] !== n_layers || weights.shape[1] !== n_heads) {
    throw new ShapeError(
      `weights of the previous heads are [layer=${n_layers} head=${n_heads}] for this model; these are ${describeTensor(weights)}.`,
      { operation, argument: "previous", expected: [n_layers, n_heads], actual: weights.shape },
    );
  }
  requireAxes(weights, "layer head", "previous", operation);
  const data = Float64Array.from(rawData(weights));
  const at = data.findIndex((weight) => !Number.isFinite(weight));
  if (at >= 0) {
    throw new InputError(
      `the weight of head L${Math.floor(at / n_heads)}H${at % n_heads} is ${data[at]}; weights are finite numbers.`,
      {
        operation,
        argument: "previous",
        expected: "finite numbers",
        actual: data[at],
      },
    );
  }
  return data;
}
