/**
 * Which edges of a scored graph to keep: the largest, those above a threshold, the largest that hang together from the
 * logits up. What leads nowhere is then taken out. All as EAP-IG's `Graph` does it.
 */
import { InputError, nameOf, requireOptions } from "../../../errors.ts";
import { requireFinite } from "../../../model/internal.ts";
import { pruneCircuit, requireCircuit } from "../circuits/index.ts";
import type { Circuit, CircuitGraph } from "../circuits/index.ts";

/**
 * How scores are compared.
 * @category Circuit discovery
 */
export interface SelectionOptions {
  /** Whether a large negative score counts as much as a large positive one; `true` unless given. */
  readonly absolute?: boolean | undefined;
  /** Whether what leads nowhere is taken out afterwards, by {@link pruneCircuit}; `true` unless given. */
  readonly prune?: boolean | undefined;
}

/**
 * The circuit of the edges with the largest scores (EAP-IG's `apply_topn`).
 *
 * @param count - how many, before pruning.
 * @throws {@link InputError} when there are not so many edges.
 * @category Circuit discovery
 * @example
 * ```ts
 * import { Circuit, circuitGraph, topEdges } from "transformer-circuits/interventions";
 *
 * const graph = circuitGraph({ n_layers: 1, n_heads: 1, d_model: 4, parallel_attn_mlp: false, attn_only: true });
 * console.log(graph.edges.map(({ name }) => name).join(" "));
 * // input->a0.h0<q> input->a0.h0<k> input->a0.h0<v> input->logits a0.h0->logits
 * const scored = Circuit.from(graph, { scores: [0, 0.1, 2, 0.5, -3] });
 * console.log(topEdges(scored, 2).edges.join(" "));
 * // input->a0.h0<v> a0.h0->logits
 * console.log(topEdges(scored, 2, { absolute: false }).edges.join(" "));
 * // input->logits
 * ```
 */
export function topEdges(circuit: Circuit, count: number, options: SelectionOptions = {}): Circuit {
  const { weights, order } = ranked(circuit, options, "topEdges");
  requireEdgeCount(count, weights.length, "topEdges");
  const kept = new Uint8Array(weights.length);
  for (let i = 0; i < count; i++) kept[order[i] ?? 0] = 1;
  return finished(circuit, kept, options);
}

/**
 * The circuit of the edges whose scores reach a threshold (EAP-IG's `apply_threshold`).
 *
 * @throws {@link InputError} when the threshold is not a finite number.
 * @category Circuit discovery
 * @example
 * ```ts
 * import { Circuit, circuitGraph, edgesAbove } from "transformer-circuits/interventions";
 *
 * const graph = circuitGraph({ n_layers: 1, n_heads: 1, d_model: 4, parallel_attn_mlp: false, attn_only: true });
 * const scored = Circuit.from(graph, { scores: [0, 0.1, 2, 0.5, -3] });
 * console.log(edgesAbove(scored, 0.5).edges.join(" "));
 * // input->a0.h0<v> input->logits a0.h0->logits
 * ```
 */
export function edgesAbove(circuit: Circuit, threshold: number, options: SelectionOptions = {}): Circuit {
  const { weights } = ranked(circuit, options, "edgesAbove");
  requireFinite(threshold, "threshold", "edgesAbove");
  return finished(
    circuit,
    Uint8Array.from(weights, (weight) => (weight >= threshold ? 1 : 0)),
    options,
  );
}

/**
 * The circuit that grows from the logits: of the edges into nodes that are in it, the one of the largest score is
 * taken,
 * and with it the node that it comes from, until there are so many (EAP-IG's `apply_greedy`).
 *
 * @param count - how many, before pruning.
 * @throws {@link InputError} when there are not so many edges.
 * @category Circuit discovery
 * @example
 * ```ts
 * import { Circuit, circuitGraph, greedyEdges } from "transformer-circuits/interventions";
 *
 * const graph = circuitGraph({ n_layers: 1, n_heads: 1, d_model: 4, parallel_attn_mlp: false, attn_only: true });
 * const scored = Circuit.from(graph, { scores: [0, 0.1, 9, 0.5, 0.4] });
 * console.log(greedyEdges(scored, 3).edges.join(" "));
 * // input->a0.h0<v> input->logits a0.h0->logits
 * ```
 */
export function greedyEdges(circuit: Circuit, count: number, options: SelectionOptions = {}): Circuit {
  const { weights, order } = ranked(circuit, options, "greedyEdges");
  const { graph } = circuit;
  requireEdgeCount(count, weights.length, "greedyEdges");
  const rank = new Int32Array(weights.length);
  for (const [place, edge] of order.entries()) rank[edge] = place;
  const into = edgesInto(graph);
  const kept = new Uint8Array(weights.length);
  const reached = new Uint8Array(graph.nodes.length);
  const open = new RankHeap(rank);
  const reach = (node: number): void => {
    if (reached[node] === 1) return;
    reached[node] = 1;
    for (const edge of into[node] ?? []) open.push(edge);
  };
  reach(graph.nodes.length - 1);
  for (let taken = 0; taken < count; taken++) {
    const edge = open.pop();
    if (edge === undefined) break;
    kept[edge] = 1;
    reach(graph.senderOf[edge] ?? 0);
  }
  return finished(circuit, kept, options);
}

/** Edges by weight, the largest first; equal ones as sender and reader are counted. */
function ranked(
  circuit: Circuit,
  options: SelectionOptions,
  operation: string,
): { readonly weights: Float64Array; readonly order: Int32Array } {
  requireOptions(options, operation, "absolute prune");
  requireCircuit(circuit, operation);
  const { graph, edgeScores } = circuit;
  const { absolute = true } = options;
  const weights = edgeScores.map((score) => (Number.isNaN(score) ? -Infinity : absolute ? Math.abs(score) : score));
  const at = (edge: number): number => (graph.senderOf[edge] ?? 0) * graph.readers.length + (graph.readerOf[edge] ?? 0);
  const order = Int32Array.from(weights.keys()).sort((a, b) => {
    const [x = 0, y = 0] = [weights[a], weights[b]];
    return x === y ? at(a) - at(b) : x < y ? 1 : -1;
  });
  return { weights, order };
}

function finished(circuit: Circuit, kept: Uint8Array, { prune = true }: SelectionOptions): Circuit {
  const chosen = circuit.keeping(kept);
  return prune ? pruneCircuit(chosen) : chosen;
}

function requireEdgeCount(count: number, size: number, operation: string): void {
  if (Number.isSafeInteger(count) && count >= 0 && count <= size) return;
  throw new InputError(`count is ${nameOf(count)}, but the graph has ${size} edges.`, {
    operation,
    argument: "count",
    expected: [0, size],
    actual: count,
  });
}

/** The edges into each node. */
function edgesInto(graph: CircuitGraph): number[][] {
  const into: number[][] = graph.nodes.map(() => []);
  for (let edge = 0; edge < graph.size; edge++) {
    const node = graph.place(graph.readers[graph.readerOf[edge] ?? 0]?.node ?? "logits") ?? 0;
    into[node]?.push(edge);
  }
  return into;
}

/** A binary heap that gives the edge of the lowest rank. */
class RankHeap {
  readonly #rank: Int32Array;
  readonly #items: number[] = [];

  constructor(rank: Int32Array) {
    this.#rank = rank;
  }

  #isBefore(a: number, b: number): boolean {
    return (this.#rank[this.#items[a] ?? 0] ?? 0) < (this.#rank[this.#items[b] ?? 0] ?? 0);
  }

  #swap(a: number, b: number): void {
    [this.#items[a], this.#items[b]] = [this.#items[b] ?? 0, this.#items[a] ?? 0];
  }

  push(edge: number): void {
    let at = this.#items.push(edge) - 1;
    for (let up = (at - 1) >> 1; at > 0 && this.#isBefore(at, up); at = up, up = (at - 1) >> 1) this.#swap(at, up);
  }

  pop(): number | undefined {
    const top = this.#items[0];
    const end = this.#items.pop();
    if (this.#items.length === 0 || end === undefined) return top;
    this.#items[0] = end;
    for (let at = 0; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < this.#items.length && this.#isBefore(left, least)) least = left;
      if (right < this.#items.length && this.#isBefore(right, least)) least = right;
      if (least === at) return top;
      this.#swap(at, least);
      at = least;
    }
  }
}
