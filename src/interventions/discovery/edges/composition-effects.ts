/** What each pair of heads is worth, by queries, keys and values: the edges between heads, cut one by one. */
import { PairTable } from "../../../circuits/internal.ts";
import type { CompositionMaps } from "../../../circuits/index.ts";
import { requireKind } from "../../../errors.ts";
import type { MetricLike, Transformer } from "../../../model/index.ts";
import type { CircuitPrompts } from "./circuit-prompts.ts";
import { exactEdges } from "./exact-edges.ts";
import type { EdgeScoreOptions } from "./exact-edges.ts";

/**
 * By how much a metric changes when a reader's queries, keys or values alone do not get what a writer writes: the
 * causal effect of composition, which composition scores are to be compared with. {@link exactEdges} between heads, as
 * pairs.
 *
 * With `ablation: "mean"` what is cut is how the writer's output differs from its mean over prompts; the mean stays.
 *
 * @param metric - a metric, or a function of logits.
 * @returns above 0 where the metric rises without: of a loss, where the pair helps. 0 where the writer's layer is not
 * the earlier.
 * @throws as {@link exactEdges}.
 * @category Circuit discovery
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { crossEntropy } from "transformer-circuits/model";
 * import { compositionEffects } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const prompts = repeatedTokens(model.config, { length: 12, batch: 2, seed: 0, bos: 0 });
 * const mask = prompts.map((prompt) => prompt.slice(1).map((_, p) => (p > 12 ? 1 : 0)));
 * const { K, V } = compositionEffects(model, prompts, crossEntropy(prompts, { mask }), { ablation: "mean" });
 * console.log(K.at(0, 5, 1, 2) > 0.5, V.at(0, 5, 1, 2) < 0.1);
 * // true true
 * ```
 */
export function compositionEffects(
  model: Transformer,
  prompts: CircuitPrompts,
  metric: MetricLike,
  options: EdgeScoreOptions = {},
): CompositionMaps {
  requireKind(
    "model",
    model,
    "model",
    "compositionEffects",
    options,
    "ablation graph seed attentionMask signal onProgress",
  );
  const { circuit } = exactEdges(model, prompts, metric, options);
  const table = new PairTable(model, ["Q", "K", "V"]);
  const scores = circuit.edgeScores;
  const values = new Map<string, Partial<Record<"Q" | "K" | "V", number>>>();
  for (const [at, { from, to, input }] of circuit.graph.edges.entries()) {
    const [writer, reader] = [placeOf(from), placeOf(to)];
    if (writer === undefined || reader === undefined || input === undefined) continue;
    const kind = input.toUpperCase() as "Q" | "K" | "V";
    const known = { ...values.get(`${from}->${to}`), [kind]: 0 - (scores[at] as number) };
    values.set(`${from}->${to}`, known);
    table.put([...writer, ...reader], known);
  }
  return table.scores;
}

/** Layer and head of a node's name. */
function placeOf(node: string): [number, number] | undefined {
  const found = /^a(\d+)\.h(\d+)$/.exec(node);
  return found === null ? undefined : [Number(found[1]), Number(found[2])];
}
