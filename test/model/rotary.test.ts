/** Identities of positions: scores under rotation (P35) and sinusoids that shift by rotation (P34). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rotate, rotationMatrix } from "../../src/model/index.ts";
import { randomNormal, Tensor } from "../../src/tensor/index.ts";

const configs = [
  { d_head: 4, rotary_dim: 4, rotary_base: 10000, rotary_adjacent_pairs: false },
  { d_head: 6, rotary_dim: 4, rotary_base: 10000, rotary_adjacent_pairs: false },
  { d_head: 6, rotary_dim: 6, rotary_base: 100, rotary_adjacent_pairs: true },
];

/** One vector at every one of `n` positions, `[1, n, 1, d_head]`, float64. */
function everywhere(vector: readonly number[], n: number): Tensor<"batch pos head d_head"> {
  return Tensor.from(
    "batch pos head d_head",
    [1, n, 1, vector.length],
    Array.from({ length: n }, () => vector).flat(),
    "float64",
  );
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((s, x, i) => s + x * (b[i] as number), 0);

describe.each(configs)("rotation of $rotary_dim of $d_head coordinates, adjacent $rotary_adjacent_pairs", (config) => {
  const n = 9;
  const arbitrary = fc.tuple(
    fc.integer({ min: 0, max: 1e6 }),
    fc.integer({ min: 0, max: n - 1 }),
    fc.integer({ min: 0, max: n - 1 }),
  );
  const draw = (seed: number): [number[], number[]] => {
    const both = randomNormal("side d_head", [2, config.d_head], { seed, dtype: "float64" }).toNested() as number[][];
    return [both[0] ?? [], both[1] ?? []];
  };

  test("a score is q R(i − j) kᵀ, and depends on i − j alone (float64, 1e-12: some ten roundings)", () => {
    fc.assert(
      fc.property(arbitrary, ([seed, i, j]) => {
        const [q, k] = draw(seed);
        const row = (v: readonly number[], p: number): ArrayLike<number> =>
          rotate(everywhere(v, n), config).select("pos", p).data;
        const score = dot(row(q, i), row(k, j));
        const R = rotationMatrix(config, i - j).toNested() as number[][];
        const expected = dot(
          q.reduce(
            (s, x, a) => s.map((y, b) => y + x * (R[a]?.[b] as number)),
            new Array<number>(config.d_head).fill(0),
          ),
          k,
        );
        expect(Math.abs(score - expected)).toBeLessThan(1e-12);
        if (i + 1 < n && j + 1 < n) expect(Math.abs(score - dot(row(q, i + 1), row(k, j + 1)))).toBeLessThan(1e-12);
      }),
      { seed: 35, numRuns: 60 },
    );
  });

  test("it keeps lengths, leaves position 0 and the coordinates beyond rotary_dim alone, and goes on from any position", () => {
    const [q] = draw(3);
    const rotated = rotate(everywhere(q, n), config);
    for (let p = 0; p < n; p++) {
      const row = rotated.select("pos", p).data;
      expect(Math.abs(dot(row, row) - dot(q, q))).toBeLessThan(1e-12);
      expect([...row].slice(config.rotary_dim)).toEqual(q.slice(config.rotary_dim));
      expect(rotate(everywhere(q, 1), config, p).data).toEqual(row);
    }
    expect([...rotated.select("pos", 0).data]).toEqual(q);
    expect(Math.abs(rotated.at(0, 1, 0, 0) - (q[0] as number))).toBeGreaterThan(1e-3);
  });

  test("rotations compose: R(a) R(b) = R(a + b) within 1e-14", () => {
    const [a, b, both] = [2, 5, 7].map((offset) => rotationMatrix(config, offset).toNested() as number[][]) as [
      number[][],
      number[][],
      number[][],
    ];
    for (const [i, row] of a.entries()) {
      for (const j of row.keys()) {
        const product = row.reduce((s, x, t) => s + x * (b[t]?.[j] as number), 0);
        expect(Math.abs(product - (both[i]?.[j] as number))).toBeLessThan(1e-14);
      }
    }
  });
});

test("sinusoidal positions shift by a rotation that is the same at every position (P34, 1e-13)", () => {
  const config = { d_head: 8, rotary_dim: 8, rotary_base: 10000, rotary_adjacent_pairs: true };
  const sinusoid = (p: number): number[] =>
    [0, 1, 2, 3].flatMap((i) => [Math.cos(p / 10000 ** (i / 4)), Math.sin(p / 10000 ** (i / 4))]);
  for (const shift of [1, 3, 10]) {
    const R = rotationMatrix(config, shift).toNested() as number[][];
    for (const p of [0, 4, 100]) {
      const shifted = sinusoid(p).reduce(
        (s, x, a) => s.map((y, b) => y + x * (R[a]?.[b] as number)),
        new Array<number>(8).fill(0),
      );
      const expected = sinusoid(p + shift);
      expect(Math.max(...shifted.map((x, i) => Math.abs(x - (expected[i] as number))))).toBeLessThan(1e-13);
    }
  }
});

test("an offset that is no number is refused, not rotated by", () => {
  const config = { d_head: 4, rotary_dim: 4, rotary_base: 100, rotary_adjacent_pairs: false };
  expect(() => rotationMatrix(config, NaN)).toThrow("rotationMatrix: offset is NaN; it is a number of positions.");
});
