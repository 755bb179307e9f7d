import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { Random } from "../../src/tensor/index.ts";
import {
  addMaps,
  compose,
  composeAll,
  diagonalOf,
  entryOf,
  frobeniusNormOf,
  identityMap,
  type Linear,
  restrict,
  rowsOf,
  rowStatistics,
  scaleMap,
  toDense,
  transpose,
} from "../../src/linear/index.ts";
import { chains, expectMap, expectNumbers, map, product, randomRows, scaleOf } from "./dense-reference.ts";

const idLists = fc.array(fc.nat({ max: 1000 }), { maxLength: 6 });

describe("slices agree with the multiplied-out matrix (seeded, within 1e-13 of the factors' norms)", () => {
  test.each(["before", "after"])("rows, columns and entries, asked %s the halves are known", (when) => {
    fc.assert(
      fc.property(chains(), idLists, idLists, ({ matrices, maps }, rowIds, columnIds) => {
        const dense = product(matrices);
        const f = scaleMap(addMaps(composeAll(maps), map(maps[0]?.in ?? "", maps.at(-1)?.out ?? "", dense)), 0.5);
        if (when === "after") frobeniusNormOf(f);
        const scale = scaleOf(matrices);
        const rows = rowIds.map((id) => id % f.rows);
        const columns = columnIds.map((id) => id % f.cols);
        const taken = rows.map((i) => dense[i] as number[]);
        const takenColumns = dense.map((row) => columns.map((j) => row[j] as number));
        expect(rowsOf(f, rows).shape).toEqual([rows.length, f.cols]);
        expectNumbers(rowsOf(f, rows).data, taken.flat(), scale);
        expectNumbers(toDense(restrict(f, { columns })).data, takenColumns.flat(), scale);
        if (rows.length > 0) expectMap(restrict(f, { rows }), taken, scale);
        const both = rows.flatMap((i) => columns.map((j) => dense[i]?.[j] as number));
        expectNumbers(toDense(restrict(f, { rows, columns })).data, both, scale);
        for (const [t, i] of rows.entries()) {
          const j = columns[t];
          if (j !== undefined) expectNumbers([entryOf(f, i, j)], [dense[i]?.[j] ?? 0], scale);
        }
      }),
      { seed: 51, numRuns: 50 },
    );
  });

  test("the diagonal", () => {
    fc.assert(
      fc.property(chains({ square: true }), ({ matrices, maps }) => {
        const diagonal = diagonalOf(composeAll(maps));
        expect(diagonal.axes).toBe("s0");
        expectNumbers(
          diagonal.data,
          product(matrices).map((row, i) => row[i] as number),
          scaleOf(matrices),
        );
      }),
      { seed: 52, numRuns: 40 },
    );
  });

  test("row and column statistics", () => {
    fc.assert(
      fc.property(chains(), ({ matrices, maps }) => {
        const f = composeAll(maps);
        const dense = product(matrices);
        const scale = scaleOf(matrices);
        const mean = (xs: readonly number[]): number => xs.reduce((sum, x) => sum + x, 0) / xs.length;
        const columns = Array.from({ length: f.cols }, (_, j) => dense.map((row) => row[j] as number));
        for (const [found, lines, space] of [
          [rowStatistics(f), dense, f.in],
          [rowStatistics(transpose(f)), columns, `${f.out}*`],
        ] as const) {
          expect(found.mean.axes).toBe(space);
          expectNumbers(found.mean.data, lines.map(mean), scale);
          expectNumbers(
            found.max.data,
            lines.map((line) => Math.max(...line)),
            scale,
          );
          expectNumbers(
            found.min.data,
            lines.map((line) => Math.min(...line)),
            scale,
          );
        }
        const last = f.cols - 1;
        expectNumbers(
          rowStatistics(transpose(f), { rows: [last] }).max.data,
          [Math.max(...(columns[last] ?? []))],
          scale,
        );
      }),
      { seed: 53, numRuns: 40 },
    );
  });
});

describe("slices, worked by hand", () => {
  const f = map("a", "b", [
    [1, 2, 3],
    [4, 5, 6],
  ]);

  test("keep the order asked for, and repeats", () => {
    expect(rowsOf(f, [1, 0, 1]).toNested()).toEqual([
      [4, 5, 6],
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(toDense(restrict(f, { columns: Int32Array.of(2, 2, 0) })).toNested()).toEqual([
      [3, 3, 1],
      [6, 6, 4],
    ]);
    expect(rowsOf(f, []).shape).toEqual([0, 3]);
  });

  test("restricting keeps spaces and factors: evenly spaced ids are views", () => {
    const g = restrict(compose(f, map("b", "c", [[1], [1], [1]])), { rows: [1, 0] });
    expect([g.in, g.out, g.rows, g.factors.length]).toEqual(["a", "c", 2, 2]);
    const factor = g.factors[0];
    const original = f.factors[0];
    expect(factor?.kind === "matrix" && original?.kind === "matrix" && factor.data === original.data).toBe(true);
    expect(toDense(g).toNested()).toEqual([[15], [6]]);
  });

  test("rows of the identity and of sums with it", () => {
    const random = new Random(54);
    const rows = randomRows(random, 5, 5);
    const sum = addMaps(identityMap("d", 5), map("d", "d", rows));
    expect(rowsOf(identityMap("d", 5), [4, 1, 3]).toNested()).toEqual([
      [0, 0, 0, 0, 1],
      [0, 1, 0, 0, 0],
      [0, 0, 0, 1, 0],
    ]);
    expectNumbers(
      toDense(restrict(sum, { columns: [3, 0, 4] })).data,
      rows.flatMap((row, i) => [3, 0, 4].map((j) => (row[j] as number) + (i === j ? 1 : 0))),
      10,
    );
  });
});

describe("refusals of ids", () => {
  const f: Linear = map("a", "b", [
    [1, 2, 3],
    [4, 5, 6],
  ]);

  test.each([
    ["rowsOf", () => rowsOf(f, [0, 2]), "row 2 is outside a of [a=2 -> b=3]; it takes 0 to 1."],
    ["restrict", () => restrict(f, { rows: [-1] }), "row -1 is outside a of [a=2 -> b=3]; it takes 0 to 1."],
    ["restrict", () => restrict(f, { columns: [0.5] }), "column 0.5 is outside b of [a=2 -> b=3]; it takes 0 to 2."],
    ["entryOf", () => entryOf(f, 2, 0), "row 2 is outside a of [a=2 -> b=3]; it takes 0 to 1."],
    ["entryOf", () => entryOf(f, 0, NaN), "column NaN is outside b of [a=2 -> b=3]; it takes 0 to 2."],
    ["rowStatistics", () => rowStatistics(f, { rows: [7] }), "row 7 is outside a of [a=2 -> b=3]; it takes 0 to 1."],
  ])("%s: %#", (name, action, text) => {
    expect(action).toThrow(InputError);
    expect(action).toThrow(`${name}: ${text}`);
  });
});
