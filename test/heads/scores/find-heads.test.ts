/** Random tokens that repeat, the scores of all heads on them, and the heads found. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  currentTokenScores,
  duplicateTokenScores,
  findHeads,
  firstTokenScores,
  headScores,
  inductionScores,
  prefixMatchingScores,
  previousTokenScores,
  repeatedTokens,
} from "../../../src/heads/index.ts";
import type { HeadScores } from "../../../src/heads/index.ts";
import { InputError } from "../../../src/errors.ts";
import { headLabel } from "../../../src/model/index.ts";
import { Tensor } from "../../../src/tensor/index.ts";
import { expectClose, loadGolden } from "../../support/golden.ts";
import { randomModel } from "../../support/random-model.ts";

describe("repeatedTokens", () => {
  const config = { d_vocab: 50, n_ctx: 64, bos_token_id: 0 };

  test("with chunks, later copies are made of runs of the first, the last one cut", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 1, max: 10 }),
        fc.nat(1e6),
        (length, size, seed) => {
          const chunk = Math.min(size, length);
          const [prompt = []] = repeatedTokens(config, { length, repeats: 3, seed, chunk, distinct: true });
          const first = prompt.slice(1, 1 + length);
          expect(prompt.length).toBe(1 + 3 * length);
          for (const copy of [prompt.slice(1 + length, 1 + 2 * length), prompt.slice(1 + 2 * length)]) {
            for (const [i, id] of copy.entries()) {
              const place = first.indexOf(id);
              expect(place).toBeGreaterThanOrEqual(0);
              if (i % chunk !== 0) expect(id).toBe(first[first.indexOf(copy[i - 1] as number) + 1]);
            }
          }
        },
      ),
    );
  });

  test("[BOS, r, r, …]: the copies are equal, BOS begins and is never drawn, ids are in range", () => {
    const options = fc.record({
      length: fc.integer({ min: 1, max: 15 }),
      batch: fc.integer({ min: 1, max: 4 }),
      seed: fc.integer({ min: 0, max: 1e6 }),
      bos: fc.constantFrom(null, 0, 7, 49),
      repeats: fc.integer({ min: 1, max: 4 }),
      distinct: fc.boolean(),
    });
    fc.assert(
      fc.property(options, (o) => {
        const prompts = repeatedTokens(config, o);
        expect(prompts).toHaveLength(o.batch);
        for (const prompt of prompts) {
          const start = o.bos === null ? 0 : 1;
          expect(prompt).toHaveLength(start + o.repeats * o.length);
          if (o.bos !== null) expect(prompt[0]).toBe(o.bos);
          const r = prompt.slice(start, start + o.length);
          expect(prompt.slice(start)).toEqual(Array.from({ length: o.repeats }, () => r).flat());
          expect(r.every((id) => id >= 0 && id < 50 && id !== o.bos)).toBe(true);
          if (o.distinct) expect(new Set(r).size).toBe(o.length);
        }
        expect(repeatedTokens(config, o)).toEqual(prompts);
      }),
      { seed: 41, numRuns: 60 },
    );
  });

  test("every id but BOS is drawn, each about equally often (5 standard deviations of a count of 2000)", () => {
    for (const distinct of [false, true]) {
      const drawn = repeatedTokens(
        { d_vocab: 11, n_ctx: 100 },
        { length: 10, batch: 2000, repeats: 1, bos: 4, seed: 3, distinct },
      ).flatMap((p) => p.slice(1));
      for (let id = 0; id < 11; id++) {
        const count = drawn.filter((each) => each === id).length;
        if (id === 4) expect(count).toBe(0);
        else expect(Math.abs(count - 2000)).toBeLessThan(5 * Math.sqrt(2000));
      }
    }
  });

  test("chance duplicates occur unless forbidden", () => {
    const hasTwins = (distinct: boolean): boolean =>
      repeatedTokens({ ...config, d_vocab: 20 }, { length: 15, batch: 20, distinct }).some(
        (p) => new Set(p.slice(1, 16)).size < 15,
      );
    expect(hasTwins(false)).toBe(true);
    expect(hasTwins(true)).toBe(false);
  });

  test("by default two copies of 50 tokens, or of what fits", () => {
    expect(repeatedTokens({ ...config, n_ctx: 500 })[0]).toHaveLength(101);
    expect(repeatedTokens(config)[0]).toHaveLength(63);
    expect(repeatedTokens(config, { bos: null, repeats: 4 })[0]).toHaveLength(64);
    expect(repeatedTokens(config, { seed: 1 })).not.toEqual(repeatedTokens(config, { seed: 2 }));
  });

  test.each([
    [
      { length: 40 },
      "2 copies of 40 tokens after a BOS make 81, but the model has n_ctx=64 positions. Use a smaller length.",
    ],
    [
      { length: 40, bos: null },
      "2 copies of 40 tokens make 80, but the model has n_ctx=64 positions. Use a smaller length.",
    ],
    [{ bos: 50 }, "bos 50 is not a token id; the model has d_vocab=50. Pass null for prompts without one."],
    [{ bos: -1 }, "bos -1 is not a token id"],
    [{ length: 0 }, "length is 0; it must be a positive integer."],
    [{ batch: 1.5 }, "batch is 1.5; it must be a positive integer."],
    [{ repeats: 0 }, "repeats is 0; it must be a positive integer."],
    [{ length: 5, chunk: 6 }, "chunk is 6; it is a number of the 5 tokens, from 1."],
    [{ length: 5, chunk: 0 }, "chunk is 0; it is a number of the 5 tokens, from 1."],
    [
      { length: 50, repeats: 1, distinct: true },
      "there are only 49 tokens to draw 50 different ones from (d_vocab=50).",
    ],
  ])("%j is refused", (options, text) => {
    expect(() => repeatedTokens(config, options)).toThrow(InputError);
    expect(() => repeatedTokens(config, options)).toThrow(`repeatedTokens: ${text}`);
  });

  test("where nothing names a BOS token there is none", () => {
    const bare = { d_vocab: 12, n_ctx: 64 };
    expect(repeatedTokens(bare)[0]).toHaveLength(64);
    for (const bos of [0, 5, 11]) {
      const [named = []] = repeatedTokens({ ...bare, bos_token_id: bos }, { length: 20, seed: 3 });
      expect(named.indexOf(bos)).toBe(0);
      expect(named).toEqual(repeatedTokens(bare, { length: 20, seed: 3, bos })[0]);
      expect(repeatedTokens({ ...bare, bos_token_id: bos }, { length: 20, bos: null })[0]).toHaveLength(40);
    }
    // Without one, id 0 is a token as any other.
    expect(repeatedTokens(bare, { length: 30, batch: 20, seed: 1 }).flat()).toContain(0);
    expect(repeatedTokens(bare, { length: 30, batch: 20, seed: 1 }).every(([first]) => first === 0)).toBe(false);
  });

  test("a vocabulary of BOS alone has nothing to draw from", () => {
    expect(() => repeatedTokens({ d_vocab: 1, n_ctx: 8, bos_token_id: 0 }, { length: 2 })).toThrow(
      "there are only 0 tokens to draw 2 from (d_vocab=1).",
    );
  });
});

type ScoreName = Exclude<keyof HeadScores, "tokens" | "period" | "byQuery">;

describe("headScores", () => {
  const model = randomModel({ n_layers: 2, n_ctx: 21, bias: true, config: { bos_token_id: 0 } });
  const scores = headScores(model, { length: 10, batch: 3, seed: 5 });

  test("are the scores of the patterns on all prompts together (1e-12: sums in another order)", () => {
    const { cache } = model.run(scores.tokens);
    expect(scores.tokens.toNested()).toEqual(repeatedTokens(model.config, { length: 10, batch: 3, seed: 5 }));
    expect(scores.period).toBe(10);
    for (const { layer } of model.layers) {
      const pattern = cache.get(`blocks.${layer}.attn.hook_pattern`);
      const row = (name: ScoreName): ArrayLike<number> => scores[name].select("layer", layer).data;
      const close = (name: ScoreName, expected: Tensor): void => {
        expectClose(row(name), expected.data, { atol: 1e-12 });
      };
      close("current", currentTokenScores(pattern));
      close("previous", previousTokenScores(pattern));
      close("first", firstTokenScores(pattern));
      close("duplicate", duplicateTokenScores(pattern, 10));
      close("induction", inductionScores(pattern, { period: 10 }));
      close("inductionStrict", inductionScores(pattern, { period: 10, variant: "strict" }));
      close("prefixMatching", prefixMatchingScores(pattern, scores.tokens));
    }
  });

  test("of a model that names no BOS token, on prompts without one", () => {
    const nameless = randomModel({ n_layers: 2, n_ctx: 21, bias: true });
    const bare = headScores(nameless, { length: 10, batch: 2, seed: 5 });
    expect([bare.period, bare.tokens.shape]).toEqual([10, [2, 20]]);
    const said = headScores(nameless, { length: 10, batch: 2, seed: 5, bos: null });
    expect(bare.inductionStrict.toNested()).toEqual(said.inductionStrict.toNested());
  });

  test("on prompts of one's own, with or without BOS", () => {
    const own = headScores(model, { tokens: scores.tokens, period: 10 });
    expect(own.induction.toNested()).toEqual(scores.induction.toNested());
    const bare = headScores(model, { length: 5, batch: 2, bos: null, repeats: 3 });
    expect([bare.period, bare.tokens.shape]).toEqual([5, [2, 15]]);
    const pattern = model.run(bare.tokens).cache.get("blocks.1.attn.hook_pattern");
    const expected = inductionScores(pattern, { period: 5, variant: "strict", bos: false });
    expectClose(bare.inductionStrict.select("layer", 1).data, expected.data, { atol: 1e-12 });
    expect(() => headScores(model, { tokens: [1, 2, 1, 2] })).toThrow(
      "headScores: tokens were given without the period at which they repeat. Pass { tokens, period }.",
    );
    expect(() => headScores(model, { tokens: [1, 2, 99], period: 1 })).toThrow(
      "headScores: token 99 at position 2 of prompt 0",
    );
  });

  test("a model without layers has no scores; progress counts prompts; a signal stops", () => {
    expect(headScores(randomModel({ n_layers: 0 }), { length: 3 }).induction.shape).toEqual([0, 3]);
    const seen: number[] = [];
    headScores(model, { length: 4, batch: 3, onProgress: (done, total) => seen.push(done, total) });
    expect(seen).toEqual([1, 3, 2, 3, 3, 3]);
    expect(() => headScores(model, { length: 4, signal: AbortSignal.abort(new Error("enough")) })).toThrow("enough");
  });
});

describe("findHeads", () => {
  const of = (numbers: number[][]): Tensor<"layer head"> => Tensor.fromNested("layer head", numbers, "float64");
  const low = of([
    [0, 0],
    [0, 0],
  ]);
  const scores = {
    current: low,
    previous: of([
      [0.4, 0.39],
      [0.9, NaN],
    ]),
    first: low,
    duplicate: of([
      [1, 0],
      [0, 0],
    ]),
    induction: low,
  };

  test("heads above the threshold, not at it, the highest first; NaN is none", () => {
    const found = findHeads(scores);
    expect(found.previousToken).toEqual([{ layer: 1, head: 0 }]);
    expect(findHeads(scores, 0.4 - 2 ** -53).previousToken.map(headLabel)).toEqual(["L1H0", "L0H0"]);
    expect(findHeads(scores, 1).duplicateToken).toEqual([]);
    expect(found.duplicateToken.map(headLabel)).toEqual(["L0H0"]);
    expect([found.currentToken, found.firstToken, found.induction]).toEqual([[], [], []]);
    expect(findHeads(scores, 0.3).previousToken.map(headLabel)).toEqual(["L1H0", "L0H0", "L0H1"]);
  });

  test("numbers that are none are refused", () => {
    expect(() => findHeads(scores, NaN)).toThrow("findHeads: NaN is not a threshold; scores lie between 0 and 1.");
    expect(() => findHeads(scores, { threshold: Infinity })).toThrow("Infinity is not a threshold");
    expect(() => findHeads(scores, { excess: 1 })).toThrow("findHeads: 1 is not an excess over chance");
    expect(() => findHeads(scores, { confidence: 1 })).toThrow("findHeads: 1 is not a confidence");
  });

  test("the trained model: L0H5 and L0H7 look at the previous token, five heads of layer 1 induce, no others", () => {
    const { model } = loadGolden("bundled");
    for (const seed of [0, 1]) {
      const all = headScores(model, { batch: 5, seed });
      const found = findHeads(all);
      expect(found.previousToken.map(headLabel).sort()).toEqual(["L0H5", "L0H7"]);
      expect(found.induction.map(headLabel).sort()).toEqual(["L1H1", "L1H2", "L1H3", "L1H4", "L1H7"]);
      for (const { layer, head } of model.heads) {
        const isInduction = found.induction.some((id) => id.layer === layer && id.head === head);
        expect(all.inductionStrict.at(layer, head) > 0.5).toBe(isInduction);
        expect(all.prefixMatching.at(layer, head) > 0.5).toBe(isInduction);
      }
    }
  });
});
