/** Sets one cloud of points up; returns what paints it anew. */
export function setUpCloud(root: unknown, page: unknown): () => void;
