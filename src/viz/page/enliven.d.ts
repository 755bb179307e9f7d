/** Sets up the figures in an element or a document that are not ready yet; returns what undoes it. */
export function enliven(scope: unknown): () => void;
