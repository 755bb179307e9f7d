/** Programs written as weights, among heads of noise: their edges are found. */
import { describe, expect, test } from "vitest";
import {
  Circuit,
  circuitGraph,
  discoverCircuit,
  edgeAuroc,
  exactEdges,
  pruneCircuit,
} from "../../../src/interventions/index.ts";
import { repeatedTokens } from "../../../src/heads/index.ts";
import { crossEntropy, logitDifference } from "../../../src/model/index.ts";
import { Random } from "../../../src/tensor/index.ts";
import { plantedModel } from "../../support/planted-model.ts";
import { compiledModel, programs, START } from "../../support/programs.ts";
import type { Program } from "../../support/programs.ts";

const NOISE = { heads: 2, std: 0.02, seed: 9 };

/** Prompts of one length with their answers, and other prompts of the program in the place of each. */
function task({ prompt, wrong }: Program, count: number, seed: number) {
  const random = new Random(seed);
  const draw = (length?: number): { tokens: readonly number[]; answer: number } => {
    for (;;) {
      const drawn = prompt(random);
      if (length === undefined || drawn.tokens.length === length) return drawn;
    }
  };
  const first = draw();
  const prompts = [first, ...Array.from({ length: count - 1 }, () => draw(first.tokens.length))];
  const others = prompts.map(() => draw(first.tokens.length));
  return {
    prompts: {
      clean: prompts.map(({ tokens }) => [START, ...tokens]),
      corrupted: others.map(({ tokens }) => [START, ...tokens]),
    },
    metric: logitDifference({
      answer: prompts.map(({ answer }) => answer),
      wrong: prompts.map(({ answer, tokens }) => wrong(random, answer, tokens)),
    }),
  };
}

describe.each(programs.map((program) => [program.name, program] as const))("%s", (_, program) => {
  const model = compiledModel(program, NOISE);
  const graph = circuitGraph(model);
  const known = Circuit.from(graph, { edges: program.edges });
  const { prompts, metric } = task(program, 12, 4);

  test("the program gives its answers: the metric is above 2 on every prompt", () => {
    expect(Math.min(...metric.values(model.forward(prompts.clean)))).toBeGreaterThan(2);
  });

  test("its edges are a circuit without loose ends", () => {
    expect(pruneCircuit(known).edges.length).toBe(program.edges.length);
  });

  test("exact effects tell its edges from all others with AUROC at least 0.98", () => {
    const { circuit } = exactEdges(model, prompts, metric, { ablation: ablationOf(program) });
    expect(edgeAuroc(circuit, known)).toBeGreaterThanOrEqual(0.98);
  });
});

/** Where every prompt asks the same, another prompt's query says nothing new: there, cut edges carry nothing. */
const ablationOf = ({ name }: Program): "zero" | "counterfactual" =>
  /^(duplicate|skip-trigram)/.test(name) ? "zero" : "counterfactual";

test("the golden planted model (previous-token and induction head): AUROC 1, and discovery keeps its five edges and the direct path", () => {
  const model = plantedModel({ d_vocab: 30, n_ctx: 21, previousGain: 40, matchGain: 40, copyGain: 20 });
  const clean = repeatedTokens(model.config, { length: 10, batch: 4, seed: 2, bos: 0, distinct: true });
  const mask = clean.map(() => Array.from({ length: 20 }, (_, p) => (p > 10 ? 1 : 0)));
  const metric = crossEntropy(clean, { mask });
  const other = repeatedTokens(model.config, { length: 10, batch: 4, seed: 3, bos: 0, distinct: true });
  const corrupted = clean.map((row, b) => [...(other[b] ?? []).slice(0, 11), ...row.slice(11)]);
  const edges = ["input->a0.h0<v>", "a0.h0->a1.h0<k>", "input->a1.h0<q>", "input->a1.h0<v>", "a1.h0->logits"];
  const { circuit, effects } = discoverCircuit(model, { clean, corrupted }, metric, { ablation: "zero" });
  expect(edgeAuroc(effects.circuit, Circuit.from(circuitGraph(model), { edges }))).toBe(1);
  expect(circuit.edges.filter((edge) => edge !== "input->logits").sort()).toEqual([...edges].sort());
});
