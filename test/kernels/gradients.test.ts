/**
 * The kernels of backward passes: the readable ones against finite differences of the forward kernels in float64, the
 * fast ones, with fused multiply-adds and without, against the readable ones.
 */
import { describe, expect, test } from "vitest";
import {
  keepForKernels,
  referenceGradientKernels,
  referenceKernels,
  simdGradientKernels,
} from "../../src/kernels/index.ts";
import type { FloatArray, GradientKernels, HeadVectorsView } from "../../src/kernels/index.ts";
import { expectWithin } from "./agreement.ts";
import { uniform } from "./cases.ts";

type Make = (length: number, of: (i: number) => number) => FloatArray;

const doubles: Make = (length, of) => Float64Array.from({ length }, (_, i) => of(i));
const singles: Make = (length, of) => Float32Array.from({ length }, (_, i) => of(i));
/** Numbers in the kernels' memory, where they are long enough to be kept there. */
const kept: Make = (length, of) => {
  const data = Float32Array.from({ length }, (_, i) => of(i));
  return keepForKernels(data, "operand") ?? data;
};

interface Call {
  /** What the call reads, by name, and what it writes. */
  readonly given: Readonly<Record<string, FloatArray>>;
  readonly results: Readonly<Record<string, FloatArray>>;
  run(which: GradientKernels): void;
  /** The scalar that is differentiated, in float64: the result's entries by the gradient put in. */
  value(): number;
  /** Which results are gradients by which of what is given. */
  readonly pairs: Readonly<Record<string, string>>;
  /** How many terms a sum has at most. */
  readonly terms: number;
}

interface Case {
  readonly name: string;
  call(make: Make): Call;
}

const weigh = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);

const attention = (
  name: string,
  [batch, heads, positions, width]: readonly [number, number, number, number],
  { isCausal = true, isShared = false, scale = Math.fround(Math.sqrt(width)) } = {},
): Case => ({
  name: `attention, ${name}`,
  call(make) {
    const next = uniform(positions * 31 + width);
    const length = 3 + batch * positions * heads * width;
    const numbers = (): FloatArray => make(length, () => next());
    const [q, k, v, gradient] = [numbers(), numbers(), numbers(), numbers()];
    const [byQ, byK, byV] = [make(length, () => 0), make(length, () => 0), make(length, () => 0)];
    const view = (data: FloatArray): HeadVectorsView => ({
      ...{ data, offset: 3, batchStride: positions * heads * width, headStride: width, rowStride: heads * width },
    });
    // One key and value for all heads.
    const ofKeys = (data: FloatArray): HeadVectorsView => ({ ...view(data), ...(isShared && { headStride: 0 }) });
    const sizes = { batch, heads, width, scale, isCausal };
    return {
      given: { q, k, v, gradient },
      results: { byQ, byK, byV },
      pairs: isShared ? { byQ: "q" } : { byQ: "q", byK: "k", byV: "v" },
      terms: positions + width,
      run(which) {
        which.attention({
          ...{ ...sizes, positions, q: view(q), k: ofKeys(k), v: ofKeys(v), gradient: view(gradient) },
          ...{ byQ: view(byQ), byK: view(byK), byV: view(byV) },
        });
      },
      value() {
        const out = new Float64Array(length);
        referenceKernels.attention({
          ...{ ...sizes, queries: positions, keys: positions, valueWidth: width, queryOffset: 0 },
          ...{ q: view(q), k: ofKeys(k), v: ofKeys(v), out: view(out) },
        });
        return weigh(out, gradient);
      },
    };
  },
});

const linear = (
  name: string,
  [rows, inner, outer]: readonly [number, number, number],
  { accumulate = false, gap = 0 } = {},
): Case => ({
  name: `linear map, ${name}`,
  call(make) {
    const next = uniform(rows * 7 + inner * 3 + outer);
    const x = make(2 + rows * (inner + gap), () => next());
    const gradient = make(1 + rows * (outer + gap), () => next());
    const W = make(inner * outer, () => next());
    const [byW, byB] = [make(inner * outer, () => 7), make(outer, () => 7)];
    const byX = make(2 + rows * (inner + gap), () => (accumulate ? 0.25 : 0));
    return {
      given: { x, gradient, W },
      results: { byW, byB, byX },
      pairs: accumulate || gap > 0 ? { byW: "W" } : { byW: "W", byX: "x" },
      terms: rows + outer,
      run(which) {
        const ofX = { offset: 2, stride: inner + gap };
        which.linear({
          ...{ rows, inner, outer, W, byW, byB, accumulate, x: { data: x, ...ofX }, byX: { data: byX, ...ofX } },
          gradient: { data: gradient, offset: 1, stride: outer + gap },
        });
      },
      value() {
        let sum = 0;
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < outer; j++) {
            let y = 0;
            for (let p = 0; p < inner; p++) y += (x[2 + i * (inner + gap) + p] ?? 0) * (W[p * outer + j] ?? 0);
            sum += y * (gradient[1 + i * (outer + gap) + j] ?? 0);
          }
        }
        return sum;
      },
    };
  },
});

const loss = (name: string, [rows, cols]: readonly [number, number], spread = 4): Case => ({
  name: `losses, ${name}`,
  call(make) {
    const next = uniform(rows + 5 * cols);
    const logits = make(rows * cols, () => spread * next());
    const targets = Int32Array.from({ length: rows }, () => Math.floor((next() + 1) * 0.5 * cols));
    const weights = Float32Array.from({ length: rows }, (_, i) => (i % 5 === 3 ? 0 : (1 + next()) / rows));
    const losses = new Float64Array(rows);
    const at = Float64Array.from(logits);
    return {
      given: { at },
      results: { byLogits: logits, losses },
      pairs: { byLogits: "at" },
      terms: cols,
      run: (which) => which.loss({ rows, cols, logits, targets, weights, losses }),
      value() {
        const output = new Float64Array(rows);
        referenceKernels.crossEntropy({ rows, cols, logits: at, logitsOffset: 0, targets, output });
        return weigh(output, weights);
      },
    };
  },
});

const norm = (
  name: string,
  [rows, cols]: readonly [number, number],
  { center = true, hasWeights = true, accumulate = false } = {},
): Case => ({
  name: `norm, ${name}`,
  call(make) {
    const next = uniform(rows + 3 * cols);
    const x = make(rows * cols, () => 1 + next());
    const gradient = make(rows * cols, () => next());
    const w = make(cols, () => 1 + 0.5 * next());
    const [normalized, scale] = [make(rows * cols, () => 0), make(rows, () => 0)];
    const [out, byW, byB] = [make(rows * cols, () => (accumulate ? 0.5 : 7)), make(cols, () => 7), make(cols, () => 7)];
    const forward = (output: FloatArray, divisor: FloatArray): void => {
      const places = { inputOffset: 0, outputOffset: 0, scaleOffset: 0 };
      referenceKernels.normalize({ rows, cols, input: x, eps: 1e-5, center, output, scale: divisor, ...places });
    };
    forward(normalized, scale);
    return {
      given: { x, w },
      results: { out, ...(hasWeights && { byW, byB }) },
      pairs: { ...(hasWeights && { byW: "w" }), ...(!accumulate && { out: "x" }) },
      terms: rows + cols,
      run(which) {
        const weights = hasWeights ? { w, byW, byB } : {};
        which.norm({ rows, cols, center, gradient, normalized, scale, out, accumulate, ...weights });
      },
      value() {
        const output = new Float64Array(rows * cols);
        forward(output, new Float64Array(rows));
        return weigh(
          output.map((y, i) => (hasWeights ? y * (w[i % cols] ?? 0) : y)),
          gradient,
        );
      },
    };
  },
});

/** Sizes around panels of 8, tiles of 4 and 6, blocks of 256 terms and parts of 512 rows. */
const cases: readonly Case[] = [
  attention("one position", [1, 1, 1, 4]),
  attention("two positions, one entry", [2, 1, 2, 1]),
  attention("a panel", [1, 2, 8, 8]),
  attention("a panel and one, odd width", [2, 3, 9, 5]),
  attention("heads of 12", [2, 4, 21, 12]),
  attention("both directions", [1, 2, 19, 7], { isCausal: false }),
  attention("keys and values that heads share", [2, 3, 11, 6], { isShared: true }),
  attention("sharp", [1, 2, 30, 16], { scale: 0.0625 }),
  linear("one by one", [1, 1, 1]),
  linear("odd", [13, 5, 11]),
  linear("heads of 12 beside one another", [37, 24, 36]),
  linear("added", [20, 9, 17], { accumulate: true }),
  linear("with gaps", [20, 8, 16], { gap: 3 }),
  loss("one column", [3, 1]),
  loss("few", [6, 5]),
  loss("beyond a vector", [11, 37]),
  loss("far apart", [7, 19], 200),
  norm("one by one", [1, 1]),
  norm("centered", [5, 13]),
  norm("not centered", [6, 16], { center: false }),
  norm("without weights", [7, 9], { hasWeights: false }),
  norm("added", [4, 8], { accumulate: true }),
];

/** Too many numbers for finite differences. */
const large: readonly Case[] = [
  attention("deeper than a block", [1, 2, 270, 12]),
  attention("beyond the working space", [1, 1, 620, 8]),
  attention("wide heads", [1, 1, 40, 264]),
  linear("two parts and a rest", [1100, 48, 50]),
  linear("deep", [30, 300, 20]),
  loss("more than a run", [20, 1200]),
  norm("two parts and a rest", [1100, 48]),
];

describe.each(cases)("$name", ({ call }) => {
  test("the readable gradient is the slope that finite differences find in float64, within 1e-7", () => {
    const { given, results, pairs, run, value } = call(doubles);
    run(referenceGradientKernels);
    for (const [result, of] of Object.entries(pairs)) {
      const [by, numbers] = [results[result] as FloatArray, given[of] as FloatArray];
      const most = Math.max(1, ...by.map(Math.abs));
      // About a hundred of them, spread over all.
      for (let i = 0; i < numbers.length; i += Math.ceil(numbers.length / 101)) {
        const [x, step] = [numbers[i] ?? 0, 1e-5];
        numbers[i] = x + step;
        const above = value();
        numbers[i] = x - step;
        const slope = (above - value()) / (2 * step);
        numbers[i] = x;
        expect(Math.abs(slope - (by[i] ?? NaN)), `${result}[${i}]`).toBeLessThan(1e-7 * most);
      }
    }
  });
});

describe.each([...cases, ...large])("$name", ({ call }) => {
  test.each([
    ["outside the kernels' memory", singles],
    ["in the kernels' memory", kept],
  ] as const)(
    "the fast one is the readable one, %s: within sqrt(terms) float32 roundings of the largest",
    (_, make) => {
      const [fast, slow] = [call(make), call(make)];
      fast.run(simdGradientKernels);
      slow.run(referenceGradientKernels);
      for (const [name, want] of Object.entries(slow.results)) {
        const most = Math.max(1, ...want.map(Math.abs).filter(Number.isFinite));
        const bound = 16 * Math.sqrt(slow.terms) * 2 ** -24 * most;
        expectWithin(fast.results[name] as FloatArray, want, () => bound);
      }
    },
  );
});
