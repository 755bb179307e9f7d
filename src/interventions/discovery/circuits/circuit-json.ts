/**
 * Circuits of the JSON that EAP-IG (`Graph.to_json`) writes and the MIB benchmark exchanges:
 * `{ cfg, nodes: { "a0.h1": { in_graph } }, edges: { "input->a0.h1<q>": { score, in_graph } } }`.
 *
 * Writing is `JSON.stringify(circuit)`. Files of attention-only models that EAP-IG wrote have MLPs all the same, which
 * do
 * nothing; they are read as they are.
 */
import { FormatError, nameOf } from "../../../errors.ts";
import { nearestNames } from "../../../nearest.ts";
import { Circuit } from "./circuit.ts";
import type { NodeNeurons } from "./circuit-parts.ts";
import { circuitGraph } from "./circuit-graph.ts";
import type { CircuitGraph } from "./circuit-graph.ts";

/**
 * Reads a circuit as EAP-IG and the MIB benchmark write it.
 *
 * Edges that the file does not have are not kept and score 0, as in EAP-IG. Python's `NaN` and `Infinity` are read; a
 * score that is `null` or `NaN` is none.
 *
 * @param source - the text of the file, its bytes, or what `JSON.parse` made of it.
 * @throws {@link FormatError} for what is no such file: no JSON, a part that is missing or of another kind, sizes that
 * make
 * no graph, a node or edge that the graph does not have.
 * @category Circuit discovery
 * @example
 * ```ts
 * import { readCircuit } from "transformer-circuits/interventions";
 *
 * const circuit = readCircuit(`{
 *   "cfg": { "n_layers": 1, "n_heads": 2, "parallel_attn_mlp": false, "d_model": 8 },
 *   "nodes": { "input": { "in_graph": true }, "a0.h1": { "in_graph": true }, "m0": { "in_graph": false } },
 *   "edges": { "input->a0.h1<v>": { "score": 0.5, "in_graph": true }, "a0.h1->logits": { "score": 2, "in_graph": true
 * } }
 * }`);
 * console.log(String(circuit), circuit.score("a0.h1->logits"));
 * // Circuit of 2 of 13 edges, 3 of 5 nodes 2
 * ```
 */
export function readCircuit(source: string | Uint8Array | object): Circuit {
  const file = record(parsed(source), "the file");
  const cfg = record(file["cfg"], "cfg");
  const nodes = record(file["nodes"], "nodes");
  const edges = record(file["edges"], "edges");
  const graph = graphOf(cfg, [...Object.keys(nodes), ...Object.keys(edges)]);
  const kept = new Uint8Array(graph.size);
  const scores = new Float64Array(graph.size);
  for (const [name, value] of Object.entries(edges)) {
    const index = graph.find(name);
    if (index === undefined) throw unknown("edge", name, graph);
    const { score, in_graph } = record(value, `edges[${JSON.stringify(name)}]`);
    scores[index] = scoreOf(score, `the score of ${name}`);
    kept[index] = flag(in_graph, `in_graph of ${name}`);
  }
  return Circuit.from(graph, {
    ...nodesOf(graph, nodes),
    edges: graph.edges.filter((_, i) => kept[i] === 1).map(({ name }) => name),
    scores,
    positions: positionsOf(graph, file["positions"]),
    ...(typeof file["model"] === "string" && { model: file["model"] }),
    ...(file["provenance"] !== undefined && { provenance: record(file["provenance"], "provenance") }),
  });
}

function parsed(source: unknown): unknown {
  const isBytes = source instanceof Uint8Array;
  if (typeof source !== "string" && !isBytes) return source;
  try {
    const text = isBytes ? new TextDecoder("utf-8", { fatal: true }).decode(source) : source;
    const value = JSON.parse(withoutPythonNumbers(text)) as unknown;
    requireEachOnce(text, value);
    return value;
  } catch (error) {
    if (error instanceof FormatError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new FormatError(
      `this is no JSON: ${why}.`,
      { operation: "readCircuit", argument: "source" },
      { cause: error },
    );
  }
}

/** Python writes NaN and Infinity, which JSON does not know; outside of texts they become null. */
function withoutPythonNumbers(text: string): string {
  if (!/NaN|Infinity/.test(text)) return text;
  return text.replace(/"(?:[^"\\]|\\.)*"|NaN|-?Infinity/g, (found) => (found.startsWith('"') ? found : "null"));
}

/** Refuses a text that gives an object one name twice: of these `JSON.parse` takes the last in silence. */
function requireEachOnce(text: string, value: unknown): void {
  const counts = new Map<string, number>();
  for (const [, key] of text.matchAll(/("(?:[^"\\]|\\.)*")(?=\s*:)/g)) {
    const name = JSON.parse(key as string) as string;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const open = [value];
  while (open.length > 0) {
    const one = open.pop();
    if (typeof one !== "object" || one === null) continue;
    const entries = Object.entries(one);
    for (const [name, inside] of entries) {
      if (!Array.isArray(one)) counts.set(name, (counts.get(name) ?? 0) - 1);
      open.push(inside);
    }
  }
  const [twice] = [...counts].find(([, count]) => count > 0) ?? [];
  if (twice !== undefined) throw refuse(`the file has ${JSON.stringify(twice)} twice in one object.`, "source", twice);
}

function graphOf(cfg: Record<string, unknown>, names: readonly string[]): CircuitGraph {
  const { n_layers, n_heads, d_model = 1, parallel_attn_mlp = false, attn_only } = cfg;
  for (const [name, value] of Object.entries({ parallel_attn_mlp, attn_only })) {
    if (value === undefined || typeof value === "boolean") continue;
    throw refuse(`cfg.${name} is ${nameOf(value)}, not true or false.`, "cfg", value);
  }
  const hasMlps = names.some((name) => /^m\d|->m\d/.test(name));
  const sizes = { n_layers, n_heads, d_model, parallel_attn_mlp, attn_only: attn_only ?? (n_layers !== 0 && !hasMlps) };
  try {
    return circuitGraph(sizes as Parameters<typeof circuitGraph>[0]);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^circuitGraph: /, "") : String(error);
    throw new FormatError(
      `cfg makes no graph: ${why}`,
      { operation: "readCircuit", argument: "cfg" },
      { cause: error },
    );
  }
}

interface NodeParts {
  readonly nodes: string[];
  readonly nodeScores?: Map<string, number>;
  readonly neurons: Map<string, NodeNeurons>;
}

function nodesOf(graph: CircuitGraph, given: Record<string, unknown>): NodeParts {
  const nodes: string[] = [];
  const nodeScores = new Map<string, number>();
  const neurons = new Map<string, NodeNeurons>();
  const width = graph.config.d_model;
  for (const [name, value] of Object.entries(given)) {
    if (graph.place(name) === undefined) throw unknown("node", name, graph);
    // Files of old have the flag itself.
    const { in_graph, score, ...more } =
      typeof value === "boolean" ? { in_graph: value } : record(value, `nodes[${JSON.stringify(name)}]`);
    if (flag(in_graph, `in_graph of ${name}`) === 1) nodes.push(name);
    if (score !== undefined) nodeScores.set(name, scoreOf(score, `the score of ${name}`));
    const kept = listOf(more["neurons"], width, `neurons of ${name}`, (x) => flag(x, `neurons of ${name}`) === 1);
    const scores = listOf(more["neurons_scores"], width, `neurons_scores of ${name}`, (x) => {
      const number = scoreOf(x, `neurons_scores of ${name}`);
      return Number.isNaN(number) ? null : number;
    });
    if (kept !== undefined || scores !== undefined) neurons.set(name, { kept, scores });
  }
  return { nodes, neurons, ...(nodeScores.size > 0 && { nodeScores }) };
}

function positionsOf(graph: CircuitGraph, given: unknown): Map<string, number[]> {
  const positions = new Map<string, number[]>();
  if (given === undefined) return positions;
  for (const [name, list] of Object.entries(record(given, "positions"))) {
    if (graph.place(name) === undefined) throw unknown("node", name, graph);
    if (!Array.isArray(list) || list.some((p) => !Number.isSafeInteger(p) || (p as number) < 0)) {
      throw refuse(`positions of ${name} are not a list of positions counted from 0.`, "positions", list);
    }
    positions.set(name, list as number[]);
  }
  return positions;
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw refuse(`${what} is ${value === undefined ? "missing" : nameOf(value)}, not an object by name.`, what, value);
}

function flag(value: unknown, what: string): 0 | 1 {
  if (value === true || value === 1) return 1;
  if (value === false || value === 0) return 0;
  throw refuse(`${what} is ${value === undefined ? "missing" : nameOf(value)}, not true or false.`, what, value);
}

function scoreOf(value: unknown, what: string): number {
  if (typeof value === "number") return value;
  if (value === null) return NaN;
  throw refuse(`${what} is ${value === undefined ? "missing" : nameOf(value)}, not a number.`, what, value);
}

function listOf<V>(value: unknown, length: number, what: string, read: (x: unknown) => V): V[] | undefined {
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.length === length) return value.map(read);
  throw refuse(`${what} are not a list of d_model=${length} values.`, what, value);
}

function unknown(what: "node" | "edge", name: string, graph: CircuitGraph): FormatError {
  const near = what === "node" ? nearestNames(name.slice(0, 60), graph.nodes, 3) : [];
  const { n_layers, n_heads } = graph.config;
  return refuse(
    `the file has ${what === "edge" ? "an" : "a"} ${what} ${JSON.stringify(name.slice(0, 60))}, which a graph of n_layers=${n_layers} and n_heads=${n_heads} has not.${near.length === 0 ? "" : ` Nearest: ${near.join(", ")}.`}`,
    what,
    name,
  );
}

function refuse(message: string, argument: string, actual: unknown): FormatError {
  return new FormatError(message, { operation: "readCircuit", argument, actual });
}
