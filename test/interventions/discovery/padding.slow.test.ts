/**
 * Circuits on prompts of different lengths in one batch: effects of edges, estimates, circuits found and judged are for
 * each prompt what they are alone, without padding. Both sides are float32 and sum in other orders: 5e-5 of the largest
 * number compared.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  acdcCircuit,
  Circuit,
  circuitFaithfulness,
  circuitGraph,
  circuitGrid,
  discoverCircuit,
  edgeAttribution,
  evaluateCircuit,
  exactEdges,
} from "../../../src/interventions/index.ts";
import type { EdgeAblation } from "../../../src/interventions/index.ts";
import { editAt, logitDifference, padPrompts } from "../../../src/model/index.ts";
import type { Transformer } from "../../../src/model/index.ts";
import { Random, Tensor } from "../../../src/tensor/index.ts";
import { mlpModelOptions, modelOptions, runs } from "../../support/model-arbitrary.ts";
import { randomModel } from "../../support/random-model.ts";
import type { RandomModelOptions } from "../../support/random-model.ts";
import { refusal } from "../../support/refusal.ts";

const TOLERANCE = 5e-5;

/** A model, and prompts of some lengths, two of each, with corrupted ones. */
function caseOf(options: RandomModelOptions, lengths: readonly number[], side: "left" | "right", seed: number) {
  const model = randomModel(options);
  const random = new Random(seed);
  const draw = (n: number): number[] => Array.from({ length: n }, () => random.int(model.config.d_vocab));
  const all = [...lengths, ...lengths];
  const [clean, corrupted] = [all.map(draw), all.map(draw)];
  const { tokens, attentionMask } = padPrompts(clean, { side, pad: 1 });
  const longest = Math.max(...lengths);
  const ends = all.map((n) => (side === "left" ? longest : n) - 1);
  return { model, all, clean, corrupted, tokens, attentionMask, others: padPrompts(corrupted, { side }).tokens, ends };
}

const difference = (pos: number | readonly number[]) => logitDifference({ answer: 0, wrong: 1, pos });

/** Norms of rounding errors are as large as they are small, so that models with norms have biases. */
const options = fc
  .oneof(modelOptions, mlpModelOptions)
  .filter(({ n_layers, dtype }) => n_layers > 0 && dtype === "float32")
  .map((one) => ({ ...one, bias: true }));
const cases = fc.tuple(
  options,
  fc.uniqueArray(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 2 }),
  fc.constantFrom("left" as const, "right" as const),
  fc.integer({ min: 0, max: 99 }),
);
const each = (property: (one: ReturnType<typeof caseOf>) => void, seed: number, count: number): void => {
  fc.assert(
    fc.property(cases, (given) => {
      property(caseOf(...given));
    }),
    runs(seed, count),
  );
};

function expectClose(found: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(found.length).toBe(expected.length);
  const largest = Math.max(1, ...Array.from(expected, Math.abs));
  const far = Math.max(0, ...Array.from(found, (x, i) => Math.abs(x - (expected[i] as number))));
  expect(far / largest).toBeLessThan(TOLERANCE);
}

/** Prompts, corrupted ones and a metric, of those of one length by themselves. */
function* byLength({ all, clean, corrupted }: ReturnType<typeof caseOf>) {
  for (const n of new Set(all)) {
    const own = all.flatMap((length, b) => (length === n ? [b] : []));
    const pick = <T>(list: readonly T[]): T[] => own.map((b) => list[b] as T);
    yield { own, prompts: { clean: pick(clean), corrupted: pick(corrupted) }, metric: difference(-1) };
  }
}

describe.each(["zero", "counterfactual", "resample"] as const)("%s (5e-5)", (ablation) => {
  test("exact effects and every kind of estimate", () => {
    each(
      (given) => {
        const { model, tokens, others, attentionMask, ends, all } = given;
        const prompts = { clean: tokens, corrupted: others };
        const shared = { ablation, attentionMask } as const;
        for (const method of ["exact", "eap", "eap-ig-inputs", "eap-ig-activations"] as const) {
          const found =
            method === "exact"
              ? exactEdges(model, prompts, difference(ends), shared)
              : edgeAttribution(model, prompts, difference(ends), { ...shared, method, steps: 2 });
          for (const { own, prompts: alone, metric } of byLength(given)) {
            const expected =
              method === "exact"
                ? exactEdges(model, alone, metric, { ablation })
                : edgeAttribution(model, alone, metric, { ablation, method, steps: 2 });
            expectClose(
              own.map((b) => found.clean.at(b)),
              expected.clean.data,
            );
            for (const [i, b] of own.entries())
              expectClose(found.effects.select("batch", b).data, expected.effects.select("batch", i).data);
          }
        }
        expect(all.length).toBe(4);
      },
      21,
      5,
    );
  });

  test("grids of random circuits, at all positions", () => {
    each(
      (given) => {
        const { model, tokens, others, attentionMask, ends, all } = given;
        const circuit = randomCircuit(model, 3);
        const found = circuitGrid(model, circuit, { clean: tokens, corrupted: others }, difference(ends), {
          attentionMask,
        });
        const sums = new Float64Array(found.cells.length);
        for (const { own, prompts, metric } of byLength(given)) {
          const { cells } = circuitGrid(model, circuit, prompts, metric);
          for (const [i, { metric: value }] of cells.entries())
            sums[i] = (sums[i] as number) + (value * own.length) / all.length;
        }
        const isOf = (one: EdgeAblation): boolean => one === ablation;
        const here = found.cells.flatMap((cell, i) => (isOf(cell.ablation) ? [[cell.metric, sums[i] as number]] : []));
        expect(here.length).toBe(4);
        expectClose(
          here.map(([x = NaN]) => x),
          here.map(([, y = NaN]) => y),
        );
      },
      22,
      5,
    );
  });
});

function randomCircuit(model: Transformer, seed: number): Circuit {
  const random = new Random(seed);
  return Circuit.from(circuitGraph(model), { edges: () => random.uniform() < 0.6 });
}

test("means are of text at the same position: as those of each prompt's run alone (5e-5)", () => {
  each(
    ({ model, tokens, attentionMask, ends, clean }) => {
      const graph = circuitGraph(model);
      const found = exactEdges(model, tokens, difference(ends), { ablation: "mean", attentionMask });
      // The input's edge to the logits: its mean over prompts that have text there, put by hand at the last position.
      const W_E = model.weight("embed.W_E");
      const longest = Math.max(...clean.map(({ length }) => length));
      const column = (b: number): number => ends[b] as number;
      const sums = new Map<number, number[]>();
      for (const [b, ids] of clean.entries()) {
        const start = (attentionMask[b] as number[]).indexOf(1);
        for (const [p, id] of ids.entries()) sums.set(start + p, [...(sums.get(start + p) ?? []), id]);
      }
      expect(Math.max(...ends)).toBe(longest - 1);
      const at = `blocks.${model.config.n_layers - 1}.hook_resid_post` as const;
      for (const [b, ids] of clean.entries()) {
        const present = sums.get(column(b)) ?? [];
        const d = model.config.d_model;
        const mean = Array.from({ length: d }, (_, i) =>
          present.reduce((sum, id) => sum + W_E.at(id, i) / present.length, 0),
        );
        const own = ids.at(-1) as number;
        const resid: Tensor<"batch pos d_model"> = model.run(ids).cache.get(at);
        const whole = Float32Array.from(resid.data);
        const last = whole.subarray(whole.length - d);
        for (const [i, x] of mean.entries()) last[i] = (last[i] as number) + x - W_E.at(own, i);
        const edits = editAt(at, (x) => Tensor.from(x.axes, x.shape, whole));
        const value = difference(-1).values(model.run(ids, { edits }).logits)[0] as number;
        const clear = difference(-1).values(model.forward(ids))[0] as number;
        expectClose([found.effects.at(graph.indexOf("input->logits"), b)], [clear - value]);
      }
    },
    23,
    6,
  );
});

test("discovery, ACDC, CPR and CMD, and the certificate take the mask, on either side (5e-5)", () => {
  for (const [position, side] of [
    ["rotary", "left"],
    ["shortformer", "right"],
    ["standard", "left"],
  ] as const) {
    const given = caseOf({ position, n_layers: 2, n_heads: 2, norm: "LN", bias: true, mlp: "gelu" }, [3, 5], side, 5);
    const { model, tokens, others, attentionMask, ends, clean } = given;
    const prompts = { clean: tokens, corrupted: others };
    const metric = difference(ends);
    const scored = exactEdges(model, prompts, metric, { attentionMask });
    const found = discoverCircuit(model, prompts, metric, { attentionMask, count: 20 });
    expectClose(found.effects.effects.data, scored.effects.data);
    const { full, empty, absolute } = circuitFaithfulness(model, scored.circuit, prompts, metric, {
      attentionMask,
      shares: [0.2, 1],
    });
    const means = { full: 0, empty: 0, few: 0 };
    for (const { own, prompts: alone, metric: last } of byLength(given)) {
      const grid = circuitGrid(model, found.circuit, alone, last).cells;
      const circuit = grid.find((cell) => cell.ablation === "counterfactual" && cell.kept === "circuit");
      const curve = circuitFaithfulness(model, scored.circuit, alone, last, { shares: [0.2, 1] });
      means.full += (curve.full * own.length) / clean.length;
      means.empty += (curve.empty * own.length) / clean.length;
      means.few += ((circuit?.metric ?? NaN) * own.length) / clean.length;
    }
    expectClose([full, empty], [means.full, means.empty]);
    expectClose([found.faithfulness], [(means.few - means.empty) / (means.full - means.empty)]);
    expect(absolute.faithfulness.at(-1)).toBe(1);
    const cut = acdcCircuit(model, prompts, metric, { threshold: 0.05, attentionMask });
    expect(cut.size).toBeGreaterThan(0);
    const judged = evaluateCircuit(model, found.circuit, prompts, metric, {
      ...{ attentionMask, randomCount: 2, samples: 2, randomBySize: 0 },
    });
    expectClose([judged.sufficiency, judged.full], [found.faithfulness, means.full]);
    expect(judged.perPrompt.worst.map(({ prompt, tokens: ids }) => ids.join() === clean[prompt]?.join())).toEqual(
      judged.perPrompt.worst.map(() => true),
    );
    for (const list of judged.circuit.positions.values())
      expect(list.every((p) => attentionMask.some((row) => row[p] === 1))).toBe(true);
  }
});

test("what a mask does not allow is refused", () => {
  const { model, tokens, others, attentionMask, ends } = caseOf(
    { n_layers: 1, norm: "LN", bias: true },
    [2, 4],
    "left",
    3,
  );
  const metric = difference(ends);
  const wrong = attentionMask.map((row) => [...row].reverse());
  const run = (prompts: Parameters<typeof exactEdges>[1], options: Parameters<typeof exactEdges>[3]) => (): unknown =>
    exactEdges(model, prompts, metric, options);
  expect(refusal(run({ clean: tokens, corrupted: others }, { attentionMask: { clean: attentionMask } }))).toMatch(
    /the text of corrupted prompt 0 lies at other positions/,
  );
  expect(refusal(run({ clean: tokens, reference: others }, { attentionMask }))).toMatch(
    /there are reference prompts too/,
  );
  expect(refusal(run(tokens, { attentionMask: wrong }))).toMatch(/padding/);
  const one = { attentionMask: attentionMask.slice(1, 3), ablation: "resample" } as const;
  const at = { ...one, ablation: "mean" } as const;
  const two = difference(ends.slice(1, 3));
  expect(refusal(() => exactEdges(model, tokens.slice(1, 3), two, one))).toMatch(/no other prompt has its text/);
  const reference = others.slice(0, 1);
  const short = { clean: attentionMask.slice(1, 3), reference: attentionMask.slice(0, 1) };
  const prompts = { clean: tokens.slice(1, 3), reference };
  expect(refusal(() => exactEdges(model, prompts, two, { ...at, attentionMask: short }))).toMatch(
    /position 0 is padding in all prompts that the mean is of/,
  );
  const { notes } = circuitGrid(model, randomCircuit(model, 1), tokens.slice(1, 3), two, {
    attentionMask: one.attentionMask,
  });
  expect(notes.join()).toMatch(/"resample" is left out: no other prompt has its text at the positions of prompt 0/);
});
