/** Files of circuits: what is written is read again, and what is no circuit is refused in words. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Circuit, circuitGraph, readCircuit } from "../../../src/interventions/index.ts";
import { CircuitsError } from "../../../src/errors.ts";

const graphs = fc
  .record({
    n_layers: fc.integer({ min: 0, max: 3 }),
    n_heads: fc.integer({ min: 1, max: 3 }),
    d_model: fc.integer({ min: 1, max: 4 }),
    parallel_attn_mlp: fc.boolean(),
    attn_only: fc.boolean(),
  })
  .map(circuitGraph);

test("every circuit comes back from its JSON, with scores, nodes, positions, provenance and neurons", () => {
  fc.assert(
    fc.property(
      graphs,
      fc.infiniteStream(fc.tuple(fc.boolean(), fc.double({ noDefaultInfinity: true }))),
      (graph, stream) => {
        const draws = [...stream.take(graph.size)];
        const circuit = Circuit.from(graph, {
          edges: graph.edges.filter((_, i) => draws[i]?.[0]).map(({ name }) => name),
          // JSON knows no -0.
          scores: draws.map(([, score]) => (score === 0 ? 0 : score)),
          nodeScores: new Map([["input", 0.25]]),
          positions: new Map([["input", [0, 3]]]),
          neurons: new Map([["input", { kept: Array.from({ length: graph.config.d_model }, (_, i) => i % 2 === 0) }]]),
          model: "toy",
          provenance: { method: "drawn", seed: 3 },
        });
        const text = JSON.stringify(circuit);
        const back = readCircuit(text);
        expect(JSON.stringify(back)).toBe(text);
        expect(back.edges).toEqual(circuit.edges);
        expect([...back.edgeScores]).toEqual([...circuit.edgeScores]);
        expect([back.model, back.provenance, back.positions]).toEqual([
          circuit.model,
          circuit.provenance,
          circuit.positions,
        ]);
      },
    ),
    { seed: 16, numRuns: 60 },
  );
});

test("Python's NaN and Infinity are no scores, and stay what they are inside of texts", () => {
  const circuit = readCircuit(
    `{"cfg": {"n_layers": 0, "n_heads": 1, "parallel_attn_mlp": false, "d_model": 2}, "nodes": {"input": {"in_graph": true, "score": -Infinity}},
      "edges": {"input->logits": {"score": NaN, "in_graph": true}}, "provenance": {"note": "NaN, \\"-Infinity\\""}}`,
  );
  expect(circuit.score("input->logits")).toBeNaN();
  expect(circuit.provenance).toEqual({ note: 'NaN, "-Infinity"' });
  expect(JSON.parse(JSON.stringify(circuit))).toMatchObject({ edges: { "input->logits": { score: null } } });
});

describe("what is no circuit", () => {
  const cfg = { n_layers: 1, n_heads: 1, parallel_attn_mlp: false, d_model: 2 };
  const edge = { score: 1, in_graph: true };
  test.each<[string, unknown, RegExp]>([
    ["no JSON", "{", /this is no JSON/],
    ["bytes that are no text", new Uint8Array([0xff, 0xfe]), /this is no JSON/],
    ["a list", "[]", /the file is an array, not an object by name/],
    ["null", null, /the file is null/],
    ["no cfg", { nodes: {}, edges: {} }, /cfg is missing/],
    ["no edges", { cfg, nodes: {} }, /edges is missing/],
    ["nodes as a list", { cfg, nodes: [], edges: {} }, /nodes is an array/],
    ["a fraction of a layer", { cfg: { ...cfg, n_layers: 1.5 }, nodes: {}, edges: {} }, /n_layers is 1.5/],
    ["no heads", { cfg: { ...cfg, n_heads: undefined }, nodes: {}, edges: {} }, /n_heads is undefined/],
    [
      "sizes without end",
      { cfg: { ...cfg, n_layers: 1e9, n_heads: 1e9 }, nodes: {}, edges: {} },
      /more than the 16777216 that fit/,
    ],
    [
      "a text for a flag",
      { cfg: { ...cfg, parallel_attn_mlp: "no" }, nodes: {}, edges: {} },
      /parallel_attn_mlp is "no"/,
    ],
    [
      "a node of another graph",
      { cfg, nodes: { "a0.h1": { in_graph: true } }, edges: {} },
      /a node "a0.h1".*Nearest: a0.h0/,
    ],
    ["an edge backwards", { cfg, nodes: {}, edges: { "a0.h0->a0.h0<q>": edge } }, /an edge "a0.h0->a0.h0<q>"/],
    ["an edge from the logits", { cfg, nodes: {}, edges: { "logits->logits": edge } }, /an edge "logits->logits"/],
    ["an edge to no input of a head", { cfg, nodes: {}, edges: { "input->a0.h0": edge } }, /an edge "input->a0.h0"/],
    [
      "__proto__",
      '{"cfg": {"n_layers": 1, "n_heads": 1}, "nodes": {}, "edges": {"__proto__": {"score": 1, "in_graph": true}}}',
      /an edge "__proto__"/,
    ],
    ["an edge as a number", { cfg, nodes: {}, edges: { "input->logits": 3 } }, /edges\["input->logits"\] is 3/],
    [
      "a score as a text",
      { cfg, nodes: {}, edges: { "input->logits": { score: "1", in_graph: true } } },
      /the score of input->logits is "1"/,
    ],
    ["no flag", { cfg, nodes: {}, edges: { "input->logits": { score: 1 } } }, /in_graph of input->logits is missing/],
    [
      "neurons of another width",
      { cfg, nodes: { input: { in_graph: true, neurons: [true] } }, edges: {} },
      /neurons of input are not a list of d_model=2/,
    ],
    ["positions before the first", { cfg, nodes: {}, edges: {}, positions: { input: [-1] } }, /positions of input/],
  ])("%s", (_, file, text) => {
    const read = (): unknown => readCircuit(file as string);
    expect(read).toThrow(text);
    expect(read).toThrow(CircuitsError);
    expect(read).toThrow(expect.objectContaining({ name: "FormatError", operation: "readCircuit" }));
  });

  test("a damaged file gives a circuit or a FormatError, nothing else", () => {
    const text = JSON.stringify(Circuit.from(circuitGraph({ ...cfg, attn_only: true }), { edges: "all" }));
    fc.assert(
      fc.property(fc.nat(text.length), fc.nat(text.length), fc.string({ maxLength: 3 }), (a, b, put) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        try {
          readCircuit(text.slice(0, from) + put + text.slice(to));
        } catch (error) {
          expect((error as Error).name).toBe("FormatError");
        }
      }),
      { seed: 7, numRuns: 400 },
    );
  });
});
