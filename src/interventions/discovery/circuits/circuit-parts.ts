/** What circuits are made of, checked: what is no such thing would else be taken for nothing, in silence. */
import { InputError, ShapeError, nameOf, requireObject } from "../../../errors.ts";
import { Tensor } from "../../../tensor/index.ts";
import type { CircuitEdge, CircuitGraph, CircuitNodeName } from "./circuit-graph.ts";

/**
 * How a circuit was found: method, metric, ablation, whatever is worth keeping; plain values that JSON can hold.
 * @category Circuit discovery
 */
export type CircuitProvenance = Readonly<Record<string, unknown>>;

/**
 * Scores and masks of the single coordinates of what a node writes, as EAP-IG's files may have them.
 * @category Circuit discovery
 */
export interface NodeNeurons {
  readonly kept?: readonly boolean[] | undefined;
  readonly scores?: readonly (number | null)[] | undefined;
}

/**
 * What a circuit is made of.
 * @category Circuit discovery
 */
export interface CircuitParts {
  /** The edges that are kept: names, `"all"`, or a function that picks them. None unless given. */
  readonly edges?: "all" | readonly string[] | ((edge: CircuitEdge) => boolean) | undefined;
  /**
   * A score for each edge, in the graph's order, or by name (others are not scored: NaN). Zero for all unless given.
   */
  readonly scores?: ArrayLike<number> | Tensor<"edge"> | ReadonlyMap<string, number> | undefined;
  /** The nodes that count as kept; the ends of the kept edges unless given. */
  readonly nodes?: readonly string[] | undefined;
  /** A score for each node, by name. */
  readonly nodeScores?: ReadonlyMap<string, number> | undefined;
  /** Coordinates of nodes. */
  readonly neurons?: ReadonlyMap<string, NodeNeurons> | undefined;
  /** The positions at which nodes write as part of the circuit, by node; nodes without are kept at all positions. */
  readonly positions?: ReadonlyMap<string, readonly number[]> | undefined;
  /** What the model is called. */
  readonly model?: string | undefined;
  readonly provenance?: CircuitProvenance | undefined;
}

/** What a circuit holds beside its graph. */
export interface Inside {
  readonly kept: Uint8Array;
  readonly keptNodes: Uint8Array;
  readonly edgeScores: Float64Array;
  readonly nodeScores: Float64Array | undefined;
  readonly neurons: ReadonlyMap<CircuitNodeName, NodeNeurons>;
  readonly positions: ReadonlyMap<CircuitNodeName, readonly number[]>;
  readonly model: string | undefined;
  readonly provenance: CircuitProvenance;
}

/** Both ends of each kept edge, the input, and the logits. */
export function endsOf(graph: CircuitGraph, kept: Uint8Array): Uint8Array {
  const nodes = new Uint8Array(graph.nodes.length);
  nodes[0] = 1;
  nodes[nodes.length - 1] = 1;
  for (let i = 0; i < kept.length; i++) {
    if (kept[i] !== 1) continue;
    nodes[graph.senderOf[i] ?? 0] = 1;
    nodes[graph.place(graph.readers[graph.readerOf[i] ?? 0]?.node ?? "logits") ?? 0] = 1;
  }
  return nodes;
}

export function keptEdges(graph: CircuitGraph, edges: CircuitParts["edges"]): Uint8Array {
  if (edges === undefined) return new Uint8Array(graph.size);
  if (edges === "all") return new Uint8Array(graph.size).fill(1);
  if (typeof edges === "function") return Uint8Array.from(graph.edges, (edge) => (edges(edge) ? 1 : 0));
  const kept = new Uint8Array(graph.size);
  requireList(edges, "edges");
  for (const name of edges) kept[graph.indexOf(requireName(name, "edges"))] = 1;
  return kept;
}

export function keptNodes(graph: CircuitGraph, names: readonly string[]): Uint8Array {
  requireList(names, "nodes");
  const nodes = new Uint8Array(graph.nodes.length);
  for (const name of names) nodes[placeOf(graph, requireName(name, "nodes"))] = 1;
  nodes[nodes.length - 1] = 1;
  return nodes;
}

export function edgeScores(graph: CircuitGraph, given: CircuitParts["scores"]): Float64Array {
  if (given === undefined) return new Float64Array(graph.size);
  if (given instanceof Map) {
    const scores = new Float64Array(graph.size).fill(NaN);
    for (const [name, score] of given as ReadonlyMap<string, number>)
      scores[graph.indexOf(name)] = requireScore(score, "scores");
    return scores;
  }
  const list = given instanceof Tensor ? given.data : given;
  if (!Array.isArray(list) && !ArrayBuffer.isView(list)) {
    throw refusal(`scores is ${nameOf(list)}. Give a list, a Tensor, or a Map by name.`, "scores", list);
  }
  const { length } = list as ArrayLike<number>;
  if (length !== graph.size) {
    throw new ShapeError(`${length} scores were given for a graph of ${graph.size} edges.`, {
      operation: "Circuit.from",
      argument: "scores",
      expected: graph.size,
      actual: length,
    });
  }
  return Float64Array.from(list as ArrayLike<number>, (score) => requireScore(score, "scores"));
}

export function nodeScores(graph: CircuitGraph, given: ReadonlyMap<string, number>): Float64Array {
  requireMap(given, "nodeScores");
  const scores = new Float64Array(graph.nodes.length).fill(NaN);
  for (const [name, score] of given) scores[placeOf(graph, name)] = requireScore(score, "nodeScores");
  return scores;
}

function byNode<V>(
  graph: CircuitGraph,
  given: ReadonlyMap<string, V> | undefined,
  argument: string,
  read: (value: V, name: string) => V,
): ReadonlyMap<CircuitNodeName, V> {
  if (given === undefined) return new Map();
  requireMap(given, argument);
  return new Map(
    Array.from(given, ([name, value]) => {
      placeOf(graph, name);
      return [name as CircuitNodeName, read(value, name)] as const;
    }),
  );
}

export const positionsByNode = (graph: CircuitGraph, given: CircuitParts["positions"]): Inside["positions"] =>
  byNode(graph, given, "positions", (list, name) => {
    requireList(list, `positions of ${name}`);
    const wrong = list.find((p) => !Number.isSafeInteger(p) || p < 0);
    if (wrong === undefined) return Object.freeze([...list]);
    throw refusal(`positions of ${name} have ${nameOf(wrong)}. Give positions counted from 0.`, "positions", wrong);
  });

export const neuronsByNode = (graph: CircuitGraph, given: CircuitParts["neurons"]): Inside["neurons"] =>
  byNode(graph, given, "neurons", (one, name) => {
    requireObject(one, `neurons of ${name}`, "Circuit.from", "kept scores");
    if (name === "logits") throw refusal("the logits write nothing, and have no neurons.", "neurons", name);
    for (const [key, list] of Object.entries(one) as [keyof NodeNeurons, readonly unknown[] | undefined][]) {
      if (list === undefined) continue;
      requireList(list, `${key} of the neurons of ${name}`);
      const { d_model } = graph.config;
      if (list.length !== d_model) {
        throw new ShapeError(`${name} has ${list.length} neurons in ${key}, but the graph has d_model=${d_model}.`, {
          ...{ operation: "Circuit.from", argument: "neurons", expected: d_model, actual: list.length },
        });
      }
      const isGood = (x: unknown): boolean =>
        key === "kept" ? typeof x === "boolean" : x === null || typeof x === "number";
      const wrong = list.findIndex((x) => !isGood(x));
      if (wrong < 0) continue;
      const wanted = key === "kept" ? "true or false" : "a number or null";
      throw refusal(`neuron ${wrong} of ${name} has ${nameOf(list[wrong])} in ${key}, not ${wanted}.`, "neurons", one);
    }
    return Object.freeze({ ...one });
  });

export function modelName(name: unknown): string | undefined {
  if (name === undefined || typeof name === "string") return name;
  throw refusal(`model is ${nameOf(name)}, not a name.`, "model", name);
}

/** How deep what is said of a circuit may nest: what holds itself would have no JSON. */
const DEEPEST = 64;

/** What JSON can hold, without what it would leave out. */
export function plainRecord(given: unknown): CircuitProvenance {
  if (given === undefined) return Object.freeze({});
  requireObject(given, "provenance", "Circuit.from");
  requirePlain(given, 0);
  return Object.freeze({ ...(given as object) });
}

function requirePlain(value: unknown, depth: number): void {
  if (depth > DEEPEST) {
    throw refusal(`provenance nests more than ${DEEPEST} deep, or holds itself.`, "provenance", "a cycle");
  }
  if (["function", "symbol", "bigint"].includes(typeof value)) {
    throw refusal(`provenance has ${nameOf(value)}, which JSON cannot hold.`, "provenance", value);
  }
  if (typeof value !== "object" || value === null) return;
  for (const one of Object.values(value)) requirePlain(one, depth + 1);
}

function requireMap(value: unknown, argument: string): void {
  if (value instanceof Map) return;
  throw refusal(
    `${argument} is ${nameOf(value)}, not a Map by name. Make one: new Map(Object.entries(…)).`,
    argument,
    value,
  );
}

const refusal = (message: string, argument: string, actual: unknown): InputError =>
  new InputError(message, { operation: "Circuit.from", argument, actual });

function requireScore(score: unknown, argument: string): number {
  if (typeof score === "number") return score;
  throw refusal(`${argument} has ${nameOf(score)}, not a number. NaN is no score.`, argument, score);
}

function placeOf(graph: CircuitGraph, name: string): number {
  const place = graph.place(name);
  if (place !== undefined) return place;
  throw new InputError(`there is no node ${JSON.stringify(name)} in this graph. Nodes are input, a0.h0, m0, logits.`, {
    operation: "Circuit.from",
    argument: "nodes",
    expected: "a node of the graph",
    actual: name,
  });
}

function requireName(name: unknown, argument: string): string {
  if (typeof name === "string") return name;
  throw refusal(`${argument} has ${nameOf(name)}, not a name.`, argument, name);
}

function requireList(value: unknown, argument: string): void {
  if (Array.isArray(value)) return;
  throw new InputError(`${argument} is ${nameOf(value)}, not a list of names.`, {
    operation: "Circuit.from",
    argument,
    expected: "a list of names",
    actual: value,
  });
}
