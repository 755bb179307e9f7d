/** Right operands that are kept packed: the same products to the bit, made once, in bounded memory. */
import { afterAll, describe, expect, test } from "vitest";
import { packForKernels, simdKernels, useKernels, useThreads } from "../../src/kernels/index.ts";
import type { MatmulArgs, MatrixView } from "../../src/kernels/index.ts";
import { wasmEngine } from "../../src/kernels/wasm/engine.ts";
import { lend } from "../../src/kernels/wasm/memory.ts";
import { batchMatmul, matmul, randomNormal, Tensor } from "../../src/tensor/index.ts";
import { moveToKernels } from "../../src/tensor/internal.ts";
import { collectGarbage } from "../support/garbage.ts";
import { expectSame } from "./agreement.ts";
import { matmulArgs, matmulCases } from "./cases.ts";
import type { MatmulCase } from "./cases.ts";

const MIB = 2 ** 20;

function heap(): NonNullable<ReturnType<typeof wasmEngine>>["heap"] {
  const engine = wasmEngine();
  if (engine === undefined) throw new Error("WebAssembly SIMD does not run on this machine");
  return engine.heap;
}

afterAll(async () => {
  useKernels("auto");
  await useThreads(1);
});

/** A view whose numbers lie in the kernels' memory. */
function moved(view: MatrixView): MatrixView {
  const data = lend(heap(), Math.max(2048, view.data.length), "weight");
  if (data === undefined) throw new Error("no room");
  data.fill(0);
  data.set(view.data);
  return { ...view, data };
}

/** The product with `b` packed, and without. */
function both(given: MatmulCase): [MatmulArgs, MatmulArgs] {
  const [plain, packed] = [1, 2].map(() => {
    const args = matmulArgs(given, "float32");
    return { ...args, a: moved(args.a), b: moved(args.b), out: moved(args.out) };
  }) as [MatmulArgs, MatmulArgs];
  simdKernels.matmul(plain);
  const { b } = packed;
  const kept = packForKernels(b, given.batch, given.k, given.n);
  if (kept === undefined) throw new Error(`not packed: ${given.name}`);
  // Nobody reads them where the packed ones are.
  b.data.fill(NaN);
  simdKernels.matmul({ ...packed, packed: kept });
  return [plain, packed];
}

const larger: readonly MatmulCase[] = [
  { name: "three blocks of k, three of columns", batch: 1, m: 61, n: 530, k: 771, path: "tiles" },
  { name: "beyond what is packed at once", batch: 1, m: 7, n: 40, k: 2309, path: "tiles" },
  { name: "a stack, columns no multiple of 8", batch: 5, m: 50, n: 67, k: 129, path: "tiles" },
  { name: "one matrix for the stack", batch: 3, m: 33, n: 70, k: 65, b: "shared", path: "tiles" },
  { name: "few rows", batch: 1, m: 3, n: 70, k: 300, path: "rows" },
  { name: "NaN and infinities", batch: 1, m: 9, n: 70, k: 40, special: [NaN, Infinity, -Infinity, -0], path: "tiles" },
  { name: "transposed, added", batch: 2, m: 100, n: 90, k: 300, b: "transposed", accumulate: true, path: "tiles" },
];

describe("packed right operands", () => {
  // Smaller ones are not worth a block.
  const some = [...matmulCases, ...larger].filter(({ k, n }) => k * n >= 2048);
  test.each(some)("give the same bits: $name", (given) => {
    const [plain, packed] = both(given);
    expectSame(packed.out.data, plain.out.data);
  });

  test.each([2, 3])("give the same bits on %d threads, by columns, rows and matrices", async (threads) => {
    const cases: readonly MatmulCase[] = [
      { name: "by columns", batch: 1, m: 130, n: 517, k: 301, path: "tiles" },
      { name: "by rows", batch: 1, m: 1201, n: 61, k: 130, path: "tiles" },
      { name: "by matrices", batch: 13, m: 120, n: 70, k: 129, path: "tiles" },
      { name: "side by side", batch: 8, m: 300, n: 64, k: 130, a: "shared", out: "beside", path: "tiles" },
    ];
    await useThreads(1);
    const alone = cases.map((given) => both(given)[0].out.data);
    await useThreads(threads);
    cases.forEach((given, i) => expectSame(both(given)[1].out.data, alone[i] ?? []));
    await useThreads(1);
  });

  test("what lies outside the memory, float64 and other kernels are not packed", () => {
    const { b } = matmulArgs({ name: "", batch: 1, m: 9, n: 100, k: 100, path: "tiles" }, "float32");
    expect(packForKernels(b, 1, 100, 100)).toBeUndefined();
    const inside = moved(b);
    useKernels("blocked");
    expect(packForKernels(inside, 1, 100, 100)).toBeUndefined();
    useKernels("auto");
    expect(packForKernels(inside, 1, 100, 100)).toBeDefined();
  });
});

describe("tensors that are right operands again and again", () => {
  test("are packed at the third product of eight rows or more, with the same numbers each time", () => {
    const W = randomNormal("d_model d_vocab", [90, 131], { seed: 1 });
    const x = randomNormal("pos d_model", [20, 90], { seed: 2 });
    const before = heap().packed;
    const first = matmul(x, W).data;
    matmul(x, W);
    expect(heap().packed).toBe(before);
    for (let i = 0; i < 3; i++) expectSame(matmul(x, W).data, first);
    const one = heap().packed;
    expect(one).toBeGreaterThan(before);
    for (let i = 0; i < 5; i++) matmul(x, W);
    expect(heap().packed).toBe(one);
    // A view of its own: the transposed matrix.
    const back = W.permute("d_vocab d_model");
    const y = randomNormal("pos d_vocab", [20, 131], { seed: 3 });
    const turned = matmul(y, back).data;
    for (let i = 0; i < 4; i++) expectSame(matmul(y, W.permute("d_vocab d_model")).data, turned);
    expect(heap().packed).toBeGreaterThan(one);
  });

  test("are not where products have few rows, or they are small or float64", () => {
    const before = heap().packed;
    const W = randomNormal("d_model d_vocab", [100, 100], { seed: 4 });
    const x = randomNormal("pos d_model", [7, 100], { seed: 5 });
    const small = randomNormal("d_model d_vocab", [100, 80], { seed: 6 });
    const doubles = Tensor.from("d_model d_vocab", [100, 100], new Float64Array(10_000).fill(0.5));
    const rows = randomNormal("pos d_model", [30, 100], { seed: 7 });
    for (let i = 0; i < 6; i++) {
      matmul(x, W);
      matmul(rows, small);
      matmul(rows, doubles);
    }
    expect(heap().packed).toBe(before);
  });

  test("each view of a stack by itself: a head's product is that of the stack's part", () => {
    const W = randomNormal("head d_model d_head", [6, 64, 40], { seed: 8 });
    const x = randomNormal("head pos d_model", [6, 24, 64], { seed: 9 });
    for (let i = 0; i < 5; i++) {
      const all = batchMatmul(x, W);
      for (let head = 0; head < 6; head++) {
        expectSame(matmul(x.select("head", head), W.select("head", head)).data, all.select("head", head).data);
      }
    }
  });

  test("take no more than their share, and give it back when they are collected", async () => {
    const x = randomNormal("pos d_model", [8, 512], { seed: 10 });
    const keep: Tensor[] = [];
    for (let i = 0; i < 24; i++) {
      // 16 MiB each.
      const W = Tensor.from("d_model d_vocab", [512, 8192], new Float32Array(2 ** 22).fill(i));
      moveToKernels(W);
      for (let use = 0; use < 4; use++) matmul(x, W);
      keep.push(W);
    }
    expect(heap().packed).toBeLessThanOrEqual(320 * MIB);
    expect(heap().packed).toBeGreaterThan(300 * MIB);
    keep.length = 0;
    await collectGarbage();
    expect(heap().packed).toBeLessThan(16 * MIB);
  });
});
