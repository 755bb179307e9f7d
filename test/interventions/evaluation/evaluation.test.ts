/** The grid, random circuits, positions and stability: against runs by hooks, counts and hand-worked cases. */
import { describe, expect, test } from "vitest";
import {
  Circuit,
  circuitGraph,
  circuitGrid,
  circuitStability,
  evaluateCircuit,
  exactEdges,
  pruneCircuit,
  randomCircuits,
  topEdges,
} from "../../../src/interventions/index.ts";
import type { EdgeEffects } from "../../../src/interventions/index.ts";
import { logitDifference } from "../../../src/model/index.ts";
import { Random, Tensor } from "../../../src/tensor/index.ts";
import { randomModel } from "../../support/random-model.ts";
import { outputsOf, runWithEdges } from "../discovery/hooked-edges.ts";
import type { Outputs } from "../discovery/hooked-edges.ts";

const model = randomModel({ position: "standard", norm: "LN", mlp: "relu", bias: true, n_heads: 2 });
const graph = circuitGraph(model);
const random = new Random(8);
const draw = (): number[][] => Array.from({ length: 3 }, () => Array.from({ length: 5 }, () => random.int(17)));
const [clean, corrupted] = [draw(), draw()];
const metric = logitDifference({ answer: [1, 2, 3], wrong: 4 });
const edges = graph.edges.filter(() => random.uniform() < 0.3).map(({ name }) => name);
const positions = new Map(
  graph.nodes.slice(0, -1).map((node) => [node as string, [0, 2, 4].filter(() => random.uniform() < 0.7)]),
);
const circuit = pruneCircuit(Circuit.from(graph, { edges, positions }));

describe("the grid", () => {
  const { cells, notes } = circuitGrid(model, circuit, { clean, corrupted }, metric);
  const other = outputsOf(model, corrupted);
  const own = outputsOf(model, clean);
  const mean: Outputs = new Map(
    [...own].map(([name, data]) => {
      const size = data.length / 3;
      return [name, data.map((_, i) => [0, 1, 2].reduce((sum, b) => sum + (data[b * size + (i % size)] ?? 0) / 3, 0))];
    }),
  );
  const ablated: Record<string, Outputs> = { zero: new Map(), mean, counterfactual: other };

  test("has 32 cells, each way once, and nothing to note", () => {
    expect(cells.length).toBe(32);
    expect(new Set(cells.map((c) => [c.unit, c.ablation, c.positions, c.kept].join())).size).toBe(32);
    expect(notes).toEqual([]);
  });

  test("zero, mean and counterfactual cells are means of runs with hooks (1e-4: float32)", () => {
    const nodes = new Set<string>(circuit.nodes);
    for (const cell of cells.filter(({ ablation }) => ablation !== "resample")) {
      const isAt = (name: string, p: number): boolean =>
        cell.positions === "all" || (circuit.positions.get(graph.edge(graph.indexOf(name)).from)?.includes(p) ?? true);
      const isIn = (name: string): boolean => {
        const { from, to } = graph.edge(graph.indexOf(name));
        if (cell.unit === "edge") return circuit.has(name);
        return cell.kept === "circuit" ? nodes.has(from) && nodes.has(to) : from !== "input" && nodes.has(from);
      };
      const kept = (name: string, p: number): boolean => (isIn(name) && isAt(name, p)) === (cell.kept === "circuit");
      const values = metric.values(
        runWithEdges(model, graph, clean, ablated[cell.ablation] ?? (new Map() as Outputs), kept),
      );
      const expected = values.reduce((a, b) => a + b, 0) / 3;
      expect(Math.abs(cell.metric - expected), JSON.stringify(cell)).toBeLessThan(1e-4);
    }
  });

  test("a circuit that keeps part of a node's neurons is judged by them, one that keeps all as without", () => {
    const width = model.config.d_model;
    const given = (isKept: boolean): Circuit =>
      Circuit.from(graph, {
        edges,
        neurons: new Map([
          ["a0.h0", { kept: Array.from({ length: width }, (_, i) => isKept || i > 0), scores: undefined }],
        ]),
      });
    const cells = (circuit: Circuit) => circuitGrid(model, circuit, { clean, corrupted }, metric).cells;
    expect(cells(given(true))).toEqual(cells(Circuit.from(graph, { edges })));
    expect(cells(given(false))).not.toEqual(cells(given(true)));
    const judged = evaluateCircuit(model, given(false), { clean, corrupted }, metric, { randomCount: 2, samples: 2 });
    const cell = judged.grid.cells.find(
      ({ unit, ablation, positions, kept }) =>
        `${unit} ${ablation} ${positions} ${kept}` === "edge counterfactual all circuit",
    );
    expect(Math.abs(judged.sufficiency - (cell?.faithfulness ?? NaN))).toBeLessThan(1e-6);
  });

  test("says what the prompts do not allow", () => {
    const one = circuitGrid(
      model,
      Circuit.from(graph, { edges }),
      [clean[0] ?? []],
      logitDifference({ answer: 1, wrong: 4 }),
    );
    expect(one.cells.map(({ ablation }) => ablation)).toEqual(["zero", "zero", "zero", "zero"]);
    expect(one.notes.length).toBe(4);
  });
});

describe("random circuits", () => {
  test("connected ones have the size asked for, and pruning takes nothing from them", () => {
    for (const size of [1, 2, 3, 7, 20, graph.size]) {
      const like = Circuit.from(graph, { edges: graph.edges.slice(-size).map(({ name }) => name) });
      for (const drawn of randomCircuits(like, { count: 30, seed: size })) {
        expect(drawn.size).toBe(size);
        expect(pruneCircuit(drawn).edges).toEqual(drawn.edges);
      }
    }
  });

  test("matched ones have as many edges into each kind of reader", () => {
    const tally = (c: Circuit): Record<string, number> => {
      const counts: Record<string, number> = {};
      for (const edge of c.edges) {
        const key = edge.replace(/^.*->/, "").replace(/\.h\d+/, "");
        counts[key] = (counts[key] ?? 0) + 1;
      }
      return counts;
    };
    for (const drawn of randomCircuits(circuit, { count: 20, kind: "matched" }))
      expect(tally(drawn)).toEqual(tally(circuit));
  });

  test("the same seed draws the same, another one others", () => {
    const names = (seed: number): string =>
      JSON.stringify(randomCircuits(circuit, { count: 5, seed }).map((c) => c.edges));
    expect(names(3)).toBe(names(3));
    expect(names(3)).not.toBe(names(4));
  });
});

test("stability by hand: of two prompts that each rank another edge first, the mean of both and of either", () => {
  const small = circuitGraph({ n_layers: 0, n_heads: 1, d_model: 2, parallel_attn_mlp: false, attn_only: true });
  const wide = circuitGraph({ n_layers: 1, n_heads: 1, d_model: 2, parallel_attn_mlp: false, attn_only: true });
  expect(small.size).toBe(1);
  // Edges: q, k, v of the head, input->logits, a0.h0->logits. Prompt 0 says q, prompt 1 says k.
  const effects: EdgeEffects = {
    circuit: Circuit.from(wide, { edges: "all" }),
    effects: Tensor.fromNested("edge batch", [
      [9, 0],
      [0, 5],
      [0, 0],
      [0, 0],
      [0, 0],
    ]),
    clean: Tensor.fromNested("batch", [1, 1]),
  };
  const first = (scored: Circuit): Circuit =>
    Circuit.from(wide, { edges: [scored.ranking({ all: true })[0]?.name ?? ""] });
  const { jaccard, frequency, samples } = circuitStability(effects, { select: first, samples: 400, seed: 5 });
  // On both together q is first; k is where prompt 1 is drawn twice, a quarter of the time.
  expect(samples).toBe(400);
  expect(Math.abs(jaccard.mean - 0.75)).toBeLessThan(0.08);
  expect(frequency[0]).toBeCloseTo(jaccard.mean, 12);
  expect((frequency[0] ?? 0) + (frequency[1] ?? 0)).toBeCloseTo(1, 12);
  expect([jaccard.min, jaccard.max]).toEqual([0, 1]);
});

test("a certificate of everything: sufficient, necessary, and as faithful as any; it prints itself in a few lines", () => {
  const everything = Circuit.from(graph, { edges: "all" });
  const prompts = { clean, corrupted };
  const effects = exactEdges(model, prompts, metric);
  const certificate = evaluateCircuit(model, everything, prompts, metric, {
    effects,
    randomCount: 3,
    samples: 5,
    worst: 2,
  });
  expect(certificate.sufficiency).toBe(1);
  expect(Math.abs(certificate.necessity - 1)).toBeLessThan(1e-5);
  expect(certificate.random.atLeastAsFaithful).toBe(3);
  expect(certificate.random.pValue).toBe(1);
  expect(certificate.perPrompt.worst.map(({ tokens }) => clean.map(String).includes(String(tokens)))).toEqual([
    true,
    true,
  ]);
  expect(certificate.toText().split("\n").length).toBeGreaterThan(6);
  expect(String(certificate)).toMatch(/^Circuit of .* alone it keeps 100\.0 %, without it 0\.0 % is left$/);
});

test("random circuits of each size of the curve: as many edges, judged as circuits are", () => {
  const prompts = { clean, corrupted };
  const effects = exactEdges(model, prompts, metric);
  const circuit = topEdges(effects.circuit, 20);
  const shares = [0.0001, 0.3, 0.6, 1];
  const options = { effects, shares, randomCount: 2, samples: 2 };
  const { random, curve } = evaluateCircuit(model, circuit, prompts, metric, { ...options, randomBySize: 3, seed: 4 });
  expect(random.bySize.map(({ share }) => share)).toEqual(shares);
  expect(random.bySize.map(({ edges }) => edges)).toEqual(curve.absolute.edges);
  // Of no edges and of all there is one circuit each.
  expect(random.bySize[0]?.faithfulness.map(Math.abs)).toEqual([0]);
  expect(random.bySize[3]?.faithfulness).toEqual([1]);
  const own = topEdges(effects.circuit, Math.floor(0.3 * graph.size));
  const drawn = randomCircuits(own, { count: 3, seed: 4 });
  const alone = drawn.map(
    (one) => evaluateCircuit(model, one, prompts, metric, { ...options, randomBySize: 0 }).sufficiency,
  );
  for (const [i, f] of (random.bySize[1]?.faithfulness ?? []).entries()) expect(f).toBeCloseTo(alone[i] ?? NaN, 9);
  expect(evaluateCircuit(model, circuit, prompts, metric, { ...options, randomBySize: 0 }).random.bySize).toEqual([]);
});
