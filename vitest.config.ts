import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { entries, specifierOf } from "./scripts/entries.mjs";

/** Tests and examples import the package by its own name and get the source. */
export const alias = Object.entries(entries).map(([name, path]) => ({
  find: new RegExp(`^${specifierOf(name)}$`),
  replacement: fileURLToPath(new URL(path, import.meta.url)),
}));

const minutes = 60_000;
const builtPackage = {
  globalSetup: ["./test/support/build.ts"],
  testTimeout: 3 * minutes,
  hookTimeout: 3 * minutes,
  sequence: { groupOrder: 1 },
};

export default defineConfig({
  test: {
    reporters: ["default", "./test/support/count-reporter.ts"],
    coverage: { include: ["src/**"], reporter: ["text", "json-summary"] },
    projects: [
      {
        resolve: { alias },
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/{types,docs,browser}/**", "test/package/built/**"],
          testTimeout: minutes,
        },
      },
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
          testTimeout: 10 * minutes,
          hookTimeout: 10 * minutes,
        },
      },
      {
        resolve: { alias },
        test: {
          name: "docs",
          include: ["test/docs/**/*.test.ts"],
          testTimeout: 2 * minutes,
          hookTimeout: 2 * minutes,
        },
      },
      { test: { name: "package", include: ["test/package/built/**/*.test.ts"], ...builtPackage } },
      { resolve: { alias }, test: { name: "browser", include: ["test/browser/**/*.test.ts"], ...builtPackage } },
    ],
  },
});
