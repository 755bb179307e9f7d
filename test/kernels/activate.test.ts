/** What neurons compute: the kernel in WebAssembly against plain float64 of the definitions. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blockedKernels, referenceKernels, simdKernels } from "../../src/kernels/index.ts";
import type { ActivationKind, Kernels } from "../../src/kernels/index.ts";
import { activate } from "../../src/model/index.ts";
import { tensorOf } from "../../src/tensor/internal.ts";
import { allocateForResult } from "../../src/kernels/index.ts";

const tanh = (slope: number) => (x: number) => 0.5 * x * (1 + Math.tanh(slope * (x + 0.044715 * x ** 3)));

/** The definitions; of GELU an integral, by Simpson's rule over steps of 1/512. */
const definitions: Readonly<Record<ActivationKind, (x: number) => number>> = {
  relu: (x) => (x > 0 ? x : 0),
  silu: (x) => x / (1 + Math.exp(-x)),
  tanhGelu: tanh(Math.sqrt(2 / Math.PI)),
  roundedTanhGelu: tanh(0.7978845608),
  gelu: (x) => {
    const [steps, end] = [2 * Math.ceil(512 * Math.abs(x)) + 2, Math.min(Math.abs(x), 12)];
    const density = (t: number): number => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);
    let sum = density(0) + density(end);
    for (let i = 1; i < steps; i++) sum += (i % 2 === 0 ? 2 : 4) * density((i * end) / steps);
    const half = (sum * end) / steps / 3;
    return x * (0.5 + Math.sign(x) * half);
  },
};
const kinds = Object.keys(definitions) as ActivationKind[];

function computed({ activate: run }: Kernels, kind: ActivationKind, input: Float32Array): Float32Array {
  const output = new Float32Array(input.length);
  run({ kind, input, output });
  return output;
}

const EDGES = [0, -0, NaN, Infinity, -Infinity, 1e-30, -1e-30, 88.8, -88.8, 709, -709, 710, -710, 3e38, -3e38];

describe.each(kinds)("%s", (kind) => {
  const f = definitions[kind];

  test("is its definition (one rounding to float32, 6e-8 relative, and 1e-11 of the input where that one cancels)", () => {
    const input = Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) / 190);
    for (const kernels of [referenceKernels, blockedKernels, simdKernels]) {
      for (const [i, y] of computed(kernels, kind, input).entries()) {
        const x = input[i] as number;
        expect(Math.abs(y - f(x))).toBeLessThanOrEqual(6e-8 * Math.abs(f(x)) + 1e-11 * Math.abs(x));
      }
    }
  });

  test("is the same in WebAssembly as in plain loops but for the last bit of a few, wherever numbers lie", () => {
    const numbers = fc.array(fc.float({ min: -30, max: 30, noNaN: true }), { minLength: 1, maxLength: 70 });
    let [all, others] = [0, 0];
    fc.assert(
      fc.property(numbers, fc.constantFrom(1, 64), (list, times) => {
        const input = Float32Array.from({ length: times * list.length }, (_, i) => list[i % list.length] as number);
        const expected = computed(referenceKernels, kind, input);
        const outside = computed(simdKernels, kind, input);
        const inside = { input: allocateForResult(input.length), output: allocateForResult(input.length) };
        inside.input.set(input);
        simdKernels.activate({ kind, ...inside });
        // Each number by itself: its neighbours and its place change nothing.
        expect(Array.from(inside.output)).toEqual(Array.from(outside));
        for (const [i, y] of outside.entries()) {
          const exact = expected[i] as number;
          all++;
          if (Object.is(y, exact)) continue;
          others++;
          expect(Math.abs(y - exact)).toBeLessThanOrEqual(1.2e-7 * Math.abs(exact));
        }
      }),
      { seed: 5, numRuns: 60 },
    );
    expect(all).toBeGreaterThan(10_000);
    expect(others / all).toBeLessThan(1e-3);
  });

  test("of zeros, of numbers that are none, and of the largest is what plain loops give", () => {
    const input = Float32Array.from(EDGES);
    expect(Array.from(computed(simdKernels, kind, input))).toEqual(Array.from(computed(referenceKernels, kind, input)));
    expect(computed(simdKernels, kind, input)[2]).toBeNaN();
    expect(computed(simdKernels, kind, input)[3]).toBe(Infinity);
  });

  test("refuses an input that is too short", () => {
    const [input, output] = [new Float32Array(3), new Float32Array(4)];
    for (const kernels of [referenceKernels, blockedKernels, simdKernels])
      expect(() => kernels.activate({ kind, input, output })).toThrow(/internal: .*input/);
  });
});

test("the tanh forms keep their tails, where 1 + tanh is 0: 1e-6 of x e^(2u), two terms of the series", () => {
  const slope = Math.sqrt(2 / Math.PI);
  const [near, far] = [-6.5, -8];
  const data = activate("gelu_new", tensorOf("d_mlp", [2], Float32Array.of(near, far))).data;
  for (const [i, x] of [near, far].entries()) {
    const e = Math.exp(2 * slope * (x + 0.044715 * x ** 3));
    expect(Math.abs((data[i] as number) / (x * e * (1 - e)) - 1)).toBeLessThan(1e-6);
  }
});
