/** At which positions the nodes of a circuit do their work. */
import { InputError, requireKind, requireOptions } from "../../errors.ts";
import { requireShare } from "../../model/internal.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { Circuit } from "../discovery/index.ts";
import { requireCircuit } from "../discovery/internal.ts";

/**
 * A circuit with positions: each node at the fewest positions that hold a given share of what its edges in the circuit
 * are worth, by attribution. Positions mean the same in all prompts.
 *
 * @param byPosition - what each position adds to each edge's score, as {@link edgeAttribution} gives it.
 * @param options - `share`, 0.95 unless given.
 * @throws {@link InputError} when the attribution is of another graph, or the share is not above 0 and at most 1.
 * @category Circuit evaluation
 * @example
 * ```ts
 * import { Tensor } from "transformer-circuits";
 * import { Circuit, circuitGraph, circuitPositions } from "transformer-circuits/interventions";
 *
 * const graph = circuitGraph({ n_layers: 0, n_heads: 1, d_model: 4, parallel_attn_mlp: false, attn_only: true });
 * const circuit = Circuit.from(graph, { edges: "all" });
 * const byPosition = Tensor.fromNested("edge pos", [[0.1, 2, -3]]);
 * console.log(circuitPositions(circuit, byPosition).positions.get("input"));
 * // [ 1, 2 ]
 * ```
 */
export function circuitPositions(
  circuit: Circuit,
  byPosition: Tensor<"edge pos">,
  options: { readonly share?: number } = {},
): Circuit {
  const operation = "circuitPositions";
  requireOptions(options, operation, "share");
  requireCircuit(circuit, operation);
  requireKind("tensor", byPosition, "byPosition", operation);
  const { share = 0.95 } = options;
  requireShare(share, "share", operation);
  const { graph, kept } = circuit;
  const [edges = 0, pos = 0] = byPosition.shape;
  if (edges !== graph.size) {
    throw new InputError(`the attribution is of ${edges} edges, but the graph has ${graph.size}.`, {
      operation,
      argument: "byPosition",
      expected: graph.size,
      actual: edges,
    });
  }
  const amounts = graph.nodes.map(() => new Float64Array(pos));
  const data = byPosition.data;
  for (let edge = 0; edge < edges; edge++) {
    const own = amounts[graph.senderOf[edge] ?? 0];
    if (kept[edge] !== 1 || own === undefined) continue;
    for (let p = 0; p < pos; p++) own[p] = (own[p] ?? 0) + Math.abs(data[edge * pos + p] ?? 0);
  }
  const positions = new Map<string, readonly number[]>();
  for (const [node, amount] of amounts.entries()) {
    const name = graph.nodes[node] ?? "input";
    if (circuit.keptNodes[node] === 1 && name !== "logits") positions.set(name, fewest(amount, share));
  }
  return circuit.withPositions(positions);
}

/** The fewest places that hold a share of the sum, ascending. */
function fewest(amounts: Float64Array, share: number): number[] {
  const wanted = share * amounts.reduce((a, b) => a + b, 0);
  const order = Array.from(amounts.keys()).sort((a, b) => (amounts[b] ?? 0) - (amounts[a] ?? 0) || a - b);
  const taken: number[] = [];
  for (let sum = 0, i = 0; sum < wanted && i < order.length; i++) {
    taken.push(order[i] ?? 0);
    sum += amounts[order[i] ?? 0] ?? 0;
  }
  return taken.sort((a, b) => a - b);
}
