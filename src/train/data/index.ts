/**
 * Data for training, drawn by step, with what is known of their optimum.
 *
 * In reading order: `training-data.ts` (what data are), `repeated-tokens.ts`, `markov-chains.ts`, `skip-trigrams.ts`,
 * `associative-recall.ts`, `max-of-k.ts` (made-up languages), `text-data.ts`, `mixed-data.ts`.
 */
export type { DrawnBatch, DrawnData, KnownData } from "./training-data.ts";
export { repeatedTokenData } from "./repeated-tokens.ts";
export type { RepeatedTokenOptions } from "./repeated-tokens.ts";
export { markovChainData } from "./markov-chains.ts";
export type { MarkovChainData, MarkovChainOptions, MarkovPredictor } from "./markov-chains.ts";
export { skipTrigramData } from "./skip-trigrams.ts";
export type { SkipTrigramData, SkipTrigramDataOptions, SkipTrigramRule } from "./skip-trigrams.ts";
export { associativeRecallData } from "./associative-recall.ts";
export type { AssociativeRecallOptions } from "./associative-recall.ts";
export { maxOfKData } from "./max-of-k.ts";
export type { MaxOfKOptions } from "./max-of-k.ts";
export { textData } from "./text-data.ts";
export type { TextData, TextDataOptions, TextEncoding } from "./text-data.ts";
export { mixedData } from "./mixed-data.ts";
