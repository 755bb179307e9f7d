/** Numbers and lists as sentences want them. */
import { formatNumber } from "../../viz/index.ts";
import type { Estimate } from "../types.ts";

/** A number with a fixed number of digits after the point and a true minus sign. */
export function fixed(value: number, decimals = 2): string {
  return formatNumber(value, { decimals });
}

/** The same with a plus sign where positive. */
export function signed(value: number, decimals = 2): string {
  return formatNumber(value, { decimals, sign: true });
}

/** A whole number with commas. */
export function whole(value: number): string {
  return formatNumber(value, { decimals: 0 });
}

/** A very small number: `3.4e−6`; as `2.5 × 10⁻⁷` it would not be copied into code. */
export function small(value: number): string {
  return formatNumber(value, { significant: 2 });
}

/** `1.52 ± 0.03`; without the error where there is none. */
export function estimate({ mean, standardError }: Estimate, decimals = 2): string {
  return standardError === null
    ? fixed(mean, decimals)
    : `${fixed(mean, decimals)} ± ${fixed(standardError, decimals)}`;
}

/** A share as `7 %`. */
export function percent(share: number): string {
  return `${fixed(100 * share, 0)} %`;
}

/** `one head`, `3 heads`. */
export function count(n: number, singular: string, several = `${singular}s`): string {
  return `${n >= 0 && n <= 9 ? (DIGITS[n] ?? "") : whole(n)} ${n === 1 ? singular : several}`;
}

const DIGITS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/** `a`, `a and b`, `a, b and c`. */
export function list(items: readonly string[]): string {
  if (items.length < 2) return items.join("");
  return `${items.slice(0, -1).join(", ")} and ${items[items.length - 1] ?? ""}`;
}

/** The list cut to a number of items, the rest counted. */
export function shortList(items: readonly string[], most = 8): string {
  if (items.length <= most) return list(items);
  return `${items.slice(0, most - 1).join(", ")} and ${items.length - most + 1} more`;
}

/** ` at positions 8–27` of heads that do something there only; nothing where one does it everywhere (`null`). */
export function atPositions(ranges: readonly (readonly [number, number] | null)[]): string {
  const known = ranges.filter((one) => one !== null);
  if (known.length === 0 || known.length < ranges.length) return "";
  return ` at positions ${Math.min(...known.map(([first]) => first))}–${Math.max(...known.map(([, last]) => last))}`;
}

/** `0.52 to 0.91`, or one number where they print alike; `none` of nothing. */
export function range(values: readonly number[], decimals = 2): string {
  if (values.length === 0) return "none";
  const least = values.reduce((a, b) => Math.min(a, b));
  const most = values.reduce((a, b) => Math.max(a, b));
  const [low, high] = [fixed(least, decimals), fixed(most, decimals)];
  return low === high ? low : `${low} to ${high}`;
}

/** The sentence with a capital at its beginning. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
