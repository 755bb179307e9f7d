/** Laws of linear maps on random products, sums and transposes of them, against dense float64 matrices: 1e-9 relative throughout. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  diagonalOf,
  addMaps,
  compose,
  composeAll,
  diagonalRanks,
  diagonalTopK,
  eigenvaluesOf,
  entryOf,
  frobeniusNormOf,
  identityMap,
  linear,
  restrict,
  rowStatistics,
  scaleMap,
  singularValuesOf,
  subtractMaps,
  sumMaps,
  svdOf,
  toDense,
  topKPerRow,
  traceOf,
  transpose,
} from "../../src/linear/index.ts";
import type { Linear } from "../../src/linear/index.ts";
import { Random } from "../../src/tensor/index.ts";
import type { Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../support/golden.ts";

type Square = Linear<"d_model", "d_model">;
const runs = (seed: number): { seed: number; numRuns: number } => ({ seed, numRuns: 60 });
const seeds = fc.integer({ min: 0, max: 1e6 });
const sizes = fc.integer({ min: 1, max: 7 });

/** A random map of a space to itself: a product through a narrow place, a sum, a multiple of the identity, or a plain matrix. */
function randomMap(seed: number, d: number): Square {
  const random = new Random(seed);
  const matrix = (rows: number, cols: number, from: string, to: string): Linear =>
    linear(from, to, { rows, cols, data: Float64Array.from({ length: rows * cols }, () => random.normal()) });
  const narrow = (): Square => {
    const k = 1 + Math.floor(random.uniform() * d);
    return compose(
      matrix(d, k, "d_model", "d_head") as Linear<"d_model", "d_head">,
      matrix(k, d, "d_head", "d_model") as Linear<"d_head", "d_model">,
    );
  };
  const kinds: (() => Square)[] = [
    narrow,
    () => addMaps(narrow(), narrow()),
    () => addMaps(scaleMap(identityMap("d_model", d), random.normal()), narrow()),
    () => matrix(d, d, "d_model", "d_model") as Square,
    () => compose(narrow(), addMaps(narrow(), narrow()), narrow()),
  ];
  return (kinds[Math.floor(random.uniform() * kinds.length)] as () => Square)();
}

const rows = (f: Linear): number[][] => toDense(f).toNested() as number[][];
const numbers = (f: Linear): number[] => rows(f).flat();
const times = (a: number[][], b: number[][]): number[][] =>
  a.map((row) => (b[0] ?? []).map((_, c) => row.reduce((s, x, r) => s + x * (b[r]?.[c] as number), 0)));
const scaleOf = (...maps: readonly Linear[]): number => Math.max(1, ...maps.map((f) => frobeniusNormOf(f)));
const close = (actual: ArrayLike<number>, expected: ArrayLike<number>, scale: number): void =>
  expectClose(actual, expected, { atol: 1e-9 * scale, rtol: 1e-9 });

describe("algebra", () => {
  test("compose is associative, the matrix product, with the identity neutral; composeAll is compose", () => {
    fc.assert(
      fc.property(seeds, sizes, (seed, d) => {
        const [f, g, h] = [0, 1, 2].map((i) => randomMap(seed + i, d)) as [Square, Square, Square];
        const dense = times(times(rows(f), rows(g)), rows(h)).flat();
        const scale = scaleOf(f) * scaleOf(g) * scaleOf(h);
        for (const map of [
          compose(f, g, h),
          compose(compose(f, g), h),
          compose(f, compose(g, h)),
          composeAll([f, g, h]),
        ]) {
          close(numbers(map), dense, scale);
        }
        const identity = identityMap("d_model", d);
        close(numbers(compose(identity, f)), numbers(f), scaleOf(f));
        close(numbers(compose(f, identity)), numbers(f), scaleOf(f));
      }),
      runs(1),
    );
  });

  test("transpose is an involution and turns products round; sums commute and distribute; f − f = 0; multiples", () => {
    fc.assert(
      fc.property(seeds, sizes, fc.double({ min: -3, max: 3, noNaN: true }), (seed, d, c) => {
        const [f, g, h] = [3, 4, 5].map((i) => randomMap(seed + i, d)) as [Square, Square, Square];
        const scale = scaleOf(f) * scaleOf(g) * scaleOf(h);
        close(numbers(transpose(transpose(f))), numbers(f), scale);
        close(numbers(transpose(compose(f, g))), numbers(compose(transpose(g), transpose(f))), scale);
        close(numbers(addMaps(f, g)), numbers(addMaps(g, f)), scale);
        close(numbers(sumMaps([f, g, h])), numbers(addMaps(addMaps(f, g), h)), scale);
        close(numbers(compose(f, addMaps(g, h))), numbers(addMaps(compose(f, g), compose(f, h))), scale);
        close(numbers(compose(addMaps(f, g), h)), numbers(addMaps(compose(f, h), compose(g, h))), scale);
        close(numbers(scaleMap(addMaps(f, g), c)), numbers(addMaps(scaleMap(f, c), scaleMap(g, c))), scale * 3);
        close(numbers(subtractMaps(f, f)), new Float64Array(d * d), scale);
      }),
      runs(2),
    );
  });

  test("slices commute with everything: rows of a product, columns of a sum, one entry", () => {
    fc.assert(
      fc.property(seeds, sizes, fc.nat(), fc.nat(), (seed, d, a, b) => {
        const [f, g] = [6, 7].map((i) => randomMap(seed + i, d)) as [Square, Square];
        const ids = [a % d, b % d, a % d];
        const product = compose(f, g);
        const scale = scaleOf(f) * scaleOf(g);
        close(
          numbers(restrict(product, { rows: ids })),
          ids.flatMap((i) => rows(product)[i] as number[]),
          scale,
        );
        close(numbers(restrict(product, { rows: ids })), numbers(compose(restrict(f, { rows: ids }), g)), scale);
        close(
          numbers(restrict(addMaps(f, g), { columns: ids })),
          numbers(addMaps(restrict(f, { columns: ids }), restrict(g, { columns: ids }))),
          scale,
        );
        close([entryOf(product, a % d, b % d)], [rows(product)[a % d]?.[b % d] as number], scale);
      }),
      runs(3),
    );
  });
});

describe("numbers about maps", () => {
  test("traces are linear, cyclic and the sum of the diagonal and of the eigenvalues; norms are never cycled but transposed", () => {
    fc.assert(
      fc.property(seeds, sizes, (seed, d) => {
        const [f, g] = [8, 9].map((i) => randomMap(seed + i, d)) as [Square, Square];
        const scale = scaleOf(f) * scaleOf(g) * d;
        close([traceOf(addMaps(f, g))], [traceOf(f) + traceOf(g)], scale);
        close([traceOf(compose(f, g))], [traceOf(compose(g, f))], scale);
        close([[...diagonalOf(f).data].reduce((s, x) => s + x, 0)], [traceOf(f)], scale);
        const { re } = eigenvaluesOf(f);
        close([[...re.data].reduce((s, x) => s + x, 0)], [traceOf(f)], scale);
        close([frobeniusNormOf(transpose(f))], [frobeniusNormOf(f)], scale);
        const squares = numbers(compose(f, g)).reduce((s, x) => s + x * x, 0);
        close([frobeniusNormOf(compose(f, g))], [Math.sqrt(squares)], scale);
      }),
      runs(4),
    );
  });

  test("singular values square to the squared norm, are those of the transpose, and the decomposition gives the map back", () => {
    fc.assert(
      fc.property(seeds, sizes, (seed, d) => {
        const f = randomMap(seed + 10, d);
        const scale = scaleOf(f);
        const { U, S, V } = svdOf(f);
        close([Math.sqrt([...S.data].reduce((s, x) => s + x * x, 0))], [frobeniusNormOf(f)], scale);
        close(singularValuesOf(f).data, S.data, scale);
        const back = rows(f).map((row, i) =>
          row.map((_, j) => [...S.data].reduce((s, x, c) => s + x * U.at(i, c) * V.at(j, c), 0)),
        );
        close(back.flat(), numbers(f), scale);
      }),
      runs(5),
    );
  });

  test("row and column statistics, largest entries, arg-max and ranks of the diagonal are those of the dense matrix", () => {
    fc.assert(
      fc.property(seeds, sizes, fc.integer({ min: 1, max: 4 }), (seed, d, k) => {
        const f = randomMap(seed + 11, d);
        const dense = rows(f);
        const columns = dense.map((_, c) => dense.map((row) => row[c] as number));
        for (const [found, lines] of [
          [rowStatistics(f), dense],
          [rowStatistics(transpose(f)), columns],
        ] as const) {
          const mean = lines.map((line) => line.reduce((a, b) => a + b, 0) / d);
          close(found.mean.data, mean, scaleOf(f));
          close(
            found.std.data,
            lines.map((line, i) => Math.sqrt(line.reduce((s, x) => s + (x - (mean[i] as number)) ** 2, 0) / d)),
            scaleOf(f),
          );
          close(
            found.norm.data,
            lines.map((line) => Math.hypot(...line)),
            scaleOf(f),
          );
          close(
            found.max.data,
            lines.map((line) => Math.max(...line)),
            scaleOf(f),
          );
          close(
            found.min.data,
            lines.map((line) => Math.min(...line)),
            scaleOf(f),
          );
        }
        const largest = (line: readonly number[]): number[] =>
          line
            .map((_, i) => i)
            .sort((a, b) => (line[b] as number) - (line[a] as number) || a - b)
            .slice(0, k);
        // Of a map of rank 1 or a multiple of the identity entries tie up to rounding: compare values, not places.
        const valuesAt = (found: { readonly values: Tensor }): number[] => [...found.values.data];
        close(
          valuesAt(topKPerRow(f, k)),
          dense.flatMap((line) => largest(line).map((i) => line[i] as number)),
          scaleOf(f),
        );
        close(
          valuesAt(topKPerRow(transpose(f), k)),
          columns.flatMap((line) => largest(line).map((i) => line[i] as number)),
          scaleOf(f),
        );
        const tops = topKPerRow(transpose(f), 1).indices.data;
        close(
          Array.from(tops, (row, c) => dense[row]?.[c] as number),
          columns.map((line) => Math.max(...line)),
          scaleOf(f),
        );
        const ranks = diagonalRanks(f).data;
        expect([...ranks].filter((rank) => rank < k).length / d).toBe(diagonalTopK(f, k));
        for (const [i, rank] of ranks.entries()) {
          const row = dense[i] as number[];
          const tolerance = 1e-9 * scaleOf(f);
          expect(rank).toBeGreaterThanOrEqual(row.filter((x) => x > (row[i] as number) + tolerance).length);
          expect(rank).toBeLessThan(row.filter((x) => x >= (row[i] as number) - tolerance).length);
        }
      }),
      runs(6),
    );
  });
});

test("columns and rows asked for, in their order; what does not exist is refused", () => {
  const f = linear("a", "a", { rows: 2, cols: 2, data: Float64Array.of(1, 5, 3, 2) });
  expect(topKPerRow(transpose(f), 1, { rows: [1, 0] }).indices.toNested()).toEqual([[0], [1]]);
  expect(topKPerRow(transpose(f), 1, { rows: [1] }).values.toNested()).toEqual([[5]]);
  expect(diagonalRanks(f, { rows: [1, 0, 1] }).toNested()).toEqual([1, 1, 1]);
  expect(() => topKPerRow(transpose(f), 1, { rows: [2] })).toThrow(
    "topKPerRow: row 2 is outside a* of [a*=2 -> a*=2]; it takes 0 to 1.",
  );
  const wide = linear("a", "b", { rows: 1, cols: 2, data: Float64Array.of(1, 5) });
  expect(() => diagonalRanks(wide as never)).toThrow("diagonalRanks: [a=1 -> b=2] is not square");
});
