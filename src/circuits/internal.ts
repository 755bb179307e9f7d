/** What circuits/ lends to the other folders of src/ and is no part of the package. */
export { distinctHeads, requireOrder } from "./circuits.ts";
export { covariance, principal } from "./joint-pca.ts";
export { normedReaders } from "./normed-tokens.ts";
export { positivityOf, unembedEmbed } from "./eigenvalues/cores.ts";
export { tokenScores } from "./skip-trigrams/token-scores.ts";
export { pathCounts } from "./term-sizes/path-counts.ts";
export { centredUnembeddingGram, congruent } from "./term-sizes/source-grams.ts";
export { PairTable, readersOf } from "./composition/restricted/pair-table.ts";
export { restrictedShares } from "./composition/restricted/restricted-composition.ts";
export { readerForm, scoreAgainstRotations, usedSpace, writerForm } from "./composition/restricted/rotation-null.ts";
export { headMatrix, rootOf } from "./composition/restricted/stream-moments.ts";
