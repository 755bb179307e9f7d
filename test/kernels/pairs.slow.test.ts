/** Kernels for weights: norms of products of all pairs of maps, triangular roots, and products over very many terms. */
import { afterAll, describe, expect, test, vi } from "vitest";
import {
  blockedWeightKernels,
  referenceWeightKernels,
  simdWeightKernels,
  useThreads,
  withWorkspace,
} from "../../src/kernels/index.ts";
import type { DeepProductArgs, MatrixView, PairNormsArgs, WeightKernels } from "../../src/kernels/index.ts";
import { deepProductBySpans } from "../../src/kernels/plain/deep.ts";
import { startEngine } from "../../src/kernels/wasm/engine.ts";
import type { WebAssemblyLike } from "../../src/kernels/wasm/engine.ts";
import { takeBlock } from "../../src/kernels/wasm/memory.ts";
import { pairNorms } from "../../src/kernels/wasm/pairs.ts";
import { multiply } from "../../src/kernels/wasm/products.ts";
import { startWeights, weightEngine } from "../../src/kernels/wasm/weights-engine.ts";
import type { WeightEngine } from "../../src/kernels/wasm/weights-engine.ts";
import { expectSame, expectWithin } from "./agreement.ts";
import { uniform } from "./cases.ts";

const plain = engine(
  startWeights(startEngine((globalThis as unknown as { WebAssembly: WebAssemblyLike }).WebAssembly, false)),
);

function engine(running = weightEngine()): WeightEngine {
  if (running === undefined) throw new Error("WebAssembly SIMD does not run on this machine");
  return running;
}

afterAll(async () => {
  await useThreads(1);
});

/** Sizes around tiles of 48, panels of 8, groups of 6, 4, 2 and 1 maps, blocks of 24, and 256 terms. */
const pairCases = [
  { name: "no maps", countA: 0, countB: 3, k: 2, d: 3 },
  { name: "one number", countA: 1, countB: 1, k: 1, d: 1 },
  { name: "odd", countA: 3, countB: 5, k: 3, d: 7 },
  { name: "a tile", countA: 6, countB: 4, k: 5, d: 48 },
  { name: "beyond a tile", countA: 7, countB: 3, k: 4, d: 49 },
  { name: "less than two tiles, odd", countA: 8, countB: 7, k: 9, d: 93 },
  { name: "more than a block of maps", countA: 13, countB: 51, k: 2, d: 60, perLayer: 4 },
  { name: "layers that part groups", countA: 11, countB: 12, k: 3, d: 50, perLayer: 3 },
  { name: "deep", countA: 2, countB: 3, k: 300, d: 57 },
  { name: "heads", countA: 4, countB: 12, k: 64, d: 200 },
] as const;

function pairArgs(given: (typeof pairCases)[number], kind: "float32" | "float64"): PairNormsArgs {
  const { countA, countB, k, d } = given;
  const next = uniform(countA * 101 + countB * 7 + k + d);
  const numbers = (length: number): Float32Array | Float64Array =>
    kind === "float32" ? Float32Array.from({ length }, next) : Float64Array.from({ length }, next);
  const per = "perLayer" in given ? given.perLayer : undefined;
  const first = Int32Array.from({ length: countA }, (_, i) =>
    per === undefined ? 0 : Math.min(countB, 2 * per * Math.floor(i / per)),
  );
  const out = new Float64Array(countA * countB).fill(3);
  return { countA, countB, k, d, a: numbers(countA * k * d), b: numbers(countB * k * d), first, out };
}

/** Those that are asked for; the others are undefined. */
function asked({ countA, countB, first, out }: PairNormsArgs): Float64Array {
  return out.map((x, t) => {
    const [i, j] = [Math.floor(t / countB), t % countB];
    return i < countA && j >= (first[i] ?? 0) ? x : 0;
  });
}

describe("pairNorms adds ‖a bᵀ‖² within (2 min(k, 256) + 200) roundings of ‖|a| |b|ᵀ‖²", () => {
  const implementations: readonly (readonly [string, Pick<WeightKernels, "pairNorms">])[] = [
    ["blocked", blockedWeightKernels],
    ["simd", simdWeightKernels],
    ["without relaxed SIMD", { pairNorms: (args) => pairNorms(plain, { matmul: (of) => multiply(plain, of) }, args) }],
  ];
  for (const [name, { pairNorms: run }] of implementations) {
    for (const kind of ["float32", "float64"] as const) {
      test.each(pairCases)(`${name}, ${kind}: $name`, (given) => {
        const [args, want, sizes] = [pairArgs(given, kind), pairArgs(given, kind), pairArgs(given, "float64")];
        run(args);
        referenceWeightKernels.pairNorms(want);
        const size = { ...sizes, a: sizes.a.map(Math.abs), b: sizes.b.map(Math.abs) };
        referenceWeightKernels.pairNorms(size);
        const unit = kind === "float32" ? 2 ** -24 : 2 ** -53;
        const scale = asked(size);
        const allowed = (2 * Math.min(given.k, 256) + 200) * unit;
        expectWithin(asked(args), asked(want), (i) => allowed * (scale[i] ?? 0));
      });
    }
  }

  test("by hand: rows (1, 2) and (3, 4) against (5, 6) and (7, 8), 17² + 23² + 39² + 53²", () => {
    for (const { pairNorms: run } of [referenceWeightKernels, blockedWeightKernels, simdWeightKernels]) {
      const out = new Float64Array(1);
      const rows: number[] = [];
      const [a, b] = [Float32Array.of(1, 2, 3, 4), Float32Array.of(5, 6, 7, 8)];
      run({ countA: 1, countB: 1, k: 2, d: 2, a, b, first: new Int32Array(1), out, onRows: (r) => rows.push(r) });
      expect(out[0]).toBe(289 + 529 + 1521 + 2809);
      expect(rows.at(-1)).toBe(2);
    }
  });

  test("runs in WebAssembly, says how far it is, and is the same to the bit on 1, 2 and 3 threads", async () => {
    const given = { name: "", countA: 12, countB: 36, k: 32, d: 260 } as never;
    const spy = vi.spyOn(engine().kernels, "pairNorms");
    const alone = pairArgs(given, "float32");
    const rows: number[] = [];
    simdWeightKernels.pairNorms({ ...alone, onRows: (r) => rows.push(r) });
    expect(spy).toHaveBeenCalledTimes(6);
    expect(rows).toEqual([48, 96, 144, 192, 240, 260]);
    spy.mockRestore();
    for (const count of [2, 3]) {
      await useThreads(count);
      const together = pairArgs(given, "float32");
      simdWeightKernels.pairNorms(together);
      expectSame(together.out, alone.out, `${count} threads`);
    }
    await useThreads(1);
  });

  test("a first partner that is none is a defect", () => {
    const args = { ...pairArgs(pairCases[2], "float32"), first: Int32Array.of(2, 1, 0) };
    expect(() => simdWeightKernels.pairNorms(args)).toThrow(
      "pairNorms: internal: first is 1 for map 1, not ascending up to 5",
    );
  });
});

describe("triangularRoots", () => {
  /** `WᵀW` of random `W`, more rows than columns. */
  function grams(count: number, n: number): Float64Array {
    const next = uniform(n);
    const out = new Float64Array(count * n * n);
    for (let t = 0; t < count; t++) {
      const W = Float64Array.from({ length: 2 * n * n }, next);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let r = 0; r < 2 * n; r++) sum += (W[r * n + i] ?? 0) * (W[r * n + j] ?? 0);
          out[(t * n + i) * n + j] = sum;
        }
      }
    }
    return out;
  }

  for (const { name, triangularRoots } of [referenceWeightKernels, blockedWeightKernels, simdWeightKernels]) {
    test.each([1, 2, 3, 5, 8, 17, 64])(`${name}: Rᵀ R = G within (n + 2) 2^-52 of the diagonal, n = %d`, (n) => {
      const want = grams(3, n);
      withWorkspace((take) => {
        const matrices = take("float64", 3 * n * n) as Float64Array;
        matrices.set(want);
        const isDone = new Int32Array(3);
        triangularRoots({ count: 3, n, matrices, least: 1e-12, isDone });
        expect([...isDone]).toEqual([1, 1, 1]);
        for (let t = 0; t < 3; t++) {
          for (let i = 0; i < n; i++) {
            for (let j = 0; j < n; j++) {
              let sum = 0;
              const at = t * n * n;
              for (let r = 0; r < n; r++) sum += (matrices[at + r * n + i] ?? NaN) * (matrices[at + r * n + j] ?? NaN);
              const scale = Math.sqrt((want[at + i * (n + 1)] ?? 0) * (want[at + j * (n + 1)] ?? 0));
              expect(Math.abs(sum - (want[at + i * n + j] ?? NaN))).toBeLessThanOrEqual((n + 2) * 2 ** -52 * scale);
              if (j < i) expect(matrices[at + i * n + j]).toBe(0);
            }
          }
        }
      });
    });

    test(`${name}: says where a pivot is small, zero or not a number, and does the others`, () => {
      withWorkspace((take) => {
        const matrices = take("float64", 16) as Float64Array;
        matrices.set([4, 2, 2, 5, 1, 1, 1, 1 + 1e-9, 0, 0, 0, 0, NaN, 0, 0, 1]);
        const isDone = new Int32Array(4);
        triangularRoots({ count: 4, n: 2, matrices, least: 1e-8, isDone });
        expect([...isDone]).toEqual([1, 0, 0, 0]);
        expect([...matrices.subarray(0, 4)]).toEqual([2, 1, 0, 2]);
      });
    });
  }

  test("runs in WebAssembly", () => {
    const spy = vi.spyOn(engine().kernels, "triangularRoots");
    withWorkspace((take) => {
      const matrices = (take("float64", 1) as Float64Array).fill(9);
      simdWeightKernels.triangularRoots({ count: 1, n: 1, matrices, least: 0, isDone: new Int32Array(1) });
      expect(matrices[0]).toBe(3);
    });
    expect(spy).toHaveBeenCalledOnce();
    spy.mockRestore();
  });
});

describe("blockSquares", () => {
  test.each([
    [1, 1, 1, 1],
    [6, 21, 3, 7],
    [4, 32, 4, 16],
    [5, 103, 1, 103],
  ])("the sums of squares of the blocks of %d x %d by %d x %d, within 2^-50", (rows, cols, blockRows, blockCols) => {
    for (const kind of ["float32", "float64"] as const) {
      for (const { blockSquares } of [referenceWeightKernels, blockedWeightKernels, simdWeightKernels]) {
        withWorkspace((take) => {
          const data = take(kind, rows * cols);
          const next = uniform(rows + cols);
          for (let t = 0; t < data.length; t++) data[t] = next();
          const across = cols / blockCols;
          const out = new Float64Array((rows / blockRows) * across);
          blockSquares({ rows, cols, blockRows, blockCols, data, out });
          for (const [block, sum] of out.entries()) {
            let want = 0;
            for (let t = 0; t < data.length; t++) {
              const [i, j] = [Math.floor(t / cols), t % cols];
              if (Math.floor(i / blockRows) * across + Math.floor(j / blockCols) === block) want += (data[t] ?? 0) ** 2;
            }
            expect(Math.abs(sum / want - 1)).toBeLessThanOrEqual(2 ** -50);
          }
        });
      }
    }
  });

  test("runs in WebAssembly; blocks that do not divide the matrix are a defect", () => {
    const spy = vi.spyOn(engine().kernels, "blockSquares");
    withWorkspace((take) => {
      const args = {
        rows: 2,
        cols: 2,
        blockRows: 2,
        blockCols: 1,
        data: take("float32", 4).fill(3),
        out: new Float64Array(2),
      };
      simdWeightKernels.blockSquares(args);
      expect([...args.out]).toEqual([18, 18]);
      expect(() => simdWeightKernels.blockSquares({ ...args, blockRows: 3 })).toThrow(
        "blockSquares: internal: blocks of 3 x 1 do not divide 2 x 2",
      );
    });
    expect(spy).toHaveBeenCalledOnce();
    spy.mockRestore();
  });
});

describe("deepProduct errs by at most 40 float32 roundings of ‖row‖ ‖column‖", () => {
  const view = (data: Float32Array, cols: number): MatrixView => ({
    data,
    offset: 0,
    rowStride: cols,
    colStride: 1,
    batchStride: 0,
  });
  /** Rows and columns of sizes from 1e-4 to 1e4, and one of each that is zero, in memory of an engine. */
  function deepArgs(m: number, n: number, k: number, of: WeightEngine = engine()): DeepProductArgs {
    const next = uniform(m + n + k);
    const numbers = (length: number): Float32Array => {
      const address = takeBlock(of.heap, 4 * length) ?? 0;
      return of.heap.floats.subarray(address / 4, address / 4 + length);
    };
    const [a, b] = [numbers(m * k), numbers(k * n)];
    const size = (line: number): number => (line === 5 ? 0 : 10 ** ((line % 9) - 4));
    for (let t = 0; t < a.length; t++) a[t] = next() * size(Math.floor(t / k));
    for (let t = 0; t < b.length; t++) b[t] = next() * size(t % n);
    return { m, n, k, a: view(a, k), b: view(b, n), out: new Float64Array(m * n).fill(7) };
  }
  function expectNear({ m, n, k, a, b, out }: DeepProductArgs): void {
    const want = new Float64Array(m * n);
    referenceOf({ m, n, k, a, b, out: want });
    const [rows, columns] = [new Float64Array(m), new Float64Array(n)];
    for (let t = 0; t < m * k; t++) rows[Math.floor(t / k)] = (rows[Math.floor(t / k)] ?? 0) + (a.data[t] ?? 0) ** 2;
    for (let t = 0; t < k * n; t++) columns[t % n] = (columns[t % n] ?? 0) + (b.data[t] ?? 0) ** 2;
    expectWithin(out, want, (t) => {
      return 40 * 2 ** -24 * Math.sqrt((rows[Math.floor(t / n)] ?? 0) * (columns[t % n] ?? 0));
    });
  }
  /** Float64 throughout; the blocked kernel is checked against plain loops elsewhere. */
  const referenceOf = (args: DeepProductArgs): void => blockedWeightKernels.deepProduct(args);

  test.each([
    { name: "whole spans", m: 256, n: 256, k: 4096 },
    { name: "a rest, and an odd number of spans", m: 264, n: 256, k: 3 * 2048 + 77 },
    { name: "an odd number of rows", m: 257, n: 256, k: 4100 },
    { name: "few terms", m: 256, n: 256, k: 1000 },
    { name: "few columns, deep", m: 16, n: 3, k: 9001 },
  ])("$name", ({ m, n, k }) => {
    const args = deepArgs(m, n, k);
    simdWeightKernels.deepProduct(args);
    expectNear(args);
  });

  test("without relaxed SIMD", () => {
    const args = deepArgs(256, 256, 4096 + 5, plain);
    deepProductBySpans({ matmul: (parts) => multiply(plain, parts) }, args, new Float32Array(256 * 256));
    expectNear(args);
  });

  test("transposed operands, and those outside the kernels' memory", () => {
    const { m, n, k, a, b, out } = deepArgs(256, 256, 4100);
    const turned: MatrixView = { ...view(Float32Array.from(a.data), 1), rowStride: 1, colStride: m };
    const args = { m, n, k, a: turned, b, out };
    simdWeightKernels.deepProduct(args);
    const want = new Float64Array(m * n);
    blockedWeightKernels.deepProduct({ ...args, out: want });
    const largest = want.reduce((x, y) => Math.max(x, Math.abs(y)), 0);
    expectWithin(out, want, () => 1e-6 * largest);
  });
});
