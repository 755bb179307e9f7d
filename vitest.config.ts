import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

/** Tests and examples import the package by its own name and get the source. */
export const alias = [
  { find: /^transformer-circuits$/, replacement: source("index.ts") },
  { find: /^transformer-circuits\/viz$/, replacement: source("viz/index.ts") },
  { find: /^transformer-circuits\/figures$/, replacement: source("figures/index.ts") },
  { find: /^transformer-circuits\/report$/, replacement: source("report/index.ts") },
  { find: /^transformer-circuits\/node$/, replacement: source("io/node.ts") },
  { find: /^transformer-circuits\/bundled$/, replacement: source("io/bundled.ts") },
  { find: /^transformer-circuits\/ndarray$/, replacement: source("tensor/ndarray.ts") },
];

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
          testTimeout: minutes,
          hookTimeout: minutes,
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
