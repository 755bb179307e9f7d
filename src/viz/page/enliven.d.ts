/** Sets up the figures in an element or a document that are not ready yet; returns what undoes it. */
export function enlivenAll(
  scope: unknown,
  kinds: Readonly<Record<string, (root: unknown, page: unknown) => (() => void) | void>>,
): () => void;
