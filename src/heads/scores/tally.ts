/** Means over some entries of attention patterns, kept as sums and a count so that several prompts can be joined. */
import { AxisError } from "../../errors.ts";
import { Tensor } from "../../tensor/index.ts";
import { describeTensor, rawData } from "../../tensor/internal.ts";

/**
 * Attention patterns of one layer: rows are queries, and each row sums to 1.
 * @category Head scores
 */
export type Pattern = Tensor<"batch head query_pos key_pos">;

/** For each head the sum over the entries looked at, and how many they are. */
export interface Tally {
  readonly sums: Float64Array;
  readonly count: number;
}

/** The sizes of patterns; refuses tensors of other axes. */
export function patternSizes(
  pattern: Pattern,
  operation: string,
): { batch: number; heads: number; queries: number; keys: number } {
  if ((pattern.axes as string) !== "batch head query_pos key_pos") {
    throw new AxisError(
      `the pattern is ${describeTensor(pattern)}, not [batch head query_pos key_pos]. Permute or rename its axes.`,
      {
        operation,
        argument: "pattern",
        expected: "batch head query_pos key_pos",
        actual: pattern.axes,
      },
    );
  }
  const [batch = 0, heads = 0, queries = 0, keys = 0] = pattern.shape;
  return { batch, heads, queries, keys };
}

/**
 * Adds up chosen entries of every head.
 *
 * @param entries - the entries of one prompt: flat places `query * keys + key`.
 */
export function tallyEntries(pattern: Pattern, operation: string, entries: (b: number) => readonly number[]): Tally {
  const { batch, heads, queries, keys } = patternSizes(pattern, operation);
  const data = rawData(pattern);
  const sums = new Float64Array(heads);
  let count = 0;
  for (let b = 0; b < batch; b++) {
    const places = entries(b);
    count += places.length;
    for (let h = 0; h < heads; h++) {
      const start = (b * heads + h) * queries * keys;
      for (const place of places) sums[h] = (sums[h] as number) + (data[start + place] as number);
    }
  }
  return { sums, count };
}

/** The mean of each head over everything tallied; NaN where nothing was. */
export function meanOfTallies(tallies: readonly Tally[]): Tensor<"head"> {
  const count = tallies.reduce((n, tally) => n + tally.count, 0);
  const heads = tallies[0]?.sums.length ?? 0;
  const means = Float64Array.from(
    { length: heads },
    (_, h) => tallies.reduce((s, { sums }) => s + (sums[h] as number), 0) / count,
  );
  return Tensor.from("head", [heads], means);
}

/** The places of the entries `offset` keys before their query, for queries from `first` on. */
export function diagonal(queries: number, keys: number, offset: number, first = 0): number[] {
  const places: number[] = [];
  for (let query = Math.max(offset, first); query < queries; query++) places.push(query * keys + query - offset);
  return places;
}
