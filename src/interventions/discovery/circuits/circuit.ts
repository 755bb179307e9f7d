/** Circuits as values: which edges of a model's graph are kept, what each scored, and where that comes from. */
import { requireObject } from "../../../errors.ts";
import { Shown } from "../../../show/index.ts";
import type { Rows, Showing } from "../../../show/index.ts";
import { Tensor } from "../../../tensor/index.ts";
import { requireGraph } from "./circuit-graph.ts";
import type { CircuitEdge, CircuitGraph, CircuitEdgeName, CircuitNodeName } from "./circuit-graph.ts";
import {
  edgeScores,
  endsOf,
  keptEdges,
  keptNodes,
  modelName,
  neuronsByNode,
  nodeScores,
  plainRecord,
  positionsByNode,
} from "./circuit-parts.ts";
import type { CircuitParts, CircuitProvenance, Inside, NodeNeurons } from "./circuit-parts.ts";

/**
 * A circuit: the edges of a graph that are kept, and a score for each of its edges.
 *
 * It never changes; {@link topEdges}, {@link edgesAbove} and others give new ones with the same scores.
 * `JSON.stringify`
 * writes it as EAP-IG and the MIB benchmark do; {@link readCircuit} reads it.
 *
 * @category Circuit discovery
 * @example
 * ```ts
 * import { Circuit, circuitGraph } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const induction = Circuit.from(circuitGraph(model), {
 *   edges: ["input->a0.h5<v>", "a0.h5->a1.h2<k>", "input->a1.h2<v>", "a1.h2->logits"],
 * });
 * console.log(String(induction), induction.has("a0.h5->a1.h2<k>"));
 * // Circuit of 4 of 257 edges, 4 of 18 nodes true
 * console.log(induction.nodes.join(" "));
 * // input a0.h5 a1.h2 logits
 * ```
 */
export class Circuit extends Shown {
  readonly graph: CircuitGraph;
  /** What the model is called, where that is known. */
  readonly model: string | undefined;
  readonly provenance: CircuitProvenance;
  /** The positions at which nodes write as part of the circuit; nodes without are kept at all positions. */
  readonly positions: ReadonlyMap<CircuitNodeName, readonly number[]>;
  /** Which edges are kept, in the graph's order. Not to be written to. @internal */
  readonly kept: Uint8Array;
  /** Which nodes are kept; the logits always are. Not to be written to. @internal */
  readonly keptNodes: Uint8Array;
  /** The score of each edge. Not to be written to. @internal */
  readonly edgeScores: Float64Array;
  /** The score of each node, where nodes have some. Not to be written to. @internal */
  readonly nodeScores: Float64Array | undefined;
  /** @internal */
  readonly neurons: ReadonlyMap<CircuitNodeName, NodeNeurons>;

  private constructor(graph: CircuitGraph, inside: Inside) {
    super();
    this.graph = graph;
    this.model = inside.model;
    this.provenance = inside.provenance;
    this.positions = inside.positions;
    this.kept = inside.kept;
    this.keptNodes = inside.keptNodes;
    this.edgeScores = inside.edgeScores;
    this.nodeScores = inside.nodeScores;
    this.neurons = inside.neurons;
    Object.freeze(this);
  }

  /**
   * A circuit of a graph's edges.
   *
   * @throws {@link InputError} for an edge or node that the graph does not have, and {@link ShapeError} for scores that
   * are not one for each edge.
   */
  static from(graph: CircuitGraph, parts: CircuitParts = {}): Circuit {
    requireGraph(graph, "Circuit.from");
    const known = "edges scores nodes nodeScores neurons positions model provenance";
    requireObject(parts, "parts", "Circuit.from", known);
    const kept = keptEdges(graph, parts.edges);
    return new Circuit(graph, {
      kept,
      keptNodes: parts.nodes === undefined ? endsOf(graph, kept) : keptNodes(graph, parts.nodes),
      edgeScores: edgeScores(graph, parts.scores),
      nodeScores: parts.nodeScores && nodeScores(graph, parts.nodeScores),
      neurons: neuronsByNode(graph, parts.neurons),
      positions: positionsByNode(graph, parts.positions),
      model: modelName(parts.model),
      provenance: plainRecord(parts.provenance),
    });
  }

  /** The same scores with other edges kept; nodes are their ends unless given. @internal */
  keeping(kept: Uint8Array, keptNodes: Uint8Array = endsOf(this.graph, kept), more: Partial<Inside> = {}): Circuit {
    return new Circuit(this.graph, { ...this, ...more, kept, keptNodes });
  }

  /** The same edges without scores and provenance. @internal */
  unscored(): Circuit {
    const edgeScores = new Float64Array(this.graph.size);
    const provenance = Object.freeze({});
    return this.keeping(this.kept, this.keptNodes, { edgeScores, nodeScores: undefined, provenance });
  }

  /** The same circuit with more said about where it comes from. */
  withProvenance(provenance: CircuitProvenance): Circuit {
    return this.keeping(this.kept, this.keptNodes, {
      provenance: plainRecord({ ...this.provenance, ...provenance }),
    });
  }

  /** The same circuit, its nodes kept at these positions alone. */
  withPositions(positions: ReadonlyMap<string, readonly number[]>): Circuit {
    return this.keeping(this.kept, this.keptNodes, { positions: positionsByNode(this.graph, positions) });
  }

  /** How many edges are kept. */
  get size(): number {
    return this.kept.reduce((sum, x) => sum + x, 0);
  }

  /** The names of the edges that are kept, in the graph's order. */
  get edges(): readonly CircuitEdgeName[] {
    return this.graph.edges.filter((_, i) => this.kept[i] === 1).map(({ name }) => name);
  }

  /** The names of the nodes that are kept; the logits are always among them. */
  get nodes(): readonly CircuitNodeName[] {
    return this.graph.nodes.filter((_, i) => this.keptNodes[i] === 1);
  }

  /** The scores of all edges, in the graph's order, float64; NaN where an edge has none. */
  get scores(): Tensor<"edge"> {
    return Tensor.from("edge", [this.graph.size], this.edgeScores, "float64");
  }

  /**
   * Whether an edge is kept.
   * @throws {@link InputError} when the graph has no such edge.
   */
  has(edge: string): boolean {
    return this.kept[this.graph.indexOf(edge)] === 1;
  }

  /**
   * The score of an edge, kept or not.
   * @throws {@link InputError} when the graph has no such edge.
   */
  score(edge: string): number {
    return this.edgeScores[this.graph.indexOf(edge)] ?? NaN;
  }

  /** The edges with their scores, the largest first; of the circuit alone unless `all`. */
  ranking(options: { readonly all?: boolean; readonly absolute?: boolean } = {}): (CircuitEdge & { score: number })[] {
    requireObject(options, "options", "Circuit.ranking", "all absolute");
    const { all = false, absolute = true } = options;
    const weight = (score: number): number => (Number.isNaN(score) ? -Infinity : absolute ? Math.abs(score) : score);
    return this.graph.edges
      .map((edge, i) => ({ ...edge, score: this.edgeScores[i] ?? NaN, isKept: this.kept[i] === 1 }))
      .filter(({ isKept }) => all || isKept)
      .sort((a, b) => weight(b.score) - weight(a.score))
      .map(({ name, from, to, input, score }) => ({ name, from, to, input, score }));
  }

  /**
   * What EAP-IG's `Graph.to_json` writes, with `model`, `provenance` and `positions` beside it where there are some.
   */
  override toJSON(): Record<string, unknown> {
    const { n_layers, n_heads, parallel_attn_mlp, d_model, attn_only } = this.graph.config;
    const cfg = { n_layers, n_heads, parallel_attn_mlp, d_model, ...(attn_only && { attn_only }) };
    const number = (x: number): number | null => (Number.isFinite(x) ? x : null);
    const nodes = this.graph.nodes.map((name, i) => {
      const score = this.nodeScores?.[i];
      const neurons = this.neurons.get(name);
      return [
        name,
        {
          in_graph: this.keptNodes[i] === 1,
          ...(score !== undefined && name !== "logits" && { score: number(score) }),
          ...(neurons?.kept && { neurons: neurons.kept }),
          ...(neurons?.scores && { neurons_scores: neurons.scores }),
        },
      ];
    });
    const edges = this.graph.edges.map(({ name }, i) => [
      name,
      { score: number(this.edgeScores[i] ?? NaN), in_graph: this.kept[i] === 1 },
    ]);
    return {
      cfg,
      nodes: Object.fromEntries(nodes),
      edges: Object.fromEntries(edges),
      ...(this.model !== undefined && { model: this.model }),
      ...(Object.keys(this.provenance).length > 0 && { provenance: this.provenance }),
      ...(this.positions.size > 0 && { positions: Object.fromEntries(this.positions) }),
    };
  }

  /** In one line: how many edges and nodes it keeps. */
  override toString(): string {
    const nodes = this.keptNodes.reduce((sum, x) => sum + x, 0);
    const of = this.model === undefined ? "" : ` of ${this.model}`;
    return `Circuit${of} of ${this.size} of ${this.graph.size} edges, ${nodes} of ${this.graph.nodes.length} nodes`;
  }

  /** @internal */
  override showing(): Showing {
    const rows = (): Rows["rows"] => this.ranking().map(({ name, score }) => [name, score]);
    return { title: this.toString(), parts: () => [{ kind: "rows", columns: ["edge", "score"], rows: rows() }] };
  }
}
