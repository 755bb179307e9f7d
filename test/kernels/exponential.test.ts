/** The exponential of the WebAssembly kernels by itself: with and without fused multiply-adds, in blocks of 16 numbers and in what is left of a row. */
import { describe, expect, test } from "vitest";
import { startEngine } from "../../src/kernels/wasm/engine.ts";
import type { Engine, WebAssemblyLike } from "../../src/kernels/wasm/engine.ts";
import { takeBlock } from "../../src/kernels/wasm/memory.ts";
import { expectWithin } from "./agreement.ts";

const wasm = (globalThis as unknown as { readonly WebAssembly: WebAssemblyLike }).WebAssembly;
const builds = [
  { name: "as the engine has it", engine: startEngine(wasm) },
  { name: "without relaxed SIMD", engine: startEngine(wasm, false) },
];
const paths = [
  { path: "in a block", columns: 16 },
  { path: "in a single vector", columns: 4 },
  { path: "in the last numbers of a row", columns: 2 },
];
const runs = builds.flatMap((build) => paths.map((path) => ({ ...build, ...path })));

function block(engine: Engine, bytes: number): number {
  const address = takeBlock(engine.heap, bytes);
  if (address === undefined) throw new Error("there is no room");
  return address;
}

/**
 * `e^x` for each of some numbers at most 0, from rows of 0, `x` and -Infinity: the sum less the 1 of the 0 where that keeps enough digits,
 * and below the probability, since 1 / (1 + e^x) is 1 there. Nothing is rounded but `e^x`.
 */
function exponentials(engine: Engine, columns: number, x: Float32Array): Float64Array {
  const { heap, kernels } = engine;
  const address = block(engine, 4 * columns * x.length);
  const patterns = block(engine, 4 * columns * x.length);
  const pairs = block(engine, 16 * x.length);
  const rows = new Float32Array(heap.memory.buffer, address, columns * x.length).fill(-Infinity);
  const bits = new Int32Array(heap.memory.buffer, address, rows.length);
  const given = new Int32Array(x.buffer, x.byteOffset, x.length);
  for (let i = 0; i < x.length; i++) {
    rows[i * columns] = 0;
    // By its bits, so that a NaN stays the NaN it is.
    bits[i * columns + 1] = given[i] ?? 0;
  }
  kernels.maxAndSum(address, x.length, columns, pairs);
  kernels.softmax(address, patterns, x.length, columns);
  const sums = new Float64Array(heap.memory.buffer, pairs, 2 * x.length);
  const probabilities = new Float32Array(heap.memory.buffer, patterns, rows.length);
  return Float64Array.from(x, (at, i) =>
    at < -20 ? (probabilities[i * columns + 1] ?? NaN) : (sums[2 * i + 1] ?? NaN) - 1,
  );
}

describe.each(runs)("$name, $path", ({ engine, columns }) => {
  test("e^x is off by at most (|x| / 4 + 2) 2^-24 of itself, and 0 below 2^-126.5", () => {
    const x = Float32Array.from({ length: 40_001 }, (_, i) => -i / 440);
    const got = exponentials(engine, columns, x);
    const zero = -126.5 * Math.LN2 * (1 + 2 ** -22);
    expectWithin(got, Float64Array.from(x, Math.exp), (i, y) => {
      const at = x[i] ?? NaN;
      if (at < zero) return y;
      // Beside the 1 a sum keeps 2^-53, and numbers below 2^-126 keep 2^-149.
      return (-at / 4 + 2) * 2 ** -24 * y + (at < -20 ? 2 ** -149 : 2 ** -53);
    });
    const beyond = got.filter((_, i) => (x[i] ?? NaN) < zero);
    expect(beyond.length).toBeGreaterThan(1000);
    expect(new Set(beyond)).toEqual(new Set([0]));
  });

  test("e^0 is 1, e^-Infinity 0, and NaN of any bits NaN", () => {
    const x = Float32Array.of(0, -0, -Infinity, -1e30, -100);
    expect(Array.from(exponentials(engine, columns, x))).toEqual([1, 1, 0, 0, 0]);
    const nans = new Float32Array(Int32Array.of(0x7fc00000, 0x7fc00001, -1, 0x7f800001).buffer);
    expect(Array.from(exponentials(engine, columns, nans))).toEqual([NaN, NaN, NaN, NaN]);
  });
});

describe.each(builds)("softmax within 2 (1.25 range + 48) 2^-24, $name", ({ engine }) => {
  test.each([true, false])("of rows of 1 to 70 numbers, and nothing beside them is written; causal: %s", (isCausal) => {
    const { heap, kernels } = engine;
    const from = block(engine, 4 * 70 * 70);
    const to = block(engine, 4 * (70 * 70 + 16));
    for (let keys = 1; keys <= 70; keys++) {
      const size = keys * keys;
      const scores = new Float32Array(heap.memory.buffer, from, size);
      for (let i = 0; i < size; i++) scores[i] = 5 * Math.sin(i * i);
      const patterns = new Float32Array(heap.memory.buffer, to, size + 16).fill(7);
      if (isCausal) kernels.causalSoftmax(from, to, 0, keys, keys, keys, 0);
      else kernels.softmax(from, to, keys, keys);
      const want = new Float64Array(size + 16).fill(7, size);
      for (let i = 0; i < keys; i++) {
        const row = scores.subarray(i * keys, i * keys + (isCausal ? i + 1 : keys));
        let total = 0;
        for (const x of row) total += Math.exp(x);
        for (const [j, x] of row.entries()) want[i * keys + j] = Math.exp(x) / total;
      }
      // Scores differ by at most 10; what lies beyond the last row stays 7.
      expectWithin(patterns, want, (_, y) => (y === 7 ? 0 : 2 * (1.25 * 10 + 48) * 2 ** -24 * y));
    }
  });
});
