/**
 * Composition in the directions that are used, from weights alone.
 *
 * In reading order: `restricted-composition.ts` (the definition), `stream-moments.ts` (what a layer can read),
 * `rotations.ts` (means over rotary offsets), `rotation-null.ts` (what a random orientation scores),
 * `token-matching.ts` (the diagonal of the token circuit).
 */
export { restrictedComposition } from "./restricted-composition.ts";
export type {
  RestrictedComposition,
  RestrictedCompositionOptions,
  RestrictedScores,
  RestrictedWeightScores,
} from "./restricted-composition.ts";
