/** Graphs, exact scores, selections and files against EAP-IG's own code. */
import { describe, expect, test } from "vitest";
import {
  Circuit,
  circuitGraph,
  circuitGrid,
  edgesAbove,
  exactEdges,
  greedyEdges,
  readCircuit,
  topEdges,
} from "../../../src/interventions/index.ts";
import type { EdgeAblation } from "../../../src/interventions/index.ts";
import { checkPrompts, CircuitRuns } from "../../../src/interventions/discovery/edges/index.ts";
import { circuitText, eapIgModels } from "./eap-ig.ts";

describe.each(eapIgModels.map((stored) => [stored.name, stored] as const))("%s", (name, stored) => {
  const { model, graph, clean, corrupted, difference, scores, kept, neurons } = stored;

  test("the model is the same: the metric agrees within 1e-5 (float32 against float64)", () => {
    const values = difference.values(model.forward(clean));
    for (const [b, value] of stored.metric.entries()) expect(Math.abs((values[b] ?? NaN) - value)).toBeLessThan(1e-5);
  });

  test("edges have EAP-IG's names and order", () => {
    expect(graph.edges.map((edge) => edge.name)).toEqual(stored.edges);
  });

  test.each([
    ["exact", "counterfactual"],
    ["exact-zero", "zero"],
    ["exact-mean", "mean"],
  ] as const)("%s scores agree within 1e-5 (float32 against float64)", (key, ablation: EdgeAblation) => {
    const { circuit } = exactEdges(model, { clean, corrupted }, difference, { ablation, graph });
    // In a parallel model its loop prunes m0 for good when it comes to input->m0, the only edge into it, so that what
    // follows is scored in another model.
    const end = name.endsWith("parallel") ? stored.edges.indexOf("input->m0") : undefined;
    for (const [i, score] of (scores[key] ?? []).slice(0, end).entries())
      expect(Math.abs(circuit.scores.at(i) - score), stored.edges[i]).toBeLessThan(1e-5);
  });

  test("selections keep the same edges and nodes, and these circuits give the same logits (1e-5: float32)", () => {
    const scored = Circuit.from(graph, { scores: scores["eap"] ?? [] });
    const chosen: Record<string, Circuit> = {
      "top-10": topEdges(scored, 10),
      "top-10-signed": topEdges(scored, 10, { absolute: false }),
      "top-30-loose": topEdges(scored, 30, { prune: false }),
      "top-30": topEdges(scored, 30),
      above: edgesAbove(scored, 0.05),
      "greedy-12": greedyEdges(scored, 12),
      "greedy-25-signed": greedyEdges(scored, 25, { absolute: false }),
    };
    const runs = new CircuitRuns(model, graph, checkPrompts(model, { clean, corrupted }, "test"), difference, {
      operation: "test",
    });
    expect(Object.keys(chosen)).toEqual(Object.keys(kept));
    for (const [key, circuit] of Object.entries(chosen)) {
      expect(circuit.edges, key).toEqual(kept[key]?.edges);
      if (key !== "top-30-loose") expect(circuit.nodes, key).toEqual(kept[key]?.nodes);
      const values = kept[key]?.values;
      if (values === null || values === undefined) continue;
      const found = runs.value({ edges: circuit.kept });
      for (const [b, value] of values.entries()) expect(Math.abs((found[b] ?? NaN) - value), key).toBeLessThan(1e-5);
    }
  });

  test("circuits that keep some neurons of nodes alone give the same (1e-5: float32)", () => {
    const ablations = { patching: "counterfactual", zero: "zero", "mean-positional": "mean" } as const;
    expect(neurons.length).toBe(2);
    for (const { kind, edges: own, neurons: kept, values } of neurons) {
      const masks = new Map(Object.entries(kept).map(([node, list]) => [node, { kept: list }]));
      const circuit = Circuit.from(graph, { edges: own, neurons: masks });
      const read = readCircuit(JSON.stringify(circuit));
      for (const [name, ablation] of Object.entries(ablations)) {
        const { cells } = circuitGrid(model, read, { clean, corrupted }, difference);
        const cell = cells.find((one) => one.unit === "edge" && one.ablation === ablation && one.kept === "circuit");
        const list = values[name] ?? [];
        const expected = list.reduce((a, b) => a + b, 0) / list.length;
        expect(Math.abs((cell?.metric ?? NaN) - expected), `${kind} ${name}`).toBeLessThan(1e-5);
      }
    }
  });

  test("the file that EAP-IG wrote is read and written as it was", () => {
    const text = circuitText(`${name}.circuit`);
    const circuit = readCircuit(text);
    expect(JSON.parse(JSON.stringify(circuit))).toEqual(JSON.parse(text));
    expect(circuit.edges).toEqual(kept["top-10"]?.edges);
    expect(circuit.graph.edges.map((edge) => edge.name)).toEqual(stored.edges);
  });
});

describe("a published circuit: GPT-2 on IOI, by EAP-IG, as MIB hands it out, edges of which are left out", () => {
  const text = circuitText("published");
  const file = JSON.parse(text) as { edges: Record<string, { score: number; in_graph: boolean }> };
  const circuit = readCircuit(text);

  test("is read whole and written again: what it has, as it was; what was left out, 0", () => {
    expect(String(circuit)).toBe("Circuit of 756 of 32491 edges, 81 of 158 nodes");
    const back = JSON.parse(JSON.stringify(circuit)) as typeof file;
    const given = Object.fromEntries(Object.keys(file.edges).map((name) => [name, back.edges[name]]));
    expect({ ...back, edges: given }).toEqual(file);
    const others = Object.entries(back.edges).filter(([name]) => file.edges[name] === undefined);
    expect(others.length).toBe(32491 - Object.keys(file.edges).length);
    expect(others.every(([, { score, in_graph }]) => score === 0 && !in_graph)).toBe(true);
  });

  test("ranks the name movers, the negative mover and the induction heads of Wang et al. first", () => {
    expect(
      circuit
        .ranking()
        .slice(0, 4)
        .map(({ name }) => name),
    ).toEqual(["a9.h9->logits", "input->m0", "a10.h7->logits", "a9.h6->logits"]);
  });

  test("is a circuit of this graph alone", () => {
    expect(circuit.graph.size).toBe(circuitGraph({ ...circuit.graph.config }).size);
  });
});
