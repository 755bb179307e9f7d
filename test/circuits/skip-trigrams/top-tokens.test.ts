/**
 * The largest products with the vectors of a vocabulary, found in float32 and settled in float64: against all products in float64, on vectors that float32
 * cannot tell apart, that are equal, or that overflow it.
 */
import { describe, expect, test } from "vitest";
import { topTokens } from "../../../src/circuits/skip-trigrams/top-tokens.ts";
import type { TopTokensQuestion } from "../../../src/circuits/skip-trigrams/top-tokens.ts";
import { Random } from "../../../src/tensor/index.ts";

const random = (length: number, seed: number, spread = 1): Float64Array => {
  const source = new Random(seed);
  return Float64Array.from({ length }, () => spread * (2 * source.uniform() - 1));
};

/** All products, sorted as asked. */
function bruteForce({ rows, tokens, less, scale, k, isLeftOut }: TopTokensQuestion): (readonly [number, number])[][] {
  const { count, width, data, step, stride } = tokens;
  return Array.from({ length: rows.length / width }, (_, r) => {
    const values: (readonly [number, number])[] = [];
    for (let token = 0; token < count; token++) {
      if (isLeftOut(token)) continue;
      let sum = 0;
      for (let i = 0; i < width; i++)
        sum += (rows[r * width + i] as number) * (data[token * step + i * stride] as number);
      values.push([token, (sum - (less?.[token] ?? 0)) / scale]);
    }
    return values.sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, k);
  });
}

function expectExact(question: TopTokensQuestion): void {
  const found = topTokens(question).map((row) => row.map(({ token, value }) => [token, value]));
  // Both sum in float64 in the order of the numbers, so that they are the same to the bit.
  expect(found).toEqual(bruteForce(question));
}

const [count, width] = [700, 48];
const byRow = (data: Float32Array | Float64Array): TopTokensQuestion["tokens"] => ({
  ...{ count, width, data, step: width, stride: 1 },
});
const byColumn = (data: Float32Array | Float64Array): TopTokensQuestion["tokens"] => ({
  ...{ count, width, data, step: 1, stride: count },
});
const none = (): boolean => false;

describe.each([
  ["rows", byRow],
  ["columns", byColumn],
] as const)("vectors of tokens in %s", (_, layout) => {
  const vectors = Float32Array.from(random(count * width, 3));
  const rows = random(5 * width, 4);

  test("some of each row, all of it, with tokens left out and numbers taken off", () => {
    const less = random(count, 5);
    const isLeftOut = (token: number): boolean => token % 3 === 1;
    for (const scale of [1, 8, -2]) {
      for (const k of [1, 10, 2 * count]) expectExact({ rows, tokens: layout(vectors), less, scale, k, isLeftOut });
    }
    expectExact({ rows, tokens: layout(vectors), scale: 1, k: 3, isLeftOut: () => true });
  });

  test("differences below what float32 tells apart", () => {
    // The first number of each vector differs in its last bit, and the row's in digits that float32 has not.
    const near = Float32Array.from({ length: count * width }, (__, t) => 1 + 2 ** -23 * ((t * 7919) % 5));
    const row = Float64Array.from({ length: width }, (__, i) => 1 + i * 1e-9);
    const question = { rows: row, tokens: layout(near), scale: 1, k: 20, isLeftOut: none };
    const float32 = bruteForce(question)[0]?.map(([, value]) => Math.fround(value));
    expect(new Set(float32).size).toBeLessThan(5);
    expectExact(question);
  });

  test("equal vectors: the lower token first", () => {
    const equal = new Float32Array(count * width).fill(0.1);
    const [row = []] = topTokens({
      rows: rows.slice(0, width),
      tokens: layout(equal),
      scale: 1,
      k: 4,
      isLeftOut: none,
    });
    expect(row.map(({ token }) => token)).toEqual([0, 1, 2, 3]);
  });

  test("products that float32 does not hold", () => {
    const large = vectors.map((x) => x * 1e30);
    expectExact({ rows: rows.map((x) => x * 1e20), tokens: layout(large), scale: 1, k: 5, isLeftOut: none });
    const small = vectors.map((x) => x * 1e-30);
    expectExact({ rows: rows.map((x) => x * 1e-20), tokens: layout(small), scale: 1, k: 5, isLeftOut: none });
  });

  test("weights in float64", () => {
    expectExact({ rows, tokens: layout(random(count * width, 6)), scale: 2, k: 7, isLeftOut: none });
  });
});

test("no rows", () => {
  const tokens = byRow(new Float32Array(count * width));
  expect(topTokens({ rows: new Float64Array(0), tokens, scale: 1, k: 2, isLeftOut: none })).toEqual([]);
});

test.each([
  ["rows", 1],
  ["columns", 5003],
])("more rows and tokens than are held at once, vectors in %s: as each row alone (to the bit)", (_, stride) => {
  const [tokens, wide, asked] = [5003, 6, 1030];
  const data = Float32Array.from(random(tokens * wide, 8));
  const vectors = { count: tokens, width: wide, data, step: stride === 1 ? wide : 1, stride };
  const rows = random(asked * wide, 9);
  const question = { tokens: vectors, scale: 2, k: 3, isLeftOut: (token: number): boolean => token % 5 === 0 };
  const found = topTokens({ ...question, rows });
  expect(found).toHaveLength(asked);
  for (const row of [0, 1, 511, 1023, 1024, 1029]) {
    const [wanted] = bruteForce({ ...question, rows: rows.subarray(row * wide, (row + 1) * wide) });
    expect(found[row]?.map(({ token, value }) => [token, value])).toEqual(wanted);
  }
});
