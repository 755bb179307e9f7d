/** The experiments of docs/training.md, one seed each: what forms, in which order, and what does not. */
import { describe, expect, test } from "vitest";
import { markovMeasures, maxAccuracy, phaseOf, repeatedMeasures } from "../../scripts/train/measures.mjs";
import { runSetup, setups } from "../../scripts/train/setups.mjs";
import * as circuits from "../../src/circuits/index.ts";
import * as heads from "../../src/heads/index.ts";
import { edit } from "../../src/interventions/index.ts";
import * as model from "../../src/model/index.ts";
import { logSoftmax } from "../../src/tensor/index.ts";
import * as train from "../../src/train/index.ts";

const library = { ...train, ...model, ...heads, ...circuits, logSoftmax };
/** A step whose batch no run comes to. */
const HELD_OUT = 2 ** 31;

/** What is measured at each checkpoint of a run, in their order. */
async function measured<T extends object>(
  setup: object,
  measure: (model: model.Transformer) => T,
  options: object,
): Promise<(T & { readonly step: number })[]> {
  const rows: (T & { readonly step: number })[] = [];
  const onCheckpoint = ({ step, model }: train.TrainingCheckpoint): void => {
    rows.push({ step, ...measure(model) });
  };
  await runSetup(library, setup, { seed: 0, ...options, onCheckpoint });
  return rows;
}

test("in-context Markov chains: uniform, unigram, bigram; the previous-token head before the drop; within 0.03 nats", async () => {
  const data = train.markovChainData({ d_vocab: 3, n_ctx: 100, batch: 64, seed: 77 });
  const measure = (model: model.Transformer) => markovMeasures(library, model, data, HELD_OUT);
  const checkpoints = (step: number): boolean => step % 100 === 0 || (step <= 200 && step % 10 === 0);
  const rows = await measured(setups.markov, measure, { checkpoints });
  const first = (holds: (row: (typeof rows)[number]) => boolean): number => rows.find(holds)?.step ?? NaN;
  const at = ["uniform", "unigram", "bigram"].map((name) => first((row) => phaseOf(row) === name));
  expect(at[0]).toBe(0);
  expect(at[0]).toBeLessThan(at[1] ?? NaN);
  expect(at[1]).toBeLessThan(at[2] ?? NaN);
  // Nothing comes back: from the bigram's first checkpoint on it is the nearest.
  expect(rows.filter(({ step }) => step >= (at[2] ?? NaN)).map(phaseOf)).not.toContain("unigram");
  const begin = rows[0]?.previous ?? NaN;
  const plateau = rows.find((row) => phaseOf(row) === "unigram")?.excess ?? NaN;
  const formed = first((row) => row.previous > 3 * begin);
  expect(formed).toBeLessThan(first((row) => row.excess < plateau / 2));
  const last = rows.at(-1);
  // The published anchor is of positions from 50 on; over all positions the first few cost more.
  expect(last?.lateExcess).toBeLessThan(0.03);
  expect(last?.excess).toBeLessThan(0.035);
  expect(last?.excess).toBeGreaterThan(0);
});

describe("repeated tokens, 350 of 1,000 steps", () => {
  const steps = 350;
  const data = train.repeatedTokenData({ d_vocab: 64, n_ctx: 48, length: [5, 20], start: 0, batch: 64, seed: 77 });
  const measure = (model: model.Transformer) => ({ model, ...repeatedMeasures(library, model, data, HELD_OUT) });

  test("induction heads form, and restricted K-composition rises at the bump", async () => {
    const rows = await measured(setups.repeated, measure, { steps, checkpoints: 50 });
    const [last] = rows.slice(-1);
    if (last === undefined) throw new Error("no checkpoint");
    const found = heads.findHeads(heads.headScores(last.model, { length: 20, batch: 8 }));
    expect(found.induction.some(({ layer }) => layer === 1)).toBe(true);
    expect(found.previousToken.some(({ layer }) => layer === 0)).toBe(true);
    expect(last.induction).toBeGreaterThan(0.4);
    // The bump: from half of what is gained by the end to a tenth before it.
    const gain = (row: (typeof rows)[number]): number => (rows[0]?.loss ?? NaN) - row.loss;
    const total = gain(last);
    const before = rows.filter((row) => gain(row) < 0.45 * total).at(-1);
    const after = rows.find((row) => gain(row) > 0.8 * total);
    expect(after?.share).toBeGreaterThan(1.5 * (before?.share ?? NaN));
    expect(after?.share).toBeGreaterThan(1.5 * (after?.chance ?? NaN));
    expect(before?.share).toBeLessThan(1.3 * (before?.chance ?? NaN));
  });

  test("they do not where no head of the first layer can look at the previous token", async () => {
    const edits = edit({ hook: "pattern", layer: 0, offset: 1 }, "zero");
    const rows = await measured(setups.repeated, measure, {
      steps,
      edits,
      checkpoints: (step: number) => step === steps,
    });
    const [last] = rows;
    if (last === undefined) throw new Error("no checkpoint");
    expect(last.induction).toBeLessThan(0.2);
    expect(last.excess).toBeGreaterThan(1);
    const found = heads.findHeads(heads.headScores(last.model, { length: 20, batch: 8 }));
    expect(found.previousToken).toEqual([]);
  });
});

test("one layer of one head says the largest of four in at least 99.9 % of 32,768 prompts", async () => {
  const data = train.maxOfKData({ k: 4, d_vocab: 64, batch: 4096, seed: 77 });
  const { model } = await runSetup(library, setups.max, { seed: 0 });
  expect(maxAccuracy(model, data, { from: HELD_OUT, batches: 8 })).toBeGreaterThanOrEqual(0.999);
});
