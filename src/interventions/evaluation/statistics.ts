/** Summaries of samples. */
import type { Random } from "../../tensor/index.ts";
import { meanOf } from "../../tensor/internal.ts";

/**
 * A sample in a few numbers.
 * @category Circuit evaluation
 */
export interface SampleSummary {
  readonly mean: number;
  /** The standard deviation of the sample. */
  readonly std: number;
  readonly min: number;
  /** The 5th percentile; percentiles are interpolated linearly. */
  readonly p5: number;
  readonly median: number;
  readonly p95: number;
  readonly max: number;
}

/** Summarises a sample. */
export function summaryOf(values: ArrayLike<number>): SampleSummary {
  const sorted = Float64Array.from(values).sort();
  const mean = meanOf(sorted);
  const squares = sorted.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    const [low = NaN, high = low] = [sorted[below], sorted[below + 1]];
    return place === below ? low : low + (place - below) * (high - low);
  };
  const std = sorted.length < 2 ? 0 : Math.sqrt(squares / (sorted.length - 1));
  return { mean, std, min: at(0), p5: at(0.05), median: at(0.5), p95: at(0.95), max: at(1) };
}

/** Places 0 to count − 1 drawn with replacement. */
export function resampled(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => random.int(count));
}
