import type { TestProject } from "vitest/node";
import { ensureBuild } from "../../scripts/ensure-build.mjs";

declare module "vitest" {
  interface ProvidedContext {
    /** Why there is no build of the sources as they are now; empty when there is one. */
    buildFailure: string;
  }
}

/** Builds dist/ before the tests of the built package. A failure is theirs alone: other tests run all the same. */
export function setup(project: TestProject): void {
  let buildFailure = "";
  try {
    ensureBuild();
  } catch (error) {
    buildFailure = error instanceof Error ? error.message : String(error);
  }
  project.provide("buildFailure", buildFailure);
}
