/**
 * What paths of each length, the heads of each layer and each head are worth (A Mathematical Framework, "Term
 * importance").
 */
import { headTermImportance, layerTermImportance, lossByMaxOrder } from "../../paths/index.ts";
import type { Transformer } from "../../model/index.ts";
import { Random } from "../../tensor/index.ts";
import { meanOf } from "../numbers.ts";
import type { Plan } from "../plan.ts";
import type { Estimate, ImportanceFacts } from "../types.ts";
import { pathCount } from "./expansion.ts";

const RESAMPLES = 400;

/** Evenly spread windows of one length. */
export function importanceWindows(windows: readonly (readonly number[])[], plan: Plan): (readonly number[])[] {
  const longest = Math.min(plan.importanceLength, Math.max(...windows.map((window) => window.length)));
  const full = windows.filter((window) => window.length >= longest);
  const count = Math.min(plan.importanceWindows, full.length);
  return Array.from({ length: count }, (_, i) => (full[Math.floor((i * full.length) / count)] ?? []).slice(0, longest));
}

/** Term importance window by window, so that the spread over windows is known. */
export async function importanceFacts(
  model: Transformer,
  windows: readonly (readonly number[])[],
  plan: Plan,
  seed: number,
  pause: (part: number) => Promise<void>,
  signal?: AbortSignal,
): Promise<ImportanceFacts> {
  const gains: number[][] = [];
  const losses: number[][] = [];
  const direct: number[][] = [];
  const others: number[][] = [];
  const options = signal === undefined ? {} : { signal };
  for (const [i, window] of windows.entries()) {
    const { loss, marginalGain } = lossByMaxOrder(model, [window], options);
    losses.push(Array.from(loss.data));
    gains.push(Array.from(marginalGain.data));
    await pause((i + 0.4) / (windows.length + 1));
    if (model.config.n_layers > 0) {
      const layers = layerTermImportance(model, [window], options);
      direct.push(Array.from(layers.addedToDirect.data));
      others.push(Array.from(layers.addedToOthers.data));
    }
    await pause((i + 1) / (windows.length + 1));
  }
  const column = (rows: readonly number[][], at: number): number[] => rows.map((row) => row[at] ?? 0);
  const random = new Random(seed);
  const estimate = (values: readonly number[]): Estimate => ({
    mean: meanOf(values),
    standardError: bootstrapError(values, random),
  });
  const length = windows[0]?.length ?? 0;
  const heads = plan.importanceByHead ? headImportance(model, windows[windows.length >> 1] ?? []) : [];
  return {
    windows: windows.length,
    predictions: windows.length * (length - 1),
    uniform: Math.log(model.config.d_vocab),
    orders: (losses[0] ?? []).map((_, order) => ({
      order,
      terms: pathCount(model, order) - (order === 0 ? 0 : pathCount(model, order - 1)),
      loss: meanOf(column(losses, order)),
      gain: meanOf(column(gains, order)),
      gainError: bootstrapError(column(gains, order), random),
    })),
    layers: model.layers.map(({ layer }) => ({
      layer,
      addedToDirect: estimate(column(direct, layer)),
      addedToOthers: estimate(column(others, layer)),
    })),
    heads,
    headPredictions: heads.length === 0 ? 0 : length - 1,
  };
}

function headImportance(
  model: Transformer,
  window: readonly number[],
): { label: string; addedToDirect: number; removedFromFull: number }[] {
  if (model.heads.length === 0) return [];
  const { addedToDirect, removedFromFull } = headTermImportance(model, [window]);
  return model.heads.map(({ label, layer, head }) => ({
    label,
    addedToDirect: addedToDirect.at(layer, head),
    removedFromFull: removedFromFull.at(layer, head),
  }));
}

/** The standard deviation of the mean over resamples with replacement; `null` for one observation. */
export function bootstrapError(values: readonly number[], random: Random): number | null {
  if (values.length < 2) return null;
  const means = Array.from({ length: RESAMPLES }, () =>
    meanOf(values.map(() => values[random.int(values.length)] as number)),
  );
  const centre = meanOf(means);
  return Math.sqrt(meanOf(means.map((mean) => (mean - centre) ** 2)));
}
