/**
 * Plain float64 matrices as arrays of rows, and the maps of the same numbers: the reference that the tests compare
 * with.
 */
import { expect } from "vitest";
import fc from "fast-check";
import { Random, Tensor } from "../../src/tensor/index.ts";
import { type Linear, linear, toDense } from "../../src/linear/index.ts";

export type Rows = readonly (readonly number[])[];

export function times(a: Rows, b: Rows): number[][] {
  const columns = flip(b);
  return a.map((row) =>
    columns.map((column) => {
      let sum = 0;
      for (let p = 0; p < row.length; p++) sum += (row[p] as number) * (column[p] as number);
      return sum;
    }),
  );
}

export function product(matrices: readonly Rows[]): number[][] {
  const [first, ...rest] = matrices;
  return rest.reduce<number[][]>(
    (sofar, next) => times(sofar, next),
    (first as Rows).map((row) => [...row]),
  );
}

export function flip(a: Rows): number[][] {
  return Array.from({ length: a[0]?.length ?? 0 }, (_, j) => a.map((row) => row[j] as number));
}

export function plus(a: Rows, b: Rows): number[][] {
  return a.map((row, i) => row.map((x, j) => x + ((b[i] as number[])[j] as number)));
}

export function traceOfRows(a: Rows): number {
  return a.reduce((sum, row, i) => sum + (row[i] as number), 0);
}

export function normOfRows(a: Rows): number {
  return Math.sqrt(a.flat().reduce((sum, x) => sum + x * x, 0));
}

export function eye(n: number): number[][] {
  return Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)));
}

export function randomRows(random: Random, rows: number, cols: number): number[][] {
  return Array.from({ length: rows }, () => Array.from({ length: cols }, () => random.normal()));
}

export function map<In extends string, Out extends string>(inSpace: In, outSpace: Out, rows: Rows): Linear<In, Out> {
  return linear(inSpace, outSpace, Tensor.fromNested("rows cols", rows, "float64"));
}

/** A map whose matrix lies column by column inside a longer float64 storage: same numbers, other strides and offset. */
export function stridedMap<In extends string, Out extends string>(
  inSpace: In,
  outSpace: Out,
  rows: Rows,
): Linear<In, Out> {
  const [m, n] = [rows.length, rows[0]?.length ?? 0];
  const storage = new Float64Array(2 * m * n + 3).fill(Number.NaN);
  for (const [i, row] of rows.entries()) for (const [j, x] of row.entries()) storage[3 + 2 * (j * m + i)] = x;
  return linear(
    inSpace,
    outSpace,
    Tensor.view("rows cols", storage, { shape: [m, n], strides: [2, 2 * m], offset: 3 }),
  );
}

/**
 * A chain of 2 to 5 random matrices with sizes from 1 to 12, some of them strided, as rows and as maps `s0 -> s1 ->
 * …`.
 */
export interface Chain {
  readonly matrices: readonly Rows[];
  readonly maps: readonly Linear[];
}

export function chains(options: { readonly square?: boolean } = {}): fc.Arbitrary<Chain> {
  const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 3, maxLength: 6 });
  return fc.tuple(sizes, fc.integer({ min: 0, max: 2 ** 32 - 1 })).map(([given, seed]) => {
    const random = new Random(seed);
    const ends = options.square === true ? [...given.slice(0, -1), given[0] as number] : given;
    const space = (t: number): string => (options.square === true && t === ends.length - 1 ? "s0" : `s${t}`);
    const matrices = ends.slice(1).map((cols, t) => randomRows(random, ends[t] as number, cols));
    const maps = matrices.map((rows, t): Linear => {
      const make = t % 2 === 0 ? map : stridedMap;
      return make(space(t), space(t + 1), rows);
    });
    return { matrices, maps };
  });
}

/**
 * Deviation of a map from its matrix, relative to the product of the norms of the factors, which bounds the rounding.
 */
export function expectMap(f: Linear, expected: Rows, scale: number, bound = 1e-13): void {
  expect([f.rows, f.cols]).toEqual([expected.length, expected[0]?.length ?? 0]);
  expectNumbers(toDense(f).data, expected.flat(), scale, bound);
}

/** Every number within `bound * scale` of the one expected. */
export function expectNumbers(
  actual: ArrayLike<number>,
  expected: readonly number[],
  scale: number,
  bound = 1e-13,
): void {
  expect(actual.length).toBe(expected.length);
  for (const [t, x] of expected.entries()) {
    const deviation = Math.abs((actual[t] as number) - x);
    if (!(deviation <= bound * Math.max(scale, Number.MIN_VALUE))) {
      expect.fail(`entry ${t} is ${actual[t]}, expected ${x}: off by ${deviation}, more than ${bound} of ${scale}`);
    }
  }
}

export function total(numbers: ArrayLike<number>): number {
  return Array.from(numbers).reduce((sum, x) => sum + x, 0);
}

/** The product of the norms of some matrices: what rounding errors of their product are measured against. */
export function scaleOf(matrices: readonly Rows[]): number {
  return matrices.reduce((product, rows) => product * normOfRows(rows), 1);
}
