/** Statistics of a few numbers, and numbers as the data keep them. */
import { meanOf } from "../tensor/internal.ts";
import type { ByPosition, Estimate } from "./types.ts";

/** Mean and standard error, for independent observations; no error for one. */
export function estimateOf(values: readonly number[]): Estimate {
  const mean = meanOf(values);
  if (values.length < 2) return { mean, standardError: null };
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return { mean, standardError: Math.sqrt(squares / (values.length - 1) / values.length) };
}

/** Means by position of rows that may differ in length; entry i of a row is the prediction of token i + 1. */
export function byPosition(rows: readonly (readonly number[])[]): ByPosition {
  const longest = Math.max(0, ...rows.map((row) => row.length));
  const estimates = Array.from({ length: longest }, (_, i) => estimateOf(rows.flatMap((row) => row[i] ?? [])));
  return {
    position: estimates.map((_, i) => i + 1),
    mean: estimates.map(({ mean }) => mean),
    standardError: estimates.map(({ standardError }) => standardError),
  };
}

/** A number with at most so many significant digits: what is kept where there are very many. */
export function short(value: number, digits = 4): number {
  return Number(value.toPrecision(digits));
}
