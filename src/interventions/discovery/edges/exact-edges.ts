/** What each edge is worth, exactly: the metric of the model less the metric when that edge alone is cut. */
import { requireKind } from "../../../errors.ts";
import { Steps } from "../../../progress.ts";
import type { ProgressOptions } from "../../../progress.ts";
import type { MetricLike, Transformer } from "../../../model/index.ts";
import { Tensor } from "../../../tensor/index.ts";
import { Circuit } from "../circuits/index.ts";
import { circuitGraph } from "../circuits/index.ts";
import type { CircuitGraph } from "../circuits/index.ts";
import { checkPrompts } from "./circuit-prompts.ts";
import type { CircuitMask, CircuitPrompts, EdgeAblation } from "./circuit-prompts.ts";
import { CircuitRuns } from "./circuit-runs.ts";
import { cutEdges } from "./cut-edges.ts";

/**
 * Options of what scores edges.
 * @category Circuit discovery
 */
export interface EdgeScoreOptions extends ProgressOptions {
  /**
   * What a cut edge carries; `"counterfactual"` where there are corrupted prompts and `"zero"` otherwise, unless given.
   */
  readonly ablation?: EdgeAblation | undefined;
  /** The graph; the model's own unless given. */
  readonly graph?: CircuitGraph | undefined;
  /** The seed of `"resample"`; 0 unless given. */
  readonly seed?: number | undefined;
  /**
   * Which positions are text and which are padding; all are text unless given. Each prompt is then worth what it is
   * alone: means, and prompts that stand in for others, are of text at the same positions.
   */
  readonly attentionMask?: CircuitMask | undefined;
}

/**
 * What edges are worth.
 * @category Circuit discovery
 */
export interface EdgeEffects {
  /** All edges, each with its mean over prompts as its score: above 0 where the edge raises the metric. */
  readonly circuit: Circuit;
  /** `[edge, batch]`: by how much the metric of each prompt falls when the edge is cut, float64. */
  readonly effects: Tensor<"edge batch">;
  /** `[batch]`: the metric of the model itself. */
  readonly clean: Tensor<"batch">;
}

/**
 * Cuts each edge by itself and measures by how much the metric falls.
 *
 * @param prompts - prompts of one length, padded or not, with their corrupted counterparts where edges are to carry
 * those.
 * @param metric - a metric, or a function of logits.
 * @throws {@link InputError} or {@link ShapeError} for prompts or a metric that do not fit; the signal's reason when
 * aborted.
 * @category Circuit discovery
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { crossEntropy } from "transformer-circuits/model";
 * import { exactEdges } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const prompts = repeatedTokens(model.config, { length: 12, batch: 2, seed: 0, bos: 0 });
 * const mask = [0, 1].map(() => Array.from({ length: 24 }, (_, p) => (p > 12 ? 1 : 0)));
 * const { circuit } = exactEdges(model, prompts, crossEntropy(prompts, { mask }));
 * const worst = circuit.ranking().filter(({ from, score }) => from.startsWith("a0") && score < 0)[0];
 * console.log(worst?.name);
 * // a0.h5->a1.h2<k>
 * ```
 * @example
 * Prompts of different lengths: each edge is worth to each prompt what it is to that prompt alone.
 * ```ts
 * import { logitDifference, padPrompts } from "transformer-circuits/model";
 * import { exactEdges } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const { tokens, attentionMask } = padPrompts([[0, 300, 301, 302, 300], [0, 301, 302, 301]]);
 * const metric = logitDifference({ answer: [301, 302], wrong: [302, 300] });
 * const { circuit, effects } = exactEdges(model, tokens, metric, { attentionMask });
 * const alone = exactEdges(model, [0, 301, 302, 301], logitDifference({ answer: 302, wrong: 300 }));
 * const edge = circuit.graph.indexOf("a1.h2->logits");
 * console.log(Math.abs(effects.at(edge, 1) - alone.effects.at(edge, 0)) < 1e-4);
 * // true
 * ```
 */
export function exactEdges(
  model: Transformer,
  prompts: CircuitPrompts,
  metric: MetricLike,
  options: EdgeScoreOptions = {},
): EdgeEffects {
  const operation = "exactEdges";
  requireKind("model", model, "model", operation, options, "ablation graph seed attentionMask signal onProgress");
  const { graph = circuitGraph(model) } = options;
  const checked = checkPrompts(model, prompts, operation, options.attentionMask);
  const runs = new CircuitRuns(model, graph, checked, metric, { ...options, operation });
  const steps = new Steps(options, graph.size * runs.portions.length);
  const clean = new Float64Array(runs.count);
  const cut = Array.from({ length: graph.size }, () => new Float64Array(runs.count));
  if (graph.config.n_layers === 0) {
    clean.set(runs.value({ edges: new Uint8Array(graph.size).fill(1) }));
    cut[0]?.set(runs.value({ edges: new Uint8Array(graph.size) }));
  }
  for (const { start, end } of graph.config.n_layers === 0 ? [] : runs.portions) {
    const prompts = runs.prompts(start, end);
    const found = cutEdges(
      model,
      graph,
      { ...prompts, ...runs.outputs(start, end), metric: runs.metricOf(start, end) },
      steps,
    );
    clean.set(found.clean, start);
    for (const [edge, values] of found.cut.entries()) cut[edge]?.set(values, start);
  }
  const count = runs.count;
  const effects = new Float64Array(graph.size * count);
  const scores = cut.map((values, edge) => {
    let sum = 0;
    for (let b = 0; b < count; b++) {
      const effect = (clean[b] ?? 0) - (values[b] ?? 0);
      effects[edge * count + b] = effect;
      sum += effect;
    }
    return sum / count;
  });
  const provenance = { method: "exact", metric: runs.metric.name, ablation: runs.ablation, prompts: count };
  return {
    circuit: Circuit.from(graph, { edges: "all", scores, provenance }),
    effects: Tensor.from("edge batch", [graph.size, count], effects),
    clean: Tensor.from("batch", [count], clean),
  };
}
