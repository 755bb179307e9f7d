/**
 * Composition in the directions that are used, from weights alone.
 *
 * In reading order: `restricted-composition.ts` (the definition), `stream-moments.ts` (what a layer can read),
 * `rotation-null.ts` (what a random orientation scores).
 */
export { restrictedComposition } from "./restricted-composition.ts";
export type {
  RestrictedComposition,
  RestrictedCompositionOptions,
  RestrictedScores,
  RestrictedWeightScores,
} from "./restricted-composition.ts";
