import { execFileSync } from "node:child_process";
import type { TestProject } from "vitest/node";
import { isInstalled, siteIsFresh } from "../../site/lib/fresh.mjs";
import { root } from "../support/files.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Whether there is a site to test: where what builds it is not installed, only continuous integration installs it. */
    hasSite: boolean;
    /** Why it could not be built; empty when it could. */
    siteFailure: string;
  }
}

/** Builds site/dist/ before its tests, where it is not there or is older than what it is made of. */
export function setup(project: TestProject): void {
  const hasSite = isInstalled() || process.env.CI !== undefined;
  let siteFailure = "";
  try {
    if (hasSite && !siteIsFresh())
      execFileSync(process.execPath, [`${root}/site/build.mjs`], { stdio: ["ignore", "ignore", "pipe"] });
  } catch (error) {
    siteFailure = error instanceof Error ? error.message : String(error);
  }
  project.provide("hasSite", hasSite);
  project.provide("siteFailure", siteFailure);
}
