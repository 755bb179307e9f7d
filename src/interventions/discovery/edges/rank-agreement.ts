/** How well one ranking of edges agrees with another: rank correlation, area under the ROC curve, shared top edges. */
import { InputError, nameOf, requireOptions } from "../../../errors.ts";
import { requireCircuit } from "../circuits/index.ts";
import type { Circuit } from "../circuits/index.ts";

/**
 * How well an estimate ranks edges as the truth does, by the size of scores.
 * @category Circuit discovery
 */
export interface RankAgreement {
  /** Spearman's rank correlation of the sizes of all scores; NaN where one side has them all equal. */
  readonly spearman: number;
  /** The share of pairs (a largest edge of the truth, another edge) that the estimate has in the right order. */
  readonly auroc: number;
  /** The share of the largest edges of the truth that are among as many of the estimate. */
  readonly overlap: number;
  /** How many edges count as the largest. */
  readonly count: number;
}

/**
 * How well scores of edges agree with others, such as an attribution with the exact effects.
 *
 * @param options - `count`, how many edges count as the largest: a tenth of all, at least one, unless given.
 * @throws {@link InputError} when the circuits are of different graphs, or there are not so many edges.
 * @category Circuit discovery
 * @example
 * ```ts
 * import { Circuit, circuitGraph, rankAgreement } from "transformer-circuits/interventions";
 *
 * const graph = circuitGraph({ n_layers: 1, n_heads: 1, d_model: 4, parallel_attn_mlp: false, attn_only: true });
 * const truth = Circuit.from(graph, { scores: [0, 0.1, 2, 0.5, -3] });
 * const estimate = Circuit.from(graph, { scores: [0.2, 0.1, 1, -0.5, -9] });
 * console.log(rankAgreement(estimate, truth, { count: 2 }));
 * // { spearman: 0.9, auroc: 1, overlap: 1, count: 2 }
 * ```
 */
export function rankAgreement(
  estimate: Circuit,
  truth: Circuit,
  options: { readonly count?: number } = {},
): RankAgreement {
  const operation = "rankAgreement";
  requireOptions(options, operation, "count");
  requireCircuit(estimate, operation);
  requireCircuit(truth, operation);
  const size = truth.graph.size;
  if (estimate.graph.size !== size || estimate.graph.edge(0).name !== truth.graph.edge(0).name) {
    throw new InputError(
      `the circuits are of different graphs: ${String(estimate.graph)} and ${String(truth.graph)}.`,
      {
        operation,
        argument: "estimate",
        expected: size,
        actual: estimate.graph.size,
      },
    );
  }
  const { count = Math.max(1, Math.round(size / 10)) } = options;
  if (!Number.isSafeInteger(count) || count < 1 || count > size) {
    throw new InputError(`count is ${nameOf(count)}, but there are ${size} edges.`, {
      operation,
      argument: "count",
      expected: [1, size],
      actual: count,
    });
  }
  const a = sizes(estimate);
  const b = sizes(truth);
  const top = largest(b, count);
  const found = new Set(largest(a, count));
  return {
    spearman: correlation(ranks(a), ranks(b)),
    auroc: areaUnderRoc(a, new Set(top)),
    overlap: top.filter((edge) => found.has(edge)).length / count,
    count,
  };
}

/**
 * The area under the ROC curve of scores over a known circuit: the share of pairs (an edge of the circuit, another
 * edge) in which the circuit's edge has the larger score; ties count half.
 *
 * @param known - the known circuit.
 * @param options - `absolute`, whether the size of scores counts, `true` unless given; `among`, a circuit outside of
 * which edges are not counted.
 * @returns NaN where the circuit has no edge, or all.
 * @throws {@link InputError} when the circuits are of different graphs.
 * @category Circuit discovery
 * @example
 * ```ts
 * import { Circuit, circuitGraph, edgeAuroc } from "transformer-circuits/interventions";
 *
 * const graph = circuitGraph({ n_layers: 1, n_heads: 1, d_model: 4, parallel_attn_mlp: false, attn_only: true });
 * const known = Circuit.from(graph, { edges: ["input->a0.h0<v>", "a0.h0->logits"] });
 * console.log(edgeAuroc(Circuit.from(graph, { scores: [0, 0.1, 2, 0.5, -3] }), known));
 * // 1
 * console.log(edgeAuroc(Circuit.from(graph, { scores: [0, 0.1, 2, 2, -3] }), known));
 * // 0.9166666666666666
 * ```
 */
export function edgeAuroc(
  scored: Circuit,
  known: Circuit,
  options: { readonly absolute?: boolean; readonly among?: Circuit } = {},
): number {
  const operation = "edgeAuroc";
  requireOptions(options, operation, "absolute among");
  requireCircuit(scored, operation);
  requireCircuit(known, operation);
  const { absolute = true, among } = options;
  for (const other of [known, among]) {
    if (other === undefined || other.graph.size === scored.graph.size) continue;
    throw new InputError(`the circuits are of different graphs: ${String(scored.graph)} and ${String(other.graph)}.`, {
      operation,
      argument: "known",
      expected: scored.graph.size,
      actual: other.graph.size,
    });
  }
  const counted = Int32Array.from(scored.kept.keys()).filter((i) => among === undefined || among.kept[i] === 1);
  const all = absolute ? sizes(scored) : scored.edgeScores.map((x) => (Number.isNaN(x) ? -Infinity : x));
  const positives = new Set([...counted.keys()].filter((i) => known.kept[counted[i] ?? 0] === 1));
  return areaUnderRoc(
    Float64Array.from(counted, (i) => all[i] ?? 0),
    positives,
  );
}

/** The sizes of scores; edges without come last. */
const sizes = (circuit: Circuit): Float64Array =>
  circuit.edgeScores.map((x) => (Number.isNaN(x) ? -Infinity : Math.abs(x)));

function largest(values: Float64Array, count: number): number[] {
  const order = Array.from(values.keys());
  return order.sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b).slice(0, count);
}

/** Ranks from 1, of ties the mean. */
function ranks(values: Float64Array): Float64Array {
  const order = Array.from(values.keys()).sort((a, b) => compare(values[a] ?? 0, values[b] ?? 0));
  const out = new Float64Array(values.length);
  for (let from = 0; from < order.length;) {
    let to = from + 1;
    while (to < order.length && values[order[to] ?? 0] === values[order[from] ?? 0]) to++;
    for (let i = from; i < to; i++) out[order[i] ?? 0] = (from + 1 + to) / 2;
    from = to;
  }
  return out;
}

const compare = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);

function correlation(x: Float64Array, y: Float64Array): number {
  const mean = (x.length + 1) / 2;
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const [a, b] = [(x[i] ?? 0) - mean, (y[i] ?? 0) - mean];
    xy += a * b;
    xx += a * a;
    yy += b * b;
  }
  return xy / Math.sqrt(xx * yy);
}

function areaUnderRoc(values: Float64Array, positives: ReadonlySet<number>): number {
  const rank = ranks(values);
  const [p, n] = [positives.size, values.length - positives.size];
  let sum = 0;
  for (const i of positives) sum += rank[i] ?? 0;
  return (sum - (p * (p + 1)) / 2) / (p * n);
}
