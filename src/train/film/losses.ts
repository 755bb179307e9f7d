/** Losses of a checkpoint on the prompts of a film: their mean, by position, and what the context is worth. */
import { lossesOfRows } from "../../model/internal.ts";
import type { Transformer } from "../../model/index.ts";
import { Tensor } from "../../tensor/index.ts";
import { rawData } from "../../tensor/internal.ts";
import type { FloatArray } from "../../tensor/internal.ts";
import type { FilmProbe } from "./probe.ts";

/**
 * A mean over prompts with its standard error, in nats.
 * @category Training
 */
export interface FilmEstimate {
  readonly mean: number;
  /** NaN where there is one prompt only. */
  readonly error: number;
}

/**
 * The losses of a checkpoint on the film's prompts.
 * @category Training
 */
export interface MeasuredLosses {
  /** The loss of the predictions that count. */
  readonly meanLoss: FilmEstimate;
  /**
   * The mean loss of predicting from each position, over predictions that count; NaN where none does. The last position
   * predicts nothing unless targets are given.
   */
  readonly lossByPosition: Tensor<"pos">;
  /**
   * The in-context learning score: the loss of the last tenth of all positions less that of the second tenth. The
   * lower, the more the context helps; Olsson et al. take the 500th token and the 50th. Left out where targets are
   * given, there is padding, some of these predictions count nothing, or there are fewer than ten predictions.
   */
  readonly contextScore?: FilmEstimate;
}

/** Predictions whose logits are held at once. */
const MOST_LOGITS = 2 ** 22;

/** Runs a model on a film's prompts and measures its losses; none where nothing is predicted. */
export function measuredLosses(model: Transformer, probe: FilmProbe): Partial<MeasuredLosses> {
  const { tokens, targets, weights, attentionMask } = probe;
  const { d_vocab, d_vocab_out } = model.config;
  const [batch = 0, pos = 0] = tokens.shape;
  const count = targets === undefined ? pos - 1 : pos;
  if (count < 1 || (targets === undefined && d_vocab !== d_vocab_out)) return {};
  const losses = lossesOf(model, probe, count);
  const all = Array.from({ length: batch }, (_, b) => b);
  const weightOf = (b: number, p: number): number => weights?.[b * pos + p] ?? 1;
  const means = all.map((b) => {
    let [sum, total] = [0, 0];
    for (let p = 0; p < count; p++) {
      sum += weightOf(b, p) * (losses[b * count + p] as number);
      total += weightOf(b, p);
    }
    return { sum, total };
  });
  const total = means.reduce((sum, one) => sum + one.total, 0);
  const byPosition = Float64Array.from({ length: count }, (_, p) => {
    let [sum, here] = [0, 0];
    for (const b of all) {
      sum += weightOf(b, p) * (losses[b * count + p] as number);
      here += weightOf(b, p);
    }
    return sum / here;
  });
  const tenth = Math.max(1, Math.floor(count / 10));
  const compared = [tenth, count - tenth].flatMap((from) => Array.from({ length: tenth }, (_, i) => from + i));
  const counts = compared.every((p) => all.every((b) => weightOf(b, p) > 0));
  const hasScore = targets === undefined && attentionMask === undefined && count >= 10 && counts;
  return {
    meanLoss: {
      ...estimateOf(means.filter((one) => one.total > 0).map((one) => one.sum / one.total)),
      mean: means.reduce((sum, one) => sum + one.sum, 0) / total,
    },
    lossByPosition: Tensor.from("pos", [count], byPosition),
    ...(hasScore && { contextScore: contextScoreOf(losses, batch, count, tenth) }),
  };
}

/** The loss of each prediction, `[batch, pos]`. */
function lossesOf(model: Transformer, { tokens, targets, attentionMask }: FilmProbe, count: number): Float64Array {
  const { d_vocab_out } = model.config;
  const [batch = 0, pos = 0] = tokens.shape;
  const ids = rawData(targets ?? tokens);
  const shift = targets === undefined ? 1 : 0;
  const losses = new Float64Array(batch * count);
  const together = Math.max(1, Math.floor(MOST_LOGITS / (pos * d_vocab_out)));
  for (let first = 0; first < batch; first += together) {
    const of = (tensor: Tensor<"batch pos">): Tensor<"batch pos"> =>
      tensor.slice("batch", first, Math.min(batch, first + together));
    const some = of(tokens);
    const mask = attentionMask && { attentionMask: of(attentionMask) };
    const logits = rawData(model.run(some, { cache: [], ...mask }).logits) as FloatArray;
    for (let b = 0; b < some.sizeOf("batch"); b++) {
      const from = (first + b) * pos + shift;
      const wanted = Int32Array.from(ids.subarray(from, from + count));
      const start = b * pos * d_vocab_out;
      const output = losses.subarray((first + b) * count, (first + b + 1) * count);
      lossesOfRows({ rows: count, cols: d_vocab_out, logits, start, targets: wanted, output });
    }
  }
  return losses;
}

function contextScoreOf(losses: Float64Array, batch: number, count: number, tenth: number): FilmEstimate {
  return estimateOf(
    Array.from({ length: batch }, (_, b) => {
      const mean = (from: number): number => {
        let sum = 0;
        for (let p = from; p < from + tenth; p++) sum += losses[b * count + p] as number;
        return sum / tenth;
      };
      return mean(count - tenth) - mean(tenth);
    }),
  );
}

function estimateOf(values: readonly number[]): FilmEstimate {
  const n = values.length;
  const mean = values.reduce((sum, x) => sum + x, 0) / n;
  if (n < 2) return { mean, error: NaN };
  return { mean, error: Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1) / n) };
}
