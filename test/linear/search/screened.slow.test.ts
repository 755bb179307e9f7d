/** Questions to maps that are large enough to be answered by bounds, against the whole matrix in float64. */
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { kernelInfo, useKernels } from "../../../src/kernels/index.ts";
import {
  compose,
  diagonalRanks,
  diagonalTopK,
  type Linear,
  linear,
  topKOverall,
  topKPerRow,
  transpose,
} from "../../../src/linear/index.ts";
import { Random, Tensor } from "../../../src/tensor/index.ts";
import { map } from "../dense-reference.ts";

/** Sizes from which float32 answers first, with a look at every entry. */
const SIZE = 300;
/** Sizes from which bounds spare looks. */
const LARGE = 1030;
const WIDTH = 24;

type Matrix = readonly (readonly number[])[];

interface Halves {
  /** `[rows, width]` */
  readonly a: Matrix;
  /** `[cols, width]`: columns of the right half. */
  readonly b: Matrix;
}

/** What makes bounds hard or easy. */
const kinds = {
  random: (random: Random, i: number, _: number, isRight: boolean) => random.normal() * (isRight ? 1 : 1 + (i % 3)),
  "a falling spectrum": (random: Random, _: number, j: number) => random.normal() * 0.6 ** j,
  integers: (random: Random) => random.int(3) - 1,
  "many zeros": (random: Random, i: number) => (i % 3 === 0 ? 0 : random.int(2)),
  "very different norms": (random: Random, i: number) => random.normal() * 10 ** -(i % 7),
  "entries of one sign": (random: Random) => 1 + random.uniform(),
} as const;
type Kind = keyof typeof kinds;

function draw(kind: Kind, seed: number, rows: number, cols: number): Halves {
  const random = new Random(seed);
  const of = (count: number, isRight: boolean): number[][] =>
    Array.from({ length: count }, (_, i) =>
      Array.from({ length: WIDTH }, (_, j) => kinds[kind](random, i, j, isRight)),
    );
  return { a: of(rows, false), b: of(cols, true) };
}

/** Changes of the right half that make diagonals large, columns equal, or nearly so. */
const changes = {
  none: (halves: Halves) => halves,
  "a copying diagonal": ({ a, b }: Halves) => ({
    a,
    b: b.map((column, j) => (j % 20 === 0 ? column : (a[j] ?? column))),
  }),
  "a noisy copying diagonal": ({ a, b }: Halves) => ({
    a,
    b: b.map((column, j) => column.map((x, p) => 0.8 * x + (a[j]?.[p] ?? 0))),
  }),
  "equal columns": ({ a, b }: Halves) => ({ a, b: b.map((_, j) => b[j % 7] as number[]) }),
  "one column": ({ a, b }: Halves) => ({ a, b: b.map(() => b[0] as number[]) }),
  "columns of equal norm": ({ a, b }: Halves) => ({
    a,
    b: b.map((column, j) => column.map((_, p) => (b[0] as number[])[(p + j) % WIDTH] as number)),
  }),
  "columns next to equal": ({ a, b }: Halves) => ({
    a,
    b: b.map((_, j) => (b[j % 5] as number[]).map((x, p) => x * (1 + ((j * 7 + p) % 11) * 1e-9))),
  }),
  "no columns but zeros": ({ a, b }: Halves) => ({ a, b: b.map((column) => column.map(() => 0)) }),
} as const;
type Change = keyof typeof changes;

const halvesOf = (kind: Kind, change: Change, seed: number, rows = SIZE, cols = SIZE): Halves =>
  changes[change](draw(kind, seed, rows, cols));

const flip = (m: Matrix): number[][] =>
  Array.from({ length: m[0]?.length ?? 0 }, (_, j) => m.map((row) => row[j] as number));

/** `[rows, cols]`: sums of products in order, as the definition of an entry has it. */
function dense({ a, b }: Halves): Float64Array[] {
  const right = b.map((column) => Float64Array.from(column));
  return a.map((line) => {
    const row = Float64Array.from(line);
    return Float64Array.from(right, (column) => dot(row, column));
  });
}

function dot(row: Float64Array, column: Float64Array): number {
  let sum = 0;
  for (let p = 0; p < row.length; p++) sum += (row[p] as number) * (column[p] as number);
  return sum;
}

type Lines = readonly Float64Array[];

/** The columns of a matrix whose rows are given. */
const columnsOf = (rows: Lines): Float64Array[] =>
  Array.from({ length: rows[0]?.length ?? 0 }, (_, j) => Float64Array.from(rows, (row) => row[j] as number));

/** All rows, one after the other. */
function endToEnd(rows: Lines): Float64Array {
  const cols = rows[0]?.length ?? 0;
  const all = new Float64Array(rows.length * cols);
  for (const [i, row] of rows.entries()) all.set(row, i * cols);
  return all;
}

const mapOf = ({ a, b }: Halves): Linear<"s", "s"> => compose(map("s", "k", a), map("k", "s", flip(b)));

/** Indices of the `k` largest values, descending, ties by ascending index. */
function largest(line: Float64Array, k: number): number[] {
  const smallest = line.slice().sort().at(-k) ?? -Infinity;
  const candidates: number[] = [];
  for (let j = 0; j < line.length; j++) if ((line[j] as number) >= smallest) candidates.push(j);
  // Where many are equal, those that come first are enough.
  const above = candidates.filter((j) => (line[j] as number) > smallest);
  const equal = candidates.filter((j) => line[j] === smallest).slice(0, k);
  return [...above, ...equal].sort((i, j) => (line[j] as number) - (line[i] as number) || i - j).slice(0, k);
}

function rankOf(line: Float64Array, own: number): number {
  const value = line[own] as number;
  let rank = 0;
  for (let j = 0; j < line.length; j++) {
    const other = line[j] as number;
    if (other > value || (other === value && j < own)) rank++;
  }
  return rank;
}

const cases = fc.record({
  kind: fc.constantFrom(...(Object.keys(kinds) as Kind[])),
  change: fc.constantFrom(...(Object.keys(changes) as Change[])),
  seed: fc.nat({ max: 1e6 }),
});

/** Every kind with every change, once; of large maps every change, with kinds in turns. */
const all = [
  ...(Object.keys(kinds) as Kind[]).flatMap((kind) =>
    (Object.keys(changes) as Change[]).map((change, t) => ({ kind, change, seed: 11 + t, size: SIZE })),
  ),
  ...(Object.keys(changes) as Change[]).map((change, t) => {
    const kind = Object.keys(kinds)[t % Object.keys(kinds).length] as Kind;
    return { kind, change, seed: 31 + t, size: LARGE };
  }),
];

afterAll(() => useKernels("auto"));

describe("ranks of the diagonal", () => {
  test.each(all)("$size: $kind, $change", ({ kind, change, seed, size }) => {
    const halves = halvesOf(kind, change, seed, size, size);
    const want = dense(halves).map((row, i) => rankOf(row, i));
    for (const atMost of [1, 5, 64]) {
      expect(diagonalRanks(mapOf(halves), { atMost }).toNested()).toEqual(want.map((rank) => Math.min(rank, atMost)));
    }
    expect(diagonalRanks(mapOf(halves)).toNested()).toEqual(want);
    expect(diagonalTopK(mapOf(halves), 5)).toBe(want.filter((rank) => rank < 5).length / want.length);
  });

  test("of some rows, in any order and repeated (seeded)", () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 1, max: 9 }), ({ kind, change, seed }, atMost) => {
        const halves = halvesOf(kind, change, seed);
        const random = new Random(seed);
        const rows = Array.from({ length: SIZE + 13 }, () => random.int(SIZE));
        const entries = dense(halves);
        const want = rows.map((i) => Math.min(atMost, rankOf(entries[i] as Float64Array, i)));
        expect(diagonalRanks(mapOf(halves), { rows, atMost }).toNested()).toEqual(want);
      }),
      { seed: 71, numRuns: 12 },
    );
  });
});

describe("largest entries", () => {
  test.each(all)("of rows and columns, $size: $kind, $change", ({ kind, change, seed, size }) => {
    const halves = halvesOf(kind, change, seed, size, size + 60);
    const entries = dense(halves);
    const f = mapOf(halves);
    const six = entries.map((row) => largest(row, 6));
    for (const k of [1, 6]) {
      const { indices, values } = topKPerRow(f, k);
      const want = six.map((columns) => columns.slice(0, k));
      expect(indices.toNested()).toEqual(want);
      expect(values.toNested()).toEqual(want.map((columns, i) => columns.map((j) => entries[i]?.[j])));
    }
    const down = columnsOf(entries).map((column) => largest(column, 3));
    expect(topKPerRow(transpose(f), 3).indices.toNested()).toEqual(down);
  });

  test.each(all)("of all, $size: $kind, $change", ({ kind, change, seed, size }) => {
    const halves = halvesOf(kind, change, seed, size + 20, size);
    const entries = dense(halves);
    const places = largest(endToEnd(entries), 1500);
    for (const k of [1, 30, 1500]) {
      const found = topKOverall(mapOf(halves), k);
      expect(found.map(({ row, column }) => row * size + column)).toEqual(places.slice(0, k));
      for (const { row, column, value } of found.slice(0, 50)) expect(value).toBe(entries[row]?.[column]);
    }
  });
});

describe("products of four matrices, of which the outer ones are long", () => {
  /** Small integers, so that every association gives the same numbers, or float32 numbers without ties. */
  const chain = (seed: number, draws: (random: Random) => number): { f: Linear<"s", "s">; entries: Lines } => {
    const random = new Random(seed);
    const of = (rows: number, cols: number): number[][] =>
      Array.from({ length: rows }, () => Array.from({ length: cols }, () => Math.fround(draws(random))));
    const [W_E, W_V, W_O, W_U] = [of(SIZE, 40), of(40, 12), of(12, 40), of(40, SIZE)];
    const times = (x: Matrix, y: Matrix): number[][] => dense({ a: x, b: flip(y) }).map((row) => [...row]);
    return {
      f: compose(map("s", "d", W_E), map("d", "k", W_V), map("k", "d", W_O), map("d", "s", W_U)),
      entries: dense({ a: times(W_E, W_V), b: flip(times(W_O, W_U)) }),
    };
  };
  const draws: Readonly<Record<string, (random: Random) => number>> = {
    integers: (random) => random.int(3) - 1,
    normal: (random) => random.normal(),
  };

  test.each(Object.keys(draws))("%s (seeded)", (name) => {
    fc.assert(
      fc.property(fc.nat({ max: 1e6 }), fc.integer({ min: 1, max: 6 }), (seed, k) => {
        const { f, entries } = chain(seed, draws[name] as (random: Random) => number);
        const ranks = entries.map((row, i) => rankOf(row, i));
        expect(diagonalRanks(f, { atMost: k }).toNested()).toEqual(ranks.map((rank) => Math.min(rank, k)));
        const places = largest(endToEnd(entries), k);
        expect(topKOverall(f, k).map(({ row, column }) => row * SIZE + column)).toEqual(places);
        expect(topKPerRow(f, k).indices.toNested()).toEqual(entries.map((row) => largest(row, k)));
        expect(diagonalRanks(f).toNested()).toEqual(ranks);
      }),
      { seed: 72, numRuns: 8 },
    );
  });
});

describe("numbers that float32 does not hold", () => {
  test.each([
    ["too large", 1e200],
    ["too small", 1e-200],
    ["at the end of its range", 1e19],
  ])("%s", (_, scale) => {
    const { a, b } = halvesOf("random", "a noisy copying diagonal", 5);
    const halves = { a: a.map((row) => row.map((x) => x * scale)), b };
    const entries = dense(halves);
    expect(diagonalRanks(mapOf(halves), { atMost: 3 }).toNested()).toEqual(
      entries.map((row, i) => Math.min(3, rankOf(row, i))),
    );
    expect(topKPerRow(mapOf(halves), 2).indices.toNested()).toEqual(entries.map((row) => largest(row, 2)));
  });

  test("infinities are ordered, NaN comes last", () => {
    const { a, b } = halvesOf("random", "none", 6);
    const special = b.map((column, j) => (j === 40 ? column.map(() => Number.NaN) : column));
    const { indices } = topKPerRow(mapOf({ a, b: special }), SIZE);
    for (let row = 0; row < SIZE; row++) expect(indices.at(row, SIZE - 1)).toBe(40);
  });
});

test.each(["reference", "blocked", "simd"] as const)("the %s kernels give the same answers", (name) => {
  const halves = halvesOf("random", "a noisy copying diagonal", 8);
  const entries = dense(halves);
  useKernels(name);
  try {
    expect(diagonalRanks(mapOf(halves), { atMost: 4 }).toNested()).toEqual(
      entries.map((row, i) => Math.min(4, rankOf(row, i))),
    );
    expect(topKPerRow(mapOf(halves), 2).indices.toNested()).toEqual(entries.map((row) => largest(row, 2)));
  } finally {
    useKernels("auto");
  }
});

describe("progress and stopping", () => {
  const halves = halvesOf("random", "a noisy copying diagonal", 9);
  test.each([
    ["diagonalRanks", (options: object) => diagonalRanks(mapOf(halves), { atMost: 2, ...options })],
    ["diagonalRanks of all", (options: object) => diagonalRanks(mapOf(halves), options)],
    ["topKPerRow", (options: object) => topKPerRow(mapOf(halves), 2, options)],
    ["topKOverall", (options: object) => topKOverall(mapOf(halves), 2, options)],
  ])("%s reports rows that are settled, ascending to all of them, and stops when asked to", (_, ask) => {
    const seen: number[] = [];
    ask({
      onProgress: (done: number, total: number) => {
        expect(total).toBe(SIZE);
        seen.push(done);
      },
    });
    expect(seen.at(-1)).toBe(SIZE);
    expect(seen.every((done, t) => t === 0 || done > (seen[t - 1] as number))).toBe(true);
    const reason = new Error("enough");
    const controller = new AbortController();
    expect(() => ask({ signal: controller.signal, onProgress: () => controller.abort(reason) })).toThrow(reason);
    expect(() => ask({ signal: AbortSignal.abort(reason) })).toThrow(reason);
  });
});

describe("thousands of columns, of which rows look at some, then at more", () => {
  const [count, width] = [9001, 16];
  /** Float32 halves, so that many are sure of their order and some are not. */
  const drawn = (
    seed: number,
    draws: (random: Random) => number,
    own: number,
  ): { a: Float32Array; b: Float32Array } => {
    const random = new Random(seed);
    const of = (): Float32Array => Float32Array.from({ length: count * width }, () => draws(random));
    const [a, noise] = [of(), of()];
    for (let i = 0; i < count && own > 1; i++) {
      const row = a.subarray(i * width, (i + 1) * width);
      const norm = Math.hypot(...row);
      row.set(row.map((x) => (x * Math.sqrt(width)) / norm));
    }
    return { a, b: noise.map((x, t) => x + own * (a[t] ?? 0)) };
  };
  const rankIn = (a: Float64Array, b: Float64Array, i: number, most: number): number => {
    const row = a.slice(i * width, (i + 1) * width);
    const entry = (j: number): number => {
      let sum = 0;
      for (let p = 0, at = j * width; p < width; p++, at++) sum += (row[p] as number) * (b[at] as number);
      return sum;
    };
    const own = entry(i);
    let rank = 0;
    for (let j = 0; j < count && rank < most; j++) {
      const other = entry(j);
      if (other > own || (other === own && j < i)) rank++;
    }
    return rank;
  };

  test.each([
    ["most rows settled by others", (random: Random) => random.normal(), 0.7, [0.02, 0.6]],
    ["few rows settled by others", (random: Random) => random.normal(), 1.6, [0.6, 0.999]],
    ["integers, many of them equal", (random: Random) => random.int(5) - 2, 1, [0.02, 0.6]],
  ] as const)("%s (seeded)", (_, draws, own, [fewest, most]) => {
    const halves = drawn(17, draws, own);
    const f: Linear<"s", "s"> = compose(
      linear("s", "k", Tensor.from("s k", [count, width], halves.a)),
      linear("k", "s", Tensor.from("s k", [count, width], halves.b).permute("k s")),
    );
    const [a, b] = [Float64Array.from(halves.a), Float64Array.from(halves.b)];
    const want = Int32Array.from({ length: count }, (__, i) => rankIn(a, b, i, 5));
    // That the question is neither empty nor settled for all.
    const share = want.filter((rank) => rank < 5).length / count;
    expect(share).toBeGreaterThan(fewest);
    expect(share).toBeLessThan(most);
    const found = diagonalRanks(f, { atMost: 5 }).data;
    expect(want.filter((rank, i) => rank !== found[i])).toHaveLength(0);
  });
});

test("memory stays linear in the vocabulary: of 30,000 x 30,000 entries, 3.6 GB in float32, no twelfth is held", () => {
  const count = 30_000;
  const random = new Random(31);
  const of = (): Float32Array => new Float32Array(count * 8).map(() => random.normal());
  const [a, b] = [of(), of()];
  for (let t = 0; t < a.length; t += 3) b[t] = (a[t] ?? 0) + (b[t] ?? 0);
  const f: Linear<"s", "s"> = compose(
    linear("s", "k", Tensor.from("s k", [count, 8], a)),
    linear("k", "s", Tensor.from("s k", [count, 8], b).permute("k s")),
  );
  const used = (): number => process.memoryUsage().arrayBuffers + kernelInfo().memoryBytes;
  const before = used();
  let most = 0;
  const onProgress = (): void => void (most = Math.max(most, used() - before));
  const ranks = diagonalRanks(f, { atMost: 5, onProgress });
  const overall = topKOverall(f, 10, { onProgress });
  expect(most).toBeLessThan(300e6);
  const entry = (i: number, j: number): number => {
    let sum = 0;
    for (let p = 0; p < 8; p++) sum += (a[i * 8 + p] ?? 0) * (b[j * 8 + p] ?? 0);
    return sum;
  };
  for (let i = 0; i < count; i += 1500) {
    const row = Float64Array.from({ length: count }, (_, j) => entry(i, j));
    expect(ranks.at(i)).toBe(Math.min(5, rankOf(row, i)));
    expect(Math.max(...row)).toBeLessThanOrEqual(overall[0]?.value ?? 0);
  }
});

test.each([0, -1, 1.5])("atMost of %s is refused", (atMost) => {
  expect(() => diagonalRanks(mapOf(halvesOf("random", "none", 1)), { atMost })).toThrow(
    `diagonalRanks: k is ${atMost}; ask for a positive whole number of entries.`,
  );
});
