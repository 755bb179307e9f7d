/**
 * Estimates of edges against EAP-IG's own code, and how well they rank the exact effects. Where no positions are added
 * to the
 * embedding, its "activations" leave out, by an oversight, what the runs between two embeddings say of layer 0; the
 * fixture has
 * them mended.
 */
import { describe, expect, test } from "vitest";
import {
  Circuit,
  circuitGraph,
  edgeAttribution,
  edgeAuroc,
  exactEdges,
  rankAgreement,
} from "../../../src/interventions/index.ts";
import type { AttributionMethod, EdgeAblation } from "../../../src/interventions/index.ts";
import { checkPrompts, CircuitRuns } from "../../../src/interventions/discovery/edges/index.ts";
import { crossEntropy, customMetric } from "../../../src/model/index.ts";
import { map, Random } from "../../../src/tensor/index.ts";
import { randomModel } from "../../support/random-model.ts";
import { eapIgModels, STEPS } from "./eap-ig.ts";

describe.each(eapIgModels.map((stored) => [stored.name, stored] as const))("%s", (_, stored) => {
  const { model, graph, clean, corrupted, difference, scores } = stored;

  test.each([
    ["eap", "eap", "counterfactual"],
    ["eap-zero", "eap", "zero"],
    ["eap-mean", "eap", "mean"],
    ["eap-ig-inputs", "eap-ig-inputs", "counterfactual"],
    ["eap-ig-activations-mended", "eap-ig-activations", "counterfactual"],
  ] as const)(
    "%s scores agree within 1e-5 (float32 against float64)",
    (key, method: AttributionMethod, ablation: EdgeAblation) => {
      const options = { method, ablation, steps: STEPS, graph };
      const {
        circuit,
        effects,
        byPosition,
        clean: values,
      } = edgeAttribution(model, { clean, corrupted }, difference, options);
      for (const [i, score] of (scores[key] ?? []).entries()) {
        expect(Math.abs(circuit.scores.at(i) - score), stored.edges[i]).toBeLessThan(1e-5);
        const ofPrompts = [0, 1, 2].reduce((sum, b) => sum + effects.at(i, b) / 3, 0);
        const ofPositions = Array.from({ length: 6 }, (__, p) => byPosition.at(i, p)).reduce((a, b) => a + b, 0);
        expect(Math.abs(ofPrompts - score)).toBeLessThan(1e-5);
        expect(Math.abs(ofPositions - score)).toBeLessThan(1e-5);
      }
      for (const [b, value] of stored.metric.entries()) expect(Math.abs(values.at(b) - value)).toBeLessThan(1e-5);
    },
  );
});

test("where the metric is linear in what an edge carries, the estimate is exact (1e-5: float32)", () => {
  // Without a norm the logits are linear in what they read, so that all edges into them are.
  const model = randomModel({ bias: true });
  const tokens = [[1, 5, 2, 7]];
  const metric = crossEntropy(tokens);
  const read = { positions: [[3]], tokens: [4] } as const;
  const logit = customMetric((logits) => logits.data[0] ?? NaN, {
    reads: read,
    gradient: (logits) => map(logits, () => 1),
  });
  const exact = exactEdges(model, tokens, logit);
  const { circuit, agreement } = edgeAttribution(model, tokens, logit, { exact });
  for (const { name } of circuit.graph.edges)
    if (name.endsWith("->logits"))
      expect(Math.abs(circuit.score(name) - exact.circuit.score(name)), name).toBeLessThan(1e-5);
  expect(agreement).toEqual(rankAgreement(circuit, exact.circuit));
  expect(edgeAttribution(model, tokens, metric).agreement).toBeUndefined();
});

test("with positions that are added to the embedding EAP-IG's activations need no mending", () => {
  const [stored] = eapIgModels.filter(({ name }) => name.startsWith("standard"));
  const [own, mended] = [stored?.scores["eap-ig-activations"] ?? [], stored?.scores["eap-ig-activations-mended"] ?? []];
  expect(own.length).toBeGreaterThan(50);
  for (const [i, score] of own.entries()) expect(Math.abs(score - (mended[i] ?? NaN))).toBeLessThan(1e-9);
});

describe("agreement of rankings", () => {
  const graph = circuitGraph({ n_layers: 1, n_heads: 2, d_model: 4, parallel_attn_mlp: false, attn_only: true });
  const of = (scores: readonly number[]): Circuit => Circuit.from(graph, { scores });
  const truth = of([9, -8, 7, 6, -5, 4, 3, 2, 1]);

  test("is 1 for the same sizes and -1 for them turned round", () => {
    expect(rankAgreement(of([-9, 8, 7, 6, 5, 4, 3, 2, 1]), truth)).toEqual({
      spearman: 1,
      auroc: 1,
      overlap: 1,
      count: 1,
    });
    expect(rankAgreement(of([1, 2, 3, 4, 5, 6, 7, 8, 9]), truth, { count: 4 })).toMatchObject({
      spearman: -1,
      auroc: 0,
      overlap: 0,
    });
  });

  test("counts ties half, as by hand: 2 of 9 known, one above all, one tied with two of seven", () => {
    const known = Circuit.from(graph, { edges: graph.edges.slice(0, 2).map(({ name }) => name) });
    expect(edgeAuroc(of([5, 2, 2, -2, 3, 1, 0, 0, 0]), known)).toBeCloseTo((7 + 4 + 2 / 2) / 14, 12);
    expect(edgeAuroc(of([5, 2, 2, -2, 3, 1, 0, 0, 0]), known, { absolute: false })).toBeCloseTo(
      (7 + 5 + 1 / 2) / 14,
      12,
    );
  });
});

test("prompts in portions give what prompts at once give (1e-6: float32 sums in another order)", () => {
  const model = randomModel({ norm: "LN", bias: true });
  const random = new Random(5);
  const tokens = Array.from({ length: 5 }, () => Array.from({ length: 4 }, () => random.int(17)));
  const metric = crossEntropy(tokens);
  const graph = circuitGraph(model);
  const runs = new CircuitRuns(model, graph, checkPrompts(model, tokens, "test"), metric, {
    operation: "test",
    ablation: "resample",
  });
  const edges = Uint8Array.from({ length: graph.size }, () => random.int(2));
  const whole = runs.value({ edges });
  const parts = new CircuitRuns(model, graph, checkPrompts(model, tokens, "test"), metric, {
    operation: "test",
    ablation: "resample",
    portion: 2 * (graph.nodes.length - 1) * 4 * 12,
  });
  expect(parts.portions.length).toBe(3);
  const again = parts.value({ edges });
  for (let b = 0; b < 5; b++) expect(Math.abs((again[b] ?? NaN) - (whole[b] ?? NaN))).toBeLessThan(1e-6);
});
