/**
 * Metrics: values against formulas in float64 on nested arrays, gradients against central differences of those
 * formulas, and the three ways of giving logits (all, those read alone, several runs of the prompts in one batch).
 *
 * Logits are float32 and sums are float64: 1e-6 is a few roundings. Differences of step 1e-4 in float64 err by 1e-8.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  crossEntropy,
  customMetric,
  klDivergence,
  logitDifference,
  logProbability,
  probability,
} from "../../src/model/index.ts";
import type { Metric } from "../../src/model/index.ts";
import { readPositions, selectLogits } from "../../src/model/internal.ts";
import { concat, map, randomNormal, sum, Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";

type Logits = Tensor<"batch pos d_vocab">;
type Row = readonly number[];

const softmaxOf = (row: Row): number[] => {
  const top = Math.max(...row);
  const exps = row.map((x) => Math.exp(x - top));
  const total = exps.reduce((a, b) => a + b, 0);
  return exps.map((e) => e / total);
};
const meanOf = (xs: Row): number => xs.reduce((a, b) => a + b, 0) / xs.length;

const [batch, pos, d_vocab] = [2, 4, 7] as const;
const reference = randomNormal("batch pos d_vocab", [batch, pos, d_vocab], { seed: 9, std: 2 });
const tokens = [
  [0, 3, 6, 2],
  [1, 1, 5, 4],
];
const mask = [
  [0, 1, 3],
  [0, 2, 0],
];
const kl = (p: Row, prompt: number, at: number): number => {
  const q = softmaxOf(p);
  const r = softmaxOf((reference.toNested() as number[][][])[prompt]?.[at] ?? []);
  return r.reduce((s, x, j) => s + x * Math.log(x / (q[j] as number)), 0);
};
const at = (rows: readonly Row[], p: number): Row => rows[p] as Row;
const loss = (rows: readonly Row[], prompt: number, p: number): number =>
  -Math.log(softmaxOf(at(rows, p))[tokens[prompt]?.[p + 1] ?? -1] ?? NaN);

/** Each metric with its formula in float64: all logits of one prompt, and which prompt it is. */
const cases: Record<string, [Metric, (rows: readonly Row[], prompt: number) => number]> = {
  "logit difference": [
    logitDifference({ answer: 2, wrong: 5 }),
    (rows) => (at(rows, 3)[2] ?? 0) - (at(rows, 3)[5] ?? 0),
  ],
  "logit difference of several answers": [
    logitDifference({ answer: [[1, 2], 3], wrong: [0, [2, 4, 4]], pos: [1, -2] }),
    (rows, prompt) => {
      const row = at(rows, prompt === 0 ? 1 : 2);
      const mean = (ids: Row): number => meanOf(ids.map((id) => row[id] as number));
      return prompt === 0 ? mean([1, 2]) - mean([0]) : mean([3]) - mean([2, 4, 4]);
    },
  ],
  "log probability": [
    logProbability({ answer: [4, 0] }),
    (rows, p) => Math.log(softmaxOf(at(rows, 3))[p === 0 ? 4 : 0] ?? 0),
  ],
  "log probability of several answers": [
    logProbability({ answer: [[4, 1]], pos: 0 }),
    (rows) => Math.log((softmaxOf(at(rows, 0))[4] ?? 0) + (softmaxOf(at(rows, 0))[1] ?? 0)),
  ],
  probability: [probability({ answer: 6, pos: -2 }), (rows) => softmaxOf(at(rows, 2))[6] ?? 0],
  "probability difference": [
    probability({ answer: [[5, 6]], wrong: [[0, 1], 2] }),
    (rows, prompt) => {
      const p = softmaxOf(at(rows, 3));
      const wrong = prompt === 0 ? (p[0] ?? 0) + (p[1] ?? 0) : (p[2] ?? 0);
      return (p[5] ?? 0) + (p[6] ?? 0) - wrong;
    },
  ],
  loss: [crossEntropy(tokens), (rows, prompt) => meanOf([0, 1, 2].map((p) => loss(rows, prompt, p)))],
  "masked loss": [
    crossEntropy(tokens, { mask }),
    (rows, prompt) => (prompt === 0 ? (loss(rows, 0, 1) + 3 * loss(rows, 0, 2)) / 4 : loss(rows, 1, 1)),
  ],
  "KL divergence": [klDivergence(reference), (rows, prompt) => meanOf(rows.map((row, p) => kl(row, prompt, p)))],
  "KL divergence at a position": [klDivergence(reference, { pos: -1 }), (rows, prompt) => kl(at(rows, 3), prompt, 3)],
};

const draw = (seed: number, entries: number = batch): Logits =>
  randomNormal("batch pos d_vocab", [entries, pos, d_vocab], { seed, std: 2 });

describe.each(Object.entries(cases))("%s", (_, [metric, formula]) => {
  const expected = (logits: Logits, prompts: Row): number[] =>
    (logits.toNested() as number[][][]).map((rows, b) => formula(rows, prompts[b] as number));

  test("values are those of the formula within 1e-6", () => {
    fc.assert(
      fc.property(fc.nat(10_000), (seed) => {
        const logits = draw(seed);
        expectClose(metric.values(logits), expected(logits, [0, 1]), { atol: 1e-6, rtol: 1e-6 });
      }),
      { seed: 1, numRuns: 20 },
    );
  });

  test("the gradient is the formula's derivative within 1e-6", () => {
    const logits = draw(7);
    const nested = logits.toNested() as number[][][];
    const h = 1e-4;
    const derivative = nested.map((rows, b) =>
      rows.map((row, p) =>
        row.map((x, j) => {
          const moved = (by: number): number =>
            formula(
              rows.map((other, q) => (q === p ? other.map((y, i) => (i === j ? x + by : y)) : other)),
              b,
            );
          return (moved(h) - moved(-h)) / (2 * h);
        }),
      ),
    );
    const found = metric.gradient?.(logits);
    expectClose(found as Tensor, Tensor.fromNested("batch pos d_vocab", derivative), { atol: 1e-6 });
  });

  test("logits that are read alone give the same values and gradient, to the bit", () => {
    const logits = draw(8);
    const selected = selectLogits(metric, logits);
    expect(metric.values(selected, { selected: true })).toEqual(metric.values(logits));
    const whole = metric.gradient?.(logits) as Logits;
    expect(selectLogits(metric, whole).data).toEqual(metric.gradient?.(selected, { selected: true }).data);
    const read = new Set(readPositions(metric, 0, pos));
    for (let p = 0; p < pos; p++) {
      if (!read.has(p))
        expect(
          whole
            .select("batch", 0)
            .select("pos", p)
            .data.every((x) => x === 0),
        ).toBe(true);
    }
  });

  test("several runs of the prompts in one batch have the values that they have alone, to the bit", () => {
    const prompts = [1, 0, 1, 1, 0];
    const parts = prompts.map((_, i) => draw(20 + i, 1));
    const together = concat("batch", parts);
    const alone = parts.map((part, i) => metric.values(part, { prompts: [prompts[i] as number] })[0]);
    expect([...metric.values(together, { prompts })]).toEqual(alone);
    expectClose(metric.values(together, { prompts }), expected(together, prompts), { atol: 1e-6, rtol: 1e-6 });
  });
});

test("functions are metrics: a number for all prompts, a list, a tensor", () => {
  const logits = draw(3);
  const first = (l: Logits): number => l.at(0, 0, 0);
  const x = logits.at(0, 0, 0);
  expect([...customMetric(first).values(logits)]).toEqual([x, x]);
  expect([...customMetric((l) => l.select("pos", 0).select("d_vocab", 0)).values(logits)]).toEqual([
    x,
    logits.at(1, 0, 0),
  ]);
  const calls: number[] = [];
  const counted = customMetric((l) => calls.push(l.sizeOf("batch")));
  counted.values(draw(4, 5), { prompts: [0, 1, 0, 1, 2] });
  expect(calls).toEqual([2, 3]);
});

test("a function's gradient is that of its number, or of the sum of its numbers", () => {
  const logits = draw(3);
  const ones = (l: Logits): Logits => map(l, () => 1);
  const total = (l: Logits): Tensor<"batch"> => sum(sum(l, "d_vocab"), "pos");
  expect(new Set(customMetric(total, { gradient: ones }).gradient?.(logits).data)).toEqual(new Set([1]));
  const mean = customMetric((l) => [...total(l).data].reduce((a, b) => a + b, 0), { gradient: ones });
  expect(new Set(mean.gradient?.(logits).data)).toEqual(new Set([2]));
  const reads = { positions: [[-1]], tokens: [2, 5] };
  const part = customMetric(total, { gradient: ones, reads });
  const found = part.gradient?.(logits) as Logits;
  expect(found.at(1, 3, 2)).toBe(1);
  expect([...found.data].reduce((a, b) => a + b, 0)).toBe(4);
  expect(customMetric(total).gradient).toBeUndefined();
});

test.each<[string, () => unknown, string]>([
  ["an empty answer", () => logitDifference({ answer: [[]], wrong: 1 }), "answer of prompt 0 is empty"],
  ["a fraction", () => probability({ answer: 1.5 }), "1.5 in answer of prompt 0 is not a token id"],
  ["lists of 2 and 3 prompts", () => logitDifference({ answer: [1, 2], wrong: [1, 2, 3] }), "of 2 and 3 prompts"],
  ["a prompt of one token", () => crossEntropy([[1]]), "at least 2 tokens"],
  ["weights of nothing", () => crossEntropy([[1, 2]], { mask: [[0]] }), "sum to 0"],
  [
    "a mask of other sizes",
    () => crossEntropy([[1, 2]], { mask: [[1, 1]] }),
    "1 prompts of 2 tokens make 1 predictions",
  ],
  ["a token that is no column", () => logProbability({ answer: 7 }).values(draw(1)), "token 7 is not a column"],
  ["a position beyond", () => logProbability({ answer: 1, pos: 4 }).values(draw(1)), "reads position 4"],
  ["a third prompt", () => crossEntropy(tokens).values(draw(1, 3)), "there is no prompt 2"],
  ["a reference of other sizes", () => klDivergence(reference).values(draw(1).slice("pos", 0, 2)), "positions read"],
  ["a list too short", () => customMetric(() => [1]).values(draw(1)), "returned 1 numbers for 2 prompts"],
  [
    "selected logits of other sizes",
    () => probability({ answer: 1 }).values(draw(1), { selected: true }),
    "reads 1 positions",
  ],
])("refuses %s", (_, make, text) => {
  expect(make).toThrow(text);
});
