/** Effects of single edges against runs that cut them by hooks, on models of every kind. */
import { describe, expect, test } from "vitest";
import { circuitGraph, exactEdges } from "../../../src/interventions/index.ts";
import type { EdgeAblation } from "../../../src/interventions/index.ts";
import { crossEntropy, logitDifference } from "../../../src/model/index.ts";
import { Random } from "../../../src/tensor/index.ts";
import { randomModel } from "../../support/random-model.ts";
import type { RandomModelOptions } from "../../support/random-model.ts";
import { outputsOf, runWithEdges } from "./hooked-edges.ts";
import type { Outputs } from "./hooked-edges.ts";

const kinds: Record<string, RandomModelOptions> = {
  "shortformer, no norm": { bias: true },
  "standard positions, LN, MLPs": { position: "standard", norm: "LN", mlp: "gelu", bias: true },
  "rotary, RMS, parallel MLPs": {
    position: "rotary",
    norm: "RMS",
    mlp: "silu",
    parallel: true,
    bias: true,
    config: { rotary_dim: 4 },
  },
  "no positions, LNPre, three layers, solu_ln": {
    position: "none",
    norm: "LNPre",
    n_layers: 3,
    n_heads: 2,
    mlp: "solu_ln",
    bias: true,
  },
  "shortformer, RMSPre, bidirectional": { norm: "RMSPre", config: { attention_dir: "bidirectional" } },
  "one layer": { n_layers: 1, position: "standard" },
  "no layer": { n_layers: 0, position: "standard", norm: "LN" },
};

const tokensOf = (seed: number, batch: number, pos: number): number[][] => {
  const random = new Random(seed);
  return Array.from({ length: batch }, () => Array.from({ length: pos }, () => random.int(17)));
};

describe.each(Object.entries(kinds))("%s", (_, options) => {
  const model = randomModel(options);
  const graph = circuitGraph(model);
  const clean = tokensOf(3, 2, 6);
  const corrupted = tokensOf(4, 2, 6);

  test.each(["zero", "counterfactual"] as const)(
    "%s: every edge's effect is that of a run with hooks (2e-5 on logits near 1: float32 sums in another order)",
    (ablation: EdgeAblation) => {
      const metric = logitDifference({ answer: [3, 4], wrong: [5, 1], pos: [5, 2] });
      const { effects, circuit } = exactEdges(model, { clean, corrupted }, metric, { ablation });
      const ablated: Outputs = ablation === "zero" ? (new Map() as Outputs) : outputsOf(model, corrupted);
      const before = metric.values(model.forward(clean));
      for (const [i, { name }] of graph.edges.entries()) {
        const after = metric.values(runWithEdges(model, graph, clean, ablated, (edge) => edge !== name));
        for (const b of [0, 1])
          expect(Math.abs(effects.at(i, b) - ((before[b] ?? 0) - (after[b] ?? 0))), name).toBeLessThan(2e-5);
        expect(circuit.score(name)).toBeCloseTo((effects.at(i, 0) + effects.at(i, 1)) / 2, 12);
      }
    },
  );

  test("of prompts that differ in one early token and are read at the end, and of prompts that do not differ", () => {
    const metric = logitDifference({ answer: 3, wrong: 5 });
    for (const place of [1, -1]) {
      const other = clean.map((row) => row.map((t, p) => (p === place ? (t + 3) % 17 : t)));
      const { effects } = exactEdges(model, { clean, corrupted: other }, metric);
      const before = metric.values(model.forward(clean));
      const ablated = outputsOf(model, other);
      for (const [i, { name }] of graph.edges.entries()) {
        const after = metric.values(runWithEdges(model, graph, clean, ablated, (edge) => edge !== name));
        for (const b of [0, 1])
          expect(Math.abs(effects.at(i, b) - ((before[b] ?? 0) - (after[b] ?? 0))), name).toBeLessThan(2e-5);
      }
    }
  });

  test("of a loss over all positions too", () => {
    const metric = crossEntropy(clean);
    const { effects } = exactEdges(model, clean, metric);
    const before = metric.values(model.forward(clean));
    for (const [i, { name }] of graph.edges.entries()) {
      const after = metric.values(runWithEdges(model, graph, clean, new Map(), (edge) => edge !== name));
      for (const b of [0, 1])
        expect(Math.abs(effects.at(i, b) - ((before[b] ?? 0) - (after[b] ?? 0))), name).toBeLessThan(2e-5);
    }
  });
});
