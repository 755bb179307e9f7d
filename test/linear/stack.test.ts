/** Stacks of matrices: products, Gram matrices and norms of pairs, against sums written out. */
import { describe, expect, test } from "vitest";
import {
  gramOverMany,
  gramStack,
  multiplyStacks,
  oneOf,
  squaresOf,
  squaresOfPairs,
  stackOf,
  stackOfTensor,
  times,
  timesOverMany,
  transposedStack,
} from "../../src/linear/internal.ts";
import type { Stack } from "../../src/linear/internal.ts";
import { Random, Tensor } from "../../src/tensor/index.ts";

const random = new Random(11);
const numbers = (size: number, isDouble = true): Float32Array | Float64Array => {
  const data = Float64Array.from({ length: size }, () => random.normal());
  return isDouble ? data : Float32Array.from(data);
};
const at = ({ view }: Stack, h: number, i: number, j: number): number =>
  view.data[view.offset + h * view.batchStride + i * view.rowStride + j * view.colStride] ?? NaN;
/** `Σ_p a[h, i, p] b[h, p, j]`; one matrix serves all. */
const entry = (a: Stack, b: Stack, h: number, i: number, j: number): number => {
  let sum = 0;
  for (let p = 0; p < a.cols; p++) sum += at(a, h, i, p) * at(b, h, p, j);
  return sum;
};
function expectProduct(got: Stack, a: Stack, b: Stack, atol: number): void {
  for (let h = 0; h < got.count; h++)
    for (let i = 0; i < got.rows; i++)
      for (let j = 0; j < got.cols; j++)
        expect(Math.abs(at(got, h, i, j) - entry(a, b, h, i, j)), `${h} ${i} ${j}`).toBeLessThan(atol);
}

describe("products (8 roundings of sums below 30: 1e-13 in float64, 1e-4 in float32)", () => {
  test.each([true, false])("of row-major, transposed and single matrices, float64 %s", (isDouble) => {
    const a = stackOf(numbers(3 * 4 * 5, isDouble), [3, 4, 5]);
    const b = stackOf(numbers(3 * 5 * 2, isDouble), [3, 5, 2]);
    const shared = stackOf(numbers(5 * 5, isDouble), [1, 5, 5]);
    expectProduct(times(a, b), a, b, 1e-13);
    expectProduct(times(a, shared), a, shared, 1e-13);
    expectProduct(times(shared, b), shared, b, 1e-13);
    expectProduct(times(transposedStack(b), transposedStack(a)), transposedStack(b), transposedStack(a), 1e-13);
    expectProduct(gramStack(a), a, transposedStack(a), isDouble ? 1e-13 : 1e-4);
    const second = oneOf(a, 1);
    expect(at(second, 7, 2, 3)).toBe(at(a, 1, 2, 3));
  });

  test("of heads side by side, into heads side by side, added to what is there", () => {
    const [heads, rows, k] = [2, 3, 4];
    const a = stackOf(numbers(rows * heads * k), [heads, rows, k], { row: heads * k, step: k });
    const b = stackOf(numbers(heads * k * k), [heads, k, k]);
    const data = new Float64Array(1 + rows * heads * k).fill(1);
    const into = stackOf(data, [heads, rows, k], { offset: 1, row: heads * k, step: k });
    multiplyStacks(a, b, into, true);
    for (let h = 0; h < heads; h++)
      for (let i = 0; i < rows; i++)
        for (let j = 0; j < k; j++) expect(at(into, h, i, j)).toBeCloseTo(1 + entry(a, b, h, i, j), 12);
    expect(data[0]).toBe(1);
  });

  test("a tensor of matrices and a tensor that is one", () => {
    const W = Tensor.from("head d_model d_head", [2, 3, 2], numbers(12));
    expect(at(stackOfTensor(W), 1, 2, 1)).toBe(W.at(1, 2, 1));
    const one = Tensor.from("d_vocab d_model", [3, 2], numbers(6));
    expect(at(stackOfTensor(one), 5, 2, 1)).toBe(one.at(2, 1));
  });
});

describe("sums over many terms", () => {
  // 240 x 240 x 4,700 multiply-adds are beyond those from which on float32 is used, in two parts of 4,096 terms at most, which are off
  // by less than 1e-2 where numbers are of size 1.
  test.each([[30], [4700]])("of float32 numbers, %d", (k) => {
    const n = 240;
    const a = stackOf(numbers(n * k, false), [1, n, k]);
    const b = stackOf(numbers(k * n, false), [1, k, n]);
    const [product, gram] = [timesOverMany(a, b), gramOverMany(a)];
    for (const [i, j] of [
      [0, 0],
      [17, 99],
      [n - 1, 3],
    ] as const) {
      expect(Math.abs((product[i * n + j] ?? NaN) - entry(a, b, 0, i, j))).toBeLessThan(k < 100 ? 1e-11 : 1e-2);
      expect(Math.abs((gram[i * n + j] ?? NaN) - entry(a, transposedStack(a), 0, i, j))).toBeLessThan(
        k < 100 ? 1e-4 : 2e-2,
      );
    }
  });
});

describe("squares", () => {
  test("of matrices, and of the products of pairs from a first partner on", () => {
    expect([...squaresOf(Float32Array.of(1, 2, 2, 0, 3, 4), 2)]).toEqual([9, 25]);
    const [a, b] = [stackOf(numbers(2 * 3 * 7), [2, 3, 7]), stackOf(numbers(3 * 3 * 7), [3, 3, 7])];
    const rows: number[] = [];
    const squares = squaresOfPairs(a, b, Int32Array.of(0, 2), (done) => rows.push(done));
    for (let i = 0; i < 2; i++) {
      for (let j = i === 0 ? 0 : 2; j < 3; j++) {
        let want = 0;
        for (let e = 0; e < 3; e++)
          for (let f = 0; f < 3; f++) want += entry(oneOf(a, i), transposedStack(oneOf(b, j)), 0, e, f) ** 2;
        expect(squares[i * 3 + j]).toBeCloseTo(want, 10);
      }
    }
    expect(rows.at(-1)).toBe(7);
  });
});
