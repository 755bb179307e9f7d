/** Roots of Gram matrices, by Cholesky's factorisation. */
import type { FloatArray } from "../kernels/index.ts";

/** Pivots below this share of the largest, and what is left with them, are rounding of sums of squares. */
const LEAST = 2 ** -45;
/** Pivots below this share are taken in order of size, for rounding not to be divided by. */
const UNORDERED = 1e-8;

/**
 * Writes a root $R$ of the Gram matrix at `at`, $R^\top R = G$ up to roundings of $G$, into `root`: upper triangular where no pivot is small.
 */
export function rootOf(grams: FloatArray, at: number, n: number, root: Float64Array): void {
  for (let t = 0; t < n * n; t++) root[t] = grams[at + t] as number;
  if (!triangularRoot(root, n)) orderedRoot(grams.subarray(at, at + n * n), n, root);
}

/** The triangular root of `g` in its place; false, and `g` lost, where a pivot is small. Two rows are taken from those below at a time. */
function triangularRoot(g: Float64Array, n: number): boolean {
  let least = 0;
  for (let i = 0; i < n; i++) least = Math.max(least, UNORDERED * (g[i * (n + 1)] as number));
  for (let step = 0; step < n; step += 2) {
    if (!scaleRow(g, n, step, least)) return false;
    if (step + 1 === n) break;
    const [row, factor] = [(step + 1) * n, g[step * n + step + 1] as number];
    for (let j = step + 1; j < n; j++) g[row + j] = (g[row + j] as number) - factor * (g[step * n + j] as number);
    if (!scaleRow(g, n, step + 1, least)) return false;
    for (let i = step + 2; i < n; i++) subtractRows(g, n, step, i);
  }
  return true;
}

/** Divides a row by the root of its pivot and clears what is left of it; false where the pivot is at most `least`. */
function scaleRow(g: Float64Array, n: number, i: number, least: number): boolean {
  const row = i * n;
  const pivot = g[row + i] as number;
  if (!(pivot > least)) return false;
  const inverse = 1 / Math.sqrt(pivot);
  for (let j = 0; j < i; j++) g[row + j] = 0;
  for (let j = i; j < n; j++) g[row + j] = (g[row + j] as number) * inverse;
  return true;
}

/** Takes the finished rows `step` and `step + 1` from row `i`, right of the diagonal. */
function subtractRows(g: Float64Array, n: number, step: number, i: number): void {
  const [first, second, row] = [step * n, (step + 1) * n, i * n];
  const [x, y] = [g[first + i] as number, g[second + i] as number];
  for (let j = i; j < n; j++) {
    g[row + j] = (g[row + j] as number) - (x * (g[first + j] as number) + y * (g[second + j] as number));
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
