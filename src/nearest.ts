/** Which known names an unknown one may have meant. */

/**
 * The known names nearest to one that is not known: at most a few slips away, or with a word in common; nearest first.
 *
 * @param most - at most how many.
 */
export function nearestNames(name: string, known: readonly string[], most: number): string[] {
  const words = wordsOf(name);
  return known
    .map((other) => {
      const shared = wordsOf(other).some((word) => words.some((mine) => mine.length > 2 && word.startsWith(mine)));
      const slips = editDistance(name.toLowerCase(), other.toLowerCase());
      return { other, slips, near: shared || slips <= Math.max(2, Math.floor(other.length / 3)) };
    })
    .filter(({ near }) => near)
    .sort((a, b) => a.slips - b.slips)
    .slice(0, most)
    .map(({ other }) => other);
}

/** The words of a name such as `ov-eigenvalues`, `hook_pattern` or `rowLabels`, in lower case. */
function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "");
}

/** Insertions, deletions and replacements from one text to the other. */
export function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
