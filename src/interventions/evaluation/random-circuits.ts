/**
 * Random circuits of a given size: the null that a circuit is judged against.
 *
 * `"connected"` grows from the logits: an edge is drawn among those into the circuit's nodes, and where its sender is
 * new
 * a random way from there down to the circuit or the input comes with it. Every edge lies on a way from the input to
 * the
 * logits, as in a pruned circuit. `"matched"` draws, for the edges into each layer's queries, keys, values, MLP, and
 * the
 * logits, as many as the circuit has there, without regard to what is connected.
 */
import { InputError, requireOptions } from "../../errors.ts";
import { requireChoice, requireCount } from "../../model/internal.ts";
import { Random } from "../../tensor/index.ts";
import type { Circuit, CircuitGraph } from "../discovery/index.ts";
import { requireCircuit } from "../discovery/internal.ts";

/**
 * How random circuits are drawn.
 * @category Circuit evaluation
 */
export interface RandomCircuitOptions {
  /** How many; 200 unless given. */
  readonly count?: number | undefined;
  /** `"connected"` unless given. */
  readonly kind?: "connected" | "matched" | undefined;
  /** 0 unless given. */
  readonly seed?: number | undefined;
}

/** Draws that end with too few edges are begun again, so often at most. */
const TRIES = 100;

/**
 * Random circuits with as many edges as a circuit has.
 *
 * @param circuit - the circuit, whose number of edges counts, and for `"matched"` where they lead.
 * @returns the circuits; their scores are 0.
 * @throws {@link InputError} when no connected circuit has so many edges.
 * @category Circuit evaluation
 * @example
 * ```ts
 * import { Circuit, circuitGraph, randomCircuits } from "transformer-circuits/interventions";
 *
 * const graph = circuitGraph({ n_layers: 2, n_heads: 4, d_model: 8, parallel_attn_mlp: false, attn_only: true });
 * const circuit = Circuit.from(graph, { edges: ["input->a0.h1<v>", "a0.h1->a1.h2<k>", "a1.h2->logits"] });
 * const drawn = randomCircuits(circuit, { count: 3, seed: 1 });
 * console.log(drawn.map(({ size }) => size), drawn[0]?.edges.join(" "));
 * // [ 3, 3, 3 ] input->a0.h0<q> input->a0.h0<k> a0.h0->logits
 * ```
 */
export function randomCircuits(circuit: Circuit, options: RandomCircuitOptions = {}): Circuit[] {
  const operation = "randomCircuits";
  requireOptions(options, operation, "count kind seed");
  requireCircuit(circuit, operation);
  const { count = 200, kind = "connected", seed = 0 } = options;
  requireCount(count, "count", operation);
  requireChoice(kind, ["connected", "matched"], "kind", operation);
  const random = new Random(seed);
  const size = circuit.size;
  const draw = kind === "matched" ? matched(circuit, random) : () => connected(circuit.graph, size, random);
  return Array.from({ length: count }, () => {
    for (let tries = 0; tries < TRIES; tries++) {
      const kept = draw();
      if (kept !== undefined) return circuit.keeping(kept).unscored();
    }
    throw new InputError(`no connected circuit of ${size} edges was found in ${String(circuit.graph)}.`, {
      operation,
      argument: "circuit",
      expected: "a size that connected circuits have",
      actual: size,
    });
  });
}

function connected(graph: CircuitGraph, size: number, random: Random): Uint8Array | undefined {
  const kept = new Uint8Array(graph.size);
  const logits = graph.nodes.length - 1;
  const inside = new Set([logits]);
  const into = edgesInto(graph);
  let left = size;
  /** The edges that may come next: into the circuit's nodes, from new nodes only where there is room for the way on. */
  const open: number[] = [...(into[logits] ?? [])];
  const take = (edge: number): void => {
    kept[edge] = 1;
    left--;
  };
  while (left > 0) {
    const usable = open.filter((edge) => kept[edge] !== 1 && (left > 1 || isInside(graph, edge, inside)));
    const edge = usable[random.int(Math.max(1, usable.length))];
    if (edge === undefined) return undefined;
    take(edge);
    let node = graph.senderOf[edge] ?? 0;
    while (node !== 0 && !inside.has(node)) {
      inside.add(node);
      const own = into[node] ?? [];
      open.push(...own);
      // With one edge left it has to end.
      const ways = left > 1 ? own : own.filter((way) => isInside(graph, way, inside));
      const way = ways[random.int(Math.max(1, ways.length))];
      if (way === undefined) return undefined;
      take(way);
      node = graph.senderOf[way] ?? 0;
    }
  }
  return kept;
}

const isInside = (graph: CircuitGraph, edge: number, inside: ReadonlySet<number>): boolean => {
  const sender = graph.senderOf[edge] ?? 0;
  return sender === 0 || inside.has(sender);
};

function edgesInto(graph: CircuitGraph): number[][] {
  const into: number[][] = graph.nodes.map(() => []);
  for (let edge = 0; edge < graph.size; edge++) into[nodeOf(graph, edge)]?.push(edge);
  return into;
}

const nodeOf = (graph: CircuitGraph, edge: number): number =>
  graph.place(graph.readers[graph.readerOf[edge] ?? 0]?.node ?? "logits") ?? 0;

function matched(circuit: Circuit, random: Random): () => Uint8Array {
  const { graph, kept } = circuit;
  const classes = new Map<string, { readonly edges: number[]; count: number }>();
  for (let edge = 0; edge < graph.size; edge++) {
    const { layer, input } = graph.readers[graph.readerOf[edge] ?? 0] ?? { layer: 0, input: undefined };
    const key = `${layer} ${input ?? ""}`;
    const own = classes.get(key) ?? { edges: [], count: 0 };
    own.edges.push(edge);
    own.count += kept[edge] ?? 0;
    classes.set(key, own);
  }
  return () => {
    const out = new Uint8Array(graph.size);
    for (const { edges, count } of classes.values()) {
      const pool = [...edges];
      for (let i = 0; i < count; i++) {
        const j = i + random.int(pool.length - i);
        [pool[i], pool[j]] = [pool[j] ?? 0, pool[i] ?? 0];
        out[pool[i] ?? 0] = 1;
      }
    }
    return out;
  };
}
