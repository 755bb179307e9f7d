/** The kernels' memory: bounded, reused once tensors are collected, never shown, and growing without moving. */
import { describe, expect, test } from "vitest";
import { add, matmul, randomNormal, softmax, Tensor } from "../../src/tensor/index.ts";
import { rawStorage } from "../../src/tensor/internal.ts";
import { allocateForResult, isKernelMemory, kernelInfo } from "../../src/kernels/index.ts";
import { wasmEngine } from "../../src/kernels/wasm/engine.ts";
import { collectGarbage } from "../support/garbage.ts";

function lentBytes(): number {
  const engine = wasmEngine();
  if (engine === undefined) throw new Error("WebAssembly SIMD does not run on this machine");
  return engine.heap.lent;
}

const MIB = 2 ** 20;

describe("memory", () => {
  test("a hundred thousand results in one task take no more than the tensors' share", () => {
    const a = randomNormal("pos d_model", [64, 32], { seed: 1 });
    const b = randomNormal("d_model d_vocab", [32, 64], { seed: 2 });
    const first = matmul(a, b);
    let last = first;
    for (let i = 0; i < 100_000; i++) last = matmul(a, b);
    expect(last.data).toEqual(first.data);
    expect(lentBytes()).toBeLessThanOrEqual(256 * MIB);
    // The share, half as much again for sizes of blocks, and what one call borrows.
    expect(kernelInfo().memoryBytes).toBeLessThan(448 * MIB);
  });

  test("blocks come back when tensors are collected, after the task that made them", async () => {
    const before = kernelInfo().memoryBytes;
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 40; i++) allocateForResult(MIB / 4);
      await collectGarbage();
    }
    // 800 MiB have passed through a share of 256.
    expect(lentBytes()).toBeLessThan(64 * MIB);
    expect(kernelInfo().memoryBytes).toBeLessThan(Math.max(before, 256 * MIB) + 64 * MIB);
  });

  test("large results lie in memory that was used before", async () => {
    const before = kernelInfo().memoryBytes;
    for (let round = 0; round < 10; round++) {
      expect(isKernelMemory(allocateForResult(12 * MIB))).toBe(true);
      await collectGarbage();
    }
    // 480 MiB have passed through two blocks of 48 at most, and a growth's rest.
    expect(kernelInfo().memoryBytes).toBeLessThanOrEqual(before + 112 * MIB);
  });

  test("numbers from outside that are used twice and thrown away take no more than their share in one task", async () => {
    for (let i = 0; i < 5000; i++) {
      const t = Tensor.from("pos d_model", [128, 128], new Float32Array(128 * 128).fill(i));
      softmax(t, "d_model");
      expect(softmax(t, "d_model").at(3, 4)).toBe(1 / 128);
    }
    expect(wasmEngine()?.heap.moved).toBeLessThanOrEqual(256 * MIB);
    expect(wasmEngine()?.heap.moved).toBeGreaterThan(128 * MIB);
    await collectGarbage();
    expect(wasmEngine()?.heap.moved).toBeLessThan(MIB);
  });

  test("what is alive keeps its numbers while memory grows and is reused", async () => {
    const numbers = randomNormal("pos", [100_000], { seed: 3 });
    const kept = Array.from({ length: 20 }, (_, i) => {
      const t = add(Tensor.zeros("pos", [3000 + i]), i);
      return { t, i };
    });
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 60; i++) add(numbers, i);
      await collectGarbage();
    }
    for (const { t, i } of kept) {
      expect(isKernelMemory(rawStorage(t))).toBe(true);
      expect(new Set(t.data)).toEqual(new Set([i]));
    }
  });

  test("no array over the memory is shown: data and storage are copies, made once", () => {
    const t = add(Tensor.zeros("pos d_model", [100, 100]), 2);
    expect(isKernelMemory(rawStorage(t))).toBe(true);
    const row = t.select("pos", 1);
    for (const array of [t.data, t.storage, row.data, row.storage, t.permute("d_model pos").data]) {
      expect(isKernelMemory(array)).toBe(false);
      expect(array.buffer).toBeInstanceOf(ArrayBuffer);
    }
    expect(t.data).toBe(t.data);
    expect(row.storage).toBe(t.storage);
    expect(row.data).toHaveLength(100);
  });

  test("numbers that kernels use again move there, and stay the same tensor", () => {
    const numbers = Float32Array.from({ length: 64 * 64 }, (_, i) => i % 7);
    const t = Tensor.from("pos d_model", [64, 64], numbers);
    const identity = Tensor.from(
      "d_model out",
      [64, 64],
      Float32Array.from({ length: 64 * 64 }, (_, i) => (i % 65 === 0 ? 1 : 0)),
    );
    expect(rawStorage(t)).toBe(numbers);
    for (let i = 0; i < 3; i++) expect(matmul(t, identity).data).toEqual(numbers);
    expect(isKernelMemory(rawStorage(t))).toBe(true);
    expect(t.data).toEqual(numbers);
    // It is the tensor's own by now: what is written into the array it was made of does not reach it.
    numbers.fill(9);
    expect(t.at(0, 1)).toBe(1);
    expect(matmul(t, identity).at(0, 1)).toBe(1);
  });
});
