/** The WebAssembly kernels: built from their source, really running, with and without fused multiply-adds, and dispensable. */
import { describe, expect, test, vi } from "vitest";
import {
  blockedKernels,
  referenceKernels,
  referenceWeightKernels,
  simdKernels,
  simdWeightKernels,
} from "../../src/kernels/index.ts";
import type { FloatArray, MatrixView } from "../../src/kernels/index.ts";
import { startEngine, wasmEngine } from "../../src/kernels/wasm/engine.ts";
import type { Engine, WebAssemblyLike } from "../../src/kernels/wasm/engine.ts";
import { attention } from "../../src/kernels/wasm/attention.ts";
import { takeBlock } from "../../src/kernels/wasm/memory.ts";
import { gram } from "../../src/kernels/wasm/doubles.ts";
import { multiply } from "../../src/kernels/wasm/products.ts";
import * as rows from "../../src/kernels/wasm/rows.ts";
import { rowScreen } from "../../src/kernels/wasm/screen.ts";
import { startWeights, weightEngine } from "../../src/kernels/wasm/weights-engine.ts";
import type { WeightEngine } from "../../src/kernels/wasm/weights-engine.ts";
import { expectSame, expectWithin, U } from "./agreement.ts";
import {
  attentionArgs,
  attentionCases,
  gramArgs,
  gramAsMatmul,
  gramCases,
  lossArgs,
  magnitudes,
  matmulArgs,
  matmulCases,
  ROW_OFFSET,
  rowCases,
  rowData,
  storage,
  screenArgs,
  screenCases,
  uniform,
} from "./cases.ts";

function requireEngine(): Engine {
  const engine = wasmEngine();
  if (engine === undefined) throw new Error("WebAssembly SIMD does not run on this machine");
  return engine;
}

function requireWeights(started = weightEngine()): WeightEngine {
  if (started === undefined) throw new Error("the kernels for weights do not run on this machine");
  return started;
}

const square = (data: Float32Array | Float64Array, n: number): MatrixView => ({
  data,
  offset: 0,
  rowStride: n,
  colStride: 1,
  batchStride: 0,
});

describe("the modules", () => {
  test("run here", () => {
    expect(requireEngine().heap.isShared).toBe(true);
  });
});

describe("each kernel runs in WebAssembly", () => {
  const numbers = (n: number): Float32Array => {
    const next = uniform(n);
    return Float32Array.from({ length: n }, next);
  };
  const n = 32;
  const row = { rows: n, cols: n, inputOffset: 0, outputOffset: 0 };
  const calls: readonly [keyof WeightEngine["kernels"], () => void][] = [
    [
      "multiply",
      () => {
        const out = square(new Float32Array(n * n), n);
        simdKernels.matmul({
          batch: 1,
          m: n,
          n,
          k: n,
          a: square(numbers(n * n), n),
          b: square(numbers(n * n), n),
          out,
        });
      },
    ],
    ["multiplyDoubles", () => simdKernels.matmul(matmulArgs(matmulCases[9] ?? fail(), "float64"))],
    ["multiplyDoubles", () => simdKernels.matmul(matmulArgs(matmulCases[9] ?? fail(), "float64", "float32"))],
    ["gram", () => simdWeightKernels.gram(gramArgs(gramCases[7] ?? fail(), "float32"))],
    ["gram", () => simdWeightKernels.gram(gramArgs(gramCases[7] ?? fail(), "float64"))],
    ["softmax", () => simdKernels.softmax({ ...row, input: numbers(n * n), output: new Float32Array(n * n) })],
    [
      "causalSoftmax",
      () => {
        const sizes = { batch: 1, queries: n, keys: n, scoresOffset: 0, outputOffset: 0, queryOffset: 0 };
        simdKernels.causalSoftmax({ ...sizes, scores: numbers(n * n), output: new Float32Array(n * n) });
      },
    ],
    ["subtractPairs", () => simdKernels.logSoftmax({ ...row, input: numbers(n * n), output: new Float32Array(n * n) })],
    [
      "maxAndSum",
      () => {
        const targets = new Int32Array(n);
        const rest = { logits: numbers(n * n), logitsOffset: 0, targets, output: new Float32Array(n) };
        simdKernels.crossEntropy({ rows: n, cols: n, ...rest });
      },
    ],
    ["productLosses", () => simdKernels.productCrossEntropy(lossArgs(matmulCases[9] ?? fail(), "float32", true))],
    [
      "normalize",
      () => {
        const rest = { input: numbers(n * n), output: new Float32Array(n * n), scale: new Float32Array(n) };
        simdKernels.normalize({ ...row, ...rest, scaleOffset: 0, eps: 1e-5, center: true });
      },
    ],
    ["attention", () => simdKernels.attention(attentionArgs(attentionCases[2] ?? fail(), "float32"))],
    ["screenedProduct", () => simdWeightKernels.rowScreen(screenArgs(screenCases[2] ?? fail(), "first"))],
  ];

  function fail(): never {
    throw new Error("there is no such case");
  }

  test.each(calls)("%s", (name, call) => {
    const { kernels } = requireEngine();
    const spy = vi.spyOn(name in kernels ? (kernels as WeightEngine["kernels"]) : requireWeights().kernels, name);
    call();
    expect(spy).toHaveBeenCalled();
    spy.mockRestore();
  });
});

/**
 * The same cases without fused multiply-adds, as engines without relaxed SIMD run them: both are within the bound of the reference, and so
 * within twice the bound of each other.
 */
describe("without relaxed SIMD", () => {
  const plain = startEngine((globalThis as unknown as { WebAssembly: WebAssemblyLike }).WebAssembly, false);
  const plainWeights = requireWeights(startWeights(plain));
  const parts = {
    matmul: (args: Parameters<typeof simdKernels.matmul>[0]) => multiply(plain, args),
    softmax: (args: Parameters<typeof simdKernels.softmax>[0]) => rows.softmax(plain, args),
    causalSoftmax: (args: Parameters<typeof simdKernels.causalSoftmax>[0]) => rows.causalSoftmax(plain, args),
  };

  test("nothing is fused", () => expect(plain.isFused).toBe(false));

  test.each(matmulCases)("matmul within (2 min(k, 256) + k / 256 + 2) 2^-24 Σ|ab|: $name", (given) => {
    const args = matmulArgs(given, "float32");
    const want = matmulArgs(given, "float32");
    const sizes = magnitudes(args);
    multiply(plain, args);
    referenceKernels.matmul(want);
    const allowed = (2 * Math.min(given.k, 256) + given.k / 256 + 2) * 2 ** -24;
    expectWithin(args.out.data, want.out.data, (i, y) => allowed * (sizes[i] ?? 0) + 2 ** -23 * Math.abs(y));
  });

  test.each(matmulCases)("matmul of float64 within 2 (k + 1) 2^-53 Σ|ab|: $name", (given) => {
    const args = matmulArgs(given, "float64");
    const want = matmulArgs(given, "float64");
    const sizes = magnitudes(args);
    multiply(plain, args);
    referenceKernels.matmul(want);
    expectWithin(args.out.data, want.out.data, (i, y) => 2 * (given.k + 1) * U * (sizes[i] ?? 0) + 2 * U * Math.abs(y));
  });

  test.each(gramCases)(
    "gram within (2 min(k, 256) + k / 256 + 2) 2^-24 Σ|ab|, float64 within 2 (k + 1) 2^-53: $name",
    (given) => {
      for (const kind of ["float32", "float64"] as const) {
        const args = gramArgs(given, kind);
        const want = gramArgs(given, kind);
        const sizes = magnitudes(gramAsMatmul(args));
        gram(plainWeights, args);
        referenceWeightKernels.gram(want);
        const single = (2 * Math.min(given.k, 256) + given.k / 256 + 2) * 2 ** -24;
        const [sums, step] = kind === "float32" ? [single, 2 ** -23] : [2 * (given.k + 1) * U, 2 * U];
        expectWithin(args.out.data, want.out.data, (i, y) => sums * (sizes[i] ?? 0) + step * Math.abs(y));
      }
    },
  );

  test.each(rowCases)("softmax as with it, within 1e-5 of each probability and 2^-126: $name", (given) => {
    const { rows: count, cols } = given;
    const run = (softmax: typeof simdKernels.softmax): Float32Array => {
      const output = new Float32Array(count * cols);
      softmax({
        rows: count,
        cols,
        input: rowData(given, "float32"),
        inputOffset: ROW_OFFSET,
        output,
        outputOffset: 0,
      });
      return output;
    };
    const want = run((args) => simdKernels.softmax(args));
    // Exponents of up to 88 carry 2 · 88 roundings of 2^-24 each way.
    expectWithin(run(parts.softmax), want, (_, y) => 4 * 2 * 88 * 2 ** -24 * y + 2 ** -126);
  });

  test.each(attentionCases)("attention as with it, within 1e-4: $name", (given) => {
    const args = attentionArgs(given, "float32");
    const want = attentionArgs(given, "float32");
    attention(plain, parts, args);
    simdKernels.attention(want);
    expectWithin(args.out.data, want.out.data, () => 1e-4);
  });

  test.each(screenCases)("entries above bars as with it: $name", (given) => {
    const [screen, want] = [screenArgs(given, "largest"), screenArgs(given, "largest")];
    rowScreen(plainWeights, parts, screen);
    simdWeightKernels.rowScreen(want);
    expect(Array.from(screen.found)).toEqual(Array.from(want.found));
    want.found.forEach((count, i) => {
      const kept = [i * given.most, i * given.most + count] as const;
      expect(Array.from(screen.indices.subarray(...kept))).toEqual(Array.from(want.indices.subarray(...kept)));
    });
  });
});

describe("where WebAssembly is refused", () => {
  test("the TypeScript kernels serve, visibly", async () => {
    vi.resetModules();
    vi.stubGlobal("WebAssembly", {
      Memory: class {
        constructor() {
          throw new Error("refused by the content-security policy");
        }
      },
    });
    try {
      const fresh = await import("../../src/kernels/index.ts");
      expect(fresh.kernelInfo()).toEqual({
        name: "blocked",
        available: ["reference", "blocked"],
        reason: "the fastest implementation that runs here; WebAssembly SIMD was refused",
        fused: false,
        threads: 1,
        memoryBytes: 0,
      });
      expect(() => fresh.useKernels("simd")).toThrow(
        'useKernels: there are no kernels named "simd" here; the names are reference, blocked, auto.',
      );
      const out = square(new Float32Array(1024), 32);
      const ones = square(new Float32Array(1024).fill(1), 32);
      fresh.simdKernels.matmul({ batch: 1, m: 32, n: 32, k: 32, a: ones, b: ones, out });
      expect(new Set(out.data)).toEqual(new Set([32]));
      fresh.simdWeightKernels.gram({ batch: 1, m: 32, k: 32, a: ones, out: square(out.data.fill(0), 32) });
      expect(new Set(out.data)).toEqual(new Set([32]));
      expect(fresh.weightKernels()).toBe(fresh.blockedWeightKernels);
      expect(fresh.allocate(5000)).toEqual(new Float32Array(5000));
    } finally {
      vi.unstubAllGlobals();
      vi.resetModules();
    }
  });

  test("TypeScript serves for what is asked of weights where their module alone is refused", async () => {
    vi.resetModules();
    const { Memory, Instance, Module, validate } = (globalThis as unknown as { WebAssembly: WebAssemblyLike })
      .WebAssembly;
    let modules = 0;
    vi.stubGlobal("WebAssembly", {
      Memory,
      Instance,
      validate,
      Module: class {
        constructor(bytes: Uint8Array) {
          if (++modules > 2) throw new Error("refused by the content-security policy");
          return new Module(bytes);
        }
      },
    });
    try {
      const fresh = await import("../../src/kernels/index.ts");
      const ones = square(new Float32Array(1024).fill(1), 32);
      for (let turn = 0; turn < 2; turn++) {
        const out = square(new Float32Array(1024), 32);
        fresh.weightKernels().gram({ batch: 1, m: 32, k: 32, a: ones, out });
        expect(new Set(out.data)).toEqual(new Set([32]));
      }
      expect(fresh.kernelInfo().name).toBe("simd");
      expect(modules).toBe(3);
    } finally {
      vi.unstubAllGlobals();
      vi.resetModules();
    }
  });

  test("without shared memory the kernels run in a memory that does not grow", () => {
    const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyLike };
    const unshared: WebAssemblyLike = {
      Memory: class {
        constructor(limits: { shared?: boolean; initial: number; maximum: number }) {
          if (limits.shared === true) throw new TypeError("shared memory is refused");
          return new WebAssembly.Memory(limits);
        }
      } as unknown as WebAssemblyLike["Memory"],
      Module: WebAssembly.Module,
      Instance: WebAssembly.Instance,
      validate: (bytes) => WebAssembly.validate(bytes),
    };
    const engine = startEngine(unshared);
    expect(engine.heap.isShared).toBe(false);
    const args = matmulArgs({ name: "", batch: 1, m: 40, n: 50, k: 60, path: "tiles" }, "float32");
    const want = matmulArgs({ name: "", batch: 1, m: 40, n: 50, k: 60, path: "tiles" }, "float32");
    multiply(engine, args);
    simdKernels.matmul(want);
    expect(args.out.data).toEqual(want.out.data);
    const [ofGram, wantGram] = [
      gramArgs(gramCases[7] ?? expect.fail(), "float32"),
      gramArgs(gramCases[7] ?? expect.fail(), "float32"),
    ];
    gram(requireWeights(startWeights(engine)), ofGram);
    simdWeightKernels.gram(wantGram);
    expect(ofGram.out.data).toEqual(wantGram.out.data);
    // With that memory full, TypeScript serves, and adds to what was there once; few numbers need no memory but the working space.
    for (const bytes of [2 ** 22, 4096, ...engine.heap.free.keys()])
      while (takeBlock(engine.heap, bytes) !== undefined);
    expect(startWeights(engine)).toBeUndefined();
    for (const [m, n, k, kernels] of [
      [20, 300, 420, blockedKernels],
      [40, 50, 60, simdKernels],
    ] as const) {
      const given = { name: "", batch: 1, m, n, k, accumulate: true, path: "tiles" } as const;
      const [full, alike] = [matmulArgs(given, "float32"), matmulArgs(given, "float32")];
      multiply(engine, full);
      kernels.matmul(alike);
      expect(full.out.data).toEqual(alike.out.data);
    }
  });
});

describe("sums", () => {
  /** `[m, k] · [k, n]` in the precision of the operands. */
  function product(m: number, n: number, k: number, a: FloatArray, b: FloatArray): FloatArray {
    const data = storage(a instanceof Float64Array ? "float64" : "float32", m * n);
    simdKernels.matmul({ batch: 1, m, n, k, a: square(a, k), b: square(b, n), out: square(data, n) });
    return data;
  }

  test("of float32 take 256 terms one after the other: 2^24 and 255 ones stay 2^24, the next 256 ones add up first", () => {
    const a = new Float32Array(512).fill(1);
    a[0] = 2 ** 24;
    expect(product(1, 1, 512, a, new Float32Array(512).fill(1))[0]).toBe(2 ** 24 + 256);
  });

  test.each(["float32", "float64"] as const)(
    "do not depend on what else is computed: each row and column alone is the same to the bit, %s",
    (kind) => {
      const [m, n, k] = [37, 83, 300];
      const next = uniform(5);
      const a = storage(kind, m * k).map(next);
      const b = storage(kind, k * n).map(next);
      const whole = product(m, n, k, a, b);
      for (const i of [0, 5, 6, 36]) {
        expectSame(product(1, n, k, a.slice(i * k, (i + 1) * k), b), whole.slice(i * n, (i + 1) * n));
      }
      for (const j of [0, 7, 8, 82]) {
        const column = storage(kind, k).map((_, p) => b[p * n + j] ?? NaN);
        expectSame(
          product(m, 1, k, a, column),
          storage(kind, m).map((_, i) => whole[i * n + j] ?? NaN),
        );
      }
    },
  );

  test.each(["float32", "float64"] as const)("of Gram matrices are those of the product, %s", (kind) => {
    for (const given of gramCases) {
      const [args, want] = [gramArgs(given, kind), gramArgs(given, kind)];
      simdWeightKernels.gram(args);
      simdKernels.matmul(gramAsMatmul(want));
      expectSame(args.out.data, want.out.data, given.name);
    }
  });
});
