/** Head scores on patterns worked by hand. Entries are binary fractions unless said, so comparisons are exact. */
import { describe, expect, test } from "vitest";
import {
  currentTokenScores,
  detectionPattern,
  detectionScores,
  duplicateTokenScores,
  firstTokenScores,
  inductionScores,
  prefixMatchingScores,
  previousTokenScores,
} from "../../../src/heads/index.ts";
import type { DetectionKind, Pattern } from "../../../src/heads/index.ts";
import { AxisError, InputError, ShapeError } from "../../../src/errors.ts";
import { Tensor } from "../../../src/tensor/index.ts";

const AXES = "batch head query_pos key_pos";

/** A pattern `[1, 1, n, n]` whose entry is 1 where a rule says so and 0 elsewhere. */
function planted(n: number, rule: (query: number, key: number) => boolean): Pattern {
  return Tensor.from(
    AXES,
    [1, 1, n, n],
    Float64Array.from({ length: n * n }, (_, i) => (rule(Math.floor(i / n), i % n) ? 1 : 0)),
  );
}

/** Every query spreads evenly over itself and all before it. */
function uniform(n: number): Pattern {
  return Tensor.from(
    AXES,
    [1, 1, n, n],
    Float64Array.from({ length: n * n }, (_, i) => (i % n <= Math.floor(i / n) ? 1 / (Math.floor(i / n) + 1) : 0)),
  );
}

const tokensOf = (...prompts: number[][]): Tensor<"batch pos"> =>
  Tensor.from("batch pos", [prompts.length, prompts[0]?.length ?? 0], prompts.flat(), "int32");

const identity = planted(6, (i, j) => i === j);
const shift = planted(6, (i, j) => j === Math.max(0, i - 1));
const column = planted(6, (_, j) => j === 0);

describe("diagonals and the first column", () => {
  test.each<[string, Pattern, number, number, number]>([
    ["the identity", identity, 1, 0, 1 / 6],
    ["the previous token, the first on itself", shift, 1 / 6, 1, 2 / 6],
    ["the first token", column, 1 / 6, 1 / 5, 1],
  ])("%s", (_, pattern, current, previous, first) => {
    expect(currentTokenScores(pattern).at(0)).toBe(current);
    expect(previousTokenScores(pattern).at(0)).toBe(previous);
    expect(firstTokenScores(pattern).at(0)).toBe(first);
  });

  test("even attention of four positions: means of 1, 1/2, 1/3, 1/4 (5e-15: float64)", () => {
    const pattern = uniform(4);
    expect(currentTokenScores(pattern).at(0)).toBeCloseTo((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4, 14);
    expect(previousTokenScores(pattern).at(0)).toBeCloseTo((1 / 2 + 1 / 3 + 1 / 4) / 3, 14);
    expect(firstTokenScores(pattern).at(0)).toBeCloseTo((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4, 14);
    expect(duplicateTokenScores(pattern, 2).at(0)).toBeCloseTo((1 / 3 + 1 / 4) / 2, 14);
  });

  test("heads and prompts are kept apart and averaged: one score per head, mean over the batch", () => {
    const patterns = [identity, shift, identity, column].flatMap((pattern) => [...pattern.data]);
    const both = Tensor.from(AXES, [2, 2, 6, 6], patterns, "float64");
    expect([...currentTokenScores(both).data]).toEqual([1, 1 / 6]);
    expect(previousTokenScores(both).at(1)).toBeCloseTo((1 + 1 / 5) / 2, 14);
  });

  test("one token: current and first are 1, previous is NaN; no period fits, so NaN", () => {
    const one = planted(1, () => true);
    expect([currentTokenScores(one).at(0), firstTokenScores(one).at(0)]).toEqual([1, 1]);
    expect(previousTokenScores(one).at(0)).toBeNaN();
    expect(duplicateTokenScores(one, 1).at(0)).toBeNaN();
    expect(inductionScores(one, { period: 2 }).at(0)).toBeNaN();
  });
});

describe("induction", () => {
  const L = 10;
  const n = 2 * L + 1;

  test("a head that looks one past the last copy and puts nothing there before scores L/(L+2); strictly, 1", () => {
    const ideal = planted(n, (i, j) => (i > L ? j === i - L + 1 : j === i));
    expect(inductionScores(ideal, { period: L }).at(0)).toBeCloseTo(L / (L + 2), 14);
    expect(inductionScores(ideal, { period: L, variant: "strict" }).at(0)).toBe(1);
  });

  test("resting on BOS adds the first of the two entries that see no repeat: (L+1)/(L+2)", () => {
    const resting = planted(n, (i, j) => j === (i > L ? i - L + 1 : 0));
    expect(inductionScores(resting, { period: L }).at(0)).toBeCloseTo((L + 1) / (L + 2), 14);
    expect(inductionScores(resting, { period: L, variant: "strict" }).at(0)).toBe(1);
  });

  test("even attention: the mean of 1/(i+1) over the diagonal, from L − 1 or from L + 1", () => {
    const mean = (from: number): number => {
      const terms = Array.from({ length: n - from }, (_, k) => 1 / (from + k + 1));
      return terms.reduce((a, b) => a + b, 0) / terms.length;
    };
    expect(inductionScores(uniform(n), { period: L }).at(0)).toBeCloseTo(mean(L - 1), 14);
    expect(inductionScores(uniform(n), { period: L, variant: "strict" }).at(0)).toBeCloseTo(mean(L + 1), 14);
    expect(inductionScores(uniform(n), { period: L, variant: "strict", bos: false }).at(0)).toBeCloseTo(mean(L), 14);
  });

  test("an unknown variant is refused", () => {
    expect(() => inductionScores(identity, { period: 2, variant: "loose" as "strict" })).toThrow(
      'inductionScores: variant is "loose"; the choices are arena, strict.',
    );
  });

  test.each([0, -1, 1.5, NaN])("a period of %s is refused", (period) => {
    const text = `a period of ${period} tokens is none; it is the length of what repeats, a positive integer.`;
    expect(() => inductionScores(identity, { period })).toThrow(InputError);
    expect(() => inductionScores(identity, { period })).toThrow(`inductionScores: ${text}`);
    expect(() => duplicateTokenScores(identity, period)).toThrow(`duplicateTokenScores: ${text}`);
  });
});

describe("prefix matching", () => {
  const four = Array.from({ length: 4 }, () => [1, 2, 3, 4, 5]).flat();
  const copies = tokensOf([0, ...four]);
  /** Attention spread evenly over the keys one past every earlier occurrence. */
  const spread = Tensor.from(
    AXES,
    [1, 1, 21, 21],
    Float64Array.from({ length: 441 }, (_, place) => {
      const [i, j] = [Math.floor(place / 21), place % 21];
      const earlier = Math.floor((i - 1) / 5);
      return i > 0 && earlier > 0 && j >= 2 && j <= i - 4 && (i - 1 - (j - 2)) % 5 === 0 ? 1 / earlier : 0;
    }),
  );

  test("a head even over the matches of four copies scores 1, 11/18, 1/2 by averaging (5e-15: float64)", () => {
    const score = (averaging: "sum" | "mean" | "entries" | "latest"): number =>
      prefixMatchingScores(spread, copies, { averaging }).at(0);
    expect(score("sum")).toBeCloseTo(1, 14);
    expect(score("mean")).toBeCloseTo(11 / 18, 14);
    expect(score("entries")).toBeCloseTo(1 / 2, 14);
    expect(score("latest")).toBeCloseTo(11 / 18, 14);
    expect(prefixMatchingScores(spread, copies).at(0)).toBe(score("sum"));
  });

  test("a head on the latest match alone scores 1 by its own averaging, 11/18 of its queries' means", () => {
    const latest = planted(21, (i, j) => (i > 5 ? j === i - 4 : j === 0));
    expect(prefixMatchingScores(latest, copies, { averaging: "latest" }).at(0)).toBe(1);
    expect(prefixMatchingScores(latest, copies, { averaging: "sum" }).at(0)).toBe(1);
    expect(prefixMatchingScores(latest, copies, { averaging: "mean" }).at(0)).toBeCloseTo(11 / 18, 14);
  });

  test("even causal attention: (number of targets)/(i + 1) at query i, averaged", () => {
    const tokens = tokensOf([0, 1, 2, 1, 2, 1]);
    // Queries 3 and 4 have one target each, query 5 has two.
    expect(prefixMatchingScores(uniform(6), tokens).at(0)).toBeCloseTo((1 / 4 + 1 / 5 + 2 / 6) / 3, 14);
    expect(prefixMatchingScores(uniform(6), tokens, { averaging: "entries" }).at(0)).toBeCloseTo(
      (1 / 4 + 1 / 5 + 2 / 6) / 4,
      14,
    );
  });

  test("the previous target is the key before the earlier occurrence; what would lie before the prompt is none", () => {
    const tokens = tokensOf([1, 2, 3, 2]);
    const onOne = planted(4, (i, j) => (i === 3 ? j === 0 : j === i));
    expect(prefixMatchingScores(onOne, tokens, { target: "previous" }).at(0)).toBe(1);
    expect(prefixMatchingScores(onOne, tokens).at(0)).toBe(0);
    expect(prefixMatchingScores(identity, tokensOf([7, 1, 2, 3, 4, 7]), { target: "previous" }).at(0)).toBeNaN();
  });

  test("a token right after its twin has itself as target: the position after the earlier occurrence", () => {
    expect(
      prefixMatchingScores(
        planted(2, (i, j) => i === j),
        tokensOf([4, 4]),
      ).at(0),
    ).toBe(1);
  });

  test("chance duplicates inside a repeat count as targets", () => {
    // 8 repeats inside r = [8, 9, 8]: query 3 already has a target.
    const tokens = tokensOf([0, 8, 9, 8, 8, 9, 8]);
    const pattern = planted(7, (i, j) => i === 3 && j === 2);
    // Queries 3, 4, 5, 6 have targets; only query 3 looks at one.
    expect(prefixMatchingScores(pattern, tokens).at(0)).toBe(1 / 4);
  });

  test("without a repeated token the score is NaN", () => {
    expect(prefixMatchingScores(identity, tokensOf([1, 2, 3, 4, 5, 6])).at(0)).toBeNaN();
    expect(
      prefixMatchingScores(
        planted(1, () => true),
        tokensOf([1]),
      ).at(0),
    ).toBeNaN();
  });

  test("prompts are pooled: the mean is over all queries with targets", () => {
    const two = Tensor.from(
      AXES,
      [2, 1, 3, 3],
      [...planted(3, (i, j) => j === Math.min(i, 1)).data, ...planted(3, (_, j) => j === 0).data],
      "float64",
    );
    // First prompt: query 2 looks at 1, its target. Second: queries 1 and 2 have targets {1} and {1, 2}, and look at 0.
    expect(prefixMatchingScores(two, tokensOf([5, 6, 5], [5, 5, 5])).at(0)).toBeCloseTo(1 / 3, 14);
  });

  test("what does not fit is refused", () => {
    const call =
      (tokens: Tensor<"batch pos">, options = {}): (() => unknown) =>
      () =>
        prefixMatchingScores(identity, tokens, options);
    expect(call(tokensOf([1, 2]))).toThrow(ShapeError);
    expect(call(tokensOf([1, 2]))).toThrow(
      "prefixMatchingScores: the pattern is [batch=1 head=1 query_pos=6 key_pos=6] but the tokens are [batch=1 pos=2]. Pass the tokens that the pattern came from, [batch, pos].",
    );
    const tokens = tokensOf([1, 2, 3, 4, 5, 6]);
    expect(call(tokens, { averaging: "median" })).toThrow(
      'prefixMatchingScores: averaging is "median"; the choices are sum, mean, entries, latest.',
    );
    expect(call(tokens, { target: "here" })).toThrow(
      'prefixMatchingScores: target is "here"; the choices are next, previous.',
    );
  });
});

describe("TransformerLens's detector", () => {
  const tokens = tokensOf([5, 6, 5, 6]);

  test.each<[DetectionKind, number[][]]>([
    [
      "previous_token_head",
      [
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
      ],
    ],
    [
      "duplicate_token_head",
      [
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [0, 1, 0, 0],
      ],
    ],
    [
      "induction_head",
      [
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
      ],
    ],
  ])("%s", (kind, expected) => {
    expect(detectionPattern(tokens, kind).select("batch", 0).toNested()).toEqual(expected);
  });

  test("mul is the share of attention covered, abs is 1 for the pattern itself", () => {
    const pattern = planted(4, (i, j) => (i < 2 ? j === 0 : j === i - 1));
    const detection = detectionPattern(tokens, "induction_head");
    expect(detectionScores(pattern, detection).at(0)).toBe(1 / 2);
    expect(detectionScores(pattern, detection, { excludeBos: true }).at(0)).toBe(1);
    const same = Tensor.from(AXES, [1, 1, 4, 4], detection.data);
    expect(detectionScores(same, detection, { measure: "abs" }).at(0)).toBe(1);
    // Two of sixteen entries differ: 1 − 4 · 2/16.
    expect(detectionScores(pattern, detection, { measure: "abs" }).at(0)).toBe(1 / 2);
  });

  test("nothing left to attend scores 0 under mul; leaving the diagonal out changes the share", () => {
    const four = planted(4, (i, j) => i === j);
    const detection = detectionPattern(tokens, "previous_token_head");
    expect(detectionScores(four, detection, { excludeCurrentToken: true }).at(0)).toBe(0);
    const half = Tensor.from(AXES, [1, 1, 4, 4], [...shiftHalf()], "float64");
    expect(detectionScores(half, detection, { excludeCurrentToken: true }).at(0)).toBe(1);
    expect(detectionScores(half, detection).at(0)).toBe(3 / 8);
  });

  test("what does not fit is refused", () => {
    expect(() => detectionPattern(tokens, "copy_head" as DetectionKind)).toThrow(
      'detectionPattern: there is no behaviour "copy_head"; those drawn are previous_token_head, duplicate_token_head, induction_head.',
    );
    expect(() =>
      detectionScores(identity, detectionPattern(tokens, "induction_head"), { measure: "cos" as "abs" }),
    ).toThrow('detectionScores: measure is "cos"; the choices are mul, abs.');
    expect(() => detectionScores(identity, detectionPattern(tokens, "induction_head"))).toThrow(
      "detectionScores: the pattern is [batch=1 head=1 query_pos=6 key_pos=6] but the detection pattern is [batch=1 query_pos=4 key_pos=4].",
    );
  });
});

/** Half on the token before, half on the current one; the first token wholly on itself. */
function* shiftHalf(): Generator<number> {
  for (let i = 0; i < 4; i++)
    for (let j = 0; j < 4; j++) yield i === 0 ? (j === 0 ? 1 : 0) : j === i || j === i - 1 ? 0.5 : 0;
}

test("tensors of other axes are refused", () => {
  const wrong = identity.permute("batch head key_pos query_pos") as unknown as Pattern;
  const text =
    "the pattern is [batch=1 head=1 key_pos=6 query_pos=6], not [batch head query_pos key_pos]. Permute or rename its axes.";
  expect(() => currentTokenScores(wrong)).toThrow(AxisError);
  expect(() => currentTokenScores(wrong)).toThrow(`currentTokenScores: ${text}`);
  expect(() => firstTokenScores(wrong)).toThrow(`firstTokenScores: ${text}`);
  expect(() => inductionScores(wrong, { period: 2 })).toThrow(`inductionScores: ${text}`);
});
