/** The WebAssembly tiles: built from their source, really running, equal to the TypeScript to the bit, and dispensable. */
import { describe, expect, test, vi } from "vitest";
import { blockedKernels, simdKernels } from "../../src/kernels/index.ts";
import { matmulPath } from "../../src/kernels/blocked-matmul.ts";
import { plainEngine } from "../../src/kernels/tile-engine.ts";
import { simdEngine } from "../../src/kernels/wasm/engine.ts";
import { readText } from "../support/files.ts";
import { matmulArgs, matmulCases } from "./cases.ts";

describe("WebAssembly SIMD tiles", () => {
  test("the committed module is what tiles.wat assembles to", async () => {
    const { generated } = (await import("../../scripts/build-wasm.mjs")) as { generated: () => Promise<string> };
    expect(readText("src/kernels/wasm/tiles-binary.ts")).toBe(await generated());
  });

  test("run here, on the tiled path, in memory of their own", () => {
    const engine = simdEngine();
    if (engine === undefined) throw new Error("WebAssembly SIMD does not run on this machine");
    expect(engine.a.buffer).toBe(engine.sums.buffer);
    expect(engine.a.buffer).not.toBe(plainEngine().a.buffer);
    const addTiles = vi.spyOn(engine, "addTiles");
    const a = Float64Array.from({ length: 64 }, (_, i) => i);
    const view = (data: Float64Array): Parameters<typeof simdKernels.matmul>[0]["a"] => ({
      data,
      offset: 0,
      rowStride: 8,
      colStride: 1,
      batchStride: 64,
    });
    const args = { batch: 1, m: 8, n: 8, k: 8, a: view(a), b: view(a), out: view(new Float64Array(64)) };
    expect(matmulPath(args)).toBe("tiles");
    simdKernels.matmul(args);
    expect(addTiles).toHaveBeenCalledWith(2, 2, 8);
    addTiles.mockRestore();
    // Row 0 of the product of 0 … 63 with itself: Σ_p p (8 p + j) = 8 · 140 + 28 j.
    expect(Array.from(args.out.data.subarray(0, 8))).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((j) => 1120 + 28 * j));
  });

  describe.each(["float32", "float64"] as const)("%s", (kind) => {
    test.each(matmulCases)("equal the TypeScript tiles to the bit: $name", (given) => {
      const simd = matmulArgs(given, kind);
      const plain = matmulArgs(given, kind);
      simdKernels.matmul(simd);
      blockedKernels.matmul(plain);
      expect(simd.out.data).toEqual(plain.out.data);
    });
  });

  test("are given up, visibly, where WebAssembly is refused; the TypeScript tiles then serve", async () => {
    vi.resetModules();
    vi.stubGlobal("WebAssembly", {
      Module: class {
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
      });
      expect(() => fresh.useKernels("simd")).toThrow(
        'useKernels: there are no kernels named "simd" here; the names are reference, blocked, auto.',
      );
      const out = Float64Array.of(0);
      const view = (data: Float64Array) => ({ data, offset: 0, rowStride: 1, colStride: 1, batchStride: 1 });
      const one = Float64Array.of(3);
      fresh.simdKernels.matmul({ batch: 1, m: 1, n: 1, k: 1, a: view(one), b: view(one), out: view(out) });
      expect(out[0]).toBe(9);
    } finally {
      vi.unstubAllGlobals();
      vi.resetModules();
    }
  });
});
