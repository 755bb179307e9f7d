/**
 * Runs of training as data.
 *
 * In reading order: `training-recipe.ts` (a run from JSON), `usual.ts` (what it is where nothing is said),
 * `known-losses.ts` (what guesses reach on its data).
 */
export { trainingRecipe } from "./training-recipe.ts";
export type { RecipeJSON, RecipeOptions, TrainingRecipe } from "./training-recipe.ts";
export type { RecipeData } from "./usual.ts";
