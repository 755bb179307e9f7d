/**
 * *What does a head do with three tokens?* A source, a destination that looks back at it, and what comes out.
 *
 * The score of `source … destination → out` is $(W_E W_{QK} W_E^\top)_{dest, source}$ with
 * $(W_E W_{OV} W_U)_{source, out}$. Source: *A Mathematical Framework for Transformer Circuits*, "Interpretation as
 * skip-trigrams".
 *
 * In reading order: `skip-trigrams.ts` (of one source token), `references.ts` (what makes QK entries comparable),
 * `search.ts` (the largest of all), `effects.ts` (of given ones), `bugs.ts` (what a head cannot help doing as well),
 * `filters.ts`, `token-scores.ts`, `top-tokens.ts`.
 */
export { skipTrigrams } from "./skip-trigrams.ts";
export type { SkipTrigramOptions, SkipTrigrams } from "./skip-trigrams.ts";
export { findSkipTrigramBugs, skipTrigramBugs } from "./bugs.ts";
export type {
  FindSkipTrigramBugsOptions,
  SkipTrigram,
  SkipTrigramBugs,
  SkipTrigramEffect,
  SkipTrigramPair,
} from "./bugs.ts";
export type { ScoreReference } from "./references.ts";
export type { SkipTrigramFilters, TokenFilter } from "./filters.ts";
export type { TokenValue } from "./top-tokens.ts";
export { skipTrigramEffects } from "./effects.ts";
export { topSkipTrigrams } from "./search.ts";
export type { TopSkipTrigramOptions } from "./search.ts";
