/**
 * What single heads do to the prediction of repeated tokens: their direct effect on the logit, and the loss without
 * them.
 */
import { logitAttribution } from "../../paths/index.ts";
import type { AttentionHead, Transformer } from "../../model/index.ts";
import { meanOf } from "../numbers.ts";
import type { ReportFoundHeads } from "../types.ts";
import type { Prompts } from "./induction.ts";
import { silencedLastLayer, silencedLoss } from "./silence.ts";

/** The mean direct effect of every head on the right token's logit in the second copy, by label. */
export function attributions(model: Transformer, { prompts, period }: Prompts): Map<string, number> {
  const { labels, attribution } = logitAttribution(model, prompts);
  const second = attribution.slice("pos", attribution.sizeOf("pos") - (period - 1));
  const heads = new Set<string>(model.heads.map((head) => head.label));
  return new Map(
    labels.flatMap((label, c): (readonly [string, number])[] =>
      heads.has(label) ? [[label, meanOf(second.select("component", c).data)]] : [],
    ),
  );
}

/**
 * The heads worth silencing one by one: all, or with fewer runs than heads those found, then those of the largest
 * effect.
 */
export function headsToSilence(
  model: Transformer,
  found: ReportFoundHeads,
  attribution: ReadonlyMap<string, number>,
  runs: number,
): AttentionHead[] {
  if (model.heads.length <= runs) return [...model.heads];
  const first = new Set([...found.induction, ...found.previousToken]);
  const effect = ({ label }: AttentionHead): number =>
    (first.has(label) ? 1e9 : 0) + Math.abs(attribution.get(label) ?? 0);
  return [...model.heads].sort((a, b) => effect(b) - effect(a)).slice(0, runs);
}

/** By how much the loss of the second copy rises without each head, by label. */
export async function ablations(
  model: Transformer,
  heads: readonly AttentionHead[],
  { prompts, period }: Prompts,
  pause: (part: number) => Promise<void>,
): Promise<Map<string, number>> {
  const whole = silencedLoss(model, prompts, period, []);
  const last = heads.filter(({ layer }) => layer === model.config.n_layers - 1);
  const deltas = new Map<string, number>(
    silencedLastLayer(model, prompts, period, last).map((loss, i) => [last[i]?.label ?? "", loss - whole]),
  );
  for (const head of heads) {
    if (deltas.has(head.label)) continue;
    deltas.set(head.label, silencedLoss(model, prompts, period, [head]) - whole);
    await pause(deltas.size / heads.length);
  }
  return deltas;
}
