/** Order statistics of timed samples; nothing is ever dropped from them. */

/**
 * @typedef {object} Summary
 * @property {number} n how many samples
 * @property {number} min
 * @property {number} median
 * @property {number} p90 nine of ten samples are at most this
 */

/**
 * The quantile `q` of 0 to 1, interpolated between the neighbouring samples.
 *
 * @param {readonly number[]} sorted ascending, at least one
 * @param {number} q
 * @returns {number}
 */
export function quantile(sorted, q) {
  if (sorted.length === 0) throw new RangeError("quantile: there are no samples");
  const at = q * (sorted.length - 1);
  const low = sorted[Math.floor(at)] ?? NaN;
  const high = sorted[Math.ceil(at)] ?? NaN;
  return low + (high - low) * (at - Math.floor(at));
}

/**
 * @param {readonly number[]} samples
 * @returns {Summary}
 */
export function summarise(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  return { n: sorted.length, min: quantile(sorted, 0), median: quantile(sorted, 0.5), p90: quantile(sorted, 0.9) };
}

/**
 * Which of `rounds` rounds a contender with `count` samples takes part in, so that its samples are spread over the whole window.
 *
 * @param {number} round from 0
 * @param {number} count
 * @param {number} rounds
 * @returns {boolean}
 */
export function takesPart(round, count, rounds) {
  return Math.floor(((round + 1) * count) / rounds) > Math.floor((round * count) / rounds);
}

/**
 * How many calls one sample needs to last `atLeast` milliseconds.
 *
 * @param {number} callMs one call
 * @param {number} atLeast
 * @returns {number}
 */
export function callsPerSample(callMs, atLeast) {
  return callMs > 0 ? Math.min(100_000, Math.max(1, Math.ceil(atLeast / callMs))) : 1;
}

/**
 * How many samples a contender gives: `most`, fewer when that would take longer than `budget`, but never fewer than `least`.
 *
 * @param {number} sampleMs one sample
 * @param {{ most: number, least: number, budget: number }} limits `budget` in milliseconds
 * @returns {number}
 */
export function samplesWithin(sampleMs, { most, least, budget }) {
  return Math.min(most, Math.max(least, Math.floor(budget / sampleMs)));
}
