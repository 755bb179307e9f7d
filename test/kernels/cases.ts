/**
 * One table of cases for every kernel implementation: awkward sizes, layouts and values. Each implementation runs all of
 * them and is compared with `reference.ts`, which has hand-worked cases of its own.
 */
import type { MatmulPath } from "../../src/kernels/plain/blocked-matmul.ts";
import type {
  AttentionArgs,
  FloatArray,
  GramArgs,
  HeadVectorsView,
  MatmulArgs,
  MatrixView,
  ProductCrossEntropyArgs,
  RowScreenArgs,
} from "../../src/kernels/index.ts";

/** Uniform numbers in [-1, 1) from a linear congruence: the same on every machine. */
export function uniform(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/**
 * How a matrix lies in its array: row-major, transposed, with gaps, backwards, one matrix for the whole batch, or a row
 * of each beside that of the others.
 */
export type Layout = "rows" | "transposed" | "strided" | "reversed" | "shared" | "beside";

export interface MatmulCase {
  readonly name: string;
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a?: Layout;
  readonly b?: Layout;
  readonly out?: Layout;
  readonly accumulate?: true;
  /** Values put over the first entries of a and b. */
  readonly special?: readonly number[];
  /** The loop nest that the blocked implementation must take. */
  readonly path: MatmulPath;
}

export const matmulCases: readonly MatmulCase[] = [
  { name: "no rows", batch: 1, m: 0, n: 3, k: 2, path: "nothing" },
  { name: "no columns", batch: 1, m: 3, n: 0, k: 2, path: "nothing" },
  { name: "empty batch", batch: 0, m: 3, n: 3, k: 2, path: "nothing" },
  { name: "nothing to sum gives zeros", batch: 2, m: 5, n: 6, k: 0, path: "dots" },
  { name: "nothing to sum keeps what out holds", batch: 1, m: 5, n: 6, k: 0, accumulate: true, path: "dots" },
  { name: "one by one", batch: 1, m: 1, n: 1, k: 1, path: "dots" },
  { name: "a dot product", batch: 1, m: 1, n: 1, k: 101, path: "dots" },
  { name: "an outer product", batch: 1, m: 17, n: 19, k: 1, path: "tiles" },
  { name: "primes", batch: 1, m: 7, n: 11, k: 13, path: "tiles" },
  { name: "odd", batch: 1, m: 33, n: 35, k: 37, path: "tiles" },
  { name: "full tiles", batch: 1, m: 16, n: 16, k: 16, path: "tiles" },
  { name: "tall", batch: 1, m: 301, n: 5, k: 9, path: "tiles" },
  { name: "wide", batch: 1, m: 5, n: 301, k: 9, path: "tiles" },
  { name: "deep, beyond one block of k", batch: 1, m: 6, n: 7, k: 523, path: "tiles" },
  { name: "beyond one block of m and n", batch: 1, m: 259, n: 261, k: 3, path: "tiles" },
  {
    name: "beyond one block each way, accumulating",
    batch: 1,
    m: 258,
    n: 257,
    k: 259,
    accumulate: true,
    path: "tiles",
  },
  { name: "one row", batch: 1, m: 1, n: 67, k: 31, path: "rows" },
  { name: "three rows, accumulating", batch: 2, m: 3, n: 67, k: 30, accumulate: true, path: "rows" },
  { name: "one row, into gaps", batch: 1, m: 1, n: 9, k: 5, out: "strided", path: "rows" },
  { name: "one row wider than the working space", batch: 1, m: 1, n: 65539, k: 6, path: "rows" },
  { name: "one row, b transposed", batch: 1, m: 1, n: 67, k: 31, b: "transposed", path: "dots" },
  { name: "few columns", batch: 1, m: 67, n: 2, k: 31, path: "dots" },
  { name: "small", batch: 3, m: 5, n: 6, k: 7, accumulate: true, path: "dots" },
  { name: "a transposed", batch: 1, m: 23, n: 29, k: 31, a: "transposed", path: "tiles" },
  { name: "b transposed", batch: 1, m: 23, n: 29, k: 31, b: "transposed", path: "tiles" },
  { name: "both transposed", batch: 2, m: 9, n: 14, k: 31, a: "transposed", b: "transposed", path: "tiles" },
  { name: "out transposed", batch: 1, m: 23, n: 29, k: 31, out: "transposed", path: "tiles" },
  { name: "strided", batch: 2, m: 9, n: 10, k: 11, a: "strided", b: "strided", out: "strided", path: "tiles" },
  {
    name: "negative strides",
    batch: 2,
    m: 9,
    n: 10,
    k: 11,
    a: "reversed",
    b: "reversed",
    out: "reversed",
    path: "tiles",
  },
  { name: "one row of b's rows, long", batch: 1, m: 1, n: 4099, k: 300, path: "rows" },
  { name: "four rows, long, accumulating", batch: 1, m: 4, n: 1030, k: 261, accumulate: true, path: "tiles" },
  { name: "row remainders of every tile, one", batch: 1, m: 13, n: 24, k: 21, path: "tiles" },
  { name: "row remainders of every tile, two", batch: 1, m: 20, n: 24, k: 22, path: "tiles" },
  { name: "row remainders of every tile, three", batch: 1, m: 27, n: 25, k: 23, path: "tiles" },
  { name: "row remainders of every tile, five", batch: 1, m: 11, n: 31, k: 257, path: "tiles" },
  { name: "wider than a block of columns", batch: 1, m: 70, n: 2057, k: 19, path: "tiles" },
  { name: "a transposed, deep", batch: 1, m: 250, n: 17, k: 301, a: "transposed", path: "tiles" },
  { name: "batched", batch: 5, m: 8, n: 12, k: 16, path: "tiles" },
  { name: "batched, accumulating", batch: 5, m: 8, n: 12, k: 16, accumulate: true, path: "tiles" },
  { name: "one b for the batch", batch: 5, m: 7, n: 12, k: 16, b: "shared", path: "tiles" },
  { name: "one b for a batch of single rows", batch: 5, m: 1, n: 12, k: 16, b: "shared", path: "tiles" },
  { name: "one b, a strided", batch: 3, m: 7, n: 12, k: 16, a: "strided", b: "shared", path: "tiles" },
  { name: "one a for the batch", batch: 5, m: 7, n: 12, k: 16, a: "shared", path: "tiles" },
  { name: "one a, results side by side", batch: 5, m: 50, n: 16, k: 200, a: "shared", out: "beside", path: "tiles" },
  { name: "one a, one row, side by side", batch: 3, m: 1, n: 24, k: 130, a: "shared", out: "beside", path: "rows" },
  {
    name: "added one after the other into the same rows",
    batch: 5,
    m: 40,
    n: 24,
    k: 16,
    out: "shared",
    accumulate: true,
    path: "tiles",
  },
  { name: "NaN stays in its row and column", batch: 1, m: 9, n: 9, k: 9, special: [NaN], path: "tiles" },
  { name: "infinities", batch: 1, m: 9, n: 9, k: 9, special: [Infinity, -Infinity, 0], path: "tiles" },
  { name: "infinities in a small product", batch: 1, m: 2, n: 2, k: 3, special: [Infinity, 0], path: "dots" },
  { name: "NaN times 0 in one row", batch: 1, m: 1, n: 8, k: 5, special: [0, NaN], path: "rows" },
  { name: "large values", batch: 1, m: 9, n: 9, k: 9, special: [1e18, -1e18, 1e-18], path: "tiles" },
];

export type StorageName = "float32" | "float64";

export function storage(name: StorageName, length: number): FloatArray {
  return name === "float32" ? new Float32Array(length) : new Float64Array(length);
}

/** A view of `batch` matrices in an array that begins and ends with unused entries. */
function layOut(layout: Layout, kind: StorageName, batch: number, rows: number, cols: number): MatrixView {
  const margin = 3;
  const size = rows * cols;
  const dense = { offset: margin, rowStride: cols, colStride: 1, batchStride: size };
  const room = 2 * (batch * rows * (cols + 2)) + 2 * margin;
  const data = storage(kind, room);
  switch (layout) {
    case "rows":
      return { data, ...dense };
    case "shared":
      return { data, ...dense, batchStride: 0 };
    case "beside":
      return { data, ...dense, rowStride: batch * cols, batchStride: cols };
    case "transposed":
      return { data, ...dense, rowStride: 1, colStride: rows };
    case "strided":
      return { data, offset: margin, rowStride: 2 * cols + 1, colStride: 2, batchStride: rows * (2 * cols + 1) };
    case "reversed":
      return { data, offset: margin + batch * size - 1, rowStride: -cols, colStride: -1, batchStride: -size };
  }
}

/** So many numbers, one after the other. */
function drawn(length: number, next: () => number): Float64Array {
  const numbers = new Float64Array(length);
  for (let i = 0; i < length; i++) numbers[i] = next();
  return numbers;
}

/** Sentinel around the results: an entry that no kernel may touch keeps it. */
export const UNTOUCHED = 77;

/** The arguments of a case, the same numbers each time it is called; `bKind` and `outKind` where these are stored otherwise than `a`. */
export function matmulArgs(given: MatmulCase, kind: StorageName, bKind = kind, outKind = kind): MatmulArgs {
  const { batch, m, n, k } = given;
  const next = uniform(m * 7919 + n * 104729 + k * 1299709 + batch);
  const a = layOut(given.a ?? "rows", kind, batch, m, k);
  const b = layOut(given.b ?? "rows", bKind, batch, k, n);
  const out = layOut(given.out ?? "rows", outKind, batch, m, n);
  for (const view of [a, b]) {
    view.data.set(drawn(view.data.length, next));
    (given.special ?? []).forEach((value, i) => (view.data[view.offset + i * view.colStride] = value));
  }
  out.data.fill(UNTOUCHED);
  return { batch, m, n, k, a, b, out, ...(given.accumulate && { accumulate: true }) };
}

/** The losses of a product: what `a`, `b` and `targets` are is a case's of {@link matmulCases}. */
export function lossArgs(given: MatmulCase, kind: StorageName, hasBias: boolean): ProductCrossEntropyArgs {
  const { m: rows, n: cols, k, a, b } = matmulArgs(given, kind);
  const targets = Int32Array.from({ length: rows }, (_, row) => (row * 1009 + cols - 1) % cols);
  const bias = hasBias ? storage(kind, cols).map((_, j) => (j % 7) - 3) : undefined;
  return { rows, cols, k, a, b, bias, targets, output: new Float64Array(rows) };
}

/** The cases of which losses are taken; columns are none, some, one stretch that is taken up together, and several. */
export const lossCases: readonly MatmulCase[] = [
  ...matmulCases.filter(({ batch, n, special }) => batch === 1 && n > 0 && special === undefined),
  { name: "a stretch and one column", batch: 1, m: 50, n: 2049, k: 20, path: "tiles" },
  { name: "several stretches of few rows", batch: 1, m: 4, n: 4200, k: 20, path: "tiles" },
  { name: "deeper than 256 columns fit", batch: 1, m: 7, n: 240, k: 2310, path: "tiles" },
];

export interface GramCase {
  readonly name: string;
  readonly batch: number;
  readonly m: number;
  readonly k: number;
  readonly a?: Layout;
  readonly out?: Layout;
  readonly special?: readonly number[];
}

/** Sizes around blocks of 12 and 96 rows, 256 of depth, and panels of 4 and 8 columns. */
export const gramCases: readonly GramCase[] = [
  { name: "no rows", batch: 2, m: 0, k: 3 },
  { name: "empty batch", batch: 0, m: 3, k: 3 },
  { name: "nothing to sum gives zeros", batch: 2, m: 5, k: 0 },
  { name: "one by one", batch: 1, m: 1, k: 1 },
  { name: "one row", batch: 3, m: 1, k: 101 },
  { name: "two rows", batch: 1, m: 2, k: 7 },
  { name: "primes", batch: 2, m: 13, k: 7 },
  { name: "odd", batch: 1, m: 33, k: 37 },
  { name: "heads", batch: 3, m: 64, k: 300 },
  { name: "rank 1", batch: 1, m: 29, k: 1 },
  { name: "deep, beyond one block", batch: 1, m: 11, k: 769 },
  { name: "wider than a block of rows, odd", batch: 1, m: 271, k: 21 },
  { name: "beyond one block of columns", batch: 1, m: 1033, k: 3 },
  { name: "transposed", batch: 2, m: 51, k: 31, a: "transposed" },
  { name: "transposed, wide and deep", batch: 1, m: 103, k: 261, a: "transposed" },
  { name: "strided, into gaps", batch: 2, m: 27, k: 19, a: "strided", out: "strided" },
  { name: "negative strides", batch: 2, m: 27, k: 19, a: "reversed", out: "reversed" },
  { name: "into columns", batch: 2, m: 27, k: 19, out: "transposed" },
  { name: "one matrix for the batch", batch: 3, m: 7, k: 12, a: "shared" },
  { name: "NaN stays in its row and column", batch: 1, m: 26, k: 9, special: [NaN] },
  { name: "infinities", batch: 1, m: 9, k: 9, special: [Infinity, -Infinity, 0] },
  { name: "large values", batch: 1, m: 9, k: 9, special: [1e18, -1e18, 1e-18] },
];

/** The arguments of a case, the same numbers each time it is called; `outKind` where the result is stored otherwise. */
export function gramArgs(given: GramCase, kind: StorageName, outKind = kind): GramArgs {
  const { batch, m, k } = given;
  const next = uniform(m * 7919 + k * 1299709 + batch);
  const a = layOut(given.a ?? "rows", kind, batch, m, k);
  const out = layOut(given.out ?? "rows", outKind, batch, m, m);
  a.data.set(drawn(a.data.length, next));
  (given.special ?? []).forEach((value, i) => (a.data[a.offset + i * a.colStride] = value));
  out.data.fill(UNTOUCHED);
  return { batch, m, k, a, out };
}

/** The same as a product with the operand transposed, for its magnitudes. */
export function gramAsMatmul({ batch, m, k, a, out }: GramArgs): MatmulArgs {
  return { batch, m, n: m, k, a, b: { ...a, rowStride: a.colStride, colStride: a.rowStride }, out };
}

/** `Σ_p |a b|` (and `|out|` when accumulating) of each entry: what a rounding error is measured against. */
export function magnitudes(args: MatmulArgs): Float64Array {
  const { batch, m, n, k, a, b, out } = args;
  const sums = new Float64Array(out.data.length);
  // In one kind of array, which keeps the loop one kind of code.
  const [left, right] = [Float64Array.from(a.data), Float64Array.from(b.data)];
  const [leftStep, rightStep] = [a.colStride, b.rowStride];
  for (let t = 0; t < batch; t++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        let x = a.offset + t * a.batchStride + i * a.rowStride;
        let y = b.offset + t * b.batchStride + j * b.colStride;
        for (let p = 0; p < k; p++, x += leftStep, y += rightStep)
          sum += Math.abs((left[x] as number) * (right[y] as number));
        const at = out.offset + t * out.batchStride + i * out.rowStride + j * out.colStride;
        // Products may be added into the same entry one after the other.
        sums[at] = sum + (args.accumulate === true ? sums[at] || Math.abs(out.data[at] ?? NaN) : 0);
      }
    }
  }
  return sums;
}

export interface RowCase {
  readonly name: string;
  readonly rows: number;
  readonly cols: number;
  readonly value: (row: number, col: number) => number;
}

const noise = (seed: number, scale: number): ((row: number, col: number) => number) => {
  const next = uniform(seed);
  const table = Float64Array.from({ length: 4096 }, () => scale * next());
  return (row, col) => table[(row * 131 + col * 7) % 4096] ?? 0;
};

/** Rows for softmax, log-softmax, cross entropy and norms. */
export const rowCases: readonly RowCase[] = [
  { name: "no rows", rows: 0, cols: 4, value: () => 0 },
  { name: "one entry", rows: 3, cols: 1, value: (row) => row - 1 },
  { name: "primes", rows: 7, cols: 13, value: noise(1, 3) },
  { name: "wide", rows: 3, cols: 5003, value: noise(2, 10) },
  { name: "tall", rows: 501, cols: 2, value: noise(3, 5) },
  { name: "equal logits", rows: 2, cols: 9, value: () => 4.25 },
  { name: "logits of 1e4", rows: 2, cols: 5, value: (_, col) => 1e4 + col },
  { name: "logits of -1e4", rows: 2, cols: 5, value: (_, col) => -1e4 - col },
  { name: "logits between -1e4 and 1e4", rows: 5, cols: 11, value: noise(4, 1e4) },
  { name: "down to the smallest exponential", rows: 1, cols: 800, value: (_, col) => -col },
  { name: "some -Infinity", rows: 4, cols: 6, value: (row, col) => (col % (row + 2) === 0 ? -Infinity : col) },
  { name: "all -Infinity", rows: 2, cols: 5, value: () => -Infinity },
  { name: "a +Infinity", rows: 2, cols: 5, value: (row, col) => (row === 1 && col === 3 ? Infinity : col) },
  { name: "a NaN", rows: 2, cols: 5, value: (row, col) => (row === 1 && col === 3 ? NaN : col) },
  { name: "NaN before -Infinity", rows: 1, cols: 5, value: (_, col) => (col === 0 ? NaN : -Infinity) },
  { name: "-Infinity before NaN", rows: 1, cols: 5, value: (_, col) => (col === 4 ? NaN : -Infinity) },
];

export const ROW_OFFSET = 2;

/** The rows of a case after {@link ROW_OFFSET} unused entries. */
export function rowData(given: RowCase, kind: StorageName): FloatArray {
  const { rows, cols, value } = given;
  const data = storage(kind, ROW_OFFSET + rows * cols);
  for (let i = 0; i < rows * cols; i++) data[ROW_OFFSET + i] = value(Math.floor(i / cols), i % cols);
  return data;
}

export interface AttentionCase {
  readonly name: string;
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly width: number;
  readonly valueWidth?: number;
  readonly isCausal?: false;
  readonly queryOffset?: number;
  readonly scale?: number;
}

/** Sizes around the block of 24 queries, a panel of 8 and a block of 256 keys. */
export const attentionCases: readonly AttentionCase[] = [
  { name: "one query, one key", batch: 1, heads: 1, queries: 1, keys: 1, width: 4 },
  { name: "no queries", batch: 1, heads: 2, queries: 0, keys: 0, width: 4 },
  { name: "heads of 16", batch: 2, heads: 3, queries: 37, keys: 37, width: 16 },
  { name: "odd widths", batch: 1, heads: 2, queries: 25, keys: 25, width: 5, valueWidth: 11 },
  { name: "more keys than queries", batch: 1, heads: 2, queries: 7, keys: 20, width: 8, queryOffset: 13 },
  { name: "offset beyond the last key", batch: 1, heads: 1, queries: 9, keys: 5, width: 8, queryOffset: 3 },
  { name: "more keys than a block", batch: 1, heads: 2, queries: 270, keys: 270, width: 12 },
  { name: "both directions", batch: 2, heads: 2, queries: 30, keys: 31, width: 8, isCausal: false },
  { name: "sharp", batch: 1, heads: 2, queries: 40, keys: 40, width: 16, scale: 0.05 },
];

const asHeads = (data: FloatArray, heads: number, rows: number, width: number): HeadVectorsView => ({
  data,
  offset: 2,
  batchStride: rows * heads * width,
  headStride: width,
  rowStride: heads * width,
});

/** The arguments of a case, `[batch, pos, head, width]` after two unused entries, entries in [-1, 1). */
export function attentionArgs(given: AttentionCase, kind: StorageName): AttentionArgs {
  const { batch, heads, queries, keys, width, valueWidth = width } = given;
  const next = uniform(queries * 31 + keys * 7 + width);
  const make = (rows: number, size: number): HeadVectorsView =>
    asHeads(
      storage(kind, 2 + batch * rows * heads * size).map(() => next()),
      heads,
      rows,
      size,
    );
  return {
    ...{ batch, heads, queries, keys, width, valueWidth, queryOffset: given.queryOffset ?? 0 },
    q: make(queries, width),
    k: make(keys, width),
    v: make(keys, valueWidth),
    out: asHeads(storage(kind, 2 + batch * queries * heads * valueWidth).fill(UNTOUCHED), heads, queries, valueWidth),
    scale: Math.fround(given.scale ?? Math.sqrt(width)),
    isCausal: given.isCausal ?? true,
  };
}

/** A case of entries above bars; all numbers are small integers, so that sums are exact and many are equal. */
export interface ScreenCase {
  readonly name: string;
  readonly m: number;
  readonly n: number;
  /** Of the whole operands, a multiple of 8. */
  readonly width: number;
  readonly most: number;
  /** Leading coordinates of the bounds; none if left out, and then entries are computed at once. */
  readonly lead?: number;
  /** Both operands transposed in memory. */
  readonly isTransposed?: true;
}

export const screenCases: readonly ScreenCase[] = [
  { name: "one by one", m: 1, n: 1, width: 8, most: 1 },
  { name: "whole entries", m: 31, n: 67, width: 16, most: 3 },
  { name: "bounds", m: 31, n: 67, width: 16, most: 3, lead: 5 },
  { name: "bounds, beyond a block of columns", m: 50, n: 1101, width: 40, most: 5, lead: 24 },
  { name: "more kept than there are", m: 25, n: 20, width: 24, most: 30, lead: 8 },
  { name: "deeper than a block", m: 26, n: 90, width: 304, most: 4, lead: 280 },
  { name: "bounds of nothing but norms", m: 48, n: 70, width: 32, most: 2, lead: 0 },
  { name: "whole entries, operands transposed", m: 50, n: 40, width: 16, most: 3, isTransposed: true },
  { name: "bounds, operands transposed", m: 50, n: 1040, width: 16, most: 3, lead: 6, isTransposed: true },
  { name: "deeper than a thread's working space", m: 2, n: 9, width: 90_008, most: 2 },
];

export function screenArgs(given: ScreenCase, keep: RowScreenArgs["keep"]): RowScreenArgs {
  const { m, n, width, most, lead } = given;
  const next = uniform(m * 19 + n * 5 + width);
  const draw = (size: number): Float32Array => new Float32Array(size).map(() => Math.round(2 * next()));
  const whole = { width, a: draw(m * width), b: draw(n * width) };
  const k = lead === undefined ? width : lead + 1;
  const [a, b] = [new Float32Array(m * k), new Float32Array(k * n)];
  for (let i = 0; i < m; i++) {
    for (let p = 0; p < width; p++) {
      const x = whole.a[i * width + p] ?? 0;
      if (lead === undefined || p < lead) a[i * k + p] = x;
      else a[i * k + lead] = (a[i * k + lead] ?? 0) + Math.abs(x);
    }
  }
  for (let j = 0; j < n; j++) {
    for (let p = 0; p < k; p++) b[p * n + j] = p === lead ? 2 : (whole.b[j * width + p] ?? 0);
  }
  const view = (data: Float32Array, columns: number): MatrixView => {
    const rows = { data, offset: 0, rowStride: columns, colStride: 1, batchStride: 0 };
    if (given.isTransposed !== true) return rows;
    const count = data.length / columns;
    const turned = data.map((_, t) => data[(t % count) * columns + Math.floor(t / count)] ?? NaN);
    return { ...rows, data: turned, rowStride: 1, colStride: count };
  };
  const bars = new Float32Array(m).map(() => Math.round(width * 0.2 * (next() + 0.5)));
  return {
    ...{ m, n, k, a: view(a, k), b: view(b, n), keep, most, bars },
    whole: lead === undefined ? undefined : whole,
    highs: bars.map((bar) => bar + Math.round(width * 0.05)),
    values: new Float32Array(m * most).fill(UNTOUCHED),
    indices: new Int32Array(m * most).fill(UNTOUCHED),
    found: new Int32Array(m).fill(UNTOUCHED),
    above: new Int32Array(m).fill(UNTOUCHED),
  };
}

/** What a screen is to find in a row, from all its entries. */
export function screenedRow(
  { keep, most, bars, highs }: RowScreenArgs,
  entries: readonly number[],
  i: number,
): { columns: number[]; found: number; above: number } {
  const [bar, high] = [bars[i] ?? 0, keep === "between" ? (highs?.[i] ?? 0) : Infinity];
  const columns = entries.flatMap((x, j) => (x > bar && !(x > high) ? [j] : []));
  if (keep === "largest") columns.sort((x, y) => (entries[y] ?? 0) - (entries[x] ?? 0) || x - y);
  const found = keep === "between" ? columns.length : Math.min(most, columns.length);
  return { columns: columns.slice(0, most), found, above: entries.filter((x) => x > high).length };
}
