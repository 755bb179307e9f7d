/** Numbers as text: alike in a column, and no longer than a reader can use. */

/** Magnitudes from here on, and below there, are written in powers of ten. */
const LARGE = 1e7;
const SMALL = 1e-3;

/** More decimals than these are not shown. */
const DECIMALS = 4;

/**
 * Numbers of one tensor or column, each as text of the same width: whole ones as they are, others with two to four
 * decimals, very large and very small ones in powers of ten. A zero that is exact is `0`, so that `0.0000` is a number
 * too small to show.
 */
export function alignNumbers(values: readonly number[]): string[] {
  const finite = values.filter((x) => Number.isFinite(x));
  const largest = finite.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const decimals = decimalsOf(finite, largest);
  const inPowers = decimals > 0 && (largest >= LARGE || largest < SMALL);
  const write = (x: number): string => {
    if (!Number.isFinite(x)) return String(x);
    if (inPowers) return x === 0 ? "0" : x.toExponential(3).replace("e+", "e");
    // Beyond 1e21 toFixed writes powers of ten by itself.
    return x === 0 && decimals > 0 ? `0${" ".repeat(decimals + 1)}` : x.toFixed(decimals);
  };
  const texts = values.map(write);
  const width = texts.reduce((most, text) => Math.max(most, text.length), 0);
  return texts.map((text) => text.padStart(width));
}

/** One number as text. */
export function shortNumber(value: number): string {
  return (alignNumbers([value])[0] ?? "").trim();
}

/** The fewest decimals that show the numbers exactly; otherwise the most that there is room for. */
function decimalsOf(values: readonly number[], largest: number): number {
  if (values.every((x) => Number.isInteger(x)) && largest < 1e15) return 0;
  const digits = Math.max(1, Math.floor(Math.log10(largest)) + 1);
  const most = Math.min(DECIMALS, Math.max(2, DECIMALS + 1 - digits));
  if (largest < SMALL || largest >= LARGE) return most;
  for (let decimals = 1; decimals < most; decimals++) {
    // Float32 numbers are those that a person wrote only to seven digits.
    if (values.every((x) => Math.abs(x - Number(x.toFixed(decimals))) <= Math.abs(x) * 1e-7)) return decimals;
  }
  return most;
}
