/** The scores of a run as it computed them, and which keys its queries saw. */
import type { HeadId } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { FrozenRun } from "../frozen/frozen-run.ts";

/** The scores of a layer before any edit of them: what parts of queries and keys sum to; $-\infty$ where masked. */
export function scoresAsComputed({ run, trace }: FrozenRun, layer: number): Tensor<"batch head query_pos key_pos"> {
  const hook = `blocks.${layer}.attn.hook_attn_scores` as const;
  return (trace?.before.get(hook) as Tensor<"batch head query_pos key_pos"> | undefined) ?? run.cache.get(hook);
}

/** Which keys the queries of a head saw, causality, windows and padding considered: 1 or 0, `[batch, query, key]`. */
export function seenKeys(frozen: FrozenRun, { layer, head }: HeadId): Uint8Array {
  const scores = scoresAsComputed(frozen, layer).select("head", head);
  return Uint8Array.from(scores.data, (score) => (score === -Infinity ? 0 : 1));
}
