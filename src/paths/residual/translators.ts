/**
 * Maps of early streams to the last, $x A_l + b_l$, by which a logit lens is tuned (Belrose et al., "Eliciting Latent
 * Predictions from Transformers with the Tuned Lens"; there trained by gradient on the KL divergence, here fitted to
 * the last stream by least squares).
 */
import { InputError, requireKinds, requireOptions } from "../../errors.ts";
import { dense, qr } from "../../linalg/index.ts";
import type { PaddingMask, PartialRun } from "../../model/index.ts";
import { matmul, Tensor } from "../../tensor/index.ts";
import type { TensorData } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import { accumulatedResid } from "./residual-decomposition.ts";
import { maskOf, RUN } from "../../model/internal.ts";

/**
 * What a stream goes through before it is read, $x A + b$.
 * @category Attribution
 */
export interface Translator {
  /** The stream, by its label in `logitLens`: `0_pre`, `1_pre`, …. */
  readonly label: string;
  /** $A$, `[d_model, d_model_out]`, both of size d_model. */
  readonly A: Tensor<"d_model d_model_out">;
  /** $b$, `[d_model]`. */
  readonly b: Tensor<"d_model">;
}

/**
 * How {@link fitTranslators} fits.
 * @category Attribution
 */
export interface FitTranslatorsOptions {
  /**
   * How much a map is held to the identity, as a share of the mean square of the stream: adds
   * $\lambda \|A - I\|^2$ to the squared error; $10^{-4}$ unless given, 0 for none where there are positions enough.
   */
  readonly ridge?: number | undefined;
}

/**
 * For the stream before each layer the affine map that takes it to the last stream with the least squared error over
 * all positions of text of some runs, in closed form (QR): a tuned lens for `logitLens`.
 *
 * @param runs - runs of one model that kept `hook_resid_pre` of the layers and the last `hook_resid_post`.
 * @returns a translator for each layer.
 * @throws {@link InputError} for no run, runs of several models, a negative ridge, or a run that did not keep what is
 * needed.
 * @category Attribution
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { fitTranslators, logitLens } from "transformer-circuits/paths";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const fitted = fitTranslators([model.run(repeatedTokens(model.config, { length: 20, batch: 8, seed: 1 }))]);
 * const run = model.run(repeatedTokens(model.config, { length: 20, batch: 2, seed: 2 }));
 * console.log(fitted.map(({ label }) => label).join(" "), logitLens(run, { translators: fitted }).labels.length);
 * // 0_pre 1_pre 3
 * ```
 */
export function fitTranslators(runs: readonly PartialRun[], options: FitTranslatorsOptions = {}): Translator[] {
  const operation = "fitTranslators";
  requireOptions(options, operation, "ridge");
  requireKinds(RUN, runs, "runs", operation);
  const { ridge = 1e-4 } = options;
  const [first] = runs;
  const isRidge = typeof ridge === "number" && ridge >= 0 && ridge < Infinity;
  if (first === undefined || !isRidge || runs.some(({ model }) => model !== first.model)) {
    const message =
      first === undefined
        ? "there are no runs to fit to. Give at least one."
        : isRidge
          ? "the runs are of several models. Fit each by itself."
          : `ridge is ${String(ridge)}; give a number of at least 0.`;
    throw new InputError(message, { operation, argument: first !== undefined && !isRidge ? "ridge" : "runs" });
  }
  const streams = runs.map((run) => accumulatedResid(run));
  const d = first.model.config.d_model;
  const masks = runs.map(maskOf);
  const rowsOf = (c: number): Float64Array => {
    const parts = streams.map(({ components }, r) => ofText(rawData(components.select("component", c)), masks[r], d));
    const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  };
  const labels = streams[0]?.labels ?? [];
  const last = rowsOf(labels.length - 1);
  return labels.slice(0, -1).map((label, c) => ({ label, ...fitted(rowsOf(c), last, d, ridge) }));
}

/** The rows of a stream that are not padding. */
const ofText = (data: TensorData, mask: PaddingMask | undefined, d: number): TensorData =>
  mask === undefined ? data : Float64Array.from(data).filter((_, i) => mask.visible[Math.floor(i / d)] === 1);

/** The affine map from rows of one matrix to rows of another with the least squares, held to the identity. */
function fitted(x: Float64Array, y: Float64Array, d: number, ridge: number): Pick<Translator, "A" | "b"> {
  const count = x.length / d;
  const weight = Math.sqrt((ridge * x.reduce((sum, value) => sum + value * value, 0)) / d);
  const rows = count + (weight > 0 ? d : 0);
  const left = new Float64Array(rows * (d + 1));
  const right = new Float64Array(rows * d);
  for (let row = 0; row < count; row++) {
    left.set(x.subarray(row * d, (row + 1) * d), row * (d + 1));
    left[row * (d + 1) + d] = 1;
  }
  right.set(y);
  for (let i = 0; count + i < rows; i++) {
    left[(count + i) * (d + 1) + i] = weight;
    right[(count + i) * d + i] = weight;
  }
  if (rows < d + 1) {
    throw new InputError(
      `${count} positions do not determine a map of d_model=${d}. Give more runs, or a ridge above 0.`,
      { operation: "fitTranslators", argument: "runs", expected: d + 1, actual: count },
    );
  }
  const { Q, R } = qr(dense(rows, d + 1, left));
  const turned: Tensor<"column row"> = Tensor.from("row column", [rows, d + 1], Q.data).permute("column row");
  const target: Tensor<"row out"> = Tensor.from("row out", [rows, d], right);
  const solution = rawData(matmul(turned, target)).slice();
  for (let i = d; i >= 0; i--) {
    const pivot = R.data[i * (d + 1) + i] as number;
    for (let j = 0; j < d; j++) {
      let sum = solution[i * d + j] as number;
      for (let k = i + 1; k <= d; k++) sum -= (R.data[i * (d + 1) + k] as number) * (solution[k * d + j] as number);
      solution[i * d + j] = pivot === 0 ? 0 : sum / pivot;
    }
  }
  return {
    A: Tensor.from("d_model d_model_out", [d, d], solution.slice(0, d * d)),
    b: Tensor.from("d_model", [d], solution.slice(d * d)),
  };
}
