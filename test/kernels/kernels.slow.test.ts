import { afterEach, describe, expect, test } from "vitest";
import { matmulPath } from "../../src/kernels/plain/blocked-matmul.ts";
import { exponentials } from "../../src/kernels/plain/exponential.ts";
import {
  allocate,
  blockedKernels,
  blockedWeightKernels,
  type FloatArray,
  kernelInfo,
  type Kernels,
  kernels,
  type MatrixView,
  referenceKernels,
  referenceWeightKernels,
  simdKernels,
  simdWeightKernels,
  useKernels,
  type WeightKernels,
  weightKernels,
} from "../../src/kernels/index.ts";
import { expectWithin, storageStep, U } from "./agreement.ts";
import {
  attentionArgs,
  attentionCases,
  gramArgs,
  gramAsMatmul,
  gramCases,
  lossArgs,
  lossCases,
  magnitudes,
  matmulArgs,
  type MatmulCase,
  matmulCases,
  ROW_OFFSET,
  type RowCase,
  rowCases,
  rowData,
  screenArgs,
  screenCases,
  screenedRow,
  storage,
  type StorageName,
  UNTOUCHED,
} from "./cases.ts";

const implementations: readonly (Kernels & WeightKernels)[] = [
  { ...blockedKernels, ...blockedWeightKernels },
  { ...simdKernels, ...simdWeightKernels },
];
const kinds: readonly StorageName[] = ["float32", "float64"];

/**
 * What bounds the error of an implementation: the unit roundoff of its sums, how many roundings a sum of `k` products meets, and what its
 * exponential is off by. WebAssembly sums float32 in float32 by 256 terms; all else is summed in float64.
 */
interface Rounding {
  readonly unit: number;
  readonly roundings: (k: number) => number;
  /** Relative error of a sum of `n` exponentials of arguments down to `-range`. */
  readonly ofExponentials: (n: number, range: number) => number;
  /** Exponentials below this may be 0. */
  readonly smallest: number;
}

const inFloat64 = (kind: StorageName): Rounding => ({
  unit: U,
  roundings: (k) => 2 * (k + 1),
  // A sum of n exponentials, each within 5e-16: n + 8 roundings of 2^-53 at most on either side.
  ofExponentials: (n) => 2 * (n + 8) * U,
  smallest: kind === "float32" ? 2 ** -149 : 1e-323,
});

const inFloat32: Rounding = {
  unit: 2 ** -24,
  // Two roundings a term where it is not fused; the 256-term sums are then added; the result may fall on the other side of the reference's.
  roundings: (k) => 2 * Math.min(k, 256) + k / 256 + 2,
  // The argument x - max is rounded (range 2^-24 of the exponential), and so is the 1 / ln 2 it is multiplied by (0.23 of that); the polynomial is off by
  // 6e-9, its evaluation by 8 roundings; a lane adds 32 pairs of exponentials and another lane before they are taken up in float64.
  ofExponentials: (_, range) => 2 * (1.25 * range + 48) * 2 ** -24,
  smallest: 2 ** -126,
};

const runs = implementations.flatMap((fast) =>
  kinds.map((kind) => ({
    name: fast.name,
    fast,
    kind,
    rounding: fast.name === "simd" && kind === "float32" ? inFloat32 : inFloat64(kind),
    bound:
      fast.name === "simd" && kind === "float32"
        ? "sums of (2 min(k, 256) + k / 256 + 2) 2^-24, exponentials of 2 (1.25 range + 48) 2^-24"
        : "sums of 2 (k + 1) 2^-53, exponentials of 2 (n + 8) 2^-53",
  })),
);

interface Product {
  /** The product as the reference has it. */
  readonly want: FloatArray;
  /** Σ|ab| of each entry. */
  readonly sizes: ArrayLike<number>;
}
const products = new Map<string, Product>();

/** What a case's product should be: the reference takes each once, for all implementations. */
function productOf(given: MatmulCase, ...kinds: [StorageName, StorageName?, StorageName?]): Product {
  const key = [given.name, ...kinds].join(", ");
  const known = products.get(key);
  if (known !== undefined) return known;
  const args = matmulArgs(given, ...kinds);
  const sizes = magnitudes(args);
  referenceKernels.matmul(args);
  const made = { want: args.out.data, sizes };
  products.set(key, made);
  return made;
}

interface Losses {
  /** The losses as the reference has them, without a bias and with one. */
  readonly want: readonly [ArrayLike<number>, ArrayLike<number>];
  /** The largest Σ|ab| of each row. */
  readonly largest: Float64Array;
}
const losses = new Map<string, Losses>();

/** What the losses of a case should be, taken once like {@link productOf}. */
function lossesOf(given: MatmulCase, kind: StorageName): Losses {
  const key = `${given.name}, ${kind}`;
  const known = losses.get(key);
  if (known !== undefined) return known;
  const [plain, biased] = [lossArgs(given, kind, false), lossArgs(given, kind, true)];
  for (const args of [plain, biased]) referenceKernels.productCrossEntropy(args);
  const product = matmulArgs(given, kind);
  const sizes = magnitudes(product);
  const { offset, rowStride, colStride } = product.out;
  const largest = Float64Array.from({ length: given.m }, (_, i) => {
    let most = 0;
    for (let j = 0; j < given.n; j++) most = Math.max(most, sizes[offset + i * rowStride + j * colStride] ?? 0);
    return most;
  });
  const made: Losses = { want: [plain.output, biased.output], largest };
  losses.set(key, made);
  return made;
}

/** The largest minus the smallest finite number of a row. */
const rangeOf = (data: ArrayLike<number>): number => {
  const finite = Array.from(data).filter((x) => Number.isFinite(x) && x !== UNTOUCHED);
  return finite.length === 0 ? 0 : Math.max(...finite) - Math.min(...finite);
};

describe.each(runs)("$name against the reference, $kind, within $bound", ({ fast, kind, rounding }) => {
  test.each(matmulCases)("matmul within the bound of its sums times Σ|ab|, and one step of storage: $name", (given) => {
    const args = matmulArgs(given, kind);
    const { want, sizes } = productOf(given, kind);
    fast.matmul(args);
    const allowed = rounding.roundings(given.k) * rounding.unit;
    expectWithin(args.out.data, want, (i, y) => allowed * (sizes[i] ?? 0) + storageStep[kind] * Math.abs(y));
  });

  test.each(gramCases)("gram within the bound of its sums times Σ|ab|, and one step of storage: $name", (given) => {
    const args = gramArgs(given, kind);
    const want = gramArgs(given, kind);
    const sizes = magnitudes(gramAsMatmul(want));
    fast.gram(args);
    referenceWeightKernels.gram(want);
    const allowed = rounding.roundings(given.k) * rounding.unit;
    expectWithin(args.out.data, want.out.data, (i, y) => allowed * (sizes[i] ?? 0) + storageStep[kind] * Math.abs(y));
  });

  const relative = (given: RowCase): number =>
    rounding.ofExponentials(given.cols, Math.min(rangeOf(rowData(given, kind).subarray(ROW_OFFSET)), 800));

  test.each(rowCases)("softmax within the bound of exponentials of each probability: $name", (given) => {
    const { got, want } = bothRows(fast, kind, given, "softmax");
    const allowed = relative(given) + storageStep[kind];
    expectWithin(got, want, (_, y) => allowed * y + rounding.smallest);
  });

  test.each(rowCases)("softmax in place equals softmax into another array: $name", (given) => {
    const { got } = bothRows(fast, kind, given, "softmax");
    const data = rowData(given, kind);
    const { rows, cols } = given;
    fast.softmax({ rows, cols, input: data, inputOffset: ROW_OFFSET, output: data, outputOffset: ROW_OFFSET });
    expect(Array.from(data.subarray(ROW_OFFSET))).toEqual(Array.from(got.subarray(ROW_OFFSET, -1)));
  });

  // Exponentials count in a sum by their size, x e^-x ≤ 1/e: a sum is off by no more than a range of ln n would make it.
  const inNats = (given: RowCase): number => rounding.ofExponentials(given.cols, Math.log(given.cols + 1) + 1);

  test.each(rowCases)(
    "logSoftmax within the bound of exponentials in nats, and one step of storage: $name",
    (given) => {
      const { got, want } = bothRows(fast, kind, given, "logSoftmax");
      const nats = inNats(given);
      expectWithin(got, want, (_, y) => nats + storageStep[kind] * Math.abs(y));
    },
  );

  test.each(rowCases)(
    "crossEntropy within the bound of exponentials in nats, and one step of storage: $name",
    (given) => {
      const { rows, cols } = given;
      const targets = Int32Array.from({ length: rows }, (_, row) => (row * 5) % cols);
      const logits = rowData(given, kind);
      const got = storage(kind, rows);
      const want = storage(kind, rows);
      fast.crossEntropy({ rows, cols, logits, logitsOffset: ROW_OFFSET, targets, output: got });
      referenceKernels.crossEntropy({ rows, cols, logits, logitsOffset: ROW_OFFSET, targets, output: want });
      const nats = inNats(given);
      expectWithin(got, want, (_, y) => nats + storageStep[kind] * Math.abs(y));
    },
  );

  test.each(lossCases)(
    "productCrossEntropy within twice the bound of its logits and that of exponentials in nats: $name",
    (given) => {
      const { want, largest } = lossesOf(given, kind);
      for (const hasBias of [false, true]) {
        const args = lossArgs(given, kind, hasBias);
        fast.productCrossEntropy(args);
        const { n, k } = given;
        const nats = rounding.ofExponentials(n, Math.log(n + 1) + 1);
        expectWithin(args.output, want[hasBias ? 1 : 0], (row, y) => {
          const size = (largest[row] ?? 0) + (hasBias ? 3 : 0);
          const logit = (rounding.roundings(k) * rounding.unit + 2 * storageStep[kind]) * size;
          return 2 * logit + nats + storageStep[kind] * Math.abs(y);
        });
      }
    },
  );

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
    const allowed = relative(given) + storageStep[kind];
    expectWithin(got, want, (_, y) => allowed * y + rounding.smallest);
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

  test.each(attentionCases)("attention within the bounds of its parts: $name", (given) => {
    const args = attentionArgs(given, kind);
    const want = attentionArgs(given, kind);
    fast.attention(args);
    referenceKernels.attention(want);
    const { width, keys, scale } = args;
    // |q| and |k| are below 1, so a score errs by its sum's bound times width, and moves its probability by so much; values are below 1 too.
    const ofScores = (width / scale) * rounding.roundings(width) * rounding.unit;
    const ofSoftmax = rounding.ofExponentials(keys, (2 * width) / scale);
    const ofValues = rounding.roundings(keys) * rounding.unit;
    expectWithin(args.out.data, want.out.data, () => 2 * ofScores + ofSoftmax + ofValues + storageStep[kind]);
  });
});

/** Operands and results of different kinds: whatever is float64 makes the sums float64. */
const mixtures = implementations.flatMap((fast) =>
  (
    [
      ["float64", "float32", "float64"],
      ["float32", "float64", "float64"],
      ["float32", "float32", "float64"],
      ["float64", "float64", "float32"],
      ["float32", "float64", "float32"],
    ] as const
  ).map(([a, b, out]) => ({ name: fast.name, fast, a, b, out })),
);

describe.each(mixtures)("$name, $a times $b into $out, within 2 (k + 1) 2^-53 Σ|ab|", ({ fast, a, b, out }) => {
  test.each(matmulCases)("and one step of storage: $name", (given) => {
    const args = matmulArgs(given, a, b, out);
    const { want, sizes } = productOf(given, a, b, out);
    fast.matmul(args);
    const allowed = 2 * (given.k + 1) * U;
    expectWithin(args.out.data, want, (i, y) => allowed * (sizes[i] ?? 0) + storageStep[out] * Math.abs(y));
  });
});

describe.each(implementations.map((fast) => ({ name: fast.name, fast })))("$name", ({ fast }) => {
  test.each(gramCases)(
    "gram of float32 into float64 within 2 (k + 1) 2^-53 Σ|ab|, symmetric to the bit: $name",
    (given) => {
      const args = gramArgs(given, "float32", "float64");
      const want = gramArgs(given, "float32", "float64");
      const sizes = magnitudes(gramAsMatmul(want));
      fast.gram(args);
      referenceWeightKernels.gram(want);
      expectWithin(args.out.data, want.out.data, (i) => 2 * (given.k + 1) * U * (sizes[i] ?? 0));
      const { data, offset, rowStride, colStride } = args.out;
      const at = (i: number, j: number): number => data[offset + i * rowStride + j * colStride] ?? NaN;
      for (let i = 0; i < (given.batch === 0 ? 0 : given.m); i++) {
        for (let j = 0; j < i; j++)
          if (!Object.is(at(i, j), at(j, i))) expect.fail(`entry ${i}, ${j} is not entry ${j}, ${i}`);
      }
    },
  );
});

describe.each(["reference", "blocked", "simd"] as const)("%s: entries above bars", (name) => {
  const kernels = { reference: referenceWeightKernels, blocked: blockedWeightKernels, simd: simdWeightKernels }[name];

  test.each(screenCases)("are those of all entries: $name", (given) => {
    for (const keep of ["largest", "first", "between"] as const) {
      const args = screenArgs(given, keep);
      const want = screenArgs(given, keep);
      const { m, n, width, most } = given;
      const at = (view: MatrixView, row: number, column: number): number =>
        view.data[row * view.rowStride + column * view.colStride] ?? NaN;
      kernels.rowScreen(args);
      for (let i = 0; i < m; i++) {
        const entries = Array.from({ length: n }, (_, j) => {
          let sum = 0;
          for (let p = 0; p < width; p++) {
            sum +=
              args.whole === undefined
                ? at(args.a, i, p) * at(args.b, p, j)
                : (args.whole.a[i * width + p] ?? NaN) * (args.whole.b[j * width + p] ?? NaN);
          }
          return sum;
        });
        const { columns, found, above } = screenedRow(want, entries, i);
        expect(args.found[i], keep).toBe(found);
        expect(Array.from(args.indices.subarray(i * most, i * most + columns.length)), keep).toEqual(columns);
        expect(Array.from(args.values.subarray(i * most, i * most + columns.length)), keep).toEqual(
          columns.map((j) => entries[j]),
        );
        if (keep === "between") expect(args.above?.[i]).toBe(above);
      }
    }
  });

  test("what is no question is a defect of the caller", () => {
    const args = screenArgs(screenCases[1] ?? expect.fail(), "between");
    expect(() => kernels.rowScreen({ ...args, most: 0 })).toThrow("rowScreen: internal: most is 0");
    expect(() => kernels.rowScreen({ ...args, highs: undefined })).toThrow("there is no second bar");
    expect(() =>
      kernels.rowScreen({ ...args, whole: { width: 12, a: new Float32Array(0), b: new Float32Array(0) } }),
    ).toThrow("width is 12");
  });
});

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
    expect(weightKernels()).toBe(simdWeightKernels);
    expect(kernelInfo()).toMatchObject({
      name: "simd",
      available: ["reference", "blocked", "simd"],
      reason: "the fastest implementation that runs here",
      threads: 1,
    });
    expect(kernelInfo().memoryBytes).toBeGreaterThan(0);
    useKernels("reference");
    expect(kernels()).toBe(referenceKernels);
    expect(weightKernels()).toBe(referenceWeightKernels);
    expect(kernelInfo()).toMatchObject({ name: "reference", reason: "asked for by useKernels" });
    useKernels("blocked");
    expect(kernels()).toBe(blockedKernels);
    expect(weightKernels()).toBe(blockedWeightKernels);
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
