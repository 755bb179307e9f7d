/** Tensor products against dense Kronecker products and nested loops; float64 throughout, 1e-9 relative unless said. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addMaps,
  applyMap,
  applyProduct,
  applySum,
  composeProducts,
  countTerms,
  expandSums,
  identityMap,
  linear,
  onFeatures,
  positionMatrixOf,
  scalePositions,
  scaleProduct,
  sumProducts,
  tensorProduct,
  toDense,
  toDenseKronecker,
} from "../../../src/linear/index.ts";
import type { Linear, TensorProduct, TensorSum } from "../../../src/linear/index.ts";
import { AxisError, InputError, ShapeError } from "../../../src/errors.ts";
import { add, batchMatmul, matmul, randomNormal, Tensor } from "../../../src/tensor/index.ts";
import { expectClose } from "../../support/golden.ts";

type Matrix = readonly (readonly number[])[];
const seeds = fc.integer({ min: 0, max: 1e6 });
const runs = (seed: number, numRuns = 40): { seed: number; numRuns: number } => ({ seed, numRuns });
const tight = { atol: 1e-9, rtol: 1e-9 };

const matrixOf = (rows: number, cols: number, seed: number): Tensor =>
  randomNormal("rows cols", [rows, cols], { seed, dtype: "float64" });
const pattern = (rows: number, cols: number, seed: number): Tensor<"query_pos key_pos"> =>
  Tensor.from("query_pos key_pos", [rows, cols], matrixOf(rows, cols, seed).data);
/** A map of width 2 in the middle, so that the halves are not the whole. */
const narrow = (rows: number, cols: number, seed: number): Linear<"d_model", "d_model"> => {
  const [a, b] = [matrixOf(rows, 2, seed), matrixOf(2, cols, seed + 1)];
  return linear(
    "d_model",
    "d_model",
    Tensor.from("a b", [rows, cols], matmul(a, b.rename("cols", "out").rename("rows", "cols")).data),
  );
};
const stream = (batch: number, pos: number, d: number, seed: number): Tensor<"batch pos d_model"> =>
  randomNormal("batch pos d_model", [batch, pos, d], { seed, dtype: "float64" });

/** Kronecker product by its definition. */
const kron = (A: Matrix, B: Matrix): Matrix =>
  A.flatMap((row) => B.map((other) => row.flatMap((a) => other.map((b) => a * b))));
const transposed = (A: Matrix): Matrix => (A[0] ?? []).map((_, j) => A.map((row) => row[j] as number));
const nested = (t: Tensor): Matrix => t.toNested() as number[][];

describe("A ⊗ W on streams", () => {
  test("is A x W, prompt by prompt, for patterns of each prompt and for one of all (1e-9)", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }), (seed, pos, d) => {
        const A = randomNormal("batch query_pos key_pos", [2, pos, pos], { seed, dtype: "float64" });
        const W = narrow(d, d, seed + 5);
        const x = stream(2, pos, d, seed + 9);
        const moved = batchMatmul(A, x.rename("pos", "key_pos")).rename("query_pos", "pos");
        expectClose(applyProduct(x, tensorProduct(A, W)), applyMap(moved, W), tight);
        const shared: Tensor<"query_pos key_pos"> = A.select("batch", 1);
        const second = x.slice("batch", 1, 2);
        expectClose(
          applyProduct(second, tensorProduct(shared, W)).data,
          applyMap(moved.slice("batch", 1, 2), W).data,
          tight,
        );
      }),
      runs(1),
    );
  });

  test("as a vector, row after row, it is kron(A, Wᵀ), the Kronecker product with the paper's W (P10, 1e-9)", () => {
    fc.assert(
      fc.property(
        seeds,
        fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
        (seed, [queries, keys, d]) => {
          const A = pattern(queries, keys, seed);
          const W = linear("d_model", "out", matrixOf(d, 3, seed + 1));
          const product = tensorProduct(A, W);
          const K = kron(nested(A), transposed(nested(toDense(W))));
          expectClose(toDenseKronecker(product).data, K.flat(), tight);
          const x = stream(1, keys, d, seed + 2);
          const vector = [...x.data];
          const image = K.map((row) => row.reduce((s, k, i) => s + k * (vector[i] as number), 0));
          expectClose(applyProduct(x, product).data, image, tight);
        },
      ),
      runs(2),
    );
  });

  test("composes by the mixed product rule: (B ⊗ Z)(A ⊗ W) = BA ⊗ WZ, applied and as matrices (P9, 1e-9)", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), (seed, pos, d) => {
        const [A, B] = [pattern(pos, pos, seed), pattern(pos, pos, seed + 1)];
        const [W, Z] = [narrow(d, d, seed + 2), narrow(d, d, seed + 4)];
        const [f, g] = [tensorProduct(A, W), tensorProduct(B, Z)];
        const both = composeProducts(f, g);
        const x = stream(2, pos, d, seed + 6);
        expectClose(applyProduct(x, both), applyProduct(applyProduct(x, f), g), tight);
        const K = matmul(
          toDenseKronecker(g),
          toDenseKronecker(f).rename("target", "source_").rename("source", "end").rename("source_", "source"),
        );
        expectClose(toDenseKronecker(both).data, K.data, tight);
        const BA = matmul(B, A.rename("query_pos", "key_pos_").rename("key_pos", "end").rename("key_pos_", "key_pos"));
        expectClose(positionMatrixOf(both).data, BA.data, tight);
      }),
      runs(3),
    );
  });

  test("Id ⊗ W and diag(s) ⊗ Id, before and after others (1e-9)", () => {
    const x = stream(2, 3, 4, 7);
    const W = narrow(4, 4, 8);
    expectClose(applyProduct(x, onFeatures(W)), applyMap(x, W), tight);
    const s = Tensor.fromNested(
      "batch pos",
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      "float64",
    );
    const scaled = applyProduct(x, composeProducts(scalePositions(s, "d_model", 4), onFeatures(W)));
    const byHand = applyMap(x, W).data.map((v, t) => v * (s.data[Math.floor(t / 4)] as number));
    expectClose(scaled.data, byHand, tight);
    const last = applyProduct(x, composeProducts(tensorProduct(pattern(3, 3, 9), W), scalePositions(s, "d_model", 4)));
    const moved = applyProduct(x, tensorProduct(pattern(3, 3, 9), W)).data;
    expectClose(
      last.data,
      moved.map((v, t) => v * (s.data[Math.floor(t / 4)] as number)),
      tight,
    );
    expectClose(
      positionMatrixOf(scalePositions(s, "d_model", 4)).select("batch", 1).data,
      [4, 0, 0, 0, 5, 0, 0, 0, 6],
      tight,
    );
    expectClose(positionMatrixOf(onFeatures(W), 2).data, [1, 0, 0, 1], tight);
  });

  test("a causal convolution is a sum of shifts, each with a matrix: Σ_v shift_v ⊗ W_v (P33, 1e-9)", () => {
    const [pos, d] = [6, 3];
    const kernel = [0, 1, 2].map((v) => linear("d_model", "d_model", matrixOf(d, d, 20 + v)));
    const shift = (v: number): Tensor<"query_pos key_pos"> =>
      Tensor.from(
        "query_pos key_pos",
        [pos, pos],
        Array.from({ length: pos * pos }, (_, t) => (Math.floor(t / pos) - v === t % pos ? 1 : 0)),
      );
    const convolution = sumProducts(
      kernel.map((W, v) => ({ label: `shift ${v}`, product: tensorProduct(shift(v), W) })),
    );
    const x = stream(1, pos, d, 30);
    const y = applySum(x, convolution);
    for (let i = 0; i < pos; i++) {
      for (let c = 0; c < d; c++) {
        let sum = 0;
        for (const [v, W] of kernel.entries()) {
          for (let r = 0; i - v >= 0 && r < d; r++) sum += x.at(0, i - v, r) * toDense(W).at(r, c);
        }
        expect(Math.abs(y.at(0, i, c) - sum)).toBeLessThan(1e-9);
      }
    }
  });

  test("float32 streams give float32; multiples multiply; the identity changes nothing", () => {
    const x = Tensor.fromNested("batch pos d_model", [[[1, 2]]]);
    const identity = onFeatures(identityMap("d_model", 2));
    expect(applyProduct(x, identity).dtype).toBe("float32");
    expect(applyProduct(x, scaleProduct(identity, 3)).toNested()).toEqual([[[3, 6]]]);
    expect([identity.isIdentity, scaleProduct(identity, 3).isIdentity, onFeatures(narrow(2, 2, 1)).isIdentity]).toEqual(
      [true, false, false],
    );
    expect(String(identity)).toBe("TensorProduct Id ⊗ [d_model=2 -> d_model=2]");
  });
});

describe("sums written out", () => {
  const identity = { label: "Id", product: onFeatures(identityMap("d_model", 3)) };
  const factor = (names: readonly string[], seed: number): TensorSum<"d_model", "d_model"> =>
    sumProducts([
      identity,
      ...names.map((label, i) => ({
        label,
        product: tensorProduct(pattern(4, 4, seed + i), narrow(3, 3, seed + 10 + i)),
      })),
    ]);
  const factors = [factor(["a", "b"], 1), factor(["c"], 40), factor(["d", "e"], 80)];

  test("one choice from each factor, by order and then place; they sum to the product (1e-9)", () => {
    const terms = expandSums(factors);
    expect(terms.map(({ label }) => label)).toEqual(
      "Id a b c d e a→c a→d a→e b→c b→d b→e c→d c→e a→c→d a→c→e b→c→d b→c→e".split(" "),
    );
    expect(terms.map(({ order, parts }) => order === parts.length)).not.toContain(false);
    const x = stream(2, 4, 3, 99);
    const applied = factors.reduce<Tensor<"batch pos d_model">>((y, sum) => applySum(y, sum), x);
    const summed = terms.map(({ product }) => applyProduct(x, product)).reduce((a, b) => add(a, b));
    expectClose(summed, applied, tight);
  });

  test("counted without writing out, cut at an order, and refused where they are too many", () => {
    expect([0, 1, 2, 3].map((order) => countTerms(factors, order))).toEqual([1, 6, 14, 18]);
    expect(countTerms(Array.from({ length: 12 }, () => factor([..."abcdefghijkl"], 1)))).toBe(13 ** 12);
    expect(expandSums(factors, { maxOrder: 1 })).toHaveLength(6);
    expect(() => expandSums(factors, { maxTerms: 10 })).toThrow(InputError);
    expect(() => expandSums(factors, { maxTerms: 10 })).toThrow(
      "expandSums: the product has 18 terms of at most 3 factors, more than maxTerms=10. Lower maxOrder, apply the sums one by one with applySum, or raise maxTerms.",
    );
    expect(() => expandSums([])).toThrow("expandSums: there are no factors to multiply out. Give at least one sum.");
  });

  test("terms of equal positions add on the feature side: A ⊗ W + A ⊗ Z = A ⊗ (W + Z) (1e-9)", () => {
    const A = pattern(4, 4, 3);
    const [W, Z] = [narrow(3, 3, 4), narrow(3, 3, 6)];
    const x = stream(1, 4, 3, 8);
    const apart = applySum(
      x,
      sumProducts([
        { label: "W", product: tensorProduct(A, W) },
        { label: "Z", product: tensorProduct(A, Z) },
      ]),
    );
    expectClose(apart, applyProduct(x, tensorProduct(A, addMaps(W, Z))), tight);
  });
});

describe("what is refused", () => {
  const W = narrow(3, 3, 1);
  const A = pattern(4, 4, 2);
  const x = stream(1, 4, 3, 3);
  const untyped = (product: unknown): TensorProduct => product as TensorProduct;
  test.each([
    [
      () => tensorProduct(x as never, W),
      AxisError,
      'tensorProduct: A is [batch=1 pos=4 d_model=3]; a position map has axes "batch query_pos key_pos", or "query_pos key_pos" for all prompts alike. Rename or permute them.',
    ],
    [
      () => scalePositions(x as never, "d_model", 3),
      AxisError,
      "scalePositions: scales are [batch=1 pos=4 d_model=3], not [batch pos]. Rename or permute their axes.",
    ],
    [
      () => composeProducts(tensorProduct(A, W), tensorProduct(pattern(5, 5, 2), W)),
      ShapeError,
      "composeProducts: positions do not fit: the first gives 4 positions but the second takes 5. They are TensorProduct[pos=4 -> pos=4] ⊗ [d_model=3 -> d_model=3] and TensorProduct[pos=5 -> pos=5] ⊗ [d_model=3 -> d_model=3].",
    ],
    [
      () => {
        const of = (batch: number) =>
          tensorProduct(randomNormal("batch query_pos key_pos", [batch, 4, 4], { seed: 1 }), W);
        return composeProducts(of(2), of(3));
      },
      ShapeError,
      "composeProducts: positions do not fit: the first holds for 2 prompts but the second for 3. They are",
    ],
    [
      () => applyProduct(x.rename("d_model", "d_head") as never, tensorProduct(A, W)),
      AxisError,
      "applyProduct: x is [batch=1 pos=4 d_head=3], the product is TensorProduct[pos=4 -> pos=4] ⊗ [d_model=3 -> d_model=3]. It takes a stream [batch pos d_model].",
    ],
    [
      () => applyProduct(stream(1, 4, 2, 3), tensorProduct(A, W)),
      ShapeError,
      "applyProduct: sizes differ: x is [batch=1 pos=4 d_model=2], the product is TensorProduct[pos=4 -> pos=4] ⊗ [d_model=3 -> d_model=3]. Are they of the same model?",
    ],
    [
      () => applyProduct(stream(1, 5, 3, 3), tensorProduct(A, W)),
      ShapeError,
      "applyProduct: prompts differ: x is [batch=1 pos=5 d_model=3], the product is TensorProduct[pos=4 -> pos=4] ⊗ [d_model=3 -> d_model=3] for any number of prompts of 4 positions. Are they of the same run?",
    ],
    [
      () => positionMatrixOf(untyped(onFeatures(W))),
      InputError,
      "positionMatrixOf: TensorProduct Id ⊗ [d_model=3 -> d_model=3] leaves positions as they are, however many there are. Say how many: positionMatrixOf(product, 64).",
    ],
    [
      () => toDenseKronecker(untyped(tensorProduct(A, W)), { prompt: 1 }),
      InputError,
      "toDenseKronecker: there is no prompt 1; the product holds for 0 to 0.",
    ],
    [
      () => toDenseKronecker(untyped(onFeatures(identityMap("d_model", 2048))), { positions: 64 }),
      InputError,
      "toDenseKronecker: 131072 x 131072 entries would take 128.0 GiB; at most 2 GiB are made at once. Use applyProduct.",
    ],
    [
      () => sumProducts([]),
      InputError,
      "sumProducts: there are no terms, so there are no spaces to map between. Give at least one.",
    ],
    [
      () =>
        sumProducts([
          { label: "a", product: onFeatures(W) },
          { label: "a", product: onFeatures(W) },
        ]),
      InputError,
      'sumProducts: two terms are named "a"; give each a name of its own.',
    ],
    [
      () =>
        sumProducts<string, string>([
          { label: "a", product: onFeatures(W) },
          { label: "b", product: onFeatures(linear("d_model", "d_head", matrixOf(3, 3, 1))) },
        ]),
      AxisError,
      "sumProducts: the term b maps [d_model=3 -> d_head=3] but a maps [d_model=3 -> d_model=3]. A sum needs maps between the same spaces.",
    ],
    [
      () =>
        sumProducts([
          { label: "a", product: onFeatures(W) },
          { label: "b", product: onFeatures(narrow(2, 2, 1)) },
        ]),
      ShapeError,
      "sumProducts: the term b maps [d_model=2 -> d_model=2] but a maps [d_model=3 -> d_model=3]. A sum needs maps between the same spaces.",
    ],
  ])("%#", (call, kind, text) => {
    expect(call).toThrow(kind);
    expect(call).toThrow(text);
  });
});
