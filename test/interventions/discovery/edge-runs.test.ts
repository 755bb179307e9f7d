/**
 * Runs of circuits, of many edges kept or cut at once, at some positions and in some neurons alone, against runs that do it by hooks.
 * Models with norms have biases: a norm of nothing but rounding errors is as large as they are small.
 */
import { describe, expect, test } from "vitest";
import { circuitGraph } from "../../../src/interventions/index.ts";
import { checkPrompts, CircuitRuns } from "../../../src/interventions/discovery/edges/index.ts";
import { customMetric } from "../../../src/model/index.ts";
import { Random } from "../../../src/tensor/index.ts";
import { randomModel } from "../../support/random-model.ts";
import type { RandomModelOptions } from "../../support/random-model.ts";
import { outputsOf, runWithEdges } from "./hooked-edges.ts";
import type { Outputs } from "./hooked-edges.ts";

const kinds: RandomModelOptions[] = [
  { bias: true, n_heads: 2 },
  { position: "standard", norm: "LN", mlp: "gelu", bias: true, n_heads: 2 },
  { position: "rotary", norm: "RMS", mlp: "relu", parallel: true, bias: true, config: { rotary_dim: 4 } },
  { position: "none", norm: "LNPre", n_layers: 3, n_heads: 2, mlp: "solu_ln", bias: true },
  { position: "standard", norm: "RMSPre", n_layers: 3, config: { attention_dir: "bidirectional" } },
];
const [batch, pos] = [2, 5];

const promptsOf = (random: Random): number[][] =>
  Array.from({ length: batch }, () => Array.from({ length: pos }, () => random.int(17)));

describe.each(kinds.map((options, i) => [i, options] as const))("model %i", (seed, options) => {
  const model = randomModel({ ...options, seed: seed + 1 });
  const graph = circuitGraph(model);
  const random = new Random(seed);
  const clean = promptsOf(random);
  const corrupted = promptsOf(random);
  const outputs: Record<string, Outputs> = { zero: new Map(), counterfactual: outputsOf(model, corrupted) };
  // One number for each prompt in which every logit from position 1 on counts.
  const weights = Array.from({ length: (pos - 1) * 17 }, () => random.normal());
  const positions = [Array.from({ length: pos - 1 }, (_, p) => p + 1)];
  const weighed = (data: ArrayLike<number>, b: number): number =>
    weights.reduce((sum, weight, i) => sum + weight * (data[b * weights.length + i] ?? 0), 0);
  const metric = customMetric((logits) => Array.from({ length: batch }, (_, b) => weighed(logits.data, b)), {
    reads: { positions, tokens: "all" },
  });
  const all = customMetric((logits) => metric.values(logits), {});

  test.each(["zero", "counterfactual"] as const)(
    "%s: twelve masks each, kept and cut, with positions, with neurons, and without (1e-3 on sums of 68 logits: float32)",
    (ablation) => {
      for (const read of [metric, all]) {
        const runs = new CircuitRuns(model, graph, checkPrompts(model, { clean, corrupted }, "test"), read, {
          ablation,
          operation: "test",
        });
        for (let trial = 0; trial < 12; trial++) {
          const share = [0.02, 0.3, 0.7, 0.97][trial % 4] ?? 0.5;
          const edges = Uint8Array.from({ length: graph.size }, () => (random.uniform() < share ? 1 : 0));
          const cuts = trial % 3 === 0;
          const places = new Map<number, Uint8Array>();
          if (trial % 2 === 1)
            for (let s = 0; s < graph.nodes.length - 1; s++)
              if (random.uniform() < 0.6)
                places.set(
                  s,
                  Uint8Array.from({ length: pos }, () => random.int(2)),
                );
          const neurons = new Map<number, Uint8Array>();
          if (trial > 5)
            for (let s = 0; s < graph.nodes.length - 1; s++)
              if (random.uniform() < 0.6)
                neurons.set(
                  s,
                  Uint8Array.from({ length: model.config.d_model }, () => random.int(2)),
                );
          const value = runs.value({ edges, cuts, positions: places, neurons });
          const kept = (edge: string, p: number, i: number): boolean => {
            const index = graph.indexOf(edge);
            const sender = graph.senderOf[index] ?? 0;
            const isThere = (places.get(sender)?.[p] ?? 1) === 1 && (neurons.get(sender)?.[i] ?? 1) === 1;
            return (edges[index] === 1 && isThere) !== cuts;
          };
          const logits = runWithEdges(model, graph, clean, outputs[ablation] ?? (new Map() as Outputs), kept);
          const expected = metric.values(logits);
          for (let b = 0; b < batch; b++)
            expect(Math.abs((value[b] ?? 0) - (expected[b] ?? 0)), `trial ${trial}`).toBeLessThan(1e-3);
        }
      }
    },
  );
});
