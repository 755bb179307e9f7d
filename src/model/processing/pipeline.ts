/**
 * The steps together: as TransformerLens takes them when it loads a model, and one by one with what each does to the
 * predictions.
 */
import { ConfigError, requireKind } from "../../errors.ts";
import { astype, logSoftmax } from "../../tensor/index.ts";
import { toTokenTensor } from "../tokens.ts";
import type { TokensLike } from "../tokens.ts";
import type { Transformer } from "../transformer.ts";
import { dropKeyBiases, foldValueBiases, refactorHeads } from "./heads.ts";
import { centerUnembed, centerWritingWeights, foldLayerNorm } from "./norms.ts";

/**
 * The name of a step of weight processing: the function that takes it.
 * @category Weight processing
 */
export type ProcessingStep =
  "foldLayerNorm" | "centerWritingWeights" | "centerUnembed" | "foldValueBiases" | "dropKeyBiases" | "refactorHeads";

/** In TransformerLens's order, with the two that it does not take by default at the end. */
const STEPS: readonly (readonly [ProcessingStep, (model: Transformer) => Transformer])[] = [
  ["foldLayerNorm", foldLayerNorm],
  ["centerWritingWeights", centerWritingWeights],
  ["centerUnembed", centerUnembed],
  ["foldValueBiases", foldValueBiases],
  ["dropKeyBiases", dropKeyBiases],
  ["refactorHeads", refactorHeads],
];

/**
 * Which steps {@link processWeights} takes: the four that TransformerLens's `from_pretrained` takes are on unless set
 * to false, the other two off unless set to true.
 * @category Weight processing
 */
export type ProcessingOptions = { readonly [step in ProcessingStep]?: boolean | undefined };

/**
 * Processes weights as TransformerLens's `from_pretrained` does by default: folds norms, centres what is written to the
 * residual stream and the unembedding, folds value biases.
 *
 * @param options - steps to leave out or to add.
 * @throws {@link ConfigError} when a step would change what the model computes, naming the step; set it to false to go
 * without. TransformerLens leaves such steps out in silence.
 * @category Weight processing
 * @example
 * ```ts
 * import { processWeights } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * // The bundled model has no norms, so what is written may not be centred.
 * const processed = processWeights(model, { centerWritingWeights: false });
 * console.log(processed.weight("blocks.1.attn.b_V").data.every((x) => x === 0));
 * // true
 * ```
 */
export function processWeights(model: Transformer, options: ProcessingOptions = {}): Transformer {
  requireKind("model", model, "model", "processWeights", options);
  const byDefault = (step: ProcessingStep): boolean => step !== "dropKeyBiases" && step !== "refactorHeads";
  return STEPS.reduce((before, [step, take]) => ((options[step] ?? byDefault(step)) ? take(before) : before), model);
}

/**
 * What one step of weight processing did to the predictions.
 * @category Weight processing
 */
export interface ProcessingRow {
  readonly step: ProcessingStep;
  /**
   * The largest change of a log-probability against the model before the step, in nats; `null` where the step was
   * refused.
   */
  readonly maxChange: number | null;
  /** The mean absolute change of log-probabilities against the model before the step, in nats. */
  readonly meanChange: number | null;
  /** The largest change against the model as it was given, in nats. */
  readonly maxChangeInAll: number | null;
  /** Why the step was refused; `null` where it was taken. */
  readonly refused: string | null;
}

/**
 * What {@link processingReport} returns.
 * @category Weight processing
 */
export interface ProcessingReport {
  /** The steps, in the order in which they were taken. */
  readonly rows: readonly ProcessingRow[];
  /** The model after all steps that were not refused. */
  readonly model: Transformer;
}

/**
 * Takes every step of weight processing after another, and measures what each does to the log-probabilities of all
 * tokens at all positions: in exact arithmetic nothing, so what is seen is rounding. A step that would change what the
 * model computes is refused, with the reason, and left out.
 *
 * @param tokens - a prompt, or several of equal length.
 * @param options - `signal` cancels between steps.
 * @throws {@link InputError} for tokens that the model cannot run.
 * @category Weight processing
 * @example
 * ```ts
 * import { processingReport } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { rows } = processingReport(model, [0, 300, 301, 302]);
 * for (const { step, maxChange, refused } of rows)
 *   console.log(step, refused === null ? (maxChange ?? 0) < 1e-4 : "refused");
 * // foldLayerNorm true
 * // centerWritingWeights refused
 * // centerUnembed true
 * // foldValueBiases true
 * // dropKeyBiases true
 * // refactorHeads true
 * ```
 */
export function processingReport(
  model: Transformer,
  tokens: TokensLike,
  options: { readonly signal?: AbortSignal | undefined } = {},
): ProcessingReport {
  requireKind("model", model, "model", "processingReport", options);
  const checked = toTokenTensor(model.config, tokens, "processingReport");
  const logProbs = (of: Transformer): ArrayLike<number> =>
    logSoftmax(astype(of.forward(checked), "float64"), "d_vocab").data;
  const first = logProbs(model);
  let [current, before] = [model, first];
  const rows: ProcessingRow[] = [];
  for (const [step, take] of STEPS) {
    options.signal?.throwIfAborted();
    try {
      current = take(current);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      rows.push({ step, maxChange: null, meanChange: null, maxChangeInAll: null, refused: error.message });
      continue;
    }
    const after = logProbs(current);
    const change = changes(before, after);
    rows.push({
      step,
      maxChange: change.max,
      meanChange: change.mean,
      maxChangeInAll: changes(first, after).max,
      refused: null,
    });
    before = after;
  }
  return { rows, model: current };
}

function changes(before: ArrayLike<number>, after: ArrayLike<number>): { max: number; mean: number } {
  let [max, total] = [0, 0];
  for (let i = 0; i < before.length; i++) {
    const change = Math.abs((after[i] as number) - (before[i] as number));
    if (change > max || Number.isNaN(change)) max = change;
    total += change;
  }
  return { max, mean: total / before.length };
}
