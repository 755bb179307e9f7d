/** Circuits of whole nodes: what each node is worth, and the circuit of some of them with all edges between. */
import { meanOf } from "../../tensor/internal.ts";
import { Circuit, pruneCircuit } from "./circuits/index.ts";
import type { CircuitNodeName } from "./circuits/index.ts";
import type { CircuitRuns, EdgeEffects } from "./edges/index.ts";

/**
 * Of each node but the logits, by how much the mean metric falls when all of its edges are cut: measured, or where
 * edges were estimated the sum of their estimates, which is the estimate of the node (EAP-IG's node scores).
 */
export function nodeScores(
  { circuit, clean }: EdgeEffects,
  runs: CircuitRuns,
  isExact: boolean,
  signal: AbortSignal | undefined,
): Float64Array {
  const { graph, edgeScores } = circuit;
  const senders = graph.nodes.length - 1;
  const from = (node: number): Uint8Array => Uint8Array.from(graph.senderOf, (sender) => (sender === node ? 1 : 0));
  if (isExact) {
    const full = meanOf(clean.data);
    return Float64Array.from({ length: senders }, (_, node) => {
      signal?.throwIfAborted();
      return full - meanOf(runs.value({ edges: from(node), cuts: true }));
    });
  }
  const sums = new Float64Array(senders);
  for (const [edge, score] of edgeScores.entries()) {
    const sender = graph.senderOf[edge] as number;
    sums[sender] = (sums[sender] as number) + score;
  }
  return sums;
}

/** Chooses the circuit of some nodes, by their scores: the largest so many, or those that reach a threshold. */
export class NodeSelection {
  /** How many nodes can be chosen: all but the input and the logits, which always stay. */
  readonly size: number;
  readonly #circuit: Circuit;
  readonly #weights: Float64Array;
  readonly #order: readonly number[];

  constructor(circuit: Circuit, scores: Float64Array, absolute: boolean) {
    const { graph, edgeScores, provenance } = circuit;
    const byName = new Map(Array.from(scores, (score, node) => [graph.nodes[node] as CircuitNodeName, score] as const));
    this.#circuit = Circuit.from(graph, { scores: edgeScores, nodeScores: byName, provenance });
    this.#weights = absolute ? scores.map(Math.abs) : scores;
    this.#order = [...scores.keys()]
      .slice(1)
      .sort((a, b) => (this.#weights[b] as number) - (this.#weights[a] as number) || a - b);
    this.size = this.#order.length;
  }

  /** The circuit of the largest. */
  top(count: number): Circuit {
    return this.#of(new Set(this.#order.slice(0, count)));
  }

  /** The circuit of those that reach a threshold. */
  above(threshold: number): Circuit {
    return this.#of(new Set(this.#order.filter((node) => (this.#weights[node] as number) >= threshold)));
  }

  /** All edges between nodes that are kept; what leads nowhere is taken out. */
  #of(nodes: ReadonlySet<number>): Circuit {
    const { graph } = this.#circuit;
    const logits = graph.nodes.length - 1;
    const isKept = (node: number): boolean => node === 0 || node === logits || nodes.has(node);
    const kept = Uint8Array.from(graph.senderOf, (sender, edge) => {
      const reader = graph.place(graph.readers[graph.readerOf[edge] ?? 0]?.node ?? "logits") ?? 0;
      return isKept(sender) && isKept(reader) ? 1 : 0;
    });
    return pruneCircuit(this.#circuit.keeping(kept));
  }
}
