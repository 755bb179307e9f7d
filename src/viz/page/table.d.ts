/** Sets one table up. */
export function setUpTable(box: unknown): void;
