/** Circuits chosen by nodes or by a threshold: scores against runs with the node's output edited away. */
import { describe, expect, test } from "vitest";
import { circuitGraph, discoverCircuit, edit, topEdges, edgesAbove } from "../../../src/interventions/index.ts";
import { logitDifference } from "../../../src/model/index.ts";
import { randomModel } from "../../support/random-model.ts";

const model = randomModel({ mlp: "gelu", norm: "LN", position: "standard", bias: true });
const clean = [
  [1, 5, 3, 5, 2],
  [2, 2, 7, 1, 9],
];
const corrupted = clean.map((row) => row.map((id, p) => (p % 2 === 0 ? id : id + 1)));
const metric = logitDifference({ answer: 3, wrong: 8 });
const meanOf = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0) / values.length;

/** The score of a node as its JSON has it. */
const scoreOf = (json: unknown, node: string): number =>
  (json as { nodes: Record<string, { score: number }> }).nodes[node]?.score ?? NaN;

describe("nodes", () => {
  test("exact scores are what the metric loses without the node, zero-ablated or as of the corrupted prompts (1e-5)", () => {
    const full = meanOf(metric.values(model.run(clean).logits));
    const copy = { copyFrom: model.run(corrupted) };
    for (const [prompts, action] of [
      [clean, "zero"],
      [{ clean, corrupted }, copy],
    ] as const) {
      const { circuit } = discoverCircuit(model, prompts, metric, { level: "node" });
      const json = circuit.toJSON();
      for (const [node, at] of [
        ["a0.h1", { layer: 0, head: 1 }],
        ["a1.h2", { layer: 1, head: 2 }],
        ["m0", { hook: "mlp_out", layer: 0 }],
        ["m1", { hook: "mlp_out", layer: 1 }],
      ] as const) {
        const without = metric.values(model.run(clean, { edits: edit(at, action) }).logits);
        expect(Math.abs(scoreOf(json, node) - (full - meanOf(without)))).toBeLessThan(1e-5);
      }
    }
  });

  test("estimated scores are the sums over a node's edges", () => {
    const { circuit, effects } = discoverCircuit(model, { clean, corrupted }, metric, { level: "node", method: "eap" });
    const ranking = effects.circuit.ranking({ all: true });
    const sum = ranking.filter(({ from }) => from === "a0.h1").reduce((total, { score }) => total + score, 0);
    expect(Math.abs(scoreOf(circuit.toJSON(), "a0.h1") - sum)).toBeLessThan(1e-9);
  });

  test("a circuit of so many nodes, or of those that reach a threshold, has all edges between them", () => {
    const graph = circuitGraph(model);
    const all = discoverCircuit(model, clean, metric, { level: "node", count: graph.nodes.length - 2 });
    expect(all.circuit.size).toBe(graph.size);
    expect(all.faithfulness).toBeCloseTo(1, 6);
    const three = discoverCircuit(model, clean, metric, { level: "node", count: 3 }).circuit;
    const scores = graph.nodes
      .slice(1, -1)
      .map((name) => [name, Math.abs(scoreOf(all.circuit.toJSON(), name))] as const);
    const largest = [...scores].sort((a, b) => b[1] - a[1]).slice(0, 3);
    const nodes = new Set(["input", "logits", ...largest.map(([name]) => name)]);
    expect(three.edges).toEqual(
      graph.edges.filter(({ from, to }) => nodes.has(from) && nodes.has(to)).map(({ name }) => name),
    );
    const threshold = largest[2]?.[1] ?? NaN;
    expect(discoverCircuit(model, clean, metric, { level: "node", threshold }).circuit.edges).toEqual(three.edges);
    expect(discoverCircuit(model, clean, metric, { level: "node" }).faithfulness).toBeGreaterThan(0.9);
    expect(three.provenance).toMatchObject({ level: "node", selection: "top", count: 3 });
  });
});

test("a threshold of edges selects what edgesAbove does", () => {
  const { circuit, effects } = discoverCircuit(model, clean, metric, { threshold: 0.2 });
  expect(circuit.edges).toEqual(edgesAbove(effects.circuit, 0.2).edges);
  expect(circuit.provenance).toMatchObject({ selection: "threshold", threshold: 0.2 });
  const top = discoverCircuit(model, clean, metric, { select: "top", count: 9 });
  expect(top.circuit.edges).toEqual(topEdges(top.effects.circuit, 9).edges);
});

test("what contradicts itself is refused", () => {
  const ask = (options: object) => () => discoverCircuit(model, clean, metric, options);
  expect(ask({ level: "node", select: "greedy" })).toThrow("nodes are chosen by their scores alone");
  expect(ask({ threshold: 1, count: 3 })).toThrow("a threshold and a count both say how much to select");
  expect(ask({ threshold: NaN })).toThrow("threshold is NaN");
  expect(ask({ threshold: 1, select: "greedy" })).toThrow("a threshold selects by scores alone");
  expect(ask({ level: "head" })).toThrow("level");
  expect(ask({ level: "node", count: 99 })).toThrow("count is 99, but there are 8 nodes to choose from");
});
