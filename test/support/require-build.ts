/** Imported by the tests of dist/: they fail at once, and say why, when it could not be built. */
import { inject } from "vitest";

const failure = inject("buildFailure");
if (failure !== "") throw new Error(failure);
