/** The loss on the text, in nats. */
import type { Transformer } from "../model/index.ts";
import { runLosses } from "../model/internal.ts";
import type { Corpus } from "./corpus.ts";
import { byPosition, estimateOf } from "./numbers.ts";
import type { Plan } from "./plan.ts";
import type { LossOnText } from "./types.ts";
import { meanOf } from "../tensor/internal.ts";

/** Runs of windows of equal length, at most `batch` together. */
function batchesOf(windows: readonly (readonly number[])[], batch: number): (readonly number[])[][] {
  const batches: (readonly number[])[][] = [];
  for (const window of windows) {
    const last = batches[batches.length - 1];
    if (last !== undefined && last.length < batch && last[0]?.length === window.length) last.push(window);
    else batches.push([window]);
  }
  return batches;
}

/** The loss on all windows. */
export async function lossOnText(
  model: Transformer,
  corpus: Corpus,
  plan: Plan,
  pause: (part: number) => Promise<void>,
  signal?: AbortSignal,
): Promise<LossOnText> {
  const rows: number[][] = [];
  for (const batch of batchesOf(corpus.windows, plan.batch)) {
    const loss = runLosses(model, batch, { signal });
    rows.push(...batch.map((_, b) => Array.from(loss.select("batch", b).data)));
    await pause(rows.length / corpus.windows.length);
  }
  const predictions = rows.reduce((n, row) => n + row.length, 0);
  // windows of different length weigh by their predictions in the mean, but not in its error
  return {
    mean: meanOf(rows.flat()),
    standardError: estimateOf(rows.map(meanOf)).standardError,
    predictions,
    byPosition: byPosition(rows),
    uniform: Math.log(model.config.d_vocab),
    unigram: unigramLoss(corpus.ids, model.config.d_vocab),
  };
}

/** Too few tokens say nothing about their frequencies. */
const FEWEST_TOKENS = 200;

/** The loss of guessing by frequency, with one added to every count and each token left out of its own. */
function unigramLoss(ids: readonly number[], d_vocab: number): number | null {
  if (ids.length < FEWEST_TOKENS) return null;
  const counts = new Float64Array(d_vocab);
  for (const id of ids) counts[id] = (counts[id] ?? 0) + 1;
  return -meanOf(ids.map((id) => Math.log((counts[id] as number) / (ids.length - 1 + d_vocab))));
}
