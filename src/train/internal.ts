/** What train/ lends to the other folders of src/ and is no part of the package. */
export { defined } from "./recipes/training-recipe.ts";
export { checkpointFolder, modelFiles } from "./saved-model.ts";
