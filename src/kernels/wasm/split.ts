/** Divides large calls into jobs for threads. No sum is divided, so the division changes no bit. */
import type { Engine } from "./engine.ts";
import { runJob, runJobs, threadCount } from "./jobs.ts";
import type { Job, JobKernel, Runs } from "./jobs.ts";
import { JOB, MOST_JOBS, SPACE } from "./memory.ts";
import type { Placed } from "./place.ts";

/** Multiplications below which waking another thread costs more than it brings. */
const WORTH_SHARING = 4e6;
/** Jobs a thread, so that a thread that is slow or busy holds nobody up. */
const JOBS_EACH = 4;

/** A product of operands in memory, addresses and steps in bytes. */
export interface PlacedProduct {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Placed;
  readonly b: Placed;
  readonly c: Omit<Placed, "column">;
  readonly accumulate: boolean;
  /**
   * Whether `b` lies in packed panels; see `packPanels` of assembly/matmul.ts. Its columns are then `4 k` bytes apart,
   * at multiples of 8.
   */
  readonly isPacked?: boolean;
  /** Where sums are float64, and so is `c`: the bytes of a number of `a` and of `b`. */
  readonly sizes?: readonly [number, number];
}

/** One product on this thread; written field by field, since small products are over in microseconds. */
function runAlone(engine: Engine, { batch, m, n, k, a, b, c, accumulate, isPacked }: PlacedProduct): void {
  const { ints } = engine.heap;
  const at = JOB >> 2;
  ints[at] = batch;
  ints[at + 1] = m;
  ints[at + 2] = n;
  ints[at + 3] = k;
  ints[at + 4] = a.address;
  ints[at + 5] = a.batch;
  ints[at + 6] = a.row;
  ints[at + 7] = a.column;
  ints[at + 8] = b.address;
  ints[at + 9] = b.batch;
  ints[at + 10] = b.row;
  ints[at + 11] = b.column;
  ints[at + 12] = c.address;
  ints[at + 13] = c.batch;
  ints[at + 14] = c.row;
  ints[at + 15] = accumulate ? 1 : 0;
  ints[at + 16] = isPacked === true ? 1 : 0;
  engine.kernels.multiply(JOB, SPACE);
}

function productJob({ batch, m, n, k, a, b, c, accumulate, isPacked, sizes }: PlacedProduct): Job {
  const ofA = [a.address, a.batch, a.row, a.column];
  const ofB = [b.address, b.batch, b.row, b.column];
  return [
    batch,
    m,
    n,
    k,
    ...ofA,
    ...ofB,
    c.address,
    c.batch,
    c.row,
    accumulate ? 1 : 0,
    ...(sizes ?? [isPacked === true ? 1 : 0]),
  ];
}

/** Ranges that cover `[0, size)`, their bounds multiples of `unit`. */
function ranges(size: number, unit: number): readonly (readonly [from: number, count: number])[] {
  const parts = Math.max(1, Math.min(threadCount() * JOBS_EACH, MOST_JOBS, Math.floor(size / unit)));
  const bound = (i: number): number => (i === parts ? size : Math.round((i * size) / parts / unit) * unit);
  return Array.from({ length: parts }, (_, i) => [bound(i), bound(i + 1) - bound(i)]);
}

const moved = <P extends Omit<Placed, "column">>(operand: P, bytes: number): P => ({
  ...operand,
  address: operand.address + bytes,
});

/** Whether a call of so many multiplications is shared. */
export function isShared(multiplications: number): boolean {
  return threadCount() > 1 && multiplications >= WORTH_SHARING;
}

/**
 * Packed matrices side by side that multiply the same rows, as those of a layer's heads, as one: panels of 8 columns
 * follow on one another. Rows are then read once for 256 columns, whatever the heads' width.
 */
function inOne(product: PlacedProduct): PlacedProduct {
  const { batch, n, k, a, b, c, isPacked } = product;
  const folds = isPacked === true && batch > 1 && n % 8 === 0 && a.batch === 0 && b.batch === 4 * k * n;
  return folds && c.batch === 4 * n ? { ...product, batch: 1, n: batch * n } : product;
}

/** Runs a product, by matrices of the batch, columns or rows where it is shared. */
export function runProduct(engine: Engine, given: PlacedProduct): void {
  const product = inOne(given);
  const { batch, m, n, k, a, b, c, sizes } = product;
  const kernel = sizes === undefined ? "multiply" : "multiplyDoubles";
  const width = sizes === undefined ? 4 : 8;
  if (!isShared(batch * m * n * k)) {
    if (sizes === undefined) runAlone(engine, product);
    else runJob(engine, kernel, productJob(product));
  } else if (batch >= threadCount() && c.batch !== 0) {
    const part = ([t, count]: readonly [number, number]): Job =>
      productJob({
        ...product,
        batch: count,
        a: moved(a, t * a.batch),
        b: moved(b, t * b.batch),
        c: moved(c, t * c.batch),
      });
    runJobs(engine, kernel, ranges(batch, 1).map(part));
  } else if (n >= 64 * threadCount()) {
    // Two parts never write to one cache line of 64 bytes, and each packs its own columns of b.
    const part = ([j, count]: readonly [number, number]): Job =>
      productJob({ ...product, n: count, b: moved(b, j * b.column), c: moved(c, width * j) });
    runJobs(engine, kernel, ranges(n, 32).map(part));
  } else {
    const part = ([i, count]: readonly [number, number]): Job =>
      productJob({ ...product, m: count, a: moved(a, i * a.row), c: moved(c, i * c.row) });
    runJobs(engine, kernel, ranges(m, 12).map(part));
  }
}

/** Gram matrices of operands in memory, addresses and steps in bytes. */
export interface PlacedGram {
  readonly batch: number;
  readonly m: number;
  readonly k: number;
  readonly a: Placed;
  readonly c: Omit<Placed, "column">;
  /** The bytes of a number of `a` and of `c`. */
  readonly sizes: readonly [number, number];
}

/** Runs Gram matrices, by matrices of the batch or by rows where they are shared. */
export function runGram(engine: Runs<"gram">, { batch, m, k, a, c, sizes }: PlacedGram): void {
  const job = (t: number, count: number, first: number, end: number): Job => [
    ...[count, first, end, k, a.address + t * a.batch, a.batch, a.row, a.column],
    ...[c.address + t * c.batch, c.batch, c.row, ...sizes],
  ];
  if (!isShared((batch * m * m * k) / 2)) runJob(engine, "gram", job(0, batch, 0, m));
  else if (batch >= threadCount()) {
    runJobs(
      engine,
      "gram",
      ranges(batch, 1).map(([t, count]) => job(t, count, 0, m)),
    );
  } else {
    const parts = threadCount() * JOBS_EACH;
    // Triangles of equal area.
    const bound = (i: number): number => Math.round(m * Math.sqrt(i / parts));
    const rows = Array.from({ length: parts }, (_, i) => [bound(i), bound(i + 1)] as const);
    for (let t = 0; t < batch; t++) {
      runJobs(
        engine,
        "gram",
        rows.map(([first, end]) => job(t, 1, first, end)),
      );
    }
  }
}

/** Runs jobs made for ranges of `size` things, `unit` at a time: all in one, or shared. */
export function runRanges<K extends JobKernel>(
  engine: Runs<K>,
  kernel: K,
  size: number,
  unit: number,
  multiplications: number,
  job: (from: number, count: number) => Job,
): void {
  if (isShared(multiplications))
    runJobs(
      engine,
      kernel,
      ranges(size, unit).map(([from, count]) => job(from, count)),
    );
  else runJob(engine, kernel, job(0, size));
}
