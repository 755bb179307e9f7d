/** Counts of neighbouring tokens, kept as the sorted list of the pairs that occur: memory is linear in the text. */

/** What followed one token. */
export interface ContextCounts {
  readonly next: Int32Array;
  readonly counts: Float64Array;
  readonly total: number;
}

/** The pairs of a text. */
export interface BigramCounts {
  readonly pairs: number;
  /** Tokens that something follows, ascending. */
  readonly ids: Int32Array;
  /** How often each of them does. */
  readonly totals: Float64Array;
  /** How often each token follows another. */
  readonly next: ReadonlyMap<number, number>;
  /** What followed the i-th of `ids`. */
  context(i: number): ContextCounts;
}

/** Counts the pairs within each text; `check` sees every token. */
export function countBigrams(texts: readonly (readonly number[])[], check: (id: number) => void): BigramCounts {
  const pairs = texts.reduce((n, text) => n + Math.max(0, text.length - 1), 0);
  // Ids are below 2^26, so that a pair is a whole number below 2^52, exact in float64; sorting brings equal pairs together.
  const keys = new Float64Array(pairs);
  const next = new Map<number, number>();
  let at = 0;
  for (const text of texts) {
    for (const id of text) check(id);
    for (let i = 1; i < text.length; i++) {
      const b = text[i] as number;
      keys[at++] = (text[i - 1] as number) * PAIR + b;
      next.set(b, (next.get(b) ?? 0) + 1);
    }
  }
  keys.sort();
  const [first, second, counts]: [number[], number[], number[]] = [[], [], []];
  for (const [i, key] of keys.entries()) {
    if (i === 0 || key !== keys[i - 1]) {
      first.push(Math.floor(key / PAIR));
      second.push(key % PAIR);
      counts.push(0);
    }
    counts[counts.length - 1] = (counts[counts.length - 1] as number) + 1;
  }
  const starts = first.flatMap((a, i) => (i === 0 || a !== first[i - 1] ? [i] : []));
  const ends = [...starts.slice(1), first.length];
  const [nextIds, countOf] = [Int32Array.from(second), Float64Array.from(counts)];
  const totals = Float64Array.from(starts, (from, i) => countOf.subarray(from, ends[i]).reduce((a, b) => a + b, 0));
  return {
    pairs,
    ids: Int32Array.from(starts, (from) => first[from] as number),
    totals,
    next,
    context: (i) => ({
      next: nextIds.subarray(starts[i], ends[i]),
      counts: countOf.subarray(starts[i], ends[i]),
      total: totals[i] as number,
    }),
  };
}

const PAIR = 2 ** 26;
