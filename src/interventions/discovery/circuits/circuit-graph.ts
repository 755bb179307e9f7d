/**
 * The graph of a model: what writes to the residual stream (senders), what reads it (readers), and an edge from every
 * sender to every later reader. A head reads three times: for its queries, keys and values.
 *
 * Names and orders are those of EAP-IG and the MIB benchmark: `input`, `a0.h3`, `m0`, `logits`; `a0.h3->a1.h0<k>`.
 */
import { ConfigError, InputError, nameOf, requireObject } from "../../../errors.ts";
import { nearestNames } from "../../../nearest.ts";
import type { ModelConfig, Transformer } from "../../../model/index.ts";
import { requireOwnKeys } from "../../../model/internal.ts";
import { Shown } from "../../../show/index.ts";
import type { Showing } from "../../../show/index.ts";

/**
 * A node of a graph: the embedding, a head, an MLP, or the logits.
 * @category Circuit discovery
 */
export type CircuitNodeName = "input" | "logits" | `a${number}.h${number}` | `m${number}`;

/**
 * An edge of a graph, as `input->a0.h3<q>` or `m0->logits`.
 * @category Circuit discovery
 */
export type CircuitEdgeName = `${string}->${string}`;

/**
 * The sizes that a graph follows from; the `cfg` of EAP-IG's files, with `attn_only`, which says that there are no
 * MLPs.
 * @category Circuit discovery
 */
export interface CircuitGraphConfig {
  readonly n_layers: number;
  readonly n_heads: number;
  readonly d_model: number;
  /** Whether an MLP reads what the heads of its layer read, so that no edge leads from them to it. */
  readonly parallel_attn_mlp: boolean;
  readonly attn_only: boolean;
}

/**
 * One edge: from the node that writes to the node that reads, and, where that is a head, for which of its inputs.
 * @category Circuit discovery
 */
export interface CircuitEdge {
  readonly name: CircuitEdgeName;
  readonly from: CircuitNodeName;
  readonly to: CircuitNodeName;
  /** `undefined` for MLPs and logits, which have one input. */
  readonly input: "q" | "k" | "v" | undefined;
}

/** What reads: a node, or one of the three inputs of a head. */
export interface Reader {
  readonly node: CircuitNodeName;
  /** The layer; `n_layers` for the logits. */
  readonly layer: number;
  readonly head: number | undefined;
  readonly input: "q" | "k" | "v" | undefined;
  /** The senders below this index write to what it reads. */
  readonly senders: number;
}

const SIDES = ["q", "k", "v"] as const;

/** More edges than this are no graph that fits into memory, nor more pairs of what writes and what reads. */
const MOST_EDGES = 2 ** 24;
const MOST_PAIRS = 2 ** 26;

/**
 * The graph of a model; {@link circuitGraph} makes it.
 *
 * Nodes, readers and edges are counted in EAP-IG's orders.
 * @category Circuit discovery
 * @example
 * ```ts
 * import { circuitGraph } from "transformer-circuits/interventions";
 *
 * const graph = circuitGraph({ n_layers: 1, n_heads: 2, d_model: 8, parallel_attn_mlp: false, attn_only: false });
 * console.log(graph.nodes.join(" "), graph.size);
 * // input a0.h0 a0.h1 m0 logits 13
 * ```
 */
export class CircuitGraph extends Shown {
  readonly config: CircuitGraphConfig;
  /** The nodes, `input` first and `logits` last. */
  readonly nodes: readonly CircuitNodeName[];
  /** The number of edges. */
  readonly size: number;
  /** What reads, layer by layer: queries of all heads, keys, values, the MLP; at last the logits. @internal */
  readonly readers: readonly Reader[];
  /** The sender of each edge, as a place in `nodes`. @internal */
  readonly senderOf: Int32Array;
  /** The reader of each edge, as a place in `readers`. @internal */
  readonly readerOf: Int32Array;
  readonly #edgeAt: Int32Array;
  readonly #placeOf: ReadonlyMap<string, number>;
  readonly #readerAt: ReadonlyMap<string, number>;

  /** @internal */
  constructor(config: CircuitGraphConfig) {
    super();
    this.config = Object.freeze({ ...config });
    this.nodes = Object.freeze(nodesOf(config));
    this.readers = Object.freeze(readersOf(config));
    this.size = this.readers.reduce((sum, { senders }) => sum + senders, 0);
    this.#placeOf = new Map(this.nodes.map((name, i) => [name, i]));
    this.#readerAt = new Map(this.readers.map(({ node, input }, i) => [readerName(node, input), i]));
    this.senderOf = new Int32Array(this.size);
    this.readerOf = new Int32Array(this.size);
    this.#edgeAt = new Int32Array((this.nodes.length - 1) * this.readers.length).fill(-1);
    let edge = 0;
    for (const { sender, reader } of edgesInOrder(config, this.readers)) {
      this.senderOf[edge] = sender;
      this.readerOf[edge] = reader;
      this.#edgeAt[sender * this.readers.length + reader] = edge++;
    }
    Object.freeze(this);
  }

  /** The edges, in order. */
  get edges(): readonly CircuitEdge[] {
    return Array.from({ length: this.size }, (_, i) => this.edge(i));
  }

  /**
   * The edge of an index.
   * @throws {@link InputError} when there is none.
   */
  edge(index: number): CircuitEdge {
    const reader = this.readers[this.readerOf[index] ?? -1];
    const from = this.nodes[this.senderOf[index] ?? -1];
    if (reader === undefined || from === undefined) {
      throw new InputError(`there is no edge ${index}; this graph has ${this.size}, counted from 0.`, {
        operation: "CircuitGraph.edge",
        argument: "index",
        expected: [0, this.size - 1],
        actual: index,
      });
    }
    const { node, input } = reader;
    return { name: `${from}->${readerName(node, input)}`, from, to: node, input };
  }

  /**
   * The index of an edge, by name.
   * @throws {@link InputError} when the graph has no such edge; the text says what is wrong with the name.
   */
  indexOf(name: string): number {
    const index = this.find(name);
    if (index !== undefined) return index;
    throw new InputError(`there is no edge ${JSON.stringify(name)} in this graph. ${this.#whyNot(name)}`, {
      operation: "CircuitGraph.indexOf",
      argument: "name",
      expected: "an edge, as input->a0.h0<q>",
      actual: name,
    });
  }

  /** The index of an edge, or `undefined` where the graph has none of that name. @internal */
  find(name: string): number | undefined {
    const [, from = "", to = ""] = /^([^-]*)->(.*)$/.exec(name) ?? [];
    const sender = this.#placeOf.get(from);
    const reader = this.#readerAt.get(to);
    if (sender === undefined || reader === undefined || sender === this.nodes.length - 1) return undefined;
    return this.between(sender, reader);
  }

  /** The edge from a sender to a reader, by their places. @internal */
  between(sender: number, reader: number): number | undefined {
    const index = this.#edgeAt[sender * this.readers.length + reader] ?? -1;
    return index < 0 ? undefined : index;
  }

  /** The place of a node, or `undefined`. @internal */
  place(name: string): number | undefined {
    return this.#placeOf.get(name);
  }

  #whyNot(name: string): string {
    const [, from = "", to = ""] = /^([^-]*)->(.*)$/.exec(name) ?? [];
    if (to === "") return "Write it as sender->reader: input->a0.h0<q>, a0.h0->logits.";
    if (!this.#placeOf.has(from)) return near("node", from, this.nodes);
    if (this.#readerAt.has(to)) return `${from} does not come before ${to}.`;
    if (this.#placeOf.has(to)) return `Say which input of the head: ${from}->${to}<q>, <k> or <v>.`;
    return near("reader", to, [...this.#readerAt.keys()]);
  }

  /** In one line: its sizes. */
  override toString(): string {
    const { n_layers, n_heads, attn_only } = this.config;
    return `CircuitGraph of ${this.nodes.length} nodes and ${this.size} edges (n_layers=${n_layers}, n_heads=${n_heads}${attn_only ? "" : ", with MLPs"})`;
  }

  /** @internal */
  override showing(): Showing {
    const { nodes } = this;
    return { title: this.toString(), parts: () => [{ kind: "words", text: nodes.join(" ") }] };
  }
}

/**
 * The graph of a model: its nodes, and an edge from each that writes to each that reads what it wrote.
 *
 * @param source - a model, its configuration, or the sizes alone; `attn_only` is false where it is not said.
 * @throws {@link InputError} for anything else; {@link ConfigError} for sizes that are not whole numbers or that make a
 * graph of more than 16 million edges.
 * @category Circuit discovery
 * @example
 * ```ts
 * import { circuitGraph } from "transformer-circuits/interventions";
 * import { openBundledModel } from "transformer-circuits/bundled";
 *
 * const { model } = await openBundledModel();
 * const graph = circuitGraph(model);
 * console.log(String(graph));
 * // CircuitGraph of 18 nodes and 257 edges (n_layers=2, n_heads=8)
 * console.log(graph.edge(graph.indexOf("a0.h5->a1.h2<k>")));
 * // { name: 'a0.h5->a1.h2<k>', from: 'a0.h5', to: 'a1.h2', input: 'k' }
 * ```
 */
export function circuitGraph(source: Transformer | ModelConfig | CircuitGraphConfig): CircuitGraph {
  requireObject(source, "source", "circuitGraph");
  const given: Partial<CircuitGraphConfig> = "layers" in source ? source.config : source;
  // Edges lead to the keys of one head; heads that share them have none of their own.
  if ("layers" in source) requireOwnKeys(source.config, "circuitGraph");
  const { n_layers, n_heads, d_model, parallel_attn_mlp = false, attn_only = false } = given;
  const sizes = { n_layers, n_heads, d_model };
  for (const [name, size] of Object.entries(sizes)) {
    if (typeof size === "number" && Number.isSafeInteger(size) && size >= (name === "n_layers" ? 0 : 1)) continue;
    throw new ConfigError(`${name} is ${nameOf(size)}, not a whole number that a graph can be made of.`, {
      operation: "circuitGraph",
      argument: name,
      expected: "a positive integer",
      actual: size,
    });
  }
  for (const [name, flag] of Object.entries({ parallel_attn_mlp, attn_only })) {
    if (typeof flag === "boolean") continue;
    throw new ConfigError(`${name} is ${nameOf(flag)}, not true or false.`, {
      ...{ operation: "circuitGraph", argument: name, expected: "true or false", actual: flag },
    });
  }
  const config = { ...(sizes as Record<keyof typeof sizes, number>), parallel_attn_mlp, attn_only };
  requireSize(config, edgeCount(config), MOST_EDGES, "edges");
  requireSize(config, pairCount(config), MOST_PAIRS, "pairs of nodes and readers");
  return new CircuitGraph(config);
}

function requireSize({ n_layers, n_heads }: CircuitGraphConfig, count: number, most: number, what: string): void {
  if (count <= most) return;
  throw new ConfigError(
    `${n_layers} layers of ${n_heads} heads make a graph of ${count} ${what}, more than the ${most} that fit.`,
    { operation: "circuitGraph", argument: "n_layers", expected: `<= ${most} ${what}`, actual: count },
  );
}

function near(what: string, name: string, names: readonly string[]): string {
  const found = nearestNames(name.slice(0, 60), names, 3);
  return `It has no ${what} ${JSON.stringify(name)}${found.length === 0 ? "" : `; nearest: ${found.join(", ")}`}.`;
}

/** Refuses what is no graph. A member tells, since copies of the package may meet. */
export function requireGraph(graph: unknown, operation: string): asserts graph is CircuitGraph {
  if (typeof graph === "object" && graph !== null && "senderOf" in graph) return;
  throw new InputError(`graph is ${nameOf(graph)}, not a CircuitGraph. Make one with circuitGraph(model).`, {
    operation,
    argument: "graph",
    expected: "a CircuitGraph",
    actual: graph,
  });
}

const readerName = (node: string, input: string | undefined): string =>
  input === undefined ? node : `${node}<${input}>`;

/** Without making it: senders of a layer are `width`, and each of its readers reads all before. */
function edgeCount({ n_layers, n_heads, parallel_attn_mlp, attn_only }: CircuitGraphConfig): number {
  const width = n_heads + (attn_only ? 0 : 1);
  const before = n_layers + (width * n_layers * (n_layers - 1)) / 2;
  const ofMlps = attn_only ? 0 : before + (parallel_attn_mlp ? 0 : n_layers * n_heads);
  return 3 * n_heads * before + ofMlps + 1 + n_layers * width;
}

function pairCount({ n_layers, n_heads, attn_only }: CircuitGraphConfig): number {
  const mlps = attn_only ? 0 : 1;
  return (1 + n_layers * (n_heads + mlps)) * (1 + n_layers * (3 * n_heads + mlps));
}

function nodesOf({ n_layers, n_heads, attn_only }: CircuitGraphConfig): CircuitNodeName[] {
  const nodes: CircuitNodeName[] = ["input"];
  for (let layer = 0; layer < n_layers; layer++) {
    for (let head = 0; head < n_heads; head++) nodes.push(`a${layer}.h${head}`);
    if (!attn_only) nodes.push(`m${layer}`);
  }
  nodes.push("logits");
  return nodes;
}

function readersOf({ n_layers, n_heads, parallel_attn_mlp, attn_only }: CircuitGraphConfig): Reader[] {
  const readers: Reader[] = [];
  const width = n_heads + (attn_only ? 0 : 1);
  for (let layer = 0; layer < n_layers; layer++) {
    const senders = 1 + layer * width;
    for (const input of SIDES)
      for (let head = 0; head < n_heads; head++)
        readers.push({ node: `a${layer}.h${head}`, layer, head, input, senders });
    if (attn_only) continue;
    const seen = parallel_attn_mlp ? senders : senders + n_heads;
    readers.push({ node: `m${layer}`, layer, head: undefined, input: undefined, senders: seen });
  }
  readers.push({
    node: "logits",
    layer: n_layers,
    head: undefined,
    input: undefined,
    senders: 1 + n_layers * width,
  });
  return readers;
}

/** The edges as EAP-IG makes them. */
function* edgesInOrder(
  { n_layers, n_heads, parallel_attn_mlp, attn_only }: CircuitGraphConfig,
  readers: readonly Reader[],
): Generator<{ readonly sender: number; readonly reader: number }> {
  const perLayer = 3 * n_heads + (attn_only ? 0 : 1);
  for (let layer = 0; layer < n_layers; layer++) {
    const first = layer * perLayer;
    const mlp = first + 3 * n_heads;
    const senders = readers[first]?.senders ?? 0;
    for (let sender = 0; sender < senders; sender++) {
      for (let head = 0; head < n_heads; head++)
        for (let side = 0; side < 3; side++) yield { sender, reader: first + side * n_heads + head };
      if (!attn_only && parallel_attn_mlp) yield { sender, reader: mlp };
    }
    if (attn_only || parallel_attn_mlp) continue;
    for (let sender = 0; sender < senders + n_heads; sender++) yield { sender, reader: mlp };
  }
  const logits = n_layers * perLayer;
  for (let sender = 0; sender < (readers[logits]?.senders ?? 0); sender++) yield { sender, reader: logits };
}
