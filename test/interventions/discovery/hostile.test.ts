/**
 * Hostile input at the doors of circuits: foreign files, parts of other kinds, signals that are aborted, objects that
 * cannot be changed. Every refusal is a typed error that says where; nothing is taken for something else in silence.
 */
import { describe, expect, test } from "vitest";
import { CircuitsError } from "../../../src/errors.ts";
import {
  acdcCircuit,
  attributionPatching,
  Circuit,
  circuitFaithfulness,
  circuitGraph,
  circuitGrid,
  discoverCircuit,
  edgeAttribution,
  evaluateCircuit,
  exactEdges,
  pathPatching,
  readCircuit,
  sweep,
  sweepEdits,
  topEdges,
} from "../../../src/interventions/index.ts";
import { logitDifference } from "../../../src/model/index.ts";
import { randomModel } from "../../support/random-model.ts";

const model = randomModel({ n_layers: 2, n_heads: 2, norm: "LN", bias: true });
const graph = circuitGraph(model);
const tokens = [
  [1, 5, 3, 2],
  [2, 7, 1, 9],
];
const prompts = { clean: tokens, corrupted: tokens.map((row) => [...row].reverse()) };
const metric = logitDifference({ answer: 3, wrong: 4 });
const scored = exactEdges(model, prompts, metric);
const few = topEdges(scored.circuit, 9);

/** That a call is refused in words, and not by a defect. */
function expectRefusal(call: () => unknown, text: RegExp): void {
  let error: unknown = "nothing was thrown";
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(CircuitsError);
  expect((error as CircuitsError).message).toMatch(text);
  expect((error as CircuitsError).message).not.toMatch(/internal:/);
}

const cfg = { n_layers: 1, n_heads: 2, d_model: 2, parallel_attn_mlp: false, attn_only: true };
const file = (parts: Record<string, unknown> = {}): Record<string, unknown> => ({
  cfg,
  nodes: { input: { in_graph: true } },
  edges: { "input->logits": { score: 1, in_graph: true } },
  ...parts,
});
const edge = (name: string): unknown => file({ edges: { [name]: { score: 1, in_graph: true } } });
const node = (more: Record<string, unknown>): unknown => file({ nodes: { input: { in_graph: true, ...more } } });
const deep = (depth: number): unknown => JSON.parse(`${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`) as unknown;

describe("foreign files", () => {
  test.each<[string, unknown, RegExp]>([
    ["no JSON", "{", /this is no JSON/],
    ["bytes that are no UTF-8", Uint8Array.of(0xff, 0xfe), /this is no JSON/],
    ["a list", [], /the file is an array/],
    ["nothing", null, /the file is null/],
    ["a number", 3, /the file is 3/],
    ["no cfg", file({ cfg: undefined }), /cfg is missing/],
    ["no nodes", file({ nodes: 3 }), /nodes is 3/],
    ["layers that are no number", file({ cfg: { ...cfg, n_layers: "1" } }), /cfg makes no graph: n_layers is "1"/],
    ["too many layers", file({ cfg: { ...cfg, n_layers: 1e9 } }), /cfg makes no graph: .* layers of 2 heads/],
    ["more than a whole number holds", file({ cfg: { ...cfg, n_layers: 1e300 } }), /n_layers is 1e\+300/],
    ["too many heads", file({ cfg: { ...cfg, n_heads: 4_000_000 } }), /pairs of nodes and readers/],
    ["a flag that is none", file({ cfg: { ...cfg, attn_only: "yes" } }), /cfg.attn_only is "yes"/],
    ["an unknown node", file({ nodes: { "a3.h0": { in_graph: true } } }), /the file has a node "a3.h0"/],
    ["an unknown edge", edge("a0.h0->a0.h1<q>"), /the file has an edge "a0.h0->a0.h1<q>"/],
    ["an edge backwards", edge("logits->input"), /the file has an edge/],
    ["an edge to itself", edge("a0.h0->a0.h0<v>"), /the file has an edge/],
    ["a name of the prototype", edge("constructor"), /the file has an edge "constructor"/],
    [
      "__proto__ as an edge",
      `{"cfg":${JSON.stringify(cfg)},"nodes":{},"edges":{"__proto__":{"score":1,"in_graph":true}}}`,
      /"__proto__"/,
    ],
    [
      "__proto__ as a node",
      `{"cfg":${JSON.stringify(cfg)},"nodes":{"__proto__":{"in_graph":true}},"edges":{}}`,
      /"__proto__"/,
    ],
    ["a long name", edge("x".repeat(1e6)), /^readCircuit: .{0,300}$/s],
    [
      "a score that is a text",
      file({ edges: { "input->logits": { score: "1", in_graph: true } } }),
      /score of input->logits is "1"/,
    ],
    ["no score", file({ edges: { "input->logits": { in_graph: true } } }), /score of input->logits is missing/],
    ["an edge that is a number", file({ edges: { "input->logits": 1 } }), /edges\["input->logits"\] is 1/],
    ["neurons of another width", node({ neurons: [true] }), /neurons of input are not a list of d_model=2/],
    ["neurons that are texts", node({ neurons: ["a", "b"] }), /neurons of input is "a"/],
    ["scores of neurons that are texts", node({ neurons_scores: ["a", "b"] }), /neurons_scores of input is "a"/],
    ["positions that are texts", file({ positions: { input: ["0"] } }), /positions of input are not a list/],
    ["positions before the first", file({ positions: { input: [-1] } }), /positions of input are not a list/],
    ["a provenance that is a list", file({ provenance: [] }), /provenance is an array/],
    ["a provenance too deep", file({ provenance: deep(1000) }), /provenance nests more than 64 deep/],
    [
      "an edge twice",
      `{"cfg":${JSON.stringify(cfg)},"nodes":{},"edges":{"input->logits":{"score":1,"in_graph":true},"input->logits":{"score":2,"in_graph":false}}}`,
      /the file has "input->logits" twice/,
    ],
    [
      "a score twice",
      `{"cfg":${JSON.stringify(cfg)},"nodes":{},"edges":{"input->logits":{"score":1,"score":2,"in_graph":true}}}`,
      /the file has "score" twice/,
    ],
    [
      "a name twice, once written otherwise",
      `{"cfg":${JSON.stringify(cfg)},"nodes":{"input":true,"in\\u0070ut":false},"edges":{}}`,
      /the file has "input" twice/,
    ],
  ])("%s", (_, source, text) => {
    expectRefusal(() => readCircuit(source as string), text);
  });

  test("a file of 20,000 nested lists is no JSON, or read: never a stack that overflows", () => {
    const text = `{"cfg":${JSON.stringify(cfg)},"nodes":{},"edges":{},"more":${"[".repeat(20_000)}${"]".repeat(20_000)}}`;
    try {
      expect(readCircuit(text).size).toBe(0);
    } catch (error) {
      expect(error).toBeInstanceOf(CircuitsError);
    }
  });

  test("NaN, null and numbers beyond all are scores; nothing is changed of what is given", () => {
    const circuit = readCircuit(JSON.stringify(file()).replace('"score":1', '"score":NaN'));
    expect(circuit.score("input->logits")).toBeNaN();
    expect(circuit.score("a0.h0->logits")).toBe(0);
    const frozen = Object.freeze(
      file({ edges: Object.freeze({ "input->logits": Object.freeze({ score: Infinity, in_graph: 1 }) }) }),
    );
    expect(readCircuit(frozen).edges).toEqual(["input->logits"]);
    const seen = readCircuit(new Proxy(file(), {}));
    expect(JSON.stringify(seen)).toBe(JSON.stringify(readCircuit(file())));
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
    const text = JSON.stringify(file({ provenance: { note: 'a "input->logits": twice, "input->logits": in a text' } }));
    expect(readCircuit(text).size).toBe(1);
  });
});

describe("parts of circuits", () => {
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  test.each<[string, unknown, RegExp]>([
    ["edges as one text", { edges: "input->logits" }, /edges is "input->logits", not a list/],
    ["an edge that is a number", { edges: [3] }, /edges has 3, not a name/],
    ["an edge that is none", { edges: ["a1.h0->a0.h0<q>"] }, /a1.h0 does not come before a0.h0<q>/],
    ["nodes as a set", { nodes: new Set(["input"]) }, /nodes is .*not a list/],
    ["scores as a text", { scores: "1" }, /scores is "1"/],
    ["scores as an object", { scores: { length: graph.size } }, /scores is an object/],
    ["too few scores", { scores: [1] }, /1 scores were given/],
    ["a score that is a text", { scores: new Array(graph.size).fill("1") }, /scores has "1", not a number/],
    ["a score by name that is none", { scores: new Map([["input->logits", "1"]]) }, /scores has "1"/],
    ["scores of nodes as an object", { nodeScores: { input: 1 } }, /nodeScores is an object, not a Map/],
    ["positions as an object", { positions: { input: [1] } }, /positions is an object, not a Map/],
    ["a position before the first", { positions: new Map([["input", [-1]]]) }, /positions of input have -1/],
    ["a position between two", { positions: new Map([["input", [0.5]]]) }, /positions of input have 0.5/],
    ["positions of no list", { positions: new Map([["input", 3]]) }, /positions of input is 3/],
    ["positions of no node", { positions: new Map([["a9.h0", [1]]]) }, /there is no node "a9.h0"/],
    ["neurons of another width", { neurons: new Map([["input", { kept: [true] }]]) }, /1 neurons in kept/],
    [
      "neurons as numbers",
      { neurons: new Map([["input", { kept: new Array(model.config.d_model).fill(1) }]]) },
      /neuron 0 of input has 1 in kept/,
    ],
    ["neurons of the logits", { neurons: new Map([["logits", {}]]) }, /the logits write nothing/],
    ["a model that is a number", { model: 3 }, /model is 3, not a name/],
    ["a provenance that holds itself", { provenance: loop }, /nests more than 64 deep, or holds itself/],
    ["a provenance with a function", { provenance: { f: () => 1 } }, /which JSON cannot hold/],
    ["something else", { edge: "all" }, /edge/],
  ])("%s", (_, parts, text) => {
    expectRefusal(() => Circuit.from(graph, parts as never), text);
  });

  test.each([undefined, null, 3, "graph", {}, [], model])("a graph that is none: %s", (given) => {
    expectRefusal(() => Circuit.from(given as never), /not a CircuitGraph/);
    if (given === undefined) return;
    expectRefusal(() => exactEdges(model, tokens, metric, { graph: given as never }), /not a CircuitGraph/);
  });
});

const other = circuitGraph(randomModel({ n_layers: 2, n_heads: 2, d_model: 24 }));

test("circuits of other models, and positions that prompts do not have, are refused by every run", () => {
  const foreign = Circuit.from(other, { edges: "all" });
  const late = Circuit.from(graph, { edges: "all", positions: new Map([["a0.h0", [1, 4]]]) });
  for (const judge of [circuitGrid, circuitFaithfulness, evaluateCircuit] as const) {
    expectRefusal(() => judge(model, foreign, tokens, metric), /the circuit is of another model: .*d_model=24/);
    expectRefusal(() => judge(model, null as never, tokens, metric), /circuit is null, not a Circuit/);
  }
  expectRefusal(() => circuitGrid(model, late, tokens, metric), /keeps a0.h0 at position 4, but the prompts have 4/);
  expectRefusal(() => evaluateCircuit(model, late, tokens, metric), /keeps a0.h0 at position 4/);
  const theirs = { ...scored, circuit: foreign };
  const fewer = exactEdges(model, tokens.slice(1), metric);
  expectRefusal(() => evaluateCircuit(model, few, prompts, metric, { effects: fewer }), /effects are of .* 1 prompts/);
  expectRefusal(() => evaluateCircuit(model, few, prompts, metric, { effects: theirs }), /effects/);
});

/** Every function that runs a model, with options that have a signal. */
const calls: Record<
  string,
  (options: { signal?: AbortSignal; onProgress?: (done: number, total: number) => void }) => unknown
> = {
  exactEdges: (options) => exactEdges(model, prompts, metric, options),
  edgeAttribution: (options) => edgeAttribution(model, prompts, metric, { method: "eap-ig-inputs", ...options }),
  discoverCircuit: (options) => discoverCircuit(model, prompts, metric, options),
  discoverNodes: (options) => discoverCircuit(model, prompts, metric, { level: "node", ...options }),
  acdcCircuit: (options) => acdcCircuit(model, prompts, metric, { threshold: 0.1, ...options }),
  circuitFaithfulness: (options) => circuitFaithfulness(model, few, prompts, metric, options),
  circuitGrid: (options) => circuitGrid(model, few, prompts, metric, options),
  evaluateCircuit: (options) => evaluateCircuit(model, few, prompts, metric, options),
  sweep: (options) => sweep(model, prompts, { at: "resid_pre", over: "layer pos", metric, ...options }),
  sweepEdits: (options) => sweepEdits(model, tokens, [[], []], { metric, ...options }),
  attributionPatching: (options) =>
    attributionPatching(model, prompts, { at: "z", over: "layer head", metric, steps: 3, ...options }),
  pathPatching: (options) => pathPatching(model, prompts, { receivers: "logits", metric, ...options }),
};

describe("signals", () => {
  test.each(Object.entries(calls))(
    "%s throws the reason of one aborted before, and of one aborted on the way",
    (_, call) => {
      const reason = new Error("enough");
      let steps = 0;
      const onProgress = (): void => void steps++;
      expect(() => call({ signal: AbortSignal.abort(reason), onProgress })).toThrow(reason);
      expect(steps).toBe(0);
      const control = new AbortController();
      let isDone = false;
      const stop = (done: number, total: number): void => {
        steps++;
        isDone = done === total;
        control.abort(reason);
      };
      let thrown: unknown;
      try {
        call({ signal: control.signal, onProgress: stop });
      } catch (error) {
        thrown = error;
      }
      // What is done is handed out.
      expect(thrown).toBe(isDone ? undefined : reason);
      expect(steps).toBe(1);
    },
  );

  test.each(Object.entries(calls))("%s: options that are frozen, or seen through a proxy, are as others", (_, call) => {
    const plain = JSON.stringify(call({}));
    expect(JSON.stringify(call(Object.freeze({})))).toBe(plain);
    expect(JSON.stringify(call(new Proxy({}, {})))).toBe(plain);
  });
});
