/** The loss of a prompt's predictions as a metric, $-\ln p(t_{i+1})$ on average. */
import { InputError, requireKind, requireOptions, ShapeError } from "../../errors.ts";
import { Tensor } from "../../tensor/index.ts";
import { paddingMask } from "../attention-mask.ts";
import type { AttentionMask, PaddingMask } from "../attention-mask.ts";
import { isPredicted } from "../loss.ts";
import { RowMetric } from "../metric.ts";
import type { Metric } from "../metric.ts";
import { tokenRows } from "../tokens.ts";
import type { TokensLike } from "../tokens.ts";
import { addTo, rowLosses, scaleRow, writeSoftmax } from "./rows.ts";

/**
 * The mean loss of each prompt's predictions, $-\ln p(t_{i+1} \mid t_{\le i})$ in nats, as a metric; the mean over
 * prompts of equal weight is {@link meanLoss}.
 *
 * @param tokens - the prompts, as the model is given them.
 * @param options - `mask`, a weight for each prediction, `[batch, pos]` with one position fewer than the prompts, as
 * {@link lossPerToken} gives losses: each prompt's value is its weighted mean. `attentionMask`, as for a run:
 * predictions of padding, or from it, weigh nothing.
 * @throws {@link InputError} for prompts of one token or of different lengths, or when a prompt's weights sum to 0 or
 * are not finite; {@link ShapeError} for a mask of other sizes.
 * @category Model
 * @example
 * ```ts
 * import { meanLoss } from "transformer-circuits";
 * import { crossEntropy } from "transformer-circuits/model";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const tokens = [0, 5, 6, 7, 5, 6];
 * const logits = model.forward(tokens);
 * console.log(crossEntropy(tokens).values(logits)[0]?.toFixed(4), meanLoss(logits, tokens).toFixed(4));
 * // 6.1882 6.1882
 * const mask = [[0, 0, 0, 0, 1]];
 * console.log(crossEntropy(tokens, { mask }).reads.positions);
 * // [ [ 4 ] ]
 * ```
 */
export function crossEntropy(
  tokens: TokensLike,
  options: {
    readonly mask?: readonly (readonly number[])[] | Tensor<"batch pos"> | undefined;
    readonly attentionMask?: AttentionMask | undefined;
  } = {},
): Metric {
  const operation = "crossEntropy";
  requireOptions(options, operation, "mask attentionMask");
  const prompts = tokenRows(tokens, operation).map((row) => Array.from(row));
  const pos = prompts[0]?.length ?? 0;
  if (pos < 2 || prompts.some(({ length }) => length !== pos)) {
    throw new InputError(
      `prompts of ${prompts.map(({ length }) => length).join(", ")} tokens: give prompts of equal length, of at least 2 tokens.`,
      { operation, argument: "tokens", expected: "at least 2 tokens", actual: pos },
    );
  }
  const padding = paddingMask(options.attentionMask, Tensor.zeros("batch pos", [prompts.length, pos]), operation);
  const weights = lossWeights(options.mask, padding, prompts.length, pos - 1, operation);
  const targets = prompts.flatMap((row) => [...row.slice(1), 0]);
  const all = Float64Array.from(weights.flatMap((row) => [...row, 0]));
  return predictionLoss({ batch: prompts.length, pos, targets, weights: all });
}

/** Predictions made at the positions of prompts, flat, `[batch, pos]`. */
interface Predictions {
  readonly batch: number;
  readonly pos: number;
  /** The token that each is of; it is read where the weight is not 0. */
  readonly targets: ArrayLike<number>;
  readonly weights: Float64Array;
  /** Whether they are of the tokens that come next, which a prompt's value then depends on. */
  readonly isNext?: boolean;
}

/** The weighted sum of the losses of each prompt's predictions as a metric. */
export function predictionLoss({ batch, pos, targets, weights, isNext = true }: Predictions): RowMetric {
  const isRead = new Uint8Array(pos);
  for (let i = 0; i < weights.length; i++) if (weights[i] !== 0) isRead[i % pos] = 1;
  // Where no prompt has a weight nothing is read.
  const read = Array.from({ length: pos }, (_, p) => p).filter((p) => isRead[p] === 1);
  const weightOf = (prompt: number, p: number): number => weights[prompt * pos + p] as number;
  // What counts nothing may be of any token.
  const targetsOf = (prompt: number): number[] =>
    read.map((p) => (weightOf(prompt, p) === 0 ? 0 : (targets[prompt * pos + p] as number)));
  const total = (losses: Float64Array, prompt: number): number =>
    read.reduce((sum, p, r) => {
      const weight = weightOf(prompt, p);
      return weight === 0 ? sum : sum + weight * (losses[r] as number);
    }, 0);
  return new RowMetric(
    "loss",
    { positions: Array.from({ length: batch }, () => read), tokens: "all" },
    {
      prompts: batch,
      needs: (prompt) => read.flatMap((p) => (weightOf(prompt, p) === 0 ? [] : isNext ? [p, p + 1] : [p])),
      losses: { targets: targetsOf, value: total, weights: (prompt) => read.map((p) => weightOf(prompt, p)) },
      value: (rows, prompt) => total(rowLosses(rows, targetsOf(prompt)), prompt),
      writeGradient(rows, prompt, out, factor) {
        writeSoftmax(rows, out);
        for (const [r, p] of read.entries()) {
          const start = rows.starts[r] as number;
          const weight = factor * weightOf(prompt, p);
          scaleRow(out, start, rows.width, weight);
          if (weight !== 0) addTo(out, start + rows.column(targets[prompt * pos + p] as number), -weight);
        }
      },
    },
  );
}

/** What each prediction counts in its prompt's mean: weights that sum to 1. */
function lossWeights(
  mask: readonly (readonly number[])[] | Tensor<"batch pos"> | undefined,
  padding: PaddingMask | undefined,
  batch: number,
  count: number,
  operation: string,
): number[][] {
  const all = Array.from({ length: batch }, () => new Array<number>(count).fill(1));
  const rows: readonly (readonly number[])[] = mask instanceof Tensor ? (mask.toNested() as number[][]) : (mask ?? all);
  requireKind("list", rows, "mask", operation);
  if (rows.length !== batch || rows.some((row) => row.length !== count)) {
    throw new ShapeError(
      `the mask has lists of ${Array.from(rows, (row) => row.length).join(", ")} weights, but ${batch} prompts of ${count + 1} tokens make ${count} predictions each.`,
      { operation, argument: "mask", expected: [batch, count], actual: Array.from(rows, (row) => row.length) },
    );
  }
  return rows.map((given, prompt) => {
    const row = given.map((w, p) => (padding === undefined || isPredicted(padding, prompt * count + p) ? w : 0));
    const total = row.reduce((sum, w) => sum + w, 0);
    if (Number.isFinite(total) && total > 0) return row.map((w) => w / total);
    throw new InputError(`the weights of prompt ${prompt} sum to ${total}. Weigh at least one of its predictions.`, {
      operation,
      argument: "mask",
      expected: "a sum above 0",
      actual: total,
    });
  });
}
