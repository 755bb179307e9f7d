/** ACDC against the same search written out with runs that cut edges by hooks. */
import { expect, test } from "vitest";
import { acdcCircuit, Circuit, circuitGraph, pruneCircuit } from "../../../src/interventions/index.ts";
import { klDivergence } from "../../../src/model/index.ts";
import { randomModel } from "../../support/random-model.ts";
import { outputsOf, runWithEdges } from "./hooked-edges.ts";

test.each([0.003, 0.02, 0.2])("threshold %f: the same edges are cut as by hooks", (threshold) => {
  const model = randomModel({ n_heads: 2, position: "standard", norm: "LN", mlp: "gelu", bias: true });
  const graph = circuitGraph(model);
  const clean = [
    [3, 1, 4, 1, 5],
    [9, 2, 6, 5, 3],
  ];
  const corrupted = [
    [3, 7, 4, 1, 5],
    [9, 2, 8, 5, 3],
  ];
  const metric = klDivergence(model.forward(clean), { pos: -1 });
  const found = acdcCircuit(model, { clean, corrupted }, metric, { threshold });
  const ablated = outputsOf(model, corrupted);
  const cut = new Set<string>();
  const mean = (): number => {
    const values = metric.values(runWithEdges(model, graph, clean, ablated, (edge) => !cut.has(edge)));
    return ((values[0] ?? 0) + (values[1] ?? 0)) / 2;
  };
  let current = mean();
  const nodes = [...graph.nodes].reverse();
  for (const to of nodes) {
    // Readers of a layer in the graph's order turned round: values, keys, queries of all heads.
    if (to.startsWith("a") && !to.endsWith(".h1")) continue;
    const readers = to.startsWith("a")
      ? (["v", "k", "q"] as const).flatMap((side) => [1, 0].map((h) => `${to.replace(/h\d+$/, `h${h}`)}<${side}>`))
      : [to];
    for (const reader of readers) {
      for (const from of nodes) {
        const edge = `${from}->${reader}`;
        if (!graph.edges.some(({ name }) => name === edge)) continue;
        cut.add(edge);
        const without = mean();
        if (without - current < threshold) current = without;
        else cut.delete(edge);
      }
    }
  }
  const expected = pruneCircuit(Circuit.from(graph, { edges: ({ name }) => !cut.has(name) }));
  expect(found.edges).toEqual(expected.edges);
  expect(found.provenance).toMatchObject({ method: "acdc", threshold, ablation: "counterfactual" });
});
