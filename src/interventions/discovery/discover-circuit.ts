/**
 * Discovery in one call: what each edge is worth, and the smallest selection of edges that does what the model does.
 */
import { InputError, nameOf, requireKind } from "../../errors.ts";
import { stepOptions } from "../../progress.ts";
import type { MetricLike, Transformer } from "../../model/index.ts";
import { requireChoice, requireFinite, requireShare } from "../../model/internal.ts";
import { meanOf } from "../../tensor/internal.ts";
import { circuitGraph } from "./circuits/index.ts";
import type { Circuit } from "./circuits/index.ts";
import {
  checkPrompts,
  CircuitRuns,
  edgeAttribution,
  edgesAbove,
  exactEdges,
  greedyEdges,
  topEdges,
} from "./edges/index.ts";
import type { AttributionMethod, CircuitPrompts, EdgeEffects, EdgeScoreOptions } from "./edges/index.ts";
import { nodeScores, NodeSelection } from "./node-level.ts";

/**
 * How {@link discoverCircuit} looks.
 * @category Circuit discovery
 */
export interface DiscoveryOptions extends EdgeScoreOptions {
  /** How edges are scored: exactly, unless an estimate is asked for. */
  readonly method?: "exact" | AttributionMethod | undefined;
  /** Steps of integrated gradients. */
  readonly steps?: number | undefined;
  /** What is chosen: edges, unless nodes are asked for, which come with all edges between them. */
  readonly level?: "edge" | "node" | undefined;
  /**
   * The edges that hang together from the logits up (`"greedy"`, for edges unless given), or the largest scores
   * (`"top"`, for nodes always).
   */
  readonly select?: "greedy" | "top" | undefined;
  /** Whether a large negative score counts as much as a large positive one; `true` unless given. */
  readonly absolute?: boolean | undefined;
  /** How many edges or nodes to select, before pruning; the fewest that are faithful unless given. */
  readonly count?: number | undefined;
  /** The least score of what is selected, instead of a number of edges or nodes. */
  readonly threshold?: number | undefined;
  /**
   * How much of the model's metric over that of nothing the circuit keeps alone, within as much above; 0.95 unless
   * given.
   */
  readonly faithfulness?: number | undefined;
}

/**
 * What {@link discoverCircuit} finds.
 * @category Circuit discovery
 */
export interface Discovery {
  /** The circuit: pruned, with the scores of all edges. */
  readonly circuit: Circuit;
  /** What edges are worth, prompt by prompt. */
  readonly effects: EdgeEffects;
  /** $f$ of the circuit: 0 with every edge cut, 1 as the whole model. */
  readonly faithfulness: number;
}

/** From one size that is tried to the next. */
const GROWTH = 1.15;

/**
 * Finds a circuit: scores every edge, and selects the fewest that do alone what the model does.
 *
 * Sizes that grow by 15 % are tried, so that a circuit somewhat smaller may exist. At the level of nodes the score of a
 * node is what its edges are worth together; input and logits always stay.
 *
 * @param prompts - prompts of one length, padded or not, with their corrupted counterparts where edges are to carry
 * those.
 * @param metric - a metric, or a function of logits; with a gradient where the scores are an estimate.
 * @throws {@link InputError} or {@link ShapeError} for prompts or a metric that do not fit; the signal's reason when
 * aborted.
 * @category Circuit discovery
 * @example
 * ```ts
 * import { repeatedTokens } from "transformer-circuits";
 * import { crossEntropy } from "transformer-circuits/model";
 * import { discoverCircuit } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const clean = repeatedTokens(model.config, { length: 12, batch: 4, seed: 0, bos: 0, distinct: true });
 * // The first copy replaced by other tokens: nothing is repeated.
 * const other = repeatedTokens(model.config, { length: 12, batch: 4, seed: 1, bos: 0, distinct: true });
 * const corrupted = clean.map((row, b) => [...(other[b] ?? []).slice(0, 13), ...row.slice(13)]);
 * const mask = clean.map(() => Array.from({ length: 24 }, (_, p) => (p > 12 ? 1 : 0)));
 * const metric = crossEntropy(clean, { mask });
 * const { circuit, faithfulness } = discoverCircuit(model, { clean, corrupted }, metric);
 * console.log(faithfulness > 0.95, circuit.size < 70, circuit.has("a0.h5->a1.h2<k>"));
 * // true true true
 * ```
 */
export function discoverCircuit(
  model: Transformer,
  prompts: CircuitPrompts,
  metric: MetricLike,
  options: DiscoveryOptions = {},
): Discovery {
  const operation = "discoverCircuit";
  const known =
    "method steps level select absolute count threshold faithfulness ablation graph seed attentionMask signal onProgress";
  requireKind("model", model, "model", operation, options, known);
  const { method = "exact", steps, level = "edge", absolute = true, count, threshold, faithfulness = 0.95 } = options;
  const { select = level === "node" || threshold !== undefined ? "top" : "greedy" } = options;
  requireChoice(method, ["exact", "eap", "eap-ig-inputs", "eap-ig-activations"], "method", operation);
  requireChoice(level, ["edge", "node"], "level", operation);
  requireChoice(select, ["greedy", "top"], "select", operation);
  requireSelection(level, select, count, threshold);
  requireShare(faithfulness, "faithfulness", operation);
  const { ablation, seed, attentionMask } = options;
  const { graph = circuitGraph(model) } = options;
  const scoring = { ablation, graph, seed, attentionMask, ...stepOptions(options, 0, 1) };
  const effects =
    method === "exact"
      ? exactEdges(model, prompts, metric, scoring)
      : edgeAttribution(model, prompts, metric, { ...scoring, method, steps });
  const runs = new CircuitRuns(model, graph, checkPrompts(model, prompts, operation, attentionMask), metric, {
    ablation,
    seed,
    operation,
  });
  const mean = (edges: Uint8Array): number => meanOf(runs.value({ edges }));
  const empty = mean(new Uint8Array(graph.size));
  const full = mean(new Uint8Array(graph.size).fill(1));
  const nodes =
    level === "node"
      ? new NodeSelection(effects.circuit, nodeScores(effects, runs, method === "exact", options.signal), absolute)
      : undefined;
  const most = nodes?.size ?? graph.size;
  const judged = (found: Circuit, how: Record<string, unknown>): Discovery => {
    const own = (mean(found.kept) - empty) / (full - empty);
    const circuit = found.withProvenance({ ...(nodes && { level }), ...how });
    return { circuit, effects, faithfulness: own };
  };
  const chosen = (size: number): Discovery => {
    options.signal?.throwIfAborted();
    const ofEdges = select === "greedy" ? greedyEdges : topEdges;
    const found = nodes?.top(size) ?? ofEdges(effects.circuit, size, { absolute });
    return judged(found, { selection: select, count: size });
  };
  if (threshold !== undefined) {
    const found = nodes?.above(threshold) ?? edgesAbove(effects.circuit, threshold, { absolute });
    return judged(found, { selection: "threshold", threshold });
  }
  if (count !== undefined) {
    if (nodes !== undefined) requireCount(count, most);
    return chosen(count);
  }
  for (let size = 1; size < most; size = Math.ceil(size * GROWTH)) {
    const found = chosen(size);
    if (found.circuit.size > 0 && Math.abs(1 - found.faithfulness) <= 1 - faithfulness) return found;
  }
  return chosen(most);
}

function requireSelection(level: string, select: string, count: unknown, threshold: number | undefined): void {
  const refuse = (argument: string, message: string, actual: unknown): InputError =>
    new InputError(message, { operation: "discoverCircuit", argument, actual });
  if (level === "node" && select === "greedy") {
    throw refuse("select", 'nodes are chosen by their scores alone. Give select: "top", or leave it out.', select);
  }
  if (threshold === undefined) return;
  requireFinite(threshold, "threshold", "discoverCircuit");
  if (count !== undefined) {
    throw refuse("threshold", "a threshold and a count both say how much to select. Give one of them.", threshold);
  }
  if (select === "greedy") throw refuse("select", "a threshold selects by scores alone. Leave select out.", select);
}

function requireCount(count: number, most: number): void {
  if (Number.isSafeInteger(count) && count >= 0 && count <= most) return;
  throw new InputError(`count is ${nameOf(count)}, but there are ${most} nodes to choose from.`, {
    operation: "discoverCircuit",
    argument: "count",
    expected: [0, most],
    actual: count,
  });
}
