/** Roots of Gram matrices, by Cholesky's factorisation. */
import { weightKernels } from "../kernels/index.ts";
import type { FloatArray } from "../kernels/index.ts";

/** Pivots below this share of the largest, and what is left with them, are rounding of sums of squares. */
const LEAST = 2 ** -45;
/** Pivots below this share are taken in order of size, for rounding not to be divided by. */
const UNORDERED = 1e-8;

/**
 * Writes roots $R$ of Gram matrices `[count, n, n]`, $R^\top R = G$ up to roundings of $G$, into `roots`: upper
 * triangular where no pivot is small.
 */
export function rootsOf(grams: FloatArray, count: number, n: number, roots: Float64Array): void {
  roots.set(grams.subarray(0, count * n * n));
  const isDone = new Int32Array(count);
  weightKernels().triangularRoots({ count, n, matrices: roots, least: UNORDERED, isDone });
  for (let t = 0; t < count; t++) {
    if (isDone[t] !== 0) continue;
    const [from, to] = [t * n * n, (t + 1) * n * n];
    orderedRoot(grams.subarray(from, to), n, roots.subarray(from, to));
  }
}

/** The root with the largest pivot left taken each time, and columns where they are. */
function orderedRoot(gram: FloatArray, n: number, root: Float64Array): void {
  const g = gram.slice();
  root.fill(0);
  const left = Array.from({ length: n }, (_, i) => i);
  let least = 0;
  for (let step = 0; step < n; step++) {
    let place = 0;
    for (const [p, i] of left.entries()) {
      if ((g[i * n + i] as number) > (g[(left[place] as number) * (n + 1)] as number)) place = p;
    }
    const at = left[place] as number;
    const pivot = g[at * n + at] as number;
    if (step === 0) least = LEAST * pivot;
    if (!(pivot > least)) return;
    const inverse = 1 / Math.sqrt(pivot);
    const row = root.subarray(step * n, (step + 1) * n);
    // The upper half is kept up to date, the row read through it.
    for (const j of left) row[j] = inverse * (g[j < at ? j * n + at : at * n + j] as number);
    left.splice(place, 1);
    for (const i of left) {
      const factor = row[i] as number;
      const start = i * n;
      for (let j = i; j < n; j++) g[start + j] = (g[start + j] as number) - factor * (row[j] as number);
    }
  }
}
