/** Skip-trigrams, associative recall and the largest of k against all prompts of small languages; seeds of all. */
import { describe, expect, test } from "vitest";
import { InputError } from "../../../src/errors.ts";
import {
  associativeRecallData,
  markovChainData,
  maxOfKData,
  repeatedTokenData,
  skipTrigramData,
} from "../../../src/train/data/index.ts";
import type { SkipTrigramData } from "../../../src/train/data/index.ts";
import { allLists, conditionalLosses, drawn, errorOfMean, mean, put } from "./languages.ts";
import type { Language } from "./languages.ts";

/** All prompts of a language of skip-trigrams. */
function skipTrigrams({ rules }: SkipTrigramData, d_vocab: number, sources: number, q: number, n: number): Language {
  const language = new Map<string, number>();
  const others = d_vocab - sources;
  for (const ids of allLists(d_vocab, n)) {
    const [source = 0, ...rest] = ids;
    if (source >= sources || rest.some((id) => id < sources)) continue;
    let probability = 1 / sources;
    for (let t = 1; t < n; t++) {
      const rule = rules.find((r) => r.source === source && r.destination === ids[t - 1]);
      probability *= rule === undefined ? 1 / others : (1 - q) / others + (rule.answer === ids[t] ? q : 0);
    }
    if (probability > 0) put(language, ids, probability);
  }
  return language;
}

describe("skip-trigrams: the optimum of all prompts and the entropy by position, within 1e-12", () => {
  test.each([0, 0.35, 0.9, 1])("answers of probability %d", (probability) => {
    const [d_vocab, n_ctx, sources, destinations] = [6, 5, 2, 2];
    const data = skipTrigramData({ d_vocab, n_ctx, sources, destinations, probability, batch: 60, seed: 3 });
    const language = skipTrigrams(data, d_vocab, sources, probability, n_ctx);
    expect(Math.abs([...language.values()].reduce((sum, p) => sum + p, 0) - 1)).toBeLessThan(1e-12);
    const losses = conditionalLosses(language);
    for (const prompt of drawn(data, 2)) {
      const expected = losses(prompt.ids);
      expect(Math.max(...prompt.losses.map((loss, i) => Math.abs(loss - (expected[i] ?? NaN))))).toBeLessThan(1e-12);
    }
    const entropy = Array.from({ length: n_ctx - 1 }, () => 0);
    for (const [key, p] of language) {
      for (const [i, loss] of losses(key.split(" ").map(Number)).entries()) entropy[i] = (entropy[i] ?? 0) + p * loss;
    }
    expect(Math.max(...entropy.map((h, i) => Math.abs(h - (data.entropy[i] ?? NaN))))).toBeLessThan(1e-12);
  });
  test("what is drawn has that entropy on average, within 4.5 standard errors", () => {
    const data = skipTrigramData({ d_vocab: 12, n_ctx: 20, sources: 3, destinations: 4, probability: 0.8, seed: 2 });
    const samples = drawn(data, 20).map(({ losses }) => mean(losses));
    expect(Math.abs(mean(samples) - mean([...data.entropy]))).toBeLessThan(4.5 * errorOfMean(samples));
    expect(data.rules).toHaveLength(12);
    for (const { answer } of data.rules) expect(answer).toBeGreaterThanOrEqual(7);
  });
});

describe("associative recall", () => {
  test("the optimum is that of all its prompts, within 1e-12", () => {
    const sizes = { keys: 3, values: 2, pairs: 2, questions: 2, lossOn: "all", batch: 40, seed: 6 } as const;
    const language = new Map<string, number>();
    for (const [a = 0, b = 0] of allLists(3, 2)) {
      if (a === b) continue;
      for (const [u = 0, v = 0] of allLists(2, 2)) {
        const pairs = [
          [a, 3 + u],
          [b, 3 + v],
        ];
        for (const asked of allLists(2, 2)) {
          put(language, [...pairs, ...asked.map((i) => pairs[i] ?? [])].flat(), 1 / (6 * 4 * 4));
        }
      }
    }
    const losses = conditionalLosses(language);
    for (const prompt of drawn(associativeRecallData(sizes), 3)) {
      const expected = losses(prompt.ids);
      expect(Math.max(...prompt.losses.map((loss, i) => Math.abs(loss - (expected[i] ?? NaN))))).toBeLessThan(1e-12);
    }
  });
  test("answers alone count unless all are to", () => {
    const { lossMask } = associativeRecallData({ pairs: 2, questions: 2, batch: 1 }).batch(0);
    expect(lossMask?.toNested()).toEqual([[0, 0, 0, 0, 1, 0, 1, 0]]);
    expect(associativeRecallData({ pairs: 2, batch: 1 }).optimum(0).toNested()).toEqual([[0, 0, 0, 0, 0]]);
    expect(associativeRecallData({ lossOn: "all" }).batch(0).lossMask).toBeUndefined();
    expect(() => associativeRecallData({ keys: 3, pairs: 4 })).toThrow(/4 pairs need as many keys/);
  });
});

test("the largest of k is the target at the last position, and it alone counts", () => {
  const { tokens, targets, lossMask } = maxOfKData({ k: 5, d_vocab: 30, batch: 300, seed: 1 }).batch(2);
  expect(lossMask?.select("batch", 7).toNested()).toEqual([0, 0, 0, 0, 1]);
  for (let b = 0; b < 300; b++) {
    const ids = Array.from({ length: 5 }, (_, i) => tokens.at(b, i));
    expect(targets?.at(b, 4)).toBe([...ids].sort((x, y) => y - x)[0]);
  }
  expect(new Set(tokens.data).size).toBe(30);
});

const all = {
  markovChainData: (seed: number) => markovChainData({ n_ctx: 20, batch: 4, seed }),
  repeatedTokenData: (seed: number) => repeatedTokenData({ d_vocab: 50, n_ctx: 20, batch: 4, seed }),
  "repeatedTokenData at places": (seed: number) =>
    repeatedTokenData({ d_vocab: 50, n_ctx: 20, batch: 4, length: [2, 5], layout: "places", start: 0, seed }),
  skipTrigramData: (seed: number) => skipTrigramData({ d_vocab: 30, n_ctx: 20, batch: 4, seed }),
  associativeRecallData: (seed: number) => associativeRecallData({ batch: 4, seed }),
  maxOfKData: (seed: number) => maxOfKData({ k: 6, batch: 4, seed }),
};

describe.each(Object.entries(all))("%s", (_, make) => {
  test("a step has its batch, whatever was drawn before; steps and seeds differ", () => {
    const once = make(1);
    const late = String(once.batch(7).tokens.data);
    once.batch(3);
    once.optimum(9);
    expect(String(once.batch(7).tokens.data)).toBe(late);
    expect(String(make(1).batch(7).tokens.data)).toBe(late);
    const others = [make(1).batch(6), make(2).batch(7), make(7).batch(1), make(0).batch(7), make(1).batch(2 ** 32 - 1)];
    for (const other of others) expect(String(other.tokens.data)).not.toBe(late);
  });
  test("batches have the shapes and ids that the data promise", () => {
    const data = make(0);
    const { tokens, targets, lossMask } = data.batch(0);
    expect(tokens.shape).toEqual([4, data.n_ctx]);
    expect(tokens.dtype).toBe("int32");
    expect(Math.max(...tokens.data)).toBeLessThan(data.d_vocab);
    expect(Math.min(...tokens.data)).toBeGreaterThanOrEqual(0);
    for (const other of [targets, lossMask]) if (other !== undefined) expect(other.shape).toEqual(tokens.shape);
    expect(data.optimum(0).shape).toEqual([4, targets === undefined ? data.n_ctx - 1 : data.n_ctx]);
  });
  test.each([-1, 0.5, NaN, 2 ** 32])("step %d is refused", (step) => {
    expect(() => make(0).batch(step)).toThrow(InputError);
    expect(() => make(0).optimum(step)).toThrow(/steps are whole numbers/);
  });
  test("seeds that are none are refused", () => {
    for (const seed of [-1, 0.5, NaN, 2 ** 32]) expect(() => make(seed)).toThrow(InputError);
  });
});
