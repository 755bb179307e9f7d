import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { entries, specifierOf } from "./scripts/entries.mjs";
import { LongestFirst } from "./test/support/sequencer.ts";

/** Tests and examples import the package by its own name and get the source. */
export const alias = Object.entries(entries).map(([name, path]) => ({
  find: new RegExp(`^${specifierOf(name)}$`),
  replacement: fileURLToPath(new URL(path, import.meta.url)),
}));

/** Files that start processes, measure memory, damage files at random, or compute for seconds. */
const slow = "test/**/*.slow.test.ts";
/** Those of them that look at the kernels' own memory, threads and start, which must be new. */
const kernels = "test/{kernels,linalg}/**/*.slow.test.ts";

/** Files of a project share the modules that a worker has loaded. */
const shared = { isolate: false } as const;
/** Limits that end what hangs: no test that computes comes near them, however busy the machine is. */
const hangs = { testTimeout: 600_000, hookTimeout: 600_000 };

const builtPackage = { globalSetup: ["./test/support/build.ts"], ...shared, ...hangs };

export default defineConfig({
  test: {
    reporters: ["default", "./test/support/count-reporter.ts"],
    sequence: { sequencer: LongestFirst },
    // Tests that wait for processes and browsers leave a core to one worker more. What only computes takes no more workers
    // than cores: the scripts that run it alone say so.
    maxWorkers: availableParallelism() + 1,
    // What was transformed once serves the other projects, and later runs.
    experimental: { fsModuleCache: true, fsModuleCachePath: ".tmp/modules" },
    coverage: { include: ["src/**"], reporter: ["text", "json-summary"] },
    projects: [
      // Laws, golden cases, hand-worked cases and messages.
      {
        resolve: { alias },
        test: {
          name: "fast",
          include: ["test/**/*.test.ts"],
          exclude: ["test/{types,docs,browser,site}/**", "test/package/built/**", slow],
          ...shared,
          ...hangs,
        },
      },
      {
        resolve: { alias },
        test: { name: "slow", include: [slow], exclude: [kernels], ...shared, ...hangs },
      },
      { resolve: { alias }, test: { name: "kernels", include: [kernels], ...hangs } },
      // One program of the compiler serves all files that a worker runs.
      {
        resolve: { alias },
        test: { name: "types", include: ["test/types/**/*.test.ts"], ...shared, ...hangs },
      },
      {
        resolve: { alias },
        test: { name: "docs", include: ["test/docs/**/*.test.ts"], ...shared, ...hangs },
      },
      { test: { name: "package", include: ["test/package/built/**/*.test.ts"], ...builtPackage } },
      { resolve: { alias }, test: { name: "browser", include: ["test/browser/**/*.test.ts"], ...builtPackage } },
      {
        resolve: { alias },
        test: {
          name: "site",
          include: ["test/site/**/*.test.ts"],
          ...builtPackage,
          globalSetup: [...builtPackage.globalSetup, "./test/site/setup.ts"],
        },
      },
    ],
  },
});
