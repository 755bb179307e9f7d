/** Sets one explorer up; returns what paints it anew. */
export function setUpExplorer(root: unknown, page: unknown): () => void;
