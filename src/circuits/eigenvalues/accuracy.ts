/** How often the diagonal of a circuit from tokens to tokens is among the largest of its row. */
import { diagonalRanks } from "../../linear/index.ts";
import type { SquareMap } from "../../linear/index.ts";
import { requireCount } from "../../model/internal.ts";
import type { ProgressOptions } from "../../progress.ts";

/** The share of rows whose diagonal entry is among the `k` largest: one for a number, several for a list. */
export function sharesWithin(
  circuit: SquareMap<string>,
  k: number | readonly number[] = 1,
  { signal, onProgress }: ProgressOptions,
  operation: string,
): number | number[] {
  const all: readonly number[] = Array.isArray(k) ? (k as readonly number[]) : [k as number];
  for (const one of all) requireCount(one, "k", operation);
  if (all.length === 0) return [];
  const ranks = diagonalRanks(circuit, { atMost: Math.max(...all), signal, onProgress }).data as Int32Array;
  const shares = all.map((most) => ranks.reduce((hits, rank) => hits + (rank < most ? 1 : 0), 0) / ranks.length);
  return typeof k === "number" ? (shares[0] as number) : shares;
}
