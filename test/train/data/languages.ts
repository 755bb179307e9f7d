/**
 * What the tests of made-up languages share: exact conditional losses of a language given by its prompts'
 * probabilities.
 */
import type { KnownData } from "../../../src/train/data/index.ts";

/** Numbers by prompt, the prompt's ids joined. */
export type Language = ReadonlyMap<string, number>;

/** Adds probability to a prompt. */
export function put(language: Map<string, number>, ids: readonly number[], probability: number): void {
  const key = ids.join(" ");
  language.set(key, (language.get(key) ?? 0) + probability);
}

/** All lists of `length` ids below `size`. */
export function allLists(size: number, length: number): number[][] {
  if (length === 0) return [[]];
  return allLists(size, length - 1).flatMap((list) => Array.from({ length: size }, (_, id) => [...list, id]));
}

/** The loss of each token of a prompt after the first, by the marginal probabilities of its beginnings. */
export function conditionalLosses(language: Language): (ids: readonly number[]) => number[] {
  const marginals = new Map<string, number>();
  for (const [key, probability] of language) {
    const ids = key.split(" ").map(Number);
    for (let n = 1; n <= ids.length; n++) put(marginals, ids.slice(0, n), probability);
  }
  const of = (ids: readonly number[]): number => marginals.get(ids.join(" ")) ?? 0;
  return (ids) => ids.slice(1).map((_, i) => -Math.log(of(ids.slice(0, i + 2)) / of(ids.slice(0, i + 1))));
}

/** Prompts of the first batches and what the optimum says of them. */
export function drawn(data: KnownData, steps: number): { ids: number[]; losses: number[] }[] {
  return Array.from({ length: steps }, (_, step) => {
    const losses = data.optimum(step).toNested() as number[][];
    const tokens = data.batch(step).tokens.toNested() as number[][];
    return tokens.map((ids, b) => ({ ids, losses: losses[b] ?? [] }));
  }).flat();
}

export const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

/** The standard error of a mean. */
export function errorOfMean(values: readonly number[]): number {
  const m = mean(values);
  return Math.sqrt(mean(values.map((x) => (x - m) ** 2)) / values.length);
}
