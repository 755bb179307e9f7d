/** Sets up the figures in an element or a document that are not ready yet; returns what undoes it. */
export function enlivenAll(
  scope: unknown,
  kinds: {
    readonly setUpTable: (box: unknown) => void;
    readonly setUpExplorer: (root: unknown, page: unknown) => () => void;
    readonly setUpCloud: (root: unknown, page: unknown) => () => void;
    readonly setUpFlip: (root: unknown, page: unknown) => void;
  },
): () => void;
