/** How many paths there are: $\binom{L}{p} H^p$ choices of one head in each of $p$ among $L$ layers of $H$ heads. */

/** The paths of each number of heads, from 0 to all layers. */
export function pathCounts(n_layers: number, n_heads: number): number[] {
  const counts = [1];
  for (let p = 1; p <= n_layers; p++) counts.push(((counts[p - 1] as number) * (n_layers - p + 1) * n_heads) / p);
  return counts;
}

/** Counts by order, those beyond `maxOrder` as one. */
export function countsTo(maxOrder: number, counts: readonly number[]): number[] {
  const rest = counts.slice(maxOrder + 1);
  return [...counts.slice(0, maxOrder + 1), ...(rest.length === 0 ? [] : [rest.reduce((a, b) => a + b)])];
}
