/**
 * Automatic circuit discovery by cutting (ACDC, Conmy et al. 2304.14997): from the logits down, each edge into a
 * reader is
 * cut where the metric gets worse by less than a threshold, and stays cut.
 */
import { InputError, requireKind } from "../../errors.ts";
import { Steps } from "../../progress.ts";
import type { MetricLike, Transformer } from "../../model/index.ts";
import { requireFinite } from "../../model/internal.ts";
import { Circuit, circuitGraph, pruneCircuit } from "./circuits/index.ts";
import { checkPrompts, CircuitRuns } from "./edges/index.ts";
import type { CircuitPrompts, EdgeScoreOptions } from "./edges/index.ts";
import { isLoss } from "./edges/circuit-runs.ts";

/**
 * Options of {@link acdcCircuit}.
 * @category Circuit discovery
 */
export interface AcdcOptions extends EdgeScoreOptions {
  /** By how much less the mean metric may get worse for an edge to be cut. */
  readonly threshold: number;
  /** Whether the metric falls where the model gets better; of a loss and of a KL divergence it does, unless given. */
  readonly lowerIsBetter?: boolean | undefined;
}

/**
 * The circuit that is left when every edge is cut that the metric can do without: readers from the logits down, of each
 * the latest senders first.
 *
 * Scores are by how much the metric fell when the edge was tried, others being cut already. Each edge costs a run of
 * what lies behind it.
 *
 * @param prompts - prompts of one length, padded or not, with their corrupted counterparts where edges are to carry
 * those.
 * @param metric - a metric, or a function of logits; ACDC's own is the KL divergence from the model's predictions.
 * @throws {@link InputError} or {@link ShapeError} for prompts, a metric or a threshold that do not fit; the signal's
 * reason when aborted.
 * @category Circuit discovery
 * @example
 * ```ts
 * import { klDivergence } from "transformer-circuits/model";
 * import { acdcCircuit } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const clean = [0, 9, 4, 7, 9, 4];
 * const metric = klDivergence(model.forward(clean), { pos: -1 });
 * const prompts = { clean, corrupted: [0, 3, 8, 2, 9, 4] };
 * const sizes = [0.01, 0.1, 1].map((threshold) => acdcCircuit(model, prompts, metric, { threshold }).size);
 * const [all = 0, some = 0, few = 0] = sizes;
 * console.log(all > some, some > few);
 * // true true
 * ```
 */
export function acdcCircuit(
  model: Transformer,
  prompts: CircuitPrompts,
  metric: MetricLike,
  options: AcdcOptions,
): Circuit {
  const operation = "acdcCircuit";
  const known = "threshold lowerIsBetter ablation graph seed attentionMask signal onProgress";
  requireKind("model", model, "model", operation, options, known);
  const { threshold } = options;
  requireFinite(threshold, "threshold", operation);
  if (threshold < 0) {
    throw new InputError(`threshold is ${threshold}. Give a number of at least 0.`, {
      ...{ operation, argument: "threshold", expected: ">= 0", actual: threshold },
    });
  }
  const { graph = circuitGraph(model) } = options;
  const { ablation, seed, attentionMask } = options;
  const runs = new CircuitRuns(model, graph, checkPrompts(model, prompts, operation, attentionMask), metric, {
    ablation,
    seed,
    operation,
  });
  const sign = (options.lowerIsBetter ?? isLoss(runs.metric.name)) ? -1 : 1;
  const steps = new Steps(options, graph.size);
  const cut = new Uint8Array(graph.size);
  const mean = (): number => runs.value({ edges: cut, cuts: true }).reduce((a, b) => a + b, 0) / runs.count;
  const scores = new Float64Array(graph.size);
  let current = mean();
  for (let reader = graph.readers.length - 1; reader >= 0; reader--) {
    for (let sender = (graph.readers[reader]?.senders ?? 0) - 1; sender >= 0; sender--) {
      const edge = graph.between(sender, reader) ?? 0;
      cut[edge] = 1;
      const without = mean();
      scores[edge] = current - without;
      if (sign * (current - without) < threshold) current = without;
      else cut[edge] = 0;
      steps.advance();
    }
  }
  const provenance = {
    method: "acdc",
    threshold,
    metric: runs.metric.name,
    ablation: runs.ablation,
    prompts: runs.count,
  };
  const kept = Circuit.from(graph, { scores, provenance }).keeping(cut.map((x) => 1 - x));
  return pruneCircuit(kept);
}
