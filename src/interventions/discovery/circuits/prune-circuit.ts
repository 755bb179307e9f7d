/** Taking out of a circuit what leads nowhere. */
import { InputError, nameOf } from "../../../errors.ts";
import type { Circuit } from "./circuit.ts";
import type { CircuitGraph } from "./circuit-graph.ts";

/**
 * The circuit without what leads nowhere: nodes without an edge in or an edge out, edges of such nodes, and so on until
 * nothing changes (EAP-IG's `prune`). The input needs no edge in, the logits none out. A node none of whose neurons is
 * kept has no edge out.
 *
 * @category Circuit discovery
 * @example
 * ```ts
 * import { Circuit, circuitGraph, pruneCircuit } from "transformer-circuits/interventions";
 *
 * const graph = circuitGraph({ n_layers: 2, n_heads: 1, d_model: 4, parallel_attn_mlp: false, attn_only: true });
 * const loose = Circuit.from(graph, { edges: ["input->a0.h0<v>", "a0.h0->logits", "input->a1.h0<q>"] });
 * console.log(pruneCircuit(loose).edges.join(" "));
 * // input->a0.h0<v> a0.h0->logits
 * ```
 */
export function pruneCircuit(circuit: Circuit): Circuit {
  requireCircuit(circuit, "pruneCircuit");
  const { graph } = circuit;
  const isEmpty = graph.nodes.map((name) => circuit.neurons.get(name)?.kept?.some(Boolean) === false);
  const writing = circuit.kept.map((x, edge) => (isEmpty[graph.senderOf[edge] ?? 0] === true ? 0 : x));
  const { kept, nodes } = pruned(graph, writing);
  return circuit.keeping(kept, nodes);
}

/** {@link pruneCircuit} of masks. */
function pruned(graph: CircuitGraph, mask: Uint8Array): { kept: Uint8Array; nodes: Uint8Array } {
  const kept = mask.slice();
  const last = graph.nodes.length - 1;
  const readerNode = Int32Array.from(graph.readers, ({ node }) => graph.place(node) ?? last);
  const nodes = new Uint8Array(graph.nodes.length);
  for (let hasChanged = true; hasChanged;) {
    const out = new Uint8Array(nodes.length);
    const into = new Uint8Array(nodes.length);
    for (let edge = 0; edge < kept.length; edge++) {
      if (kept[edge] !== 1) continue;
      out[graph.senderOf[edge] ?? 0] = 1;
      into[readerNode[graph.readerOf[edge] ?? 0] ?? 0] = 1;
    }
    into[0] = 1;
    for (let node = 0; node < last; node++) nodes[node] = (out[node] ?? 0) & (into[node] ?? 0);
    nodes[last] = 1;
    hasChanged = false;
    for (let edge = 0; edge < kept.length; edge++) {
      if (kept[edge] !== 1) continue;
      const to = readerNode[graph.readerOf[edge] ?? 0] ?? 0;
      if (nodes[graph.senderOf[edge] ?? 0] === 1 && nodes[to] === 1) continue;
      kept[edge] = 0;
      hasChanged = true;
    }
  }
  return { kept, nodes };
}

/** Refuses what is no circuit. */
export function requireCircuit(circuit: unknown, operation: string): asserts circuit is Circuit {
  // A member tells, since copies of the package may meet.
  if (typeof circuit === "object" && circuit !== null && "keptNodes" in circuit) return;
  throw new InputError(
    `circuit is ${nameOf(circuit)}, not a Circuit. Make one with Circuit.from, or read one with readCircuit.`,
    { operation, argument: "circuit", expected: "a Circuit", actual: circuit },
  );
}
