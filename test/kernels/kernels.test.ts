import { afterEach, describe, expect, test } from "vitest";
import { matmulPath } from "../../src/kernels/blocked-matmul.ts";
import { exponentials } from "../../src/kernels/exponential.ts";
import {
  allocate,
  blockedKernels,
  kernelInfo,
  type Kernels,
  kernels,
  referenceKernels,
  simdKernels,
  useKernels,
} from "../../src/kernels/index.ts";
import { expectWithin, storageStep, U } from "./agreement.ts";
import {
  magnitudes,
  matmulArgs,
  matmulCases,
  ROW_OFFSET,
  type RowCase,
  rowCases,
  rowData,
  storage,
  type StorageName,
  UNTOUCHED,
} from "./cases.ts";

const implementations: readonly Kernels[] = [blockedKernels, simdKernels];
const kinds: readonly StorageName[] = ["float32", "float64"];
const runs = implementations.flatMap((fast) => kinds.map((kind) => ({ name: fast.name, fast, kind })));

describe.each(runs)("$name against the reference, $kind", ({ fast, kind }) => {
  test.each(matmulCases)("matmul within 2 k 2^-53 Σ|ab| and one step of storage: $name", (given) => {
    const args = matmulArgs(given, kind);
    const want = matmulArgs(given, kind);
    const sizes = magnitudes(args);
    fast.matmul(args);
    referenceKernels.matmul(want);
    expectWithin(
      args.out.data,
      want.out.data,
      (i, y) => 2 * (given.k + 1) * U * (sizes[i] ?? 0) + storageStep[kind] * Math.abs(y),
    );
  });

  // A sum of n exponentials, each within 5e-16: n + 8 roundings of 2^-53 at most on either side.
  const relative = (given: RowCase): number => 2 * (given.cols + 8) * U;

  test.each(rowCases)("softmax within 2 (n + 8) 2^-53 of each probability: $name", (given) => {
    const { got, want } = bothRows(fast, kind, given, "softmax");
    expectWithin(got, want, (_, y) => (relative(given) + storageStep[kind]) * y + smallest(kind));
  });

  test.each(rowCases)("softmax in place equals softmax into another array: $name", (given) => {
    const { got } = bothRows(fast, kind, given, "softmax");
    const data = rowData(given, kind);
    const { rows, cols } = given;
    fast.softmax({ rows, cols, input: data, inputOffset: ROW_OFFSET, output: data, outputOffset: ROW_OFFSET });
    expect(Array.from(data.subarray(ROW_OFFSET))).toEqual(Array.from(got.subarray(ROW_OFFSET, -1)));
  });

  test.each(rowCases)("logSoftmax within 2 (n + 8) 2^-53 nats and one step of storage: $name", (given) => {
    const { got, want } = bothRows(fast, kind, given, "logSoftmax");
    expectWithin(got, want, (_, y) => relative(given) + storageStep[kind] * Math.abs(y));
  });

  test.each(rowCases)("crossEntropy within 2 (n + 8) 2^-53 nats and one step of storage: $name", (given) => {
    const { rows, cols } = given;
    const targets = Int32Array.from({ length: rows }, (_, row) => (row * 5) % cols);
    const logits = rowData(given, kind);
    const got = storage(kind, rows);
    const want = storage(kind, rows);
    fast.crossEntropy({ rows, cols, logits, logitsOffset: ROW_OFFSET, targets, output: got });
    referenceKernels.crossEntropy({ rows, cols, logits, logitsOffset: ROW_OFFSET, targets, output: want });
    expectWithin(got, want, (_, y) => relative(given) + storageStep[kind] * Math.abs(y));
  });

  test.each(rowCases)("causalSoftmax never reads a masked score: $name", (given) => {
    const { rows, cols } = given;
    const queryOffset = Math.max(0, cols - rows);
    const scores = rowData(given, kind);
    for (let i = 0; i < rows; i++) {
      for (let j = i + queryOffset + 1; j < cols; j++) scores[ROW_OFFSET + i * cols + j] = NaN;
    }
    const shape = {
      batch: 1,
      queries: rows,
      keys: cols,
      scores,
      scoresOffset: ROW_OFFSET,
      outputOffset: 1,
      queryOffset,
    };
    const got = storage(kind, rows * cols + 2).fill(UNTOUCHED);
    const want = got.slice();
    fast.causalSoftmax({ ...shape, output: got });
    referenceKernels.causalSoftmax({ ...shape, output: want });
    expectWithin(got, want, (_, y) => (relative(given) + storageStep[kind]) * y + smallest(kind));
  });

  test.each(rowCases)("normalize within 4 (n + 2) 2^-53 of the scale, one step of storage: $name", (given) => {
    const { rows, cols } = given;
    for (const center of [true, false]) {
      const run = (which: Kernels): { output: ArrayLike<number>; scale: ArrayLike<number> } => {
        const output = storage(kind, rows * cols);
        const scale = storage(kind, rows + 1);
        const input = rowData(given, kind);
        const offsets = { inputOffset: ROW_OFFSET, outputOffset: 0, scaleOffset: 1 };
        which.normalize({ rows, cols, input, eps: 1e-5, center, output, scale, ...offsets });
        return { output, scale };
      };
      const got = run(fast);
      const want = run(referenceKernels);
      const input = rowData(given, kind);
      const largest = Math.max(1, ...input.map(Math.abs).filter(Number.isFinite));
      const bound = 4 * (cols + 2) * U * largest;
      expectWithin(got.scale, want.scale, (_, y) => bound + storageStep[kind] * y);
      expectWithin(got.output, want.output, (i, y) => {
        const scale = want.scale[1 + Math.floor(i / cols)] ?? 1;
        return ((1 + Math.abs(y)) * bound) / scale + storageStep[kind] * Math.abs(y);
      });
    }
  });
});

/** Below this, numbers of a storage type are subnormal and carry an absolute error. */
function smallest(kind: StorageName): number {
  return kind === "float32" ? 2 ** -149 : 1e-323;
}

function bothRows(
  fast: Kernels,
  kind: StorageName,
  { rows, cols, ...rest }: RowCase,
  operation: "softmax" | "logSoftmax",
): { got: Float32Array | Float64Array; want: Float32Array | Float64Array } {
  const input = rowData({ rows, cols, ...rest }, kind);
  const got = storage(kind, input.length + 1).fill(UNTOUCHED);
  const want = got.slice();
  const shape = { rows, cols, input, inputOffset: ROW_OFFSET, outputOffset: ROW_OFFSET };
  fast[operation]({ ...shape, output: got });
  referenceKernels[operation]({ ...shape, output: want });
  return { got, want };
}

describe("the blocked implementation takes the path that a case is there for", () => {
  test.each(matmulCases)("$path: $name", (given) => {
    const folded = given.b === "shared" && given.a === undefined && given.batch > 1;
    const args = matmulArgs(given, "float32");
    expect(matmulPath(folded ? { ...args, batch: 1, m: given.batch * given.m } : args)).toBe(given.path);
  });

  test("the table covers every path", () => {
    expect([...new Set(matmulCases.map(({ path }) => path))].sort()).toEqual(["dots", "nothing", "rows", "tiles"]);
  });
});

test("exponentials agree with Math.exp within 5e-16, and within 1e-323 below the normal numbers", () => {
  const x = Float64Array.from({ length: 20001 }, (_, i) => (-760 * i) / 20000);
  const got = new Float64Array(x.length);
  const sum = exponentials(x, 0, 0, x.length, got);
  expectWithin(got, x.map(Math.exp), (_, y) => 5e-16 * y + 1e-323);
  expect(sum).toBeCloseTo(
    got.reduce((total, value) => total + value, 0),
    12,
  );
  expect(exponentials(Float64Array.of(3, 3), 0, 3, 2, got)).toBe(2);
});

describe("choice of kernels", () => {
  afterEach(() => useKernels("auto"));

  test("the WebAssembly kernels run unless others are asked for", () => {
    expect(kernels()).toBe(simdKernels);
    expect(kernelInfo()).toEqual({
      name: "simd",
      available: ["reference", "blocked", "simd"],
      reason: "the fastest implementation that runs here",
    });
    useKernels("reference");
    expect(kernels()).toBe(referenceKernels);
    expect(kernelInfo()).toMatchObject({ name: "reference", reason: "asked for by useKernels" });
    useKernels("auto");
    expect(kernels().name).toBe("simd");
  });

  test("an unknown name is refused with the names there are", () => {
    expect(() => useKernels("cuda" as "auto")).toThrow(
      expect.objectContaining({
        name: "InputError",
        message: 'useKernels: there are no kernels named "cuda" here; the names are reference, blocked, simd, auto.',
      }),
    );
  });

  test("allocate gives float32 zeros", () => {
    expect(allocate(3)).toEqual(new Float32Array(3));
  });
});
