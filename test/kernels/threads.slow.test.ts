/** Threads: the same results to the bit, whatever their number; refused with a reason where they cannot be had. */
import { afterAll, describe, expect, test, vi } from "vitest";
import {
  kernelInfo,
  simdGradientKernels,
  simdKernels,
  simdWeightKernels,
  useThreads,
} from "../../src/kernels/index.ts";
import type { HeadVectorsView, MatmulArgs } from "../../src/kernels/index.ts";
import { wasmEngine } from "../../src/kernels/wasm/engine.ts";
import { weightEngine } from "../../src/kernels/wasm/weights-engine.ts";
import { DONE } from "../../src/kernels/wasm/jobs.ts";
import { expectSame } from "./agreement.ts";
import { attentionArgs, gramArgs, lossArgs, matmulArgs, screenArgs, uniform } from "./cases.ts";
import type { GramCase, MatmulCase, StorageName } from "./cases.ts";

afterAll(async () => {
  await useThreads(1);
});

/** Large enough to be shared, by columns, by rows and by matrices; none divides evenly. */
const shared: readonly MatmulCase[] = [
  { name: "by columns", batch: 1, m: 130, n: 517, k: 301, path: "tiles" },
  { name: "by rows", batch: 1, m: 1201, n: 61, k: 130, path: "tiles" },
  { name: "by matrices", batch: 13, m: 120, n: 70, k: 129, path: "tiles" },
  {
    name: "into the same rows, by columns",
    batch: 13,
    m: 120,
    n: 270,
    k: 33,
    out: "shared",
    accumulate: true,
    path: "tiles",
  },
  { name: "few rows", batch: 1, m: 3, n: 5003, k: 500, path: "rows" },
  {
    name: "accumulating, b transposed",
    batch: 1,
    m: 260,
    n: 300,
    k: 270,
    b: "transposed",
    accumulate: true,
    path: "tiles",
  },
];

/** By matrices, and by triangles of rows. */
const sharedGrams: readonly GramCase[] = [
  { name: "by matrices", batch: 13, m: 67, k: 300 },
  { name: "by rows", batch: 1, m: 301, k: 270, a: "transposed" },
];

const product = (given: MatmulCase, kind: StorageName): ArrayLike<number> => {
  const args: MatmulArgs = matmulArgs(given, kind);
  simdKernels.matmul(args);
  return args.out.data;
};
const products = (): ArrayLike<number>[] =>
  shared.flatMap((given) => [product(given, "float32"), product(given, "float64")]);
const grams = (): ArrayLike<number>[] =>
  sharedGrams.flatMap((given) => {
    const all = [gramArgs(given, "float32"), gramArgs(given, "float64"), gramArgs(given, "float32", "float64")];
    for (const args of all) simdWeightKernels.gram(args);
    return all.map(({ out }) => out.data);
  });
/** Few prompts, more than there are jobs, and one. */
const attention = (): ArrayLike<number>[] =>
  [
    { name: "", batch: 2, heads: 5, queries: 200, keys: 200, width: 24 },
    { name: "", batch: 45, heads: 3, queries: 60, keys: 60, width: 12 },
    { name: "", batch: 1, heads: 13, queries: 150, keys: 150, width: 16 },
  ].map((sizes) => {
    const args = attentionArgs(sizes, "float32");
    simdKernels.attention(args);
    return args.out.data;
  });
const losses = (): ArrayLike<number> => {
  const args = lossArgs({ name: "", batch: 1, m: 70, n: 9001, k: 33, path: "tiles" }, "float32", true);
  simdKernels.productCrossEntropy(args);
  return args.output;
};
/** Backward passes of more prompts than there are jobs, and of rows in several parts and a rest. */
const gradients = (): ArrayLike<number>[] => {
  const next = uniform(7);
  const draw = (length: number): Float32Array => Float32Array.from({ length }, next);
  const [batch, heads, positions, width] = [45, 3, 40, 12];
  const view = (data = draw(batch * heads * positions * width)): HeadVectorsView => ({
    ...{ data, offset: 0, batchStride: heads * positions * width, headStride: width, rowStride: heads * width },
  });
  const by = [view(), view(), view()] as const;
  const vectors = { q: view(), k: view(), v: view(), gradient: view(), byQ: by[0], byK: by[1], byV: by[2] };
  simdGradientKernels.attention({ batch, heads, positions, width, ...vectors, scale: 3.5, isCausal: true });
  const [count, inner, outer] = [3000, 40, 60];
  const linear = { byW: draw(inner * outer), byB: draw(outer), byX: { data: draw(count * inner) } };
  const [x, gradient] = [{ data: draw(count * inner) }, { data: draw(count * outer) }];
  simdGradientKernels.linear({ rows: count, inner, outer, x, gradient, W: draw(inner * outer), ...linear });
  const logits = draw(count * outer);
  const losses = new Float64Array(count);
  const targets = Int32Array.from({ length: count }, (_, i) => i % outer);
  simdGradientKernels.loss({ rows: count, cols: outer, logits, targets, weights: draw(count), losses });
  const norm = { out: draw(count * 128), byW: draw(128), byB: draw(128) };
  const given = { gradient: draw(count * 128), normalized: draw(count * 128), scale: draw(count), w: draw(128) };
  simdGradientKernels.norm({ rows: count, cols: 128, center: true, ...given, accumulate: false, ...norm });
  const sums = draw(count * outer);
  simdKernels.add({ period: outer, a: sums, b: draw(outer), out: sums });
  const active = (["relu", "silu", "tanhGelu", "roundedTanhGelu", "gelu"] as const).map((kind) => {
    const output = new Float32Array(sums.length);
    simdKernels.activate({ kind, input: draw(sums.length) as Float32Array, output });
    return output;
  });
  const ofLinear = [linear.byW, linear.byB, linear.byX.data];
  return [...by.map(({ data }) => data), ...ofLinear, logits, losses, norm.out, norm.byW, norm.byB, sums, ...active];
};
const rows = (): ArrayLike<number>[] => {
  const screens = (["largest", "first", "between"] as const).map((keep) =>
    screenArgs({ name: "", m: 410, n: 1203, width: 40, most: 6, lead: 16 }, keep),
  );
  for (const { found, ...screen } of screens) {
    simdWeightKernels.rowScreen({ ...screen, found });
    // What lies behind the entries found is of no question.
    found.forEach((count, i) => {
      screen.values.fill(0, i * screen.most + Math.min(count, screen.most), (i + 1) * screen.most);
      screen.indices.fill(0, i * screen.most + Math.min(count, screen.most), (i + 1) * screen.most);
    });
  }
  return screens.flatMap(({ values, indices, found }) => [values, indices, found]);
};

describe("threads change no bit", () => {
  test("products, Gram matrices, attention, backward passes and questions to rows are the same on 1, 2 and 3 threads", async () => {
    const all = (): ArrayLike<number>[] => [
      ...products(),
      ...grams(),
      ...attention(),
      losses(),
      ...gradients(),
      ...rows(),
    ];
    const alone = all();
    for (const count of [2, 3]) {
      expect(await useThreads(count)).toBe(count);
      expect(kernelInfo().threads).toBe(count);
      for (let turn = 0; turn < 3; turn++) {
        const together = all();
        for (const [i, want] of alone.entries()) expectSame(together[i] ?? [], want, `result ${i}`);
      }
    }
  });

  test("calls are really divided", async () => {
    await useThreads(2);
    const engine = wasmEngine();
    if (engine === undefined) throw new Error("WebAssembly SIMD does not run on this machine");
    Atomics.store(engine.heap.ints, DONE, 0);
    // Four jobs a thread, where there are so many ranges.
    for (const given of shared) {
      for (const kind of ["float32", "float64"] as const) {
        product(given, kind);
        expect(Atomics.load(engine.heap.ints, DONE), `${given.name}, ${kind}`).toBe(8);
      }
    }
    Atomics.store(engine.heap.ints, DONE, 0);
    for (const given of sharedGrams) {
      simdWeightKernels.gram(gramArgs(given, "float32"));
      expect(Atomics.load(engine.heap.ints, DONE), given.name).toBe(8);
    }
  });

  test("helpers run the module for weights, and leave its jobs to others where it is refused them", async () => {
    await useThreads(1);
    const engine = weightEngine();
    if (engine === undefined) throw new Error("the kernels for weights do not run on this machine");
    const given: GramCase = { name: "", batch: 13, m: 67, k: 300 };
    const want = gramArgs(given, "float32");
    simdWeightKernels.gram(want);
    const spy = vi.spyOn(engine.kernels, "gram");
    /** Whether a helper has done one of the jobs of a call. */
    const isHelped = (): boolean => {
      spy.mockClear();
      Atomics.store(engine.heap.ints, DONE, 0);
      const args = gramArgs(given, "float32");
      simdWeightKernels.gram(args);
      expectSame(args.out.data, want.out.data);
      expect(Atomics.load(engine.heap.ints, DONE)).toBe(8);
      return spy.mock.calls.length < 8;
    };
    const { Worker } = process.getBuiltinModule("node:worker_threads");
    const refusing = "WebAssembly.Module = class { constructor() { throw new Error('refused'); } };";
    await useThreads(2, { createWorker: (source) => new Worker(refusing + source, { eval: true }) });
    expect(Array.from({ length: 30 }, isHelped)).not.toContain(true);
    await useThreads(1);
    await useThreads(2);
    // The helper takes jobs once it runs; how soon is up to the machine.
    const end = Date.now() + 300_000;
    while (!isHelped()) if (Date.now() > end) expect.fail("the helper has done nothing");
    spy.mockRestore();
  });

  test("back on one thread, nothing is divided", async () => {
    expect(await useThreads(1)).toBe(1);
    const engine = wasmEngine();
    if (engine === undefined) throw new Error("WebAssembly SIMD does not run on this machine");
    Atomics.store(engine.heap.ints, DONE, 77);
    products();
    expect(Atomics.load(engine.heap.ints, DONE)).toBe(77);
  });
});

describe("threads are refused", () => {
  test.each([0, 1.5, 65, NaN])("a number of %s", async (count) => {
    await expect(useThreads(count)).rejects.toMatchObject({
      name: "InputError",
      message: `useThreads: ${count} is not a number of threads; it takes 1 to 64.`,
    });
  });

  test("where a page is not cross-origin isolated", async () => {
    vi.stubGlobal("crossOriginIsolated", false);
    await expect(useThreads(2)).rejects.toMatchObject({
      name: "InputError",
      message:
        "useThreads: threads need shared memory, which pages have only if they are cross-origin isolated (headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp). One thread goes on computing.",
    });
    vi.unstubAllGlobals();
    expect(kernelInfo().threads).toBe(1);
  });

  test("when the worker cannot be made, with its reason", async () => {
    const createWorker = (): never => {
      throw new Error("blob: is not allowed");
    };
    await expect(useThreads(2, { createWorker })).rejects.toMatchObject({
      name: "InputError",
      message: "useThreads: a worker was refused: Error: blob: is not allowed. One thread goes on computing.",
    });
    expect(kernelInfo().threads).toBe(1);
  });
});
