import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { entries, specifierOf } from "./scripts/entries.mjs";

/** Tests and examples import the package by its own name and get the source. */
export const alias = Object.entries(entries).map(([name, path]) => ({
  find: new RegExp(`^${specifierOf(name)}$`),
  replacement: fileURLToPath(new URL(path, import.meta.url)),
}));

/** Files that start processes, measure memory, use threads, damage files at random, or compute for seconds. */
const slow = "test/**/*.slow.test.ts";

/** Limits that end what hangs: no test that computes comes near them, however busy the machine is. */
const hangs = { testTimeout: 600_000, hookTimeout: 600_000 };

const builtPackage = {
  globalSetup: ["./test/support/build.ts"],
  sequence: { groupOrder: 1 },
  ...hangs,
};

export default defineConfig({
  test: {
    reporters: ["default", "./test/support/count-reporter.ts"],
    // All cores: unless told, one is left to the runner, which is half of a machine with two.
    maxWorkers: "100%",
    coverage: { include: ["src/**"], reporter: ["text", "json-summary"] },
    projects: [
      // Laws, golden cases, hand-worked cases and messages. Their files share the modules that a worker has loaded.
      {
        resolve: { alias },
        test: {
          name: "fast",
          include: ["test/**/*.test.ts"],
          exclude: ["test/{types,docs,browser,site}/**", "test/package/built/**", slow],
          isolate: false,
          ...hangs,
        },
      },
      { resolve: { alias }, test: { name: "slow", include: [slow], ...hangs } },
      {
        resolve: { alias },
        test: {
          name: "types",
          include: ["test/types/**/*.test.ts"],
          typecheck: {
            enabled: true,
            include: ["test/types/**/*.test-d.ts"],
            tsconfig: "./test/types/tsconfig.types.json",
          },
          ...hangs,
        },
      },
      {
        resolve: { alias },
        test: {
          name: "docs",
          include: ["test/docs/**/*.test.ts"],
          ...hangs,
        },
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
