import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AxisError, InputError, ShapeError } from "../../../src/errors.ts";
import { Random } from "../../../src/tensor/index.ts";
import {
  compose,
  diagonalTopK,
  identityMap,
  type Linear,
  rowStatistics,
  topKOfRow,
  topKOverall,
  topKPerRow,
  transpose,
} from "../../../src/linear/index.ts";
import { eye, flip, map, type Rows, times } from "../dense-reference.ts";

/** Small integers times small integers: products are exact, so ties are exact, and there are many. */
function tiedFactors(seed: number, rows: number, inner: number, cols: number): { a: number[][]; b: number[][] } {
  const random = new Random(seed);
  const draw = (m: number, n: number): number[][] =>
    Array.from({ length: m }, () => Array.from({ length: n }, () => random.int(3) - 1));
  return { a: draw(rows, inner), b: draw(inner, cols) };
}

interface Tied {
  readonly f: Linear<"d", "d">;
  readonly dense: Rows;
}

const sizes = fc.record({
  rows: fc.integer({ min: 1, max: 40 }),
  inner: fc.integer({ min: 1, max: 4 }),
  cols: fc.integer({ min: 1, max: 40 }),
  seed: fc.nat({ max: 100000 }),
});
const tied = sizes.map(({ rows, inner, cols, seed }): Tied => {
  const { a, b } = tiedFactors(seed, rows, inner, cols);
  return { f: compose(map("d", "k", a), map("k", "d", b)), dense: times(a, b) };
});
const tiedSquare = sizes.map(({ rows, inner, seed }): Tied => {
  const { a, b } = tiedFactors(seed, rows, inner, rows);
  return { f: compose(map("d", "k", a), map("k", "d", b)), dense: times(a, b) };
});

/** Indices by descending value, ties by ascending index: a full stable sort. */
function order(line: readonly number[]): number[] {
  return line.map((_, j) => j).sort((i, j) => (line[j] as number) - (line[i] as number) || i - j);
}

describe("against a full sort (seeded; integer matrices, so equality is exact and ties are many)", () => {
  test("topKPerRow", () => {
    fc.assert(
      fc.property(tied, fc.integer({ min: 1, max: 50 }), ({ f, dense }, k) => {
        const { indices, values } = topKPerRow(f, k);
        const expected = dense.map((row) => order(row).slice(0, k));
        expect(indices.toNested()).toEqual(expected);
        expect(values.toNested()).toEqual(expected.map((columns, i) => columns.map((j) => dense[i]?.[j])));
        expect([indices.axes, indices.dtype, values.dtype]).toEqual(["d rank", "int32", "float64"]);
      }),
      { seed: 61, numRuns: 60 },
    );
  });

  test("topKOfRow, of rows and of columns", () => {
    fc.assert(
      fc.property(tied, fc.integer({ min: 1, max: 50 }), fc.nat(), ({ f, dense }, k, at) => {
        const row = at % f.rows;
        const line = dense[row] as number[];
        expect(topKOfRow(f, row, k)).toEqual(
          order(line)
            .slice(0, k)
            .map((column) => ({ row, column, value: line[column] })),
        );
        const column = at % f.cols;
        const down = flip(dense)[column] as number[];
        expect(topKOfRow(transpose(f), column, k)).toEqual(
          order(down)
            .slice(0, k)
            .map((i) => ({ row: column, column: i, value: down[i] })),
        );
      }),
      { seed: 62, numRuns: 60 },
    );
  });

  test("topKOverall", () => {
    fc.assert(
      fc.property(tied, fc.integer({ min: 1, max: 60 }), ({ f, dense }, k) => {
        const expected = order(dense.flat())
          .slice(0, k)
          .map((place) => {
            const [row, column] = [Math.floor(place / f.cols), place % f.cols];
            return { row, column, value: dense[row]?.[column] };
          });
        expect(topKOverall(f, k)).toEqual(expected);
      }),
      { seed: 63, numRuns: 60 },
    );
  });

  test("diagonalTopK", () => {
    fc.assert(
      fc.property(tiedSquare, fc.integer({ min: 1, max: 50 }), ({ f, dense }, k) => {
        const hits = dense.filter((row, i) => order(row).slice(0, k).includes(i)).length;
        expect(diagonalTopK(f, k)).toBe(hits / dense.length);
      }),
      { seed: 64, numRuns: 60 },
    );
  });

  test("some rows only, in the order asked for, with repeats", () => {
    fc.assert(
      fc.property(tiedSquare, fc.array(fc.nat({ max: 999 }), { minLength: 1, maxLength: 9 }), ({ f, dense }, ids) => {
        const rows = ids.map((id) => id % f.rows);
        expect(topKPerRow(f, 2, { rows }).indices.toNested()).toEqual(
          rows.map((i) => order(dense[i] as number[]).slice(0, 2)),
        );
        const hits = rows.filter((i) => order(dense[i] as number[])[0] === i).length;
        expect(diagonalTopK(f, 1, { rows })).toBe(hits / rows.length);
        const best = topKOverall(f, 1, { rows })[0];
        expect(best?.value).toBe(Math.max(...rows.flatMap((i) => dense[i] as number[])));
        expect(rows).toContain(best?.row);
        expect(dense[best?.row ?? -1]?.[best?.column ?? -1]).toBe(best?.value);
      }),
      { seed: 65, numRuns: 60 },
    );
  });
});

describe("worked by hand", () => {
  test("the diagonal of the identity is always the largest; of a permutation without fixed points never", () => {
    expect(diagonalTopK(identityMap("d_vocab", 30), 1)).toBe(1);
    const shift = eye(30).map((row, i) => row.map((_, j) => (j === (i + 1) % 30 ? 1 : 0)));
    expect(diagonalTopK(map("d_vocab", "d_vocab", shift), 1)).toBe(0);
    // Behind the 1 all 29 zeros tie, lower columns first: the diagonal of row i is number i + 2, and number 29 + 1 in row 29,
    // where the 1 lies in column 0.
    expect(diagonalTopK(map("d_vocab", "d_vocab", shift), 2)).toBe(1 / 30);
    expect(diagonalTopK(map("d_vocab", "d_vocab", shift), 30)).toBe(1);
    expect(diagonalTopK(map("d_vocab", "d_vocab", shift), 100)).toBe(1);
  });

  test("a map to the dual has a diagonal too", () => {
    expect(
      diagonalTopK(
        map("d", "d*", [
          [2, 1],
          [3, 1],
        ]),
      ),
    ).toBe(0.5);
  });

  test("negative zero ties with zero", () => {
    const f = map("a", "b", [
      [-0, 0, -0],
      [0, -0, 1],
    ]);
    expect(topKPerRow(f, 3).indices.toNested()).toEqual([
      [0, 1, 2],
      [2, 0, 1],
    ]);
    expect(topKOverall(f, 3).map(({ row, column }) => [row, column])).toEqual([
      [1, 2],
      [0, 0],
      [0, 1],
    ]);
  });

  test("infinities are ordered, NaN comes last", () => {
    const f = map("a", "b", [[Number.NaN, -Infinity, 3, Infinity]]);
    expect(topKPerRow(f, 2).indices.toNested()).toEqual([[3, 2]]);
    expect(topKOverall(f, 2).map(({ column }) => column)).toEqual([3, 2]);
    // Whichever side is the narrow one: the other half is the identity, and 0 times an infinity would be NaN.
    const numbers = [
      [Infinity, 1, 2],
      [3, -Infinity, Number.NaN],
    ];
    for (const rows of [numbers, [...numbers, [0, 0, 0], [5, 4, -1]]]) {
      const wider = map("a", "b", rows);
      expect((topKPerRow(wider, 2).values.toNested() as number[][]).slice(0, 2)).toEqual([
        [Infinity, 2],
        [3, -Infinity],
      ]);
      expect(topKPerRow(wider, 1).indices.at(1, 0)).toBe(0);
      expect(topKPerRow(transpose(wider), 1).values.data.slice(0, 1)).toEqual(Float64Array.of(Infinity));
      const largest = topKOverall(wider, 4).map(({ value }) => value);
      expect(largest).toEqual(rows.length === 2 ? [Infinity, 3, 2, 1] : [Infinity, 5, 4, 3]);
    }
  });

  test("sizes 1 and 0", () => {
    expect(topKPerRow(map("a", "b", [[7]]), 5).values.toNested()).toEqual([[7]]);
    expect(topKPerRow(map("a", "b", [[7]]), 5, { rows: [] }).indices.shape).toEqual([0, 1]);
    expect(topKOverall(map("a", "b", [[7]]), 5, { rows: [] })).toEqual([]);
    expect(diagonalTopK(map("a", "a", [[7]]), 1, { rows: [] })).toBeNaN();
  });
});

describe("progress and stopping", () => {
  // 2^18 columns make bands of four rows.
  const wide: Linear = compose(
    map(
      "a",
      "k",
      Array.from({ length: 10 }, (_, i) => [i]),
    ),
    map("k", "b", [Array.from({ length: 2 ** 18 }, (_, j) => (j === 99 ? 1 : 0))]),
  );

  test.each([
    ["topKPerRow", (options: object) => topKPerRow(wide, 1, options)],
    ["topKOverall", (options: object) => topKOverall(wide, 1, options)],
    ["rowStatistics", (options: object) => rowStatistics(wide, options)],
  ])("%s reports after each band, ascending to the total", (_, ask) => {
    const seen: [number, number][] = [];
    ask({ onProgress: (done: number, total: number) => seen.push([done, total]) });
    expect(seen).toEqual([
      [4, 10],
      [8, 10],
      [10, 10],
    ]);
  });

  test("bands do not change the answer", () => {
    const { indices, values } = topKPerRow(wide, 1);
    expect(indices.toNested()).toEqual([[0], ...Array.from({ length: 9 }, () => [99])]);
    expect(values.toNested()).toEqual(Array.from({ length: 10 }, (_, i) => [i]));
  });

  test("a signal aborted before the call stops it at once, with its reason", () => {
    const reason = new Error("the user went away");
    expect(() => topKPerRow(wide, 1, { signal: AbortSignal.abort(reason) })).toThrow(reason);
  });

  test("a signal aborted by onProgress stops after that band", () => {
    const controller = new AbortController();
    const seen: number[] = [];
    const onProgress = (done: number): void => {
      seen.push(done);
      controller.abort();
    };
    let caught: unknown;
    try {
      topKOverall(wide, 1, { signal: controller.signal, onProgress });
    } catch (error) {
      caught = error;
    }
    expect((caught as Error).name).toBe("AbortError");
    expect(seen).toEqual([4]);
  });
});

describe("refusals", () => {
  const f: Linear = map("d", "d", eye(2));

  test.each([0, -1, 1.5, Number.NaN, Infinity])("k = %s", (k) => {
    const text = `k is ${k}; ask for a positive whole number of entries.`;
    for (const [name, ask] of [
      ["topKPerRow", () => topKPerRow(f, k)],
      ["topKOverall", () => topKOverall(f, k)],
      ["topKOfRow", () => topKOfRow(f, 0, k)],
      ["diagonalTopK", () => diagonalTopK(f, k)],
    ] as const) {
      expect(ask).toThrow(InputError);
      expect(ask).toThrow(`${name}: ${text}`);
    }
  });

  test("rows that do not exist, and diagonals that do not", () => {
    expect(() => topKPerRow(f, 1, { rows: [2] })).toThrow(
      "topKPerRow: row 2 is outside d of [d=2 -> d=2]; it takes 0 to 1.",
    );
    expect(() => topKOfRow(f, 2, 1)).toThrow("topKOfRow: row 2 is outside d of [d=2 -> d=2]; it takes 0 to 1.");
    expect(() => diagonalTopK(map("a", "b", [[1, 2]]) as Linear)).toThrow(ShapeError);
    expect(() => diagonalTopK(map("a", "b", eye(2)) as Linear)).toThrow(AxisError);
  });
});
