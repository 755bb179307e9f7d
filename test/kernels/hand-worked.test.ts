/** Cases small enough to work by hand, over every implementation, the reference first. */
import { describe, expect, test } from "vitest";
import {
  blockedKernels,
  type FloatArray,
  type Kernels,
  type MatrixView,
  referenceKernels,
  simdKernels,
} from "../../src/kernels/index.ts";

const implementations: readonly Kernels[] = [referenceKernels, blockedKernels, simdKernels];

const view = (data: FloatArray, cols: number): MatrixView => ({
  data,
  offset: 0,
  rowStride: cols,
  colStride: 1,
  batchStride: 0,
});

/** Rows of one length in, rows out. */
function rows(
  run: (rows: number, cols: number, input: FloatArray, output: FloatArray) => void,
  input: number[][],
): number[][] {
  const cols = input[0]?.length ?? 0;
  const output = new Float64Array(input.length * cols);
  run(input.length, cols, Float64Array.from(input.flat()), output);
  return input.map((_, row) => Array.from(output.subarray(row * cols, (row + 1) * cols)));
}

describe.each(implementations)("$name", (which) => {
  const softmax = (input: number[][]): number[][] =>
    rows(
      (r, c, x, y) => which.softmax({ rows: r, cols: c, input: x, inputOffset: 0, output: y, outputOffset: 0 }),
      input,
    );
  const logSoftmax = (input: number[][]): number[][] =>
    rows(
      (r, c, x, y) => which.logSoftmax({ rows: r, cols: c, input: x, inputOffset: 0, output: y, outputOffset: 0 }),
      input,
    );
  const closeTo = (values: number[]): unknown[] =>
    values.map((x): unknown => (Number.isFinite(x) ? expect.closeTo(x, 14) : x));

  test("matmul of two 2 x 2", () => {
    const out = new Float64Array(4);
    const a = view(Float64Array.of(1, 2, 3, 4), 2);
    const b = view(Float64Array.of(5, 6, 7, 8), 2);
    which.matmul({ batch: 1, m: 2, n: 2, k: 2, a, b, out: view(out, 2) });
    expect(Array.from(out)).toEqual([19, 22, 43, 50]);
    which.matmul({ batch: 1, m: 2, n: 2, k: 2, a, b, out: view(out, 2), accumulate: true });
    expect(Array.from(out)).toEqual([38, 44, 86, 100]);
  });

  test("matmul of a row and a column, read transposed", () => {
    const out = new Float32Array(1);
    const row = view(Float32Array.of(1, 2, 3), 3);
    which.matmul({ batch: 1, m: 1, n: 1, k: 3, a: row, b: { ...row, rowStride: 1, colStride: 3 }, out: view(out, 1) });
    expect(out[0]).toBe(14);
  });

  test("matmul of integers through tiles is exact", () => {
    // a[i, p] = i + p, b[p, j] = p - j: Σ_p (i + p)(p - j) with Σ p = 15, Σ p² = 55 over p = 0..5.
    const a = Float32Array.from({ length: 60 }, (_, at) => Math.floor(at / 6) + (at % 6));
    const b = Float32Array.from({ length: 60 }, (_, at) => Math.floor(at / 10) - (at % 10));
    const out = new Float32Array(100);
    which.matmul({ batch: 1, m: 10, n: 10, k: 6, a: view(a, 6), b: view(b, 10), out: view(out, 10) });
    const want = Array.from({ length: 100 }, (_, at) => {
      const i = Math.floor(at / 10);
      const j = at % 10;
      return 15 * i - 6 * i * j + 55 - 15 * j;
    });
    expect(Array.from(out)).toEqual(want);
  });

  test("2^24 + 1 + 1 is 2^24 + 2 where sums are float64 and rounded once, 2^24 where each sum is float32", () => {
    const out = new Float32Array(1);
    const a = view(Float32Array.of(2 ** 24, 1, 1), 3);
    which.matmul({ batch: 1, m: 1, n: 1, k: 3, a, b: view(Float32Array.of(1, 1, 1), 1), out: view(out, 1) });
    expect(out[0]).toBe(which.name === "simd" ? 2 ** 24 : 2 ** 24 + 2);
  });

  test("softmax of [0, ln 3] is [1/4, 3/4], whatever is added to both", () => {
    for (const shift of [0, 1e4, -1e4]) {
      // ln 3 beside 1e4 keeps 12 digits.
      const [row] = softmax([[shift, shift + Math.log(3)]]);
      expect(row?.[0]).toBeCloseTo(0.25, 11);
      expect(row?.[1]).toBeCloseTo(0.75, 11);
    }
  });

  test("softmax of equal logits is uniform, of a masked entry 0, of a wholly masked row 0 everywhere", () => {
    expect(softmax([[5, 5, 5, 5]])).toEqual([[0.25, 0.25, 0.25, 0.25]]);
    expect(softmax([[7, -Infinity, 7]])).toEqual([[0.5, 0, 0.5]]);
    expect(softmax([[-Infinity, -Infinity]])).toEqual([[0, 0]]);
  });

  test("softmax of +Infinity or NaN is NaN all along the row and nowhere else", () => {
    expect(
      softmax([
        [1, Infinity],
        [NaN, -Infinity],
        [2, 2],
      ]),
    ).toEqual([
      [NaN, NaN],
      [NaN, NaN],
      [0.5, 0.5],
    ]);
  });

  test("logSoftmax of [0, ln 3] is [-ln 4, ln 3/4]; a masked entry is -Infinity, also in a wholly masked row", () => {
    expect(logSoftmax([[0, Math.log(3)]])).toEqual([closeTo([-Math.log(4), Math.log(0.75)])]);
    expect(logSoftmax([[0, -Infinity, 0]])).toEqual([closeTo([-Math.LN2, -Infinity, -Math.LN2])]);
    expect(logSoftmax([[-Infinity, -Infinity]])).toEqual([[-Infinity, -Infinity]]);
  });

  test("crossEntropy is ln 4 for the first of [0, ln 3] and Infinity for a masked target", () => {
    const output = new Float64Array(4);
    const logits = Float64Array.of(9, 0, Math.log(3), 0, Math.log(3), 0, -Infinity, -Infinity, -Infinity);
    which.crossEntropy({ rows: 4, cols: 2, logits, logitsOffset: 1, targets: Int32Array.of(0, 1, 1, 0), output });
    expect(Array.from(output)).toEqual(closeTo([Math.log(4), Math.log(4 / 3), Infinity, Infinity]));
  });

  test("productCrossEntropy is that of the product with its bias: of [0, ln 3], of masked entries, of NaN", () => {
    const near = (values: number[]): unknown[] =>
      values.map((x): unknown => (Number.isFinite(x) ? expect.closeTo(x, 6) : x));
    const a = view(Float32Array.of(1, 0, 0, 1, 1, 1, NaN, 0), 2);
    const b = view(Float32Array.of(0, Math.log(3), 0, 0), 2);
    const run = (bias: FloatArray | undefined, ...targets: number[]): number[] => {
      const output = new Float64Array(4);
      which.productCrossEntropy({ rows: 4, cols: 2, k: 2, a, b, bias, targets: Int32Array.from(targets), output });
      return Array.from(output);
    };
    expect(run(undefined, 0, 0, 1, 0)).toEqual(near([Math.log(4), Math.LN2, Math.log(4 / 3), NaN]));
    expect(run(Float32Array.of(Math.log(3), 0), 0, 0, 1, 0)).toEqual(near([Math.LN2, Math.log(4 / 3), Math.LN2, NaN]));
    expect(run(Float32Array.of(-Infinity, 0), 0, 1, 1, 0)).toEqual(near([Infinity, 0, 0, NaN]));
    expect(run(Float32Array.of(-Infinity, -Infinity), 0, 1, 1, 0)).toEqual([Infinity, Infinity, Infinity, NaN]);
  });

  test("causalSoftmax of equal scores spreads over the past; keys before query 0 are visible too", () => {
    const run = (queryOffset: number): number[] => {
      const scores = Float32Array.of(1, NaN, NaN, 1, 1, NaN);
      if (queryOffset === 1) scores.fill(1, 1, 2).fill(1, 5, 6);
      const output = new Float32Array(6);
      const shape = { batch: 1, queries: 2, keys: 3, scoresOffset: 0, outputOffset: 0, queryOffset };
      which.causalSoftmax({ ...shape, scores, output });
      return Array.from(output);
    };
    const third = Math.fround(1 / 3);
    expect(run(0)).toEqual([1, 0, 0, 0.5, 0.5, 0]);
    expect(run(1)).toEqual([0.5, 0.5, 0, third, third, third]);
  });

  test("causalSoftmax treats each matrix of a batch alike", () => {
    const scores = new Float64Array(12);
    const output = new Float64Array(12);
    const shape = { batch: 3, queries: 2, keys: 2, scoresOffset: 0, outputOffset: 0, queryOffset: 0 };
    which.causalSoftmax({ ...shape, scores, output });
    expect(Array.from(output)).toEqual([1, 0, 0.5, 0.5, 1, 0, 0.5, 0.5, 1, 0, 0.5, 0.5]);
  });

  test("normalize: LayerNorm of [1, 3] is [-1, 1] with scale 1; RMSNorm of [6, 8] divides by √50", () => {
    const run = (input: number[], center: boolean, eps: number): { output: number[]; scale: number } => {
      const output = new Float64Array(input.length);
      const scale = new Float64Array(1);
      const offsets = { inputOffset: 0, outputOffset: 0, scaleOffset: 0 };
      const data = Float64Array.from(input);
      which.normalize({ rows: 1, cols: input.length, input: data, eps, center, output, scale, ...offsets });
      return { output: Array.from(output), scale: scale[0] ?? NaN };
    };
    expect(run([1, 3], true, 0)).toEqual({ output: [-1, 1], scale: 1 });
    expect(run([6, 8], false, 0)).toEqual({
      output: closeTo([6 / Math.sqrt(50), 8 / Math.sqrt(50)]),
      scale: Math.sqrt(50),
    });
    expect(run([0, 0], true, 4)).toEqual({ output: [0, 0], scale: 2 });
    // A mean of 1e8 over deviations of 1: mean(x²) - mean(x)² would have no digit left.
    expect(run([1e8 - 1, 1e8 + 1], true, 0)).toEqual({ output: [-1, 1], scale: 1 });
    expect(run([], true, 4)).toEqual({ output: [], scale: 2 });
  });
});

describe.each(implementations)("$name refuses what would read or write outside an array", (which) => {
  const report = "This is a defect of transformer-circuits; please report it.";
  const message = (run: () => void): string => {
    try {
      run();
    } catch (error) {
      return (error as Error).message;
    }
    return "nothing thrown";
  };
  const two = Float32Array.of(1, 2);
  const flat = { input: two, inputOffset: 0, output: two, outputOffset: 0 };

  test("matmul", () => {
    const short = view(two, 2);
    const square = view(new Float32Array(4), 2);
    const args = { batch: 1, m: 2, n: 2, k: 2, a: square, b: square, out: square };
    expect(message(() => which.matmul({ ...args, a: short }))).toBe(
      `matmul: internal: a reaches from element 0 to 3 of an array of 2. ${report}`,
    );
    expect(message(() => which.matmul({ ...args, b: { ...square, offset: 1 } }))).toContain(
      "b reaches from element 1 to 4",
    );
    expect(message(() => which.matmul({ ...args, out: { ...square, rowStride: -2 } }))).toContain(
      "out reaches from element -2",
    );
    expect(message(() => which.matmul({ ...args, batch: 2, out: { ...square, batchStride: 4 } }))).toContain("to 7 of");
    expect(message(() => which.matmul({ ...args, m: -1 }))).toContain("m is -1, not a count");
    expect(message(() => which.matmul({ ...args, k: 1.5 }))).toContain("k is 1.5, not a count");
    expect(message(() => which.matmul({ ...args, a: { ...square, rowStride: NaN } }))).toContain("to NaN of");
  });

  test("row functions", () => {
    expect(message(() => which.softmax({ rows: 2, cols: 2, ...flat }))).toBe(
      `softmax: internal: input reaches from element 0 to 3 of an array of 2. ${report}`,
    );
    expect(message(() => which.logSoftmax({ rows: 1, cols: 2, ...flat, outputOffset: 1 }))).toContain(
      "logSoftmax: internal: output reaches from element 1 to 2",
    );
    const norm = { rows: 1, cols: 2, ...flat, eps: 0, center: true, scale: two, scaleOffset: 2 };
    expect(message(() => which.normalize(norm))).toContain("scale reaches from element 2 to 2 of an array of 2");
    const causal = { batch: 1, queries: 1, keys: 2, scores: two, scoresOffset: 0, output: two, outputOffset: 0 };
    expect(message(() => which.causalSoftmax({ ...causal, queryOffset: -1 }))).toContain(
      "queryOffset is -1, not a count",
    );
    expect(message(() => which.causalSoftmax({ ...causal, queries: 2, queryOffset: 0 }))).toContain("scores reaches");
  });

  test("crossEntropy with a target that is not a column", () => {
    const args = { rows: 1, cols: 2, logits: two, logitsOffset: 0, output: new Float32Array(1) };
    for (const target of [2, -1]) {
      expect(message(() => which.crossEntropy({ ...args, targets: Int32Array.of(target) }))).toBe(
        `crossEntropy: internal: target ${target} of row 0 is not one of 2 columns. ${report}`,
      );
    }
    expect(message(() => which.crossEntropy({ ...args, targets: new Int32Array(0) }))).toContain("targets reaches");
    const product = { rows: 1, cols: 2, k: 1, a: view(two, 1), b: view(two, 2), output: new Float32Array(1) };
    const run = (more: object): string =>
      message(() => which.productCrossEntropy({ ...product, targets: new Int32Array(1), ...more }));
    expect(run({ targets: Int32Array.of(2) })).toContain("target 2 of row 0 is not one of 2 columns");
    expect(run({ k: 3 })).toContain("productCrossEntropy: internal: a reaches");
    expect(run({ bias: new Float32Array(1) })).toContain("bias reaches from element 0 to 1 of an array of 1");
  });
});
