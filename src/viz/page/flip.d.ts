/** Sets one flipbook up. */
export function setUpFlip(root: unknown, page: unknown): void;
