/**
 * *What does a reader really get from a writer?* Composition of heads on a text.
 *
 * In reading order: `composition-on-text.ts` (the definition), `stream-parts.ts` (who wrote what a layer reads).
 */
export { compositionOnText } from "./composition-on-text.ts";
export type { CompositionOnTextOptions, TextComposition } from "./composition-on-text.ts";
