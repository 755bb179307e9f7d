/** Roots of Gram matrices, by Cholesky's factorisation. */

/** Pivots below this share of the largest, and what is left with them, are rounding of sums of squares. */
const LEAST = 2 ** -45;
/** Pivots below this share are taken in order of size, for rounding not to be divided by. */
const UNORDERED = 1e-8;

/** A root $R$ of a Gram matrix, $R^\top R = G$ up to roundings of $G$: upper triangular where no pivot is small. */
export function rootOf(gram: Float64Array, n: number): Float64Array {
  return triangularRoot(gram, n) ?? orderedRoot(gram, n);
}

/** The triangular root; `undefined` where a pivot is small. */
function triangularRoot(gram: Float64Array, n: number): Float64Array | undefined {
  const g = gram.slice();
  let largest = 0;
  for (let i = 0; i < n; i++) largest = Math.max(largest, g[i * (n + 1)] as number);
  for (let step = 0; step < n; step++) {
    const row = step * n;
    const pivot = g[row + step] as number;
    if (!(pivot > UNORDERED * largest)) return undefined;
    const inverse = 1 / Math.sqrt(pivot);
    g.fill(0, row, row + step);
    for (let j = step; j < n; j++) g[row + j] = (g[row + j] as number) * inverse;
    for (let i = step + 1; i < n; i++) {
      const factor = g[row + i] as number;
      const start = i * n;
      for (let j = i; j < n; j++) g[start + j] = (g[start + j] as number) - factor * (g[row + j] as number);
    }
  }
  return g;
}

/** The root with the largest pivot left taken each time, and columns where they are. */
function orderedRoot(gram: Float64Array, n: number): Float64Array {
  const g = gram.slice();
  const root = new Float64Array(n * n);
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
    if (!(pivot > least)) return root;
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
  return root;
}
