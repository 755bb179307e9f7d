/** In-context Markov chains: predictors by hand and by marginal likelihoods, frequencies of what is drawn. */
import { describe, expect, test } from "vitest";
import { InputError } from "../../../src/errors.ts";
import { markovChainData } from "../../../src/train/data/index.ts";
import { meanAll } from "../../../src/tensor/index.ts";
import { markovPredictions } from "../../../src/train/data/markov-chains.ts";
import { allLists, drawn, mean } from "./languages.ts";

const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));

/** Counts of transitions. */
function countsOf(ids: readonly number[], d_vocab: number): number[][] {
  const counts = Array.from({ length: d_vocab }, () => Array.from({ length: d_vocab }, () => 0));
  for (let t = 1; t < ids.length; t++) {
    const row = counts[ids[t - 1] ?? 0] ?? [];
    row[ids[t] ?? 0] = (row[ids[t] ?? 0] ?? 0) + 1;
  }
  return counts;
}

/**
 * The probability of transitions when each row is even on the simplex: the product over rows i of
 * $(V-1)! \prod_j n_{ij}! / (n_i + V - 1)!$.
 */
function evenMarginal(ids: readonly number[], d_vocab: number): number {
  return countsOf(ids, d_vocab).reduce((product, row) => {
    const total = row.reduce((sum, n) => sum + n, 0);
    const ways = row.reduce((p, n) => p * factorial(n), 1);
    return (product * factorial(d_vocab - 1) * ways) / factorial(total + d_vocab - 1);
  }, 1);
}

/**
 * The same for two symbols of rows from Beta(α, α), by the midpoint rule in $\theta = \sin^2 x$, which takes the
 * ends' poles away.
 */
function betaMarginal(ids: readonly number[], alpha: number): number {
  const integral = (a: number, b: number): number => {
    const n = 400;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const x = ((i + 0.5) / n) * (Math.PI / 2);
      sum += Math.sin(x) ** (2 * a - 1) * Math.cos(x) ** (2 * b - 1);
    }
    return sum / n;
  };
  return countsOf(ids, 2).reduce(
    (product, [n = 0, m = 0]) => (product * integral(alpha + n, alpha + m)) / integral(alpha, alpha),
    1,
  );
}

describe("the bigram is the ratio of marginal likelihoods of the prompt with and without its last symbol", () => {
  test.each([2, 3])("of all prompts of 6 symbols among %i, rows drawn evenly, within 1e-12", (d_vocab) => {
    for (const ids of allLists(d_vocab, 6)) {
      const p = markovPredictions(ids.slice(0, 5), "bigram", d_vocab, 1);
      const expected = evenMarginal(ids, d_vocab) / evenMarginal(ids.slice(0, 5), d_vocab);
      expect(Math.abs((p[4 * d_vocab + (ids[5] ?? 0)] ?? NaN) - expected)).toBeLessThan(1e-12);
    }
  });
  test.each([0.5, 2.5])("of all prompts of 6 symbols among 2, alpha %d, within 1e-4 of quadrature", (alpha) => {
    for (const ids of allLists(2, 6)) {
      const p = markovPredictions(ids.slice(0, 5), "bigram", 2, alpha);
      const expected = betaMarginal(ids, alpha) / betaMarginal(ids.slice(0, 5), alpha);
      expect(Math.abs((p[8 + (ids[5] ?? 0)] ?? NaN) - expected)).toBeLessThan(1e-4);
    }
  });
});

test("the predictors of 0 1 0 0 1, worked by hand", () => {
  const of = (predictor: "uniform" | "unigram" | "bigram"): number[] =>
    Array.from(markovPredictions([0, 1, 0, 0, 1], predictor, 2, 1)).filter((_, i) => i % 2 === 0);
  expect(of("uniform")).toEqual([1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 2]);
  // Symbols seen: 0; 01; 010; 0100; 01001.
  expect(of("unigram")).toEqual([2 / 3, 2 / 4, 3 / 5, 4 / 6, 4 / 7]);
  // After 0: nothing seen; after 1: nothing; after 0: 1; after 0: 1, 0; after 1: 0.
  expect(of("bigram")).toEqual([1 / 2, 1 / 2, 1 / 3, 2 / 4, 2 / 3]);
});

test("losses are the predictions of the next symbols, and the optimum is the bigram's", () => {
  const data = markovChainData({ d_vocab: 4, n_ctx: 7, batch: 5, alpha: 0.7, seed: 9 });
  const tokens = data.batch(3).tokens;
  const { bigram } = data.predictions(3);
  const losses = data.references(3);
  for (let b = 0; b < 5; b++) {
    for (let t = 0; t < 6; t++) {
      const loss = -Math.log(bigram.at(b, t, tokens.at(b, t + 1)));
      expect(Math.abs(losses.bigram.at(b, t) - loss)).toBeLessThan(1e-12);
      expect(data.optimum(3).at(b, t)).toBe(losses.bigram.at(b, t));
      expect(Math.abs(losses.uniform.at(b, t) - Math.log(4))).toBeLessThan(1e-12);
    }
  }
});

/** The share of prompts x x x is $E[P_{ii}^2] = (\alpha + 1) / (V (V \alpha + 1))$; that of x x is 1 / V. */
test.each([
  [2, 1],
  [3, 1],
  [3, 0.25],
  [3, 6],
  [5, 0.6],
])("rows of %i symbols with alpha %d: how often symbols repeat, within 4.5 standard errors", (d_vocab, alpha) => {
  const samples = drawn(markovChainData({ d_vocab, n_ctx: 3, batch: 2000, alpha, seed: 5 }), 5);
  const check = (share: number, expected: number): void => {
    const error = Math.sqrt((expected * (1 - expected)) / samples.length);
    expect(Math.abs(share - expected)).toBeLessThan(4.5 * error);
  };
  for (let first = 0; first < d_vocab; first++) {
    check(mean(samples.map(({ ids }) => (ids[0] === first ? 1 : 0))), 1 / d_vocab);
  }
  check(mean(samples.map(({ ids: [a, b] }) => (a === b ? 1 : 0))), 1 / d_vocab);
  const thrice = mean(samples.map(({ ids: [a, b, c] }) => (a === b && b === c ? 1 : 0)));
  check(thrice, (alpha + 1) / (d_vocab * (d_vocab * alpha + 1)));
});

/** Measured by another program on chains that began in their stationary distribution: 0.9870 and 0.8471. */
test("three symbols, from position 50 on: unigram 0.987 and bigram 0.847 nats, within 0.015", () => {
  const data = markovChainData({ batch: 256, seed: 2 });
  const late = (name: "unigram" | "bigram"): number =>
    mean([0, 1, 2, 3].map((step) => meanAll(data.references(step)[name].slice("pos", 50))));
  expect(Math.abs(late("unigram") - 0.987)).toBeLessThan(0.015);
  expect(Math.abs(late("bigram") - 0.847)).toBeLessThan(0.015);
});

test("alpha and counts that are none are refused", () => {
  for (const options of [{ alpha: 0 }, { alpha: NaN }, { d_vocab: 0 }, { n_ctx: 1 }, { seed: -1 }, { batch: 1.5 }]) {
    expect(() => markovChainData(options)).toThrow(InputError);
  }
});
